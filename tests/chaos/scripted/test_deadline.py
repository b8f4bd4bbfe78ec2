"""A client's own deadline holds wherever its request is, and a request that is late costs the replicas nothing more.

In the queue nothing is sent; at a replica the replica is told to stop; in a stream the error comes in-band.
"""

import asyncio
import json

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import Fault, silence
from tests.chaos.scripted.stage import code, question, until
from tests.chaos.tally import hear
from tests.support.upstream import hang

pytestmark = pytest.mark.anyio

SOON = {"x-scout-deadline-ms": "300"}


async def test_in_the_queue_nothing_is_sent(stage: StageOf) -> None:
    async with stage(1, admission={"max_concurrent_per_replica": 1}) as on:
        only = on.replicas[0]
        only.hold(after=4)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(on.ask(question()))
            await until(lambda: only.held == 1)
            late = await on.ask(question(), SOON)
            only.go.set()
        assert late.status == 504
        assert "nothing was sent" in json.loads(late.body)["error"]["message"]
        assert (on.tally.typed, on.tally.whole, on.sent_on) == ({"deadline_exceeded": 1}, 1, 1)


@pytest.mark.parametrize("streamed", [True, False])
async def test_before_the_first_token_the_replica_is_told_to_stop(stage: StageOf, streamed: bool) -> None:
    async with stage() as on:
        on.replicas[0].upstream.script(hang)
        late = await on.ask(question(stream=streamed), SOON)
        assert (late.status, on.tally.typed, on.sent_on) == (504, {"deadline_exceeded": 1}, 1)
        await asyncio.wait_for(on.replicas[0].upstream.exchanges[0].client_left.wait(), 5)
        assert await on.state(0) == "ready"  # it had less time than it may take


async def test_in_the_stream_it_is_told_in_band(stage: StageOf) -> None:
    async with stage() as on:
        on.faults.append(Fault(6, silence))
        late = await on.ask(question(), SOON)
        assert (late.status, code(late)) == (200, "deadline_exceeded")
        assert hear(late.body).text
        assert (on.tally.typed, on.sent_on) == ({"deadline_exceeded": 1}, 1)
        await asyncio.wait_for(on.replicas[0].upstream.exchanges[0].client_left.wait(), 5)


async def test_a_stream_that_never_stops_is_stopped(stage: StageOf) -> None:
    async with stage(1) as on:
        on.replicas[0].pace_s = 0.005
        late = await on.ask(question(max_tokens=8000), SOON)
        assert code(late) == "deadline_exceeded"
        await until(lambda: on.replicas[0].running == 0)


async def test_while_it_waits_to_be_resumed_it_is_told_in_band(stage: StageOf) -> None:
    async with stage(2, admission={"max_concurrent_per_replica": 1}) as on:
        one, other = on.replicas
        one.hold(after=6)
        other.hold(after=6)
        async with asyncio.TaskGroup() as tasks:
            late = tasks.create_task(on.ask(question(), {"x-scout-deadline-ms": "1500"}))
            await until(lambda: one.held == 1)
            tasks.create_task(on.ask(question()))
            await until(lambda: other.held == 1)
            await one.die()
            await late
            other.go.set()
        assert code(late.result()) == "deadline_exceeded"
        assert (on.tally.typed, on.tally.whole, len(other.bodies)) == ({"deadline_exceeded": 1}, 1, 1)


async def test_one_that_is_met_changes_nothing(stage: StageOf) -> None:
    async with stage() as on:
        await on.ask_all([question() for _ in range(6)], {"x-scout-deadline-ms": "60000"})
        assert on.tally.whole == 6
