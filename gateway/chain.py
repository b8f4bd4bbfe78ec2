"""Asks the tiers of a plan one after the other, and beside each other where one is late; whoever answers first is kept.

Between the conversation, which says what each tier is asked, and the tiers. Until a tier has come to its first content
nothing has been sent, so any of them may still win; then all others are cancelled at once. Promises: one source leaves
here and everything else is closed, however and whenever it ends; the first failure is the one that is told.
"""

import asyncio
from asyncio import Task, TaskGroup
from collections import deque
from collections.abc import Awaitable, Callable

from gateway.errors import GatewayError, UpstreamUnavailable
from gateway.routes import Plan, Step, Tier
from gateway.tiers.source import Source

Open = Callable[[Step], Awaitable[Source]]
Failed = Callable[[Tier, GatewayError], None]

NO_TIER = "Nobody can answer this at the moment. Try again in a few seconds."


async def first_to_answer(plan: Plan, open_tier: Open, *, passed_s: float, on_failed: Failed) -> Source:
    """The source of the first tier that comes to content, the earlier in the chain if two do at once.

    `passed_s` of the plan's time are over already. `on_failed` is told of each tier that does not come to it. Raises
    GatewayError: of the first tier that failed, or at once where the request itself is at fault. Safe to cancel.
    """
    race = _Race(plan, open_tier, passed_s, on_failed)
    won: Source | None = None
    try:
        async with TaskGroup() as group:
            await race.run(group)
        won = race.winner()
        return won
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None
    finally:
        race.close_all_but(won)


def is_final(error: GatewayError) -> bool:
    """Whether another tier would be as vain: the request is at fault, and not the load or a server."""
    return error.status < 500 and error.status != 429


class _Race:
    def __init__(self, plan: Plan, open_tier: Open, passed_s: float, on_failed: Failed) -> None:
        self._waiting = deque(plan.steps)
        self._give_up_s = plan.give_up_s - passed_s
        self._open = open_tier
        self._on_failed = on_failed
        self._legs: list[Task[Source | GatewayError]] = []
        self._steps: dict[Task[Source | GatewayError], Step] = {}
        self._won: Source | None = None
        self._errors: list[GatewayError] = []

    async def run(self, group: TaskGroup) -> None:
        """Until somebody has won, or nobody can."""
        loop = asyncio.get_running_loop()
        began = next_at = loop.time()
        running: set[Task[Source | GatewayError]] = set()
        while self._won is None and not self._is_over():
            now = loop.time()
            if self._waiting and (now >= next_at or not running):
                step = self._waiting.popleft()
                leg = group.create_task(self._try(step))
                self._legs.append(leg)
                self._steps[leg] = step
                running.add(leg)
                next_at = now + step.patience_s
                if self._waiting and self._waiting[0].last_resort:
                    next_at = max(now, began + self._give_up_s)
                continue
            if not running:
                break
            wait_s = max(0.0, next_at - now) if self._waiting else None
            done, running = await asyncio.wait(running, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            if self._settle(done):
                next_at = loop.time()
        for leg in running:
            leg.cancel()

    def winner(self) -> Source:
        """Who has won. Raises GatewayError."""
        if self._won is not None:
            return self._won
        raise self._errors[0] if self._errors else UpstreamUnavailable(NO_TIER, retry_after_s=1)

    def close_all_but(self, won: Source | None) -> None:
        """What was opened and has not won is given back; everything, if we are cancelled."""
        for leg in self._legs:
            opened = leg.result() if leg.done() and not leg.cancelled() and leg.exception() is None else None
            if opened is not None and not isinstance(opened, GatewayError) and opened is not won:
                opened.close()

    def _is_over(self) -> bool:
        return bool(self._errors) and is_final(self._errors[-1])

    def _settle(self, done: set[Task[Source | GatewayError]]) -> bool:
        """Books what has ended. Whether the next tier is due because the one before it has failed."""
        due = False
        for leg in sorted(done, key=self._legs.index):
            result = leg.result()
            if isinstance(result, GatewayError):
                self._errors.append(result)
                self._on_failed(self._steps[leg].tier, result)
                is_last = leg is self._legs[-1]
                due |= is_last and bool(self._waiting) and not self._waiting[0].last_resort
                if is_final(result):
                    break
            elif self._won is None:
                self._won = result
        return due

    async def _try(self, step: Step) -> Source | GatewayError:
        try:
            return await self._open(step)
        except GatewayError as error:
            return error
