"""Ten times more than fits at once: every client gets its whole answer or a typed error, and no replica gets too much.

The bound on a replica is ours to keep: an engine over its bound slows everybody who is in it.
"""

import asyncio

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.stage import question, until

pytestmark = pytest.mark.anyio

LIMIT = 2
REPLICAS = 3
BURST = 10 * LIMIT * REPLICAS
PLACES = {"max_concurrent_per_replica": LIMIT, "max_wait_s": 60.0}
PATIENT = {"first_content_timeout_s": 60.0}
"""All of the burst may wait until it is served, however slow the machine is."""


async def test_a_burst_that_fits_the_queue_is_answered_whole(stage: StageOf) -> None:
    async with stage(admission={**PLACES, "max_queued": BURST}, on_prem=PATIENT) as on:
        for replica in on.replicas:
            replica.pace_s = 0.002
        await on.ask_all([question(stream=number % 3 > 0) for number in range(BURST)])
        assert (on.tally.whole, on.sent_on) == (BURST, BURST)
        assert [replica.most for replica in on.replicas] == [LIMIT] * REPLICAS


async def test_what_does_not_fit_the_queue_is_told_so(stage: StageOf) -> None:
    async with stage(admission={**PLACES, "max_queued": 6}, on_prem=PATIENT) as on:
        for replica in on.replicas:
            replica.pace_s = 0.002
        results = await on.ask_all([question() for _ in range(BURST)])
        assert {result.status for result in results} == {200, 429}
        assert on.tally.typed.keys() == {"queue_full"}
        assert on.tally.whole >= LIMIT * REPLICAS + 6
        assert on.sent_on == on.tally.whole  # those who were sent away have cost the replicas nothing
        assert max(replica.most for replica in on.replicas) == LIMIT


async def test_a_replica_that_dies_in_the_burst_costs_nobody_an_answer(stage: StageOf) -> None:
    async with stage(admission={**PLACES, "max_queued": BURST}, on_prem=PATIENT) as on:
        for replica in on.replicas:
            replica.pace_s = 0.002
        dying = on.replicas[2]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(on.ask_all([question() for _ in range(BURST)]))
            await until(lambda: on.tally.whole >= LIMIT * REPLICAS and dying.running == LIMIT)
            await dying.die()
        assert on.tally.whole == BURST
        assert max(replica.most for replica in on.replicas) == LIMIT
