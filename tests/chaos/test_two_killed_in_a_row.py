"""The promise to the client: your answer survives the replica that took it over, too.

The second replica dies while it carries what the first one left. That no request is to blame shows in that each had
brought something new in between; so nobody is cut off as a killer of replicas.
"""

import pytest

from tests.chaos.conftest import TwinsOf
from tests.chaos.front import Front
from tests.chaos.load import Burst
from tests.chaos.stack import Stack
from tests.chaos.tally import Tally

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]


async def test_second_death_is_survived_like_the_first(
    front: Front, stack: Stack, twins_of: TwinsOf, tally: Tally
) -> None:
    twins = await twins_of(front, 14, 6)
    await front.until_ready(3)
    resumed = await front.metric("scout_resumes_total")
    async with Burst(front.client, twins.questions) as burst:
        await burst.until(twins.size // 5)
        first = (await front.busy())[0]
        stack.kill_server(first)
        await front.until_failed(first)
        await burst.until(burst.received + twins.size // 5)
        stack.kill_engine((await front.busy())[0])
    burst.judge(tally, twins.texts)
    assert tally.lost == []
    assert tally.whole == len(twins.questions)
    assert await front.metric("scout_resumes_total") - resumed >= 2
