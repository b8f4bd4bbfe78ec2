"""After whatever happened nothing is left: no place, no ticket, no task, no socket but the few that are kept for reuse.

What stays after two hundred requests fills a gateway that runs for months.
"""

import asyncio
import gc
import os
import random

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import Fault, end_of_body, half_an_event, reset, says, silence
from tests.chaos.scripted.stage import CHAT, UNMOVED, Stage, question
from tests.chaos.tally import Result
from tests.support.upstream import DONE, Act, chunk, reset_at_once, status

pytestmark = pytest.mark.anyio

REQUESTS = 200
AT_ONCE = 10
ACTS: tuple[Act, ...] = (reset, half_an_event, end_of_body, silence, says(chunk({}, "abort"), DONE), says("{", DONE))
SEED = 20260


async def leave_after(on: Stage, seconds: float) -> None:
    asking = asyncio.get_running_loop().create_task(on.send(CHAT, question()))
    await asyncio.wait([asking], timeout=seconds)
    asking.cancel()
    await asyncio.wait([asking])
    on.tally.judge(Result(None, left=True))


async def mixed(on: Stage, chance: random.Random, count: int) -> None:
    """Requests of all kinds, one after the other, some of them broken and some left."""
    for _ in range(count):
        if chance.random() < 0.3:
            on.faults.append(Fault(chance.randrange(24), chance.choice(ACTS)))
        if chance.random() < 0.1:
            chance.choice(on.replicas).upstream.script(chance.choice([status(503), status(500), reset_at_once]))
        kind = chance.random()
        if kind < 0.15:
            await leave_after(on, chance.random() * 0.02)
        elif kind < 0.25:
            await on.ask(question(stream=False))
        elif kind < 0.3:
            await on.ask(question(n=2))
        elif kind < 0.35:
            await on.ask(question(top_logprobs=-1))
        else:
            await on.ask(question())


def sockets() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_two_hundred_mixed_requests_leave_nothing_behind(stage: StageOf) -> None:
    chance = random.Random(SEED)
    async with stage(**UNMOVED, on_prem={"idle_timeout_s": 0.3, "first_content_timeout_s": 1.0}) as on:
        before = sockets()
        await asyncio.gather(*[mixed(on, chance, REQUESTS // AT_ONCE) for _ in range(AT_ONCE)])
        await on.settle()
        assert on.tally.sent == REQUESTS
        assert on.tally.resumed >= 10
        gc.collect()
        # Both ends of a connection are in this process: a client's to the gateway, and the gateway's to a replica.
        assert sockets() <= before + 4 * AT_ONCE
        for replica in on.replicas:
            assert len(replica.upstream.connections) <= AT_ONCE + 1  # the probes' own one
        print(f"seed {SEED}: {on.tally}")


async def test_a_connection_serves_many_requests(stage: StageOf) -> None:
    async with stage(1) as on:
        for _ in range(20):
            await on.ask(question())
            await on.ask(question(stream=False))
        ports = {exchange.writer.get_extra_info("peername")[1] for exchange in on.replicas[0].upstream.exchanges}
        assert on.tally.whole == 40
        assert len(ports) <= 2
