"""When every replica is gone a client is told so before a connection would have timed out, and nothing stays broken.

Streams under way wait for a replica to come back, for a bounded time, and then say that they broke.
"""

import asyncio

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.stage import Stage, question, until

pytestmark = pytest.mark.anyio

CONNECT_DEADLINE_S = 3.0


async def all_die(on: Stage) -> None:
    for replica in on.replicas:
        await replica.die()


async def test_requests_get_a_typed_error_within_the_connect_deadline(stage: StageOf) -> None:
    async with stage() as on:
        await all_die(on)
        async with asyncio.timeout(CONNECT_DEADLINE_S):
            await on.ask_all([question(stream=number % 2 == 0) for number in range(8)])
        assert on.tally.typed == {"upstream_unavailable": 8}
        async with asyncio.timeout(CONNECT_DEADLINE_S):
            await on.ask(question())
        assert on.tally.typed == {"upstream_unavailable": 9}


async def test_a_moment_of_absence_is_waited_for(stage: StageOf) -> None:
    async with stage() as on:
        await all_die(on)
        async with asyncio.TaskGroup() as tasks:
            asking = [tasks.create_task(on.ask(question())) for _ in range(6)]
            await asyncio.wait(asking, timeout=0.2)
            for replica in on.replicas:
                await replica.come_back()
        assert on.tally.whole == 6


async def test_when_they_are_back_all_is_as_before(stage: StageOf) -> None:
    async with stage(attempts={"unavailable_wait_s": 0.1}) as on:
        await all_die(on)
        await on.ask_all([question() for _ in range(12)])
        assert on.tally.typed == {"upstream_unavailable": 12}
        assert await on.front.metric("scout_site_down") == 1
        for replica in on.replicas:
            await replica.come_back()
        await on.until_ready()
        await on.ask_all([question() for _ in range(30)])  # at once, with all places: nobody has to ramp up
        assert on.tally.whole == 30
        assert await on.front.metric("scout_site_down") == 0


@pytest.mark.parametrize("come_back", [True, False])
async def test_streams_wait_for_a_replica_to_go_on_with(stage: StageOf, come_back: bool) -> None:
    async with stage(attempts={"resume_wait_s": 5.0 if come_back else 0.5}) as on:
        for replica in on.replicas:
            replica.hold(after=6)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(on.ask_all([question() for _ in range(9)]))
            await until(lambda: sum(replica.held for replica in on.replicas) == 9)
            await all_die(on)
            for replica in on.replicas:
                replica.go.set()
            if come_back:
                for replica in on.replicas:
                    await replica.come_back()
        if come_back:
            assert (on.tally.whole, on.tally.resumed) == (9, 9)
        else:
            assert on.tally.typed == {"upstream_lost": 9}
