"""Which replica serves a request: filter those that may take it, score them, pick one.

Asked for each attempt, with the replicas as they are at that moment. Pure: the same snapshots give the same choice. A
replica that is full, not ready or excluded is never chosen, whatever it holds of the prompt.

What we have sent decides, since we know it exactly and at once. What the engine says of itself is as old as the last
probe, and replicas judged by old numbers alone are flooded in turn. So it corrects, by MAX_CORRECTION at most.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from gateway.health import State
from gateway.settings import Affinity

TOKENS_PER_REQUEST = 2048
"""A judgment: so many tokens in flight weigh as much as one more request. Long prompts are what others wait for."""

KV_COMFORT = 0.8
"""A judgment: below this share a KV cache in use slows nobody. Above it, requests may be thrown out and start again."""

MAX_CORRECTION = 4.0
"""A judgment, in requests: what the engine's own numbers may weigh together, be they wrong or old."""

NEARLY = 0.9
"""A judgment: who holds this share of the longest held prefix holds nearly the same, and load decides between them."""


@dataclass(slots=True)  # not frozen, which would make it five times as dear: every request needs one a replica
class Candidate:
    """A replica as the choice sees it; not to be changed.

    `in_flight` requests and `in_flight_tokens`, which they will occupy, are ours; `limit` is how many requests it may
    hold now. `waiting` is the length of the engine's own queue, ours included, and `kv_usage` a share (0..1), both by
    the last fresh scrape and 0 without one. `held_tokens` of this request's prompt are believed to be in its prefix
    cache. `last_leased` orders replicas by when they were last chosen.
    """

    name: str
    state: State
    in_flight: int
    in_flight_tokens: int
    limit: int
    waiting: float
    kv_usage: float
    held_tokens: int
    last_leased: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The replica chosen, and whether for the prefix it holds or because it is the least busy."""

    name: str
    why: Literal["affinity", "load"]


def usable(candidates: Iterable[Candidate], excluded: Collection[str]) -> list[Candidate]:
    """Who could serve the request, now or once it has a place: ready and not excluded."""
    return [candidate for candidate in candidates if candidate.state is State.READY and candidate.name not in excluded]


def pick(
    candidates: Iterable[Candidate], excluded: Collection[str], prompt_tokens: int, settings: Affinity
) -> Choice | None:
    """The least busy replica with a place, or the one that holds the prompt, within bounds; None if nobody has a place.

    A holder has at least `min_share` of the prompt. It wins while it is at most `max_lead` requests busier than the
    least busy replica with a place. Of several holders the longest prefix wins, of nearly equal ones the least busy.
    Ties go to the one that has rested longest, then to the first. A full holder is not waited for: the time in the
    queue is certain, and what a prefix saves is not.
    """
    free = [candidate for candidate in usable(candidates, excluded) if candidate.in_flight < candidate.limit]
    if not free:
        return None
    if holders := _holders(free, prompt_tokens, settings):
        longest = max(candidate.held_tokens for candidate in holders)
        return Choice(_least_busy(c for c in holders if c.held_tokens >= NEARLY * longest).name, "affinity")
    return Choice(_least_busy(free).name, "load")


def load(candidate: Candidate) -> float:
    """How busy a replica is, in requests: those in flight, their tokens, and the correction."""
    return candidate.in_flight + candidate.in_flight_tokens / TOKENS_PER_REQUEST + _correction(candidate)


def _correction(candidate: Candidate) -> float:
    """What the engine says of itself, in requests.

    More requests wait in its queue than we have sent: the rest is from clients that do not come through us. And from
    KV_COMFORT to a full cache the weight grows from nothing to the whole correction.
    """
    foreign = max(0.0, candidate.waiting - candidate.in_flight)
    cramped = max(0.0, candidate.kv_usage - KV_COMFORT) / (1 - KV_COMFORT)
    return min(MAX_CORRECTION, foreign + MAX_CORRECTION * cramped)


def _holders(free: Collection[Candidate], prompt_tokens: int, settings: Affinity) -> list[Candidate]:
    """Who holds enough of the prompt and is not too far ahead in requests.

    Requests alone are compared, not their tokens: a conversation's own long prompts must not drive it away from its
    cache, where they cost little.
    """
    enough = max(1.0, settings.min_share * prompt_tokens)
    bound = min(map(_requests, free)) + settings.max_lead
    return [candidate for candidate in free if candidate.held_tokens >= enough and _requests(candidate) <= bound]


def _requests(candidate: Candidate) -> float:
    return candidate.in_flight + _correction(candidate)


def _least_busy(candidates: Iterable[Candidate]) -> Candidate:
    return min(candidates, key=lambda candidate: (load(candidate), candidate.last_leased))
