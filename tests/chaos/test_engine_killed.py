"""The promise to the client: kill -9 whatever serves you, whenever, and your answer comes whole and letter for letter.

Five rounds, each with twenty streams through both doors and a death at a random point. Either the API server dies, and
its connections with it, or the engine behind it, and the API server is left to tell.
"""

import random

import pytest

from tests.chaos.conftest import Say, TwinsOf
from tests.chaos.front import Front
from tests.chaos.load import Burst
from tests.chaos.stack import Stack
from tests.chaos.tally import Tally

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(420)]

ROUNDS = 5
SEED = 20
EARLIEST, LATEST = 0.1, 0.6
"""Shares of all bytes between which the death falls: before, nothing has begun; after, some have ended."""


async def test_every_stream_survives_its_replica(
    front: Front, stack: Stack, twins_of: TwinsOf, tally: Tally, say: Say
) -> None:
    chance = random.Random(SEED)
    twins = await twins_of(front, 14, 6)
    for number in range(ROUNDS):
        await front.until_ready(2)
        this_round, resumed_before = Tally(), await front.metric("scout_resumes_total")
        point = round(twins.size * chance.uniform(EARLIEST, LATEST))
        async with Burst(front.client, twins.questions) as burst:
            await burst.until(point)
            victim = chance.choice(await front.busy())
            kill = chance.choice([stack.kill_server, stack.kill_engine])
            kill(victim)
        burst.judge(this_round, twins.texts)
        resumed = await front.metric("scout_resumes_total") - resumed_before
        say(
            f"round {number}, seed {SEED}: {kill.__name__}({victim}) at {point} of {twins.size} bytes, "
            f"{resumed:g} resumed through both doors; {this_round}"
        )
        tally.add(this_round)
        assert this_round.lost == []
        assert this_round.whole == len(twins.questions)
        assert resumed >= 1, "nobody was on the replica that died: the round has shown nothing"
