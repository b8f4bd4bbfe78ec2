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
        self.ready = Gauge("scout_replica_ready", "1 if the replica takes traffic", ["replica"], registry=registry)
