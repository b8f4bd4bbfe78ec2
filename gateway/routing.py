"""Which replica serves a request: filter the ready ones, score by what is in flight, pick the least.

`pick` is pure. The pool keeps what it needs to know: a belief and a count of requests in flight per replica. A request
holds its place by a lease, which is given back however the request ends.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType

from gateway import health
from gateway.health import Belief, State
from gateway.ports import Clock, Fault
from gateway.settings import Health


@dataclass(frozen=True, slots=True)
class Candidate:
    """A replica as the choice sees it; `last_leased` orders replicas by when they were last chosen."""

    name: str
    ready: bool
    in_flight: int
    last_leased: int


def pick(candidates: Iterable[Candidate], excluded: Collection[str]) -> Candidate | None:
    """The ready candidate with the fewest requests in flight; among equals the one that has rested longest."""
    ready = [candidate for candidate in candidates if candidate.ready and candidate.name not in excluded]
    return min(ready, key=lambda candidate: (candidate.in_flight, candidate.last_leased), default=None)


class Replica:
    """One model server behind one of nginx's ports."""

    def __init__(self, name: str, url: str, belief: Belief) -> None:
        self.name = name
        self.url = url
        self.belief = belief
        self.in_flight = 0
        self.last_leased = 0


class Lease:
    """One request's place on a replica. Leaving the context gives it back, once."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self._held = False

    def __enter__(self) -> "Lease":
        self.replica.in_flight += 1
        self._held = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._held:
            self._held = False
            self.replica.in_flight -= 1


class Pool:
    """The replicas of one site."""

    def __init__(self, urls: Sequence[str], settings: Health, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._leases = 0
        now = clock()
        self.replicas = tuple(Replica(f"replica-{i}", url, health.at_start(now)) for i, url in enumerate(urls))

    def lease(self, excluded: Collection[str] = ()) -> Lease | None:
        """A place on the best replica that is not excluded, to be entered at once; None if no such one is ready."""
        chosen = pick((_candidate(replica) for replica in self.replicas), excluded)
        if chosen is None:
            return None
        replica = next(replica for replica in self.replicas if replica.name == chosen.name)
        self._leases += 1
        replica.last_leased = self._leases
        return Lease(replica)

    @property
    def ready(self) -> bool:
        """Whether any replica takes traffic."""
        return any(replica.belief.state is State.READY for replica in self.replicas)

    def report(self, replica: Replica, fault: Fault, reason: str) -> None:
        """What a failed attempt said of the replica."""
        if fault is Fault.UNREACHABLE:
            replica.belief = health.after_lost_connection(replica.belief, self._clock(), self._settings, reason)
        elif fault is Fault.SUSPECT:
            replica.belief = health.suspected(replica.belief, self._clock())

    def report_probe(self, replica: Replica, fault: Fault, reason: str) -> None:
        """What a probe said of the replica; Fault.NONE is a good probe."""
        now, belief = self._clock(), replica.belief
        if fault is Fault.NONE:
            replica.belief = health.after_good_probe(belief, now, self._settings)
        elif fault is Fault.SUSPECT:
            replica.belief = health.after_bad_probe(belief, now, self._settings, reason)
        else:
            replica.belief = health.after_lost_connection(belief, now, self._settings, reason)

    def seconds_until_probe(self, replica: Replica) -> float:
        """How long the replica's next probe is away; 0 when it is due."""
        return max(0.0, replica.belief.next_probe_at - self._clock())


def _candidate(replica: Replica) -> Candidate:
    ready = replica.belief.state is State.READY
    return Candidate(replica.name, ready, replica.in_flight, replica.last_leased)
