"""The promise to the client: the proxy in front of the replicas may be restarted, and your stream goes on.

A reload breaks nothing. A restart breaks every connection at once and refuses new ones for a second or two: streams
wait for it and go on, new requests wait a little and are then told to come again.
"""

import signal

import pytest

from tests.chaos.conftest import TwinsOf
from tests.chaos.front import Front
from tests.chaos.load import Burst, Steady, questions, unbroken
from tests.chaos.stack import Stack
from tests.chaos.tally import Tally

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


async def test_reload_breaks_no_stream(front: Front, stack: Stack, twins_of: TwinsOf, tally: Tally) -> None:
    twins = await twins_of(front, 14, 6)
    resumed = await front.metric("scout_resumes_total")
    async with Burst(front.client, twins.questions) as burst:
        await burst.until(twins.size // 4)
        stack.tell_nginx(signal.SIGHUP)
    burst.judge(tally, twins.texts)
    assert tally.lost == []
    assert tally.whole == len(twins.questions), tally
    assert await front.metric("scout_resumes_total") == resumed, "nothing was broken, so nothing had to be resumed"


async def test_restart_mid_stream_is_survived(front: Front, stack: Stack, twins_of: TwinsOf, tally: Tally) -> None:
    twins = await twins_of(front, 14, 6)
    resumed = await front.metric("scout_resumes_total")
    async with Burst(front.client, twins.questions) as burst:
        await burst.until(twins.size // 4)
        stack.tell_nginx(signal.SIGTERM)
    burst.judge(tally, twins.texts)
    assert tally.lost == []
    assert tally.whole == len(twins.questions), tally
    assert await front.metric("scout_resumes_total") > resumed


async def test_second_restart_mid_stream_is_survived_or_told(front: Front, stack: Stack, tally: Tally) -> None:
    # Long answers, so that both fall into them. Refused connections cost a stream no attempt; one that a dying nginx
    # accepts and resets does, so the last attempt may have been spent when the second restart comes.
    twins = await unbroken(front.client, questions(6, tokens=800))
    resumed = await front.metric("scout_resumes_total")
    async with Burst(front.client, twins.questions) as burst:
        for _ in range(2):
            await burst.until(burst.received + twins.size // 5)
            stack.tell_nginx(signal.SIGTERM)
            await front.until_metric("scout_site_down", 1)
            await front.until_metric("scout_site_down", 0, within_s=60)
    burst.judge(tally, twins.texts)
    assert tally.lost == []
    assert set(tally.typed) <= {"upstream_lost"}
    assert await front.metric("scout_resumes_total") > resumed


async def test_requests_that_come_during_a_restart_are_answered_or_told(
    front: Front, stack: Stack, twins_of: TwinsOf, tally: Tally
) -> None:
    twins = await twins_of(front, 8, 0)
    async with Steady(front.client, twins, clients=8, tally=tally):
        stack.tell_nginx(signal.SIGTERM)
        await front.until_metric("scout_site_down", 1)
        await front.until_metric("scout_site_down", 0, within_s=60)
    assert tally.lost == []
    assert set(tally.typed) <= {"upstream_unavailable"}
