"""The promise to the client: a replica that comes and goes is the operator's sorrow and not yours.

One that is stopped and goes on every few seconds never gets far enough to be declared dead for good. It must neither
drag its streams along nor draw in new ones faster than it proves itself.
"""

import asyncio

import pytest

from tests.chaos.front import Front
from tests.chaos.load import Steady, questions, unbroken
from tests.chaos.stack import Stack
from tests.chaos.tally import Tally

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

FLAPS = 4
DOWN_S = 2.5
UP_S = 1.0


async def test_flapping_replica_loses_nothing(front: Front, stack: Stack, tally: Tally) -> None:
    twins = await unbroken(front.client, questions(8, 4))
    victim = (await front.ready())[0]
    async with Steady(front.client, twins, clients=12, tally=tally):
        for _ in range(FLAPS):
            stack.hang_server(victim)
            await asyncio.sleep(DOWN_S)
            stack.go_on()
            await asyncio.sleep(UP_S)
    assert tally.lost == []
    assert tally.typed == {}
