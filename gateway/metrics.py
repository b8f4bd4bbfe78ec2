"""The gateway's instruments, in a registry of their own. Labels come from closed sets, never from a client."""

from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Family = TypeVar("Family", Counter, Gauge, Histogram)

LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Bucket bounds at the targets of the design: 10 ms, 50 ms, 0.5, 1, 2 and 3 s, and beyond them where answers end."""


class Metrics:
    """One attribute an instrument. `outcome` is "ok" or an error code; `endpoint` a front door; `replica` a name."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

        def counter(name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
            return _quick(Counter(name, meaning, labels, registry=registry))

        def gauge(name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
            return _quick(Gauge(name, meaning, labels, registry=registry))

        def seconds(name: str, meaning: str, labels: Sequence[str]) -> Histogram:
            return _quick(Histogram(name, meaning, labels, registry=registry, buckets=LATENCY_BUCKETS_S))

        # ---- requests, as their clients see them
        self.requests = counter("scout_requests", "Requests ended", ["endpoint", "stream", "outcome"])
        arrival_to_end = "From the request's arrival to the end of its answer"
        self.duration = seconds("scout_request_duration_seconds", arrival_to_end, ["endpoint", "stream"])
        arrival_to_first = "From the request's arrival to the first content token, streams only"
        self.first_content = seconds("scout_time_to_first_token_seconds", arrival_to_first, ["endpoint"])
        self.tokens = counter("scout_tokens", "Tokens, as counted by the engine", ["kind"])
        self.open_requests = gauge("scout_open_requests", "Requests being answered")

        # ---- the queue
        self.waiting = gauge("scout_queue_waiting", "Requests waiting for a place", ["priority"])
        waited = "How long a request waited for a place, those that need not wait left out"
        self.queue_wait = seconds("scout_queue_wait_seconds", waited, ["priority"])

        # ---- tries, and what became of them
        self.attempts = counter("scout_upstream_attempts", "Tries at a replica", ["replica", "outcome"])
        broke = "Streams that broke after their first content, by the replica and why"
        self.broken = counter("scout_streams_broken", broke, ["replica", "code"])
        why = "Why a replica was chosen: affinity (it holds the prefix) or load"
        self.routed = counter("scout_routed", why, ["why"])
        broken = "Broken streams: resumed, completed (nothing but the end was missing), refused, failed"
        self.resumes = counter("scout_resumes", broken, ["outcome"])
        self.hedges = counter("scout_hedges", "Second replicas asked, by whether they won", ["outcome"])
        self.retries_left = gauge("scout_retry_budget", "Extra attempts saved up")

        # ---- the conversation door
        intents = "Messages by the route that they were found to take"
        self.intents = counter("scout_intents", intents, ["route"])
        tiers = 'Tiers asked, by what came of it: "ok" or an error code'
        self.tiers = counter("scout_tiers", tiers, ["tier", "outcome"])
        lookups = "Cacheable questions: hit, miss, or shared (another's answer under way was joined)"
        self.cache = counter("scout_cache", lookups, ["outcome"])
        self.tools = counter("scout_tool_calls", "Tools that models have called", ["tool", "outcome"])
        self.labels = counter("scout_sensitive_conversations", "Conversations found to be sensitive")
        self.cost = counter("scout_cost_dollars", "What the cloud has charged, by our price table", ["tier"])

        # ---- replicas, their site and the way to it
        in_flight = "Requests that hold a lease on the replica"
        self.in_flight = gauge("scout_replica_in_flight", in_flight, ["replica"])
        states = "1 for the state that the replica is in: ready, overloaded, draining or failed"
        self.state = gauge("scout_replica_state", states, ["replica", "state"])
        self.ready = gauge("scout_replica_ready", "1 if the replica takes traffic", ["replica"])
        failed = "How often a replica was found to have failed"
        self.replica_failed = counter("scout_replica_failed", failed, ["replica"])
        self.site_down = gauge("scout_site_down", "1 while no replica of the site can be reached")
        paths = "How many of the replicas' hosts are reached by this path of the tailnet"
        self.link_path = gauge("scout_link_path", paths, ["path"])


def _quick(family: Family) -> Family:
    """The same, with `labels` looked up in a dict. prometheus_client's own takes a lock and a copy at every call."""
    family.labels = cache(family.labels)  # type: ignore[method-assign]  # the sets of labels are closed: so is the cache
    return family
