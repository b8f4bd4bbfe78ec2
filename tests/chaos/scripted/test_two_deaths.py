"""Two replicas that die in a row lose nobody an answer: whoever streamed there goes on, twice if need be.

Nobody who merely streamed beside a death is taken for its cause. With a third death the client is told.
"""

import asyncio

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.stage import code, question, until
from tests.chaos.tally import hear

pytestmark = pytest.mark.anyio


async def test_streams_survive_the_second_death_too(stage: StageOf) -> None:
    async with stage() as on:
        first, second, third = on.replicas
        for replica in on.replicas:
            replica.hold(after=5)
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(on.ask_all([question() for _ in range(9)]))
            await until(lambda: first.held == second.held == third.held == 3)
            await first.die()
            await until(lambda: second.held + third.held == 9)
            await second.die()
            await until(lambda: third.held == 9)
            third.go.set()
        assert (on.tally.whole, on.tally.resumed) == (9, 6)
        assert max(hear(result.body).resumed for result in asking.result()) == 2


async def test_two_that_die_together_leave_all_to_the_third(stage: StageOf) -> None:
    async with stage() as on:
        first, second, third = on.replicas
        for replica in on.replicas:
            replica.hold(after=5)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(on.ask_all([question() for _ in range(9)]))
            await until(lambda: first.held == second.held == third.held == 3)
            await asyncio.gather(first.die(), second.die())
            await until(lambda: third.held == 9)
            third.go.set()
        assert (on.tally.whole, on.tally.resumed) == (9, 6)


async def test_more_than_the_third_can_hold_wait_for_their_turn(stage: StageOf) -> None:
    async with stage(admission={"max_concurrent_per_replica": 3, "max_queued": 0}) as on:
        first, second, third = on.replicas
        for replica in on.replicas:
            replica.hold(after=5)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(on.ask_all([question() for _ in range(9)]))
            await until(lambda: first.held == second.held == third.held == 3)
            await asyncio.gather(first.die(), second.die())
            await on.until_queued(6)
            third.go.set()
        assert (on.tally.whole, on.tally.resumed) == (9, 6)
        assert third.most == 3


async def test_a_stream_whose_third_replica_dies_ends_with_an_error(stage: StageOf) -> None:
    async with stage(attempts={"max_resumes": 2}) as on:
        first, second, third = on.replicas
        for replica in on.replicas:
            replica.hold(after=5)
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(on.ask_all([question() for _ in range(9)]))
            await until(lambda: first.held == second.held == third.held == 3)
            await first.die()
            await until(lambda: second.held + third.held == 9)
            await second.die()
            await until(lambda: third.held == 9)
            first.go.set()
            await first.come_back()
            await third.die()
        twice = [result for result in asking.result() if code(result) == "upstream_lost"]
        assert on.tally.typed == {"upstream_lost": len(twice)}
        assert 1 <= len(twice) <= 5  # the rest had been resumed once or not at all, and goes on
        assert on.tally.whole == 9 - len(twice)
        assert all(hear(result.body).text for result in twice)  # what came before is the client's
