"""A client that leaves frees all that was held for it, at once, whatever its request was waiting for.

Its place is given back, its ticket leaves the queue, the replica's connection is closed so that it stops generating,
and nobody is blamed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import Fault, silence
from tests.chaos.scripted.stage import CHAT, Stage, question, until
from tests.chaos.tally import Result
from tests.support.upstream import hang

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def client(on: Stage, body: dict[str, Any]) -> AsyncIterator[None]:
    """A client that has asked, and leaves at the end of the block."""
    asking = asyncio.get_running_loop().create_task(on.send(CHAT, body))
    try:
        yield
        assert not asking.done()
    finally:
        asking.cancel()
        await asyncio.wait([asking])
    on.tally.judge(Result(None, left=True))


async def leave(on: Stage, body: dict[str, Any]) -> None:
    """Asks, leaves when the request stands at its replica, and sees that the replica is told."""
    count = on.sent_on
    async with client(on, body):
        await until(lambda: on.sent_on > count)
        await asyncio.sleep(0.05)  # lets it come as far as its act takes it
    [exchange] = [one for replica in on.replicas for one in replica.upstream.exchanges][count:]
    await asyncio.wait_for(exchange.client_left.wait(), 5)


async def test_before_the_headers_or_the_first_token_or_in_the_stream(stage: StageOf) -> None:
    async with stage(1) as on:
        for streamed in (True, False):
            on.replicas[0].upstream.script(hang)
            await leave(on, question(stream=streamed))
            await on.settle()
        for after in (0, 1, 2, 12):
            on.faults.append(Fault(after, silence))
            await leave(on, question())
            await on.settle()
        assert (on.tally.left, on.sent_on) == (6, 6)
        assert await on.state(0) == "ready"
        await on.ask(question())
        assert on.tally.whole == 1


async def test_while_it_streams_at_full_speed(stage: StageOf) -> None:
    async with stage(1) as on:
        on.replicas[0].pace_s = 0.001
        await leave(on, question(max_tokens=8000))
        await on.settle()
        assert on.tally.left == 1


async def test_in_the_queue(stage: StageOf) -> None:
    async with stage(1, admission={"max_concurrent_per_replica": 1}) as on:
        only = on.replicas[0]
        only.hold(after=4)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(on.ask(question()))
            await until(lambda: only.held == 1)
            async with client(on, question()), client(on, question(stream=False)):
                await on.until_queued(2)
            await on.until_queued(0)
            assert await on.in_flight() == 1
            only.go.set()
        assert (on.tally.left, on.tally.whole, on.sent_on) == (2, 1, 1)


async def test_while_its_stream_waits_for_a_replica_to_go_on_with(stage: StageOf) -> None:
    async with stage(2, admission={"max_concurrent_per_replica": 1}) as on:
        one, other = on.replicas
        one.hold(after=4)
        other.hold(after=4)
        async with asyncio.TaskGroup() as tasks:
            async with client(on, question()):
                await until(lambda: one.held == 1)
                tasks.create_task(on.ask(question()))
                await until(lambda: other.held == 1)
                await one.die()
                await on.until_queued(1)
            await on.until_queued(0)
            assert await on.in_flight() == 1
            other.go.set()
        assert (on.tally.left, on.tally.whole, len(other.bodies)) == (1, 1, 1)


async def test_all_at_once(stage: StageOf) -> None:
    async with stage() as on:
        for replica in on.replicas:
            replica.hold(after=6)
        asking = [asyncio.get_running_loop().create_task(on.send(CHAT, question())) for _ in range(50)]
        await until(lambda: sum(replica.held for replica in on.replicas) == 30)
        for one in asking:
            one.cancel()
        await asyncio.wait(asking)
        await on.settle()
        for replica in on.replicas:
            replica.go.set()
        await on.ask_all([question() for _ in range(30)])
        assert on.tally.whole == 30
