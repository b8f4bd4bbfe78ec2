"""A replica that is busy costs a client nothing but the way to the next one, and is held to be ill by nobody.

When all are busy the client is told so, and when to come again, in the header and in the body.
"""

import asyncio
import json

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.stage import CHAT, question
from tests.support.upstream import Act, status

pytestmark = pytest.mark.anyio

BUSY: dict[str, Act] = {
    "503": status(503),
    "503 with Retry-After": status(503, headers={"retry-after": "1"}),
    "429": status(429),
}


@pytest.mark.parametrize("busy", [pytest.param(act, id=name) for name, act in BUSY.items()])
async def test_the_next_replica_is_asked_and_no_breaker_opens(stage: StageOf, busy: Act) -> None:
    async with stage(breaker={"min_volume": 1, "open_s": 60.0}) as on:
        on.replicas[0].upstream.otherwise = busy
        await on.ask_all([question(stream=number % 2 == 0) for number in range(12)])
        assert on.tally.whole == 12
        assert await on.state(0) == "overloaded"
        assert await on.front.metric("scout_replica_failed_total", replica="replica-0") == 0
        for replica in on.replicas[1:]:
            assert len(replica.bodies) > 0


async def test_busy_requests_cost_none_of_the_budget_for_retries(stage: StageOf) -> None:
    async with stage(attempts={"retry_reserve": 0}) as on:
        on.replicas[0].upstream.script(BUSY["503"])
        await on.ask_all([question() for _ in range(3)])
        assert (on.tally.whole, on.sent_on) == (3, 4)


@pytest.mark.parametrize(("retry_after", "told"), [(None, "1"), ("7", "7")])
async def test_all_busy_is_overloaded_and_says_when_to_come_again(
    stage: StageOf, retry_after: str | None, told: str
) -> None:
    async with stage() as on:
        for replica in on.replicas:
            replica.upstream.script(status(503, headers={"retry-after": retry_after} if retry_after else None))
        answer = await on.front.client.post(CHAT, json=question())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, told)
        error = json.loads(answer.content)["error"]
        assert (error["code"], error["retry_after"], error["retryable"]) == ("overloaded", int(told), True)
        assert on.sent_on == 3
        assert "failed" not in [await on.state(number) for number in range(3)]


async def test_who_comes_while_all_are_busy_waits_for_the_pause_to_end(stage: StageOf) -> None:
    async with stage() as on:
        for replica in on.replicas:
            replica.upstream.script(status(503, headers={"retry-after": "1"}))
        await on.ask(question())
        assert on.tally.typed == {"overloaded": 1}
        async with asyncio.TaskGroup() as tasks:
            for _ in range(6):
                tasks.create_task(on.ask(question()))
        assert on.tally.whole == 6
