"""A replica that dies and comes back, again and again, loses nobody an answer, and is never flooded as it returns."""

import asyncio

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import reset
from tests.chaos.scripted.stage import Stage, question, until
from tests.support.upstream import Exchange

pytestmark = pytest.mark.anyio

FLAPS = 5
CLIENTS = 9


async def keep_asking(on: Stage, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await on.ask(question())


async def until_sent(on: Stage, count: int) -> None:
    await until(lambda: on.tally.sent > count)


async def test_constant_load_over_a_flapping_replica_is_answered_whole(stage: StageOf) -> None:
    async with stage(attempts={"retry_reserve": 200}) as on:
        flapping = on.replicas[0]
        for replica in on.replicas:
            replica.pace_s = 0.004
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CLIENTS):
                tasks.create_task(keep_asking(on, stop))
            for _ in range(FLAPS):
                await until(lambda: flapping.running >= 2)
                await flapping.die()
                await until_sent(on, on.tally.sent + CLIENTS)
                await flapping.come_back()
            stop.set()
        assert on.tally.whole == on.tally.sent
        assert on.tally.resumed >= 1
        assert await on.front.metric("scout_replica_failed_total", replica="replica-0") == FLAPS


async def test_as_it_returns_it_gets_little_at_first(stage: StageOf) -> None:
    async with stage(breaker={"ramp_s": 60.0}) as on:
        flapping = on.replicas[0]
        await flapping.die()
        await on.ask_all([question() for _ in range(6)])
        await flapping.come_back()
        await on.until_ready()
        flapping.most = 0
        for replica in on.replicas:
            replica.pace_s = 0.002
        await on.ask_all([question() for _ in range(24)])
        assert on.tally.whole == 30
        assert 1 <= flapping.most <= 2  # a tenth of ten, grown by what the test itself took


async def test_one_that_breaks_every_answer_and_passes_every_probe_is_left_alone(stage: StageOf) -> None:
    async def breaks(exchange: Exchange) -> None:
        await exchange.start_stream()
        await reset(exchange)

    async with stage(breaker={"open_s": 60.0}) as on:
        ill = on.replicas[0].upstream
        ill.otherwise = breaks
        for _ in range(30):
            await on.ask(question())
        assert on.tally.whole == 30
        assert len(ill.exchanges) <= 4
        assert await on.state(0) == "failed"
