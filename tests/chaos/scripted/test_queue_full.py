"""Who finds the queue full, or waits in it too long, is told when to come again; who waits gets a place in due order.

The time is in the header and in the body. Batch requests let interactive ones pass.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.stage import CHAT, Stage, question, until

pytestmark = pytest.mark.anyio

ONE = {"max_concurrent_per_replica": 1}
BATCH = {"x-scout-priority": "batch"}


@asynccontextmanager
async def taken(on: Stage) -> AsyncIterator[asyncio.TaskGroup]:
    """The only replica's only place is taken until the block is left; then everybody who waits is answered."""
    only = on.replicas[0]
    only.hold(after=4)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(on.ask(question()))
        await until(lambda: only.held == 1)
        yield tasks
        only.go.set()


async def test_over_the_bound_a_client_is_told_when_to_come_again(stage: StageOf) -> None:
    async with stage(1, admission={**ONE, "max_queued": 2}) as on:
        async with taken(on) as tasks:
            for number in range(2):
                tasks.create_task(on.ask(question(stream=number == 0)))
            await on.until_queued(2)
            answer = await on.front.client.post(CHAT, json=question())
            error = json.loads(answer.content)["error"]
            assert (answer.status_code, error["code"], error["retryable"]) == (429, "queue_full", True)
            assert answer.headers["retry-after"] == str(error["retry_after"])
            assert error["retry_after"] >= 1
        assert (on.tally.whole, on.sent_on) == (3, 3)


async def test_who_has_waited_too_long_is_sent_away(stage: StageOf) -> None:
    async with stage(1, admission={**ONE, "max_wait_s": 0.2}) as on:
        async with taken(on):
            answer = await on.front.client.post(CHAT, json=question())
            assert (answer.status_code, answer.json()["error"]["code"]) == (429, "queue_full")
            assert int(answer.headers["retry-after"]) == answer.json()["error"]["retry_after"]
        assert (on.tally.whole, on.sent_on) == (1, 1)


async def test_batch_yields_to_interactive(stage: StageOf) -> None:
    async with stage(1, admission={**ONE, "batch_ages_s": 60.0}) as on:
        async with taken(on) as tasks:
            waiting = 0
            for kind in (BATCH, None, BATCH, None):
                tasks.create_task(on.ask(question(user="batch" if kind else "interactive"), kind))
                waiting += 1
                await on.until_queued(waiting)
        order = [body.get("user") for body in on.replicas[0].bodies]
        assert order == [None, "interactive", "interactive", "batch", "batch"]
        assert on.tally.whole == 5


async def test_batch_that_has_waited_is_not_passed_any_more(stage: StageOf) -> None:
    async with stage(1, admission={**ONE, "batch_ages_s": 0.0}) as on:
        async with taken(on) as tasks:
            waiting = 0
            for kind in (BATCH, None, BATCH, None):
                tasks.create_task(on.ask(question(user="batch" if kind else "interactive"), kind))
                waiting += 1
                await on.until_queued(waiting)
        order = [body.get("user") for body in on.replicas[0].bodies]
        assert order == [None, "batch", "interactive", "batch", "interactive"]


async def test_a_broken_stream_goes_before_all_who_wait(stage: StageOf) -> None:
    async with stage(2, admission=ONE) as on:
        one, other = on.replicas
        one.hold(after=6)
        other.hold(after=6)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(on.ask(question(user="broken")))
            await until(lambda: one.held == 1)
            tasks.create_task(on.ask(question()))
            await until(lambda: other.held == 1)
            for number in range(3):
                tasks.create_task(on.ask(question(user="waits")))
                await on.until_queued(number + 1)
            await one.die()
            await on.until_queued(4)
            other.go.set()
        assert [body.get("user") for body in other.bodies] == [None, "broken", "waits", "waits", "waits"]
        assert (on.tally.whole, on.tally.resumed) == (5, 1)
