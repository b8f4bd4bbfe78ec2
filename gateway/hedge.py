"""Asks a second replica when the first one is late with its first content, and keeps whoever answers first.

Between `gateway.attempts`, which says who may be asked and books what came of it, and one replica's try. Promises: at
most one stream leaves here, and every other place and stream is given back, however and whenever the race ends.
"""

import asyncio
from asyncio import Task, TaskGroup
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.pool import Lease
from gateway.ports import AttemptFailed
from gateway.work import Opened

_Leg = Task[Opened | AttemptFailed]
_Legs = list[tuple[Lease, _Leg]]


@dataclass(frozen=True, slots=True)
class Race:
    """`result` is the stream that came, or the first replica's failure; `failed` are the failures beside it.

    `second` is the second replica's place if it was asked; it is held no longer, unless it brought the stream.
    """

    result: Opened | AttemptFailed
    failed: list[tuple[Lease, AttemptFailed]]
    second: Lease | None

    @property
    def second_won(self) -> bool:
        """Whether the stream is the second replica's."""
        return isinstance(self.result, Opened) and self.result.lease is self.second


async def race(
    once: Callable[[Lease], Awaitable[Opened]],
    first: Lease,
    *,
    delay_s: float,
    second_place: Callable[[], Lease | None],
) -> Race:
    """Tries `once` on the first place, and after `delay_s` seconds on a second one too, if there is one.

    What `once` raises beside AttemptFailed is raised. Safe to cancel.
    """
    # What the legs take is given back here, not by them: a task that is cancelled before it has run does nothing any
    # more, and one that ends with a stream while we are cancelled has nobody to give it to.
    legs: _Legs = []
    ended: Race | None = None
    try:
        async with TaskGroup() as racers:
            leg = racers.create_task(_leg(once, first))
            legs.append((first, leg))
            await asyncio.wait({leg}, timeout=delay_s)
            if not leg.done() and (second := second_place()) is not None:
                legs.append((second, racers.create_task(_leg(once, second))))
            await _until_one_opens({leg for _, leg in legs})
            for _, leg in legs:
                leg.cancel()
        ended = _ended(legs)
        return ended
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None
    finally:
        _close_all_but(ended, legs)


async def _leg(once: Callable[[Lease], Awaitable[Opened]], lease: Lease) -> Opened | AttemptFailed:
    try:
        return await once(lease)
    except AttemptFailed as failed:
        return failed


async def _until_one_opens(legs: set[_Leg]) -> None:
    """Returns at the first stream, or when there will be none."""
    while legs:
        done, legs = await asyncio.wait(legs, return_when=asyncio.FIRST_COMPLETED)
        if any(isinstance(leg.result(), Opened) for leg in done):
            return


def _ended(legs: _Legs) -> Race:
    results = [(lease, leg.result()) for lease, leg in legs if not leg.cancelled()]
    result = next((result for _, result in results if isinstance(result, Opened)), results[0][1])
    failed = [(lease, other) for lease, other in results if isinstance(other, AttemptFailed) and other is not result]
    return Race(result, failed, legs[1][0] if len(legs) > 1 else None)


def _close_all_but(ended: Race | None, legs: _Legs) -> None:
    for lease, leg in legs:
        opened = None if leg.cancelled() or leg.exception() is not None else leg.result()
        if not isinstance(opened, Opened):
            lease.release()
        elif ended is None or opened is not ended.result:
            opened.held.close()
