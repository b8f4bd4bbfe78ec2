"""An operator who drains a replica disturbs nobody: it gets nothing new, and what runs there goes on to its end.

When it is killed after all, what is left goes on elsewhere.
"""

import asyncio
from typing import Any

import httpx
import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.stage import Stage, question, until

pytestmark = pytest.mark.anyio

ADMIN = "sk-test-admin-0123456789"
OPERATED: dict[str, Any] = {"admin_keys": (ADMIN,)}


async def drain(on: Stage, number: int, method: str = "PUT", key: str = ADMIN) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return await on.front.client.request(method, f"/admin/replicas/replica-{number}/drain", headers=headers)


async def test_it_gets_nothing_new_and_what_runs_goes_on(stage: StageOf) -> None:
    async with stage(**OPERATED) as on:
        drained = on.replicas[0]
        async with on.company(9):
            answer = await drain(on, 0)
            assert (answer.status_code, answer.json()["state"], answer.json()["in_flight"]) == (200, "draining", 3)
            await on.ask_all([question() for _ in range(12)])
            assert (len(drained.bodies), drained.held) == (3, 3)
        assert (on.tally.whole, on.tally.resumed) == (21, 0)
        assert await on.front.metric("scout_replica_in_flight", replica="replica-0") == 0


async def test_who_waits_does_not_wait_for_it(stage: StageOf) -> None:
    async with stage(2, admission={"max_concurrent_per_replica": 1}, **OPERATED) as on:
        drained, other = on.replicas
        async with asyncio.TaskGroup() as tasks, on.company(2):
            await drain(on, 0)
            tasks.create_task(on.ask_all([question() for _ in range(4)]))
            await on.until_queued(4)
        assert (on.tally.whole, len(drained.bodies), len(other.bodies)) == (6, 1, 5)


async def test_killed_after_all_it_loses_nothing(stage: StageOf) -> None:
    async with stage(**OPERATED) as on:
        async with on.company(9):
            await drain(on, 1)
            await on.replicas[1].die()
            await until(lambda: on.sent_on == 12)
        assert (on.tally.whole, on.tally.resumed) == (9, 3)


async def test_it_gets_requests_again_when_the_mark_is_taken_off(stage: StageOf) -> None:
    async with stage(**OPERATED) as on:
        await drain(on, 2)
        await on.ask_all([question() for _ in range(6)])
        assert len(on.replicas[2].bodies) == 0
        assert (await drain(on, 2, "DELETE")).json()["state"] == "ready"
        await on.ask_all([question() for _ in range(6)])
        assert len(on.replicas[2].bodies) > 0
        assert on.tally.whole == 12


async def test_all_drained_is_nobody_there(stage: StageOf) -> None:
    async with stage(**OPERATED, attempts={"unavailable_wait_s": 0.1}) as on:
        for number in range(3):
            await drain(on, number)
        await on.ask(question())
        assert (on.tally.typed, on.sent_on) == ({"upstream_unavailable": 1}, 0)


async def test_a_client_cannot_drain(stage: StageOf) -> None:
    async with stage(**OPERATED) as on:
        assert (await drain(on, 0, key="sk-test-client-0123456789")).status_code == 401
        assert await on.state(0) == "ready"
