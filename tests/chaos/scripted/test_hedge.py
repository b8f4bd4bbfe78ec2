"""A first token that is late is fetched from a second replica, and the replica that loses is let go at once.

Whichever answers, the client sees one answer. Off by default; the second try counts as an attempt.
"""

import asyncio
from typing import Any

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import Fault, says, silence
from tests.chaos.scripted.stage import Stage, question, until
from tests.support.upstream import DONE, Exchange, chunk, hang

pytestmark = pytest.mark.anyio

LATE: dict[str, Any] = {
    "attempts": {"hedge": True, "hedge_min_delay_s": 0.1},
    "on_prem": {"first_content_timeout_s": 20.0},
}
OBSERVED = 20


async def slow_abort(exchange: Exchange) -> None:
    """No death: two of those beside one request would make it the suspect."""
    await asyncio.sleep(0.3)
    await says(chunk({}, "abort"), DONE)(exchange)


async def warm_up(on: Stage) -> None:
    """As many answers as it takes to know what is late."""
    for _ in range(OBSERVED):
        await on.ask(question(max_tokens=2))


async def test_the_late_replica_loses_and_is_cancelled(stage: StageOf) -> None:
    async with stage(2, **LATE) as on:
        await warm_up(on)
        lost: list[Exchange] = []

        async def late(exchange: Exchange) -> None:
            lost.append(exchange)
            await silence(exchange)

        on.faults.append(Fault(0, late))
        await on.ask(question())
        assert on.tally.whole == OBSERVED + 1
        assert await on.front.metric("scout_hedges_total", outcome="won") == 1
        await asyncio.wait_for(lost[0].client_left.wait(), 5)


async def test_the_hedge_loses_when_the_first_one_answers_after_all(stage: StageOf) -> None:
    async with stage(2, **LATE) as on:
        await warm_up(on)
        for replica in on.replicas:
            replica.hold(after=1)
            replica.upstream.exchanges.clear()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(on.ask(question()))
            await until(lambda: sum(replica.held for replica in on.replicas) == 1)
            [first] = [replica for replica in on.replicas if replica.held]
            await until(lambda: sum(replica.held for replica in on.replicas) == 2)
            first.go.set()
        assert on.tally.whole == OBSERVED + 1
        assert await on.front.metric("scout_hedges_total", outcome="lost") == 1
        await until(lambda: not any(replica.running for replica in on.replicas))


async def test_one_that_fails_leaves_the_other_to_answer(stage: StageOf) -> None:
    async with stage(2, **LATE) as on:
        await warm_up(on)
        on.faults.append(Fault(0, slow_abort))
        for replica in on.replicas:
            replica.pace_s = 0.2
        await on.ask(question(max_tokens=3))
        assert on.tally.whole == OBSERVED + 1
        assert on.sent_on == OBSERVED + 2


async def test_where_both_fail_a_third_is_asked(stage: StageOf) -> None:
    async with stage(3, **LATE) as on:
        await warm_up(on)
        on.faults.extend([Fault(0, slow_abort), Fault(0, slow_abort)])
        await on.ask(question())
        assert on.tally.whole == OBSERVED + 1
        assert on.sent_on == OBSERVED + 3


async def test_without_the_setting_nobody_else_is_asked(stage: StageOf) -> None:
    async with stage(2, on_prem={"first_content_timeout_s": 1.0}) as on:
        await warm_up(on)
        for replica in on.replicas:
            replica.upstream.script(hang)
        await on.ask(question())
        assert on.tally.typed == {"upstream_timeout": 1}
        assert on.sent_on == OBSERVED + 1
