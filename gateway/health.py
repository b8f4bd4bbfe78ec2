"""What we believe of a replica, and how probes, failed requests and arriving tokens change it.

Pure: a belief and an observation in, a new belief out, the time passed in. Health is progress: a replica is alive when
it answers, its metrics can be read, and its token counter moves while requests run. One that is not alive has to
generate a token before it gets traffic again. Failed, draining and overloaded are three different states; only failed
says that something is wrong with the replica.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.ports import Fault
from gateway.settings import Health

ANSWERS = "answers probes"
_NOT_ILL = (Fault.NONE, Fault.BUSY)
STALE_AFTER_PROBES = 3  # a judgment: one late scrape is load, three in a row are no picture of the present


class State(StrEnum):
    """What a replica is to the routing: only `ready` gets new requests."""

    READY = "ready"
    OVERLOADED = "overloaded"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Scrape:
    """An engine's own figures: requests running and waiting, KV cache in use (0 to 1), tokens generated since start."""

    running: float
    waiting: float
    kv_usage: float
    generated: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One probe's result: `fault` and why, its scrape if that succeeded, and whether the canary's token came.

    `reached` tells the site's failure from the replica's: True when anything at the address answered in HTTP, False
    when no connection could be made, None when the probe cannot tell.
    """

    fault: Fault
    reason: str
    scrape: Scrape | None = None
    generated: bool = False
    reached: bool | None = None


@dataclass(frozen=True, slots=True)
class Belief:
    """Times are seconds on the pool's clock; one of something that never happened is that of the start.

    `reason` is why it is alive or not, in words for an operator, and `since` when it last came alive, failed, or began
    or ended to drain. `misses` counts bad probes in a row. `busy_until` is the end of a pause the engine asked for.
    `progress_at` is when the engine last was not stuck: its counter moved, or nothing ran. `proven_at` is when it is
    last known to have generated a token.
    """

    alive: bool
    reason: str
    since: float
    next_probe_at: float
    misses: int
    draining: bool
    busy_until: float
    scrape: Scrape | None
    scraped_at: float
    probed_at: float
    progress_at: float
    proven_at: float


def at_start(now: float) -> Belief:
    """Nothing is known, so it gets no traffic and a probe is due."""
    return Belief(
        alive=False,
        reason="not probed yet",
        since=now,
        next_probe_at=now,
        misses=0,
        draining=False,
        busy_until=now,
        scrape=None,
        scraped_at=now,
        probed_at=now,
        progress_at=now,
        proven_at=now,
    )


def after_probe(belief: Belief, finding: Finding, now: float, settings: Health, *, busy: bool) -> Belief:
    """What one probe changes. `busy`: requests of ours are there, so the next probe comes sooner."""
    seen = _noted(replace(belief, probed_at=now), finding, now)
    after = _judged_alive(seen, finding, now, settings) if seen.alive else _judged_failed(seen, finding, now)
    return replace(after, next_probe_at=now + _interval(after, settings, busy=busy))


def after_lost_connection(belief: Belief, now: float, settings: Health, reason: str) -> Belief:
    """There is nobody at the other end: no traffic from now on, and a probe soon."""
    # Many requests may report the same loss, one after the other: that must not push the probe away.
    due = min(belief.next_probe_at, now + settings.failed_interval_s)
    return replace(_failed(belief, now, reason), next_probe_at=due)


def suspected(belief: Belief, now: float) -> Belief:
    """Something odd came back: the next probe is due now, the rest stays."""
    return replace(belief, next_probe_at=min(belief.next_probe_at, now))


def busy_until(belief: Belief, until: float) -> Belief:
    """The engine refused work until then. A pause that is under way is never shortened."""
    return replace(belief, busy_until=max(belief.busy_until, until))


def set_draining(belief: Belief, draining: bool, now: float) -> Belief:
    """No new requests from now on, or again. It is probed as before."""
    return belief if belief.draining is draining else replace(belief, draining=draining, since=now)


def progressed(belief: Belief, now: float) -> Belief:
    """Tokens of ours came from it: the cheapest proof there is."""
    return replace(belief, progress_at=max(belief.progress_at, now), proven_at=max(belief.proven_at, now))


def probe_due_at(belief: Belief, settings: Health, *, busy: bool) -> float:
    """When to probe next. `busy`: requests of ours are there, or its breaker waits for a probe.

    That may have become so after the last probe set its time; the time is never before the busy interval has passed.
    """
    if busy and belief.alive:
        return min(belief.next_probe_at, belief.probed_at + settings.busy_interval_s)
    return belief.next_probe_at


def fresh_scrape(belief: Belief, now: float, settings: Health) -> Scrape | None:
    """The engine's figures, unless they are too old to tell how loaded it is."""
    return belief.scrape if now - belief.scraped_at <= STALE_AFTER_PROBES * settings.busy_interval_s else None


