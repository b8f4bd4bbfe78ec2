"""A request that kills whatever serves it reaches two replicas at most, and those who stream beside it live on.

Replaying it once more would take out the whole site for one client.
"""

import asyncio
from typing import Any

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.stage import Stage, question, until

pytestmark = pytest.mark.anyio

POISON = "crash-the-engine"


def poisonous(**changes: Any) -> dict[str, Any]:
    return question(messages=[{"role": "user", "content": f"{POISON} please"}], **changes)


async def until_held(on: Stage, sent: int) -> None:
    """The request has been sent so many times, and the last one stands still."""
    await until(lambda: on.sent_on == sent and sum(replica.held for replica in on.replicas) == 1)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("bystanders", [9, 0])
async def test_two_replicas_at_most_get_it(stage: StageOf, bystanders: int, streamed: bool) -> None:
    async with stage() as on:
        for replica in on.replicas:
            replica.poison = POISON
            replica.hold(after=6)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(on.ask_all([question() for _ in range(bystanders)]))
            await until(lambda: sum(replica.held for replica in on.replicas) == bystanders)
            result = await on.ask(poisonous(stream=streamed))
            await until(lambda: sum(replica.held for replica in on.replicas) == bystanders)
            for replica in on.replicas:
                replica.go.set()
        assert result.status == 503
        assert on.tally.typed == {"upstream_unavailable": 1}
        assert (on.tally.whole, on.tally.resumed) == (bystanders, bystanders * 2 // 3)
        got_it = [replica for replica in on.replicas if any(POISON in str(body) for body in replica.bodies)]
        assert len(got_it) == 2


async def test_the_client_is_told_not_to_try_again(stage: StageOf) -> None:
    async with stage() as on:
        for replica in on.replicas:
            replica.poison = POISON
        answer = await on.front.ask(messages=[{"role": "user", "content": POISON}])
        assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "false")


async def test_one_that_kills_in_the_middle_of_its_answer_is_stopped_too(stage: StageOf) -> None:
    async with stage(attempts={"resume_wait_s": 1.0}) as on:
        for replica in on.replicas:
            replica.hold(after=2)  # one token a leg: it gets nowhere
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(on.ask(question()))
            for count in (1, 2):
                await until_held(on, count)
                [busy] = [replica for replica in on.replicas if replica.held]
                await busy.die()
        assert on.tally.typed == {"upstream_lost": 1}
        assert on.sent_on == 2
