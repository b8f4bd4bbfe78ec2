"""The promise to the client: an engine that hangs, and tells nobody, costs you a pause and not your answer.

A hung engine keeps its connections, and its API server says that all is well: only that no token comes gives it away.
The clocks are short here, so that the suite is; what they decide is the same.
"""

import pytest

from tests.chaos.conftest import SHORT_CLOCKS, Gateway, TwinsOf
from tests.chaos.front import Front
from tests.chaos.load import Burst
from tests.chaos.stack import Stack
from tests.chaos.tally import Tally

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


async def test_engine_that_hangs_mid_stream_loses_nothing_and_may_come_back(
    stack: Stack, gateway: Gateway, twins_of: TwinsOf, tally: Tally
) -> None:
    async with Front(stack, gateway(SHORT_CLOCKS)) as front:
        twins = await twins_of(front, 14, 6)
        before = await front.ready()
        async with Burst(front.client, twins.questions) as burst:
            await burst.until(twins.size // 4)
            victim = (await front.busy())[0]
            stack.hang_engine(victim)
        burst.judge(tally, twins.texts)
        assert tally.lost == []
        assert tally.whole == len(twins.questions), tally
        assert await front.metric("scout_resumes_total") >= 1
        stack.go_on()
        await front.until_ready(len(before))


async def test_api_server_that_hangs_mid_stream_loses_nothing(
    stack: Stack, gateway: Gateway, twins_of: TwinsOf, tally: Tally
) -> None:
    async with Front(stack, gateway(SHORT_CLOCKS)) as front:
        twins = await twins_of(front, 14, 6)
        async with Burst(front.client, twins.questions) as burst:
            await burst.until(twins.size // 4)
            stack.hang_server((await front.busy())[0])
        burst.judge(tally, twins.texts)
        assert tally.lost == []
        assert tally.whole == len(twins.questions), tally
        assert await front.metric("scout_resumes_total") >= 1


async def test_engine_that_hangs_before_the_first_token_is_passed_over(
    stack: Stack, gateway: Gateway, twins_of: TwinsOf, tally: Tally
) -> None:
    async with Front(stack, gateway(SHORT_CLOCKS)) as front:
        twins = await twins_of(front, 14, 6)
        victim = (await front.ready())[0]
        stack.hang_engine(victim)
        async with Burst(front.client, twins.questions) as burst:
            await front.until_failed(victim)
            stack.kill_engine(victim)  # what an operator does with a process that hangs
        burst.judge(tally, twins.texts)
        assert tally.lost == []
        assert tally.whole == len(twins.questions), tally
