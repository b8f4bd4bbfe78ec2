"""The waiting line: who gets the next place while every place is taken, and who is turned away.

Pure; `gateway.admission` holds it and does the waiting. A request joins between its parsing and its first attempt, and
a broken stream joins again before it goes on elsewhere. Promises: the line is bounded, its order does not change
while one waits, a ticket leaves at once, and nothing is kept of a ticket that has left.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count
from typing import Any

from gateway.settings import Admission


class Priority(IntEnum):
    """The lower number is served first. RESUME is a stream that broke after its client had seen some of it."""

    RESUME = 0
    INTERACTIVE = 1
    BATCH = 2


@dataclass(slots=True, eq=False)
class Ticket:
    """One place in the line; times are seconds on the caller's clock.

    `excluded` names the replicas that it must not get, and `payload` is the caller's own. Only `payload` may be
    changed: the line is sorted by the rest.
    """

    number: int
    priority: Priority
    joined_at: float
    give_up_at: float
    excluded: frozenset[str]
    payload: Any
    rank: tuple[bool, float, int] = field(repr=False)


class Line:
    """Tickets in the order of service, and once more in the order in which they give up.

    Both are sorted lists, so that a ticket is found by bisection, and taking one out moves a few pointers.

    The order is fixed when a ticket joins, and it is ageing nevertheless. A ticket's age is the time it has waited,
    for batch less `batch_ages_s`, and the oldest is next. All ages grow at the same pace, so a comparison of two comes
    out the same at any time: comparing when they joined, with batch taken to have joined `batch_ages_s` later, is
    enough. From that moment on nobody interactive who joins can pass a batch request, hence it does not starve.
    Resumes pass everybody; each held a place before, so there are only as many as there were places.
    """

    def __init__(self, settings: Admission) -> None:
        self._settings = settings
        self._numbers = count(1)
        self._by_service: list[Ticket] = []
        self._by_expiry: list[Ticket] = []
        self._waiting = dict.fromkeys(Priority, 0)

    def join(
        self, priority: Priority, now: float, *, give_up_at: float, excluded: frozenset[str], payload: Any
    ) -> Ticket | None:
        """A ticket, or None when `max_queued` wait already.

        A resume is never refused and does not count: its client has half an answer, and it makes the line no longer
        than the places that it lost.
        """
        resumes = priority is Priority.RESUME
        if not resumes and self.waiting() - self._waiting[Priority.RESUME] >= self._settings.max_queued:
            return None
        number = next(self._numbers)
        counts_from = now + self._settings.batch_ages_s if priority is Priority.BATCH else now
        rank = (not resumes, counts_from, number)
        ticket = Ticket(number, priority, now, give_up_at, excluded, payload, rank)
        insort(self._by_service, ticket, key=_service)
        insort(self._by_expiry, ticket, key=_expiry)
        self._waiting[priority] += 1
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Takes a ticket out, whatever the reason; nothing happens when it has left before."""
        index = self._index(ticket)
        if index is None:
            return
        del self._by_service[index]
        del self._by_expiry[bisect_left(self._by_expiry, _expiry(ticket), key=_expiry)]
        self._waiting[ticket.priority] -= 1

    def __iter__(self) -> Iterator[Ticket]:
        """Who waits now, the next one first. Tickets may join and leave while one walks; the walk does not notice."""
        return iter(tuple(self._by_service))

    def position(self, ticket: Ticket) -> int:
        """How many are before it: 0 is next. Raises ValueError when it has left."""
        index = self._index(ticket)
        if index is None:
            raise ValueError(f"ticket {ticket.number} is not in the line")
        return index

    def waiting(self, priority: Priority | None = None) -> int:
        """How many wait: of one priority, or all."""
        return len(self._by_service) if priority is None else self._waiting[priority]

    def next_expiry(self) -> float | None:
        """When the first one gives up; None while nobody waits."""
        return self._by_expiry[0].give_up_at if self._by_expiry else None

    def expired(self, now: float) -> list[Ticket]:
        """Those whose time is up, the longest overdue first. They stay in the line until they leave."""
        return self._by_expiry[: bisect_right(self._by_expiry, now, key=_gives_up_at)]

    def _index(self, ticket: Ticket) -> int | None:
        index = bisect_left(self._by_service, ticket.rank, key=_service)
        found = index < len(self._by_service) and self._by_service[index] is ticket
        return index if found else None


def _service(ticket: Ticket) -> tuple[bool, float, int]:
    return ticket.rank


def _expiry(ticket: Ticket) -> tuple[float, int]:
    return ticket.give_up_at, ticket.number


def _gives_up_at(ticket: Ticket) -> float:
    return ticket.give_up_at
