"""The promise to the client: kill -9 whatever serves you, whenever, and your answer comes whole and letter for letter.

Five rounds, each with twenty streams through both doors and a death at a random point. Either the API server dies, and
its connections with it, or the engine behind it, and the API server is left to tell.
"""

import random
from collections.abc import Callable

import pytest

from tests.chaos.conftest import Say, TwinsOf
from tests.chaos.front import Front
from tests.chaos.load import Burst, Twins
from tests.chaos.stack import Stack
from tests.chaos.tally import Tally

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(420)]

ROUNDS = 5
SEED = 20
TRIES = 3
"""Of a round in which nobody was on the replica any more when it died: that shows nothing."""
EARLIEST, LATEST = 0.03, 0.25
"""Shares of all bytes between which the death falls. A busy engine puts several tokens in an event, so that the same
answer may take a third of the bytes; the last deaths then come when most of it is said."""


async def test_every_stream_survives_its_replica(
    front: Front, stack: Stack, twins_of: TwinsOf, tally: Tally, say: Say
) -> None:
    chance = random.Random(SEED)
    twins = await twins_of(front, 14, 6)
    for number in range(ROUNDS):
        for _ in range(TRIES):
            point = round(twins.size * chance.uniform(EARLIEST, LATEST))
            kill = chance.choice([stack.kill_server, stack.kill_engine])
            this_round, resumed, victim = await _kill_one(front, twins, point, kill, chance)
            say(
                f"round {number}, seed {SEED}: {kill.__name__}({victim}) at {point} of {twins.size} bytes, "
                f"{resumed:g} resumed through both doors; {this_round}"
            )
            tally.add(this_round)
            assert this_round.lost == []
            assert this_round.whole == len(twins.questions)
            if resumed:
                break
        else:
            pytest.fail("nobody was on the replica that died, again and again: the round has shown nothing")


async def _kill_one(
    front: Front, twins: Twins, point: int, kill: Callable[[int], None], chance: random.Random
) -> tuple[Tally, float, int]:
    """What became of the streams, how many were resumed, and whom it hit."""
    await front.until_ready(2)
    became, resumed_before = Tally(), await front.metric("scout_resumes_total")
    async with Burst(front.client, twins.questions) as burst:
        await burst.until(point, begun=False)
        busy = await front.busy()
        victim = chance.choice(busy) if busy else 0
        kill(victim)
    burst.judge(became, twins.texts)
    return became, await front.metric("scout_resumes_total") - resumed_before, victim
