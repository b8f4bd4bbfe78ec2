"""The promise to the client: a replica that comes and goes is the operator's sorrow and not yours.

One that stops, is found out, and goes on as if nothing had been, again and again, must neither drag its streams along
nor be trusted with a full load before it has proved itself.
"""

import pytest

from tests.chaos.conftest import SHORT_CLOCKS, Gateway, TwinsOf
from tests.chaos.front import Front
from tests.chaos.load import Steady
from tests.chaos.stack import Stack
from tests.chaos.tally import Tally

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

FLAPS = 3
CLIENTS = 12


async def test_flapping_replica_loses_nothing(stack: Stack, gateway: Gateway, twins_of: TwinsOf, tally: Tally) -> None:
    async with Front(stack, gateway(SHORT_CLOCKS)) as front:
        twins = await twins_of(front, 14, 6)
        ready = await front.ready()
        async with Steady(front.client, twins, CLIENTS, tally):
            for _ in range(FLAPS):
                stack.hang_server(ready[0])
                await front.until_failed(ready[0])
                stack.go_on()
                await front.until_ready(len(ready))
        assert tally.lost == []
        assert tally.typed == {}
        assert tally.whole == tally.sent
        assert await front.metric("scout_replica_failed_total") >= FLAPS
