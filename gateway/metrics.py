"""The gateway's instruments, in a registry of their own. Labels come from closed sets, never from a client."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Bucket bounds at the targets of the design: 10 ms, 50 ms, 0.5, 1, 2 and 3 s, and beyond them where answers end."""


class Metrics:
    """One attribute an instrument. `outcome` is "ok" or an error code; `endpoint` a front door; `replica` a name."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter(
            "scout_requests", "Requests ended", ["endpoint", "stream", "outcome"], registry=registry
        )
        self.duration = Histogram(
            "scout_request_duration_seconds",
            "From the request's arrival to the end of its answer",
            ["endpoint", "stream"],
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.first_content = Histogram(
            "scout_time_to_first_token_seconds",
            "From the request's arrival to the first content token, streams only",
            ["endpoint"],
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.attempts = Counter(
            "scout_upstream_attempts", "Tries at a replica", ["replica", "outcome"], registry=registry
        )
        self.tokens = Counter("scout_tokens", "Tokens, as counted by the engine", ["kind"], registry=registry)
        self.open_requests = Gauge("scout_open_requests", "Requests being answered", registry=registry)
        self.in_flight = Gauge(
            "scout_replica_in_flight", "Requests that hold a lease on the replica", ["replica"], registry=registry
        )
        self.state = Gauge(
            "scout_replica_state",
            "1 for the state that the replica is in: ready, overloaded, draining or failed",
            ["replica", "state"],
            registry=registry,
        )
        self.replica_failed = Counter(
            "scout_replica_failed", "How often a replica was found to have failed", ["replica"], registry=registry
        )
        self.site_down = Gauge("scout_site_down", "1 while no replica of the site can be reached", registry=registry)
        self.link_path = Gauge(
            "scout_link_path",
            "1 for the path of the tailnet: direct, relayed, none, unknown",
            ["path"],
            registry=registry,
        )
        self.waiting = Gauge("scout_queue_waiting", "Requests waiting for a place", ["priority"], registry=registry)
        self.queue_wait = Histogram(
            "scout_queue_wait_seconds",
            "How long a request waited for a place, those that need not wait left out",
            ["priority"],
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.routed = Counter(
            "scout_routed",
            "Why a replica was chosen: affinity (it holds the prefix) or load",
            ["why"],
            registry=registry,
        )
        self.resumes = Counter(
            "scout_resumes",
            "Broken streams: resumed, completed (nothing but the end was missing), refused, failed",
            ["outcome"],
            registry=registry,
        )
        self.hedges = Counter(
            "scout_hedges", "Second replicas asked, by whether they won", ["outcome"], registry=registry
        )
        self.retries_left = Gauge("scout_retry_budget", "Extra attempts saved up", registry=registry)
        self.ready = Gauge("scout_replica_ready", "1 if the replica takes traffic", ["replica"], registry=registry)
