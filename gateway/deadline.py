"""How long one try may take: to the client's deadline, to our own clocks, or until its replica is found to have failed.

Around each try that `gateway.attempts` makes. Promises: a try that is broken off is told as AttemptFailed, and a
replica is suspect only if it had a fair share of the time: neither the client's own deadline nor the queue is its
fault.
"""

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import TypeVar

from gateway.errors import DeadlineExceeded, UpstreamTimeout, UpstreamUnavailable
from gateway.line import Priority
from gateway.pool import Lease
from gateway.ports import AttemptFailed, Clock, Fault
from gateway.work import Work

Got = TypeVar("Got")

BLAMED_FROM = 0.5
"""A replica that had a request for this share of its time is blamed when the time is up; else the queue was slow."""

BROKEN_OFF = "The model server broke off the connection. Try again."


async def in_time(work: Work, clock: Clock, once: Awaitable[Got]) -> Got:
    """What `once`, a try that begins now, comes to. Raises AttemptFailed when its time is up. Safe to cancel."""
    began, budget = clock(), work.budget
    left_s, theirs = budget.remaining_first_content(began), budget.client_bounds_first_content
    if work.priority is Priority.RESUME:
        limit_s, rest_s = work.clocks.first_content_s, budget.remaining(began)
        left_s, theirs = min(limit_s, rest_s), budget.client_deadline and rest_s <= limit_s
    try:
        async with asyncio.timeout(left_s):
            return await once
    except TimeoutError:
        raise (_deadline_passed() if theirs else _too_slow(work, clock() - began)) from None


class UnlessLost:
    """A context that breaks off with AttemptFailed when the lease's replica is found to have failed, or was before.

    A class and not a generator with a decorator, which takes four times as long: there is one for every try.
    """

    __slots__ = ("_lease", "_scope")

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._scope = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        if self._lease.lost:
            raise _gone(self._lease)
        await self._scope.__aenter__()
        self._lease.on_lost = self._lost

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._lease.on_lost = None
        try:
            await self._scope.__aexit__(kind, error, at)
        except TimeoutError:
            raise _gone(self._lease) from None

    def _lost(self) -> None:
        if not self._scope.expired():  # it may be told more than once before we get to run
            self._scope.reschedule(asyncio.get_running_loop().time())


def _gone(lease: Lease) -> AttemptFailed:
    # No fault: whoever found it out has booked it.
    return AttemptFailed(UpstreamUnavailable(BROKEN_OFF, detail=lease.lost), Fault.NONE)


def _deadline_passed() -> AttemptFailed:
    message = "Your deadline passed before the model had begun to answer. Set a longer x-scout-deadline-ms."
    return AttemptFailed(DeadlineExceeded(message, detail="waiting for the first content"), Fault.NONE)


def _too_slow(work: Work, had_s: float) -> AttemptFailed:
    limit_s = work.clocks.first_content_s
    slow = UpstreamTimeout(f"The model has not begun to answer within {limit_s:g} seconds. Try again later.")
    return AttemptFailed(slow, Fault.SUSPECT if had_s >= BLAMED_FROM * limit_s else Fault.NONE)