def wants_canary(belief: Belief, now: float, settings: Health, *, busy: bool) -> bool:
    """Whether a probe that went well so far should also have a token generated.

    Always for a replica that is not alive: nothing else proves it. For one that is, only when no other work has proved
    it lately; never while it drains, since whoever drains it waits for it to be idle. While requests of ours are there
    they are the proof, unless the engine says that nothing runs: then it may have hung when it was idle.
    """
    if not belief.alive:
        return True
    if belief.draining:
        return False
    unproven_s = now - belief.proven_at
    if busy:
        return belief.scrape is not None and belief.scrape.running == 0 and unproven_s >= settings.stall_after_s
    return unproven_s >= settings.canary_interval_s


def assess(belief: Belief, now: float, settings: Health, *, admits: bool, why_not: str) -> tuple[State, str]:
    """The state and its reason; of several that apply the gravest. `admits` and `why_not` are the breaker's word."""
    if not belief.alive:
        return State.FAILED, belief.reason
    if not admits:
        return State.FAILED, why_not
    if belief.draining:
        return State.DRAINING, "takes no new requests, on an operator's word"
    if overload := _overload(belief, now, settings):
        return State.OVERLOADED, overload
    return State.READY, belief.reason


def _noted(belief: Belief, finding: Finding, now: float) -> Belief:
    """The belief with what the probe measured, before anything is concluded from it."""
    if finding.generated:
        belief = progressed(belief, now)
    scrape, before = finding.scrape, belief.scrape
    if scrape is None:
        return belief
    belief = replace(belief, scrape=scrape, scraped_at=now)
    if before is not None and scrape.generated > before.generated:
        return progressed(belief, now)
    # Idle then or now: what runs has begun since, and the clock of its first token starts here. A counter that fell is
    # that of a new process.
    restarted = before is None or scrape.generated < before.generated
    if restarted or scrape.running == 0 or (before is not None and before.running == 0):
        return replace(belief, progress_at=now)
    return belief


def _judged_alive(belief: Belief, finding: Finding, now: float, settings: Health) -> Belief:
    if finding.fault is Fault.UNREACHABLE:
        return _failed(belief, now, finding.reason)
    if finding.scrape is not None and (stall := _stall(belief, finding.scrape, now, settings)):
        return _failed(belief, now, stall)
    if finding.fault in _NOT_ILL:
        return replace(belief, misses=0, reason=finding.reason)
    if now - belief.proven_at < settings.stall_after_s:
        return replace(belief, reason=finding.reason)  # it generates, so it is slow or odd, not ill
    missed = replace(belief, misses=belief.misses + 1, reason=finding.reason)
    return missed if missed.misses < settings.failures_before_failed else _failed(missed, now, finding.reason)


def _judged_failed(belief: Belief, finding: Finding, now: float) -> Belief:
    if finding.fault not in _NOT_ILL:
        return replace(belief, misses=belief.misses + 1, reason=finding.reason)
    if not finding.generated:
        # Answering is what a hung engine does too, so it is no reason; why it failed still is.
        return belief if finding.reason == ANSWERS else replace(belief, reason=finding.reason)
    return replace(belief, alive=True, reason=finding.reason, since=now, misses=0)


def _failed(belief: Belief, now: float, reason: str) -> Belief:
    return replace(belief, alive=False, reason=reason, since=now if belief.alive else belief.since)


def _interval(belief: Belief, settings: Health, *, busy: bool) -> float:
    if not belief.alive or belief.misses:
        return settings.failed_interval_s
    runs = belief.scrape is not None and belief.scrape.running + belief.scrape.waiting > 0
    return settings.busy_interval_s if busy or runs else settings.ready_interval_s


def _stall(belief: Belief, scrape: Scrape, now: float, settings: Health) -> str | None:
    silent_s = now - belief.progress_at
    if scrape.running == 0 or silent_s < settings.stall_after_s:
        return None
    return f"{scrape.running:g} requests run and no token has come for {silent_s:.0f} s"


def _overload(belief: Belief, now: float, settings: Health) -> str | None:
    if belief.busy_until > now:
        return "the engine says that it is busy"
    scrape = fresh_scrape(belief, now, settings)
    if scrape is None:
        return None
    if scrape.waiting >= settings.overloaded_waiting:
        return f"{scrape.waiting:g} requests wait in the engine's queue"
    if scrape.kv_usage >= settings.overloaded_kv_usage:
        return f"the KV cache is {scrape.kv_usage:.0%} full"
    return None
