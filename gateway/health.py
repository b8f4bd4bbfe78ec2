"""What we believe of a replica, and how probes and failed requests change it.

Pure: a belief and an observation in, a new belief out, the time passed in. A replica starts as unknown, gets no
traffic until a probe has succeeded, and loses it at once when it cannot be reached.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.settings import Health


class State(StrEnum):
    """Whether a replica gets traffic: only `ready` does."""

    UNKNOWN = "unknown"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Belief:
    """`reason` is why, in words for an operator; `misses` counts bad probes in a row; times are on the pool's clock."""

    state: State
    reason: str
    since: float
    next_probe_at: float
    misses: int = 0


def at_start(now: float) -> Belief:
    """Nothing is known, so a probe is due."""
    return Belief(State.UNKNOWN, "not probed yet", now, now)


def after_good_probe(belief: Belief, now: float, settings: Health) -> Belief:
    """It answers: traffic may come."""
    since = belief.since if belief.state is State.READY else now
    return Belief(State.READY, "answers probes", since, now + settings.ready_interval_s)


def after_bad_probe(belief: Belief, now: float, settings: Health, reason: str) -> Belief:
    """A slow or refused probe. A ready replica keeps its traffic until there were several: load makes probes slow."""
    misses = belief.misses + 1
    if belief.state is State.READY and misses < settings.failures_before_failed:
        return replace(belief, misses=misses, reason=reason, next_probe_at=now + settings.failed_interval_s)
    return _failed(belief, now, settings, reason, misses)


def after_lost_connection(belief: Belief, now: float, settings: Health, reason: str) -> Belief:
    """There is nobody at the other end: no traffic from now on."""
    return _failed(belief, now, settings, reason, belief.misses)


def suspected(belief: Belief, now: float) -> Belief:
    """Something odd came back: the next probe is due now, the rest stays."""
    return replace(belief, next_probe_at=min(belief.next_probe_at, now))


def _failed(belief: Belief, now: float, settings: Health, reason: str, misses: int) -> Belief:
    since = belief.since if belief.state is State.FAILED else now
    return Belief(State.FAILED, reason, since, now + settings.failed_interval_s, misses)
