"""A connection that is torn costs no client its answer: not before the headers, not after them, not inside an event.

Whatever the point at which it breaks, the answer is whole, and the one that an unbroken stream would have brought.
"""

import itertools

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import Fault, half_a_chunk, half_an_event, reset
from tests.chaos.scripted.stage import UNMOVED, question
from tests.support.upstream import reset_at_once

pytestmark = pytest.mark.anyio

TOKENS = 24
CUTS = (reset, half_an_event, half_a_chunk)


async def test_a_reset_before_the_headers_is_tried_elsewhere(stage: StageOf) -> None:
    async with stage() as on:
        for streamed in (True, False):
            on.replicas[0].upstream.script(reset_at_once)
            await on.ask_all([question(stream=streamed) for _ in range(3)])
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (6, 0, 8)


async def test_a_cut_before_the_first_token_is_tried_elsewhere(stage: StageOf) -> None:
    async with stage(**UNMOVED) as on:
        for cut, after in itertools.product(CUTS, (0, 1)):
            on.faults.append(Fault(after, cut))
            await on.ask(question())
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (6, 0, 12)


async def test_a_cut_after_any_token_is_carried_on(stage: StageOf) -> None:
    async with stage(**UNMOVED) as on:
        for cut, after in itertools.product(CUTS, range(2, TOKENS + 1)):
            on.faults.append(Fault(after, cut))
            await on.ask(question())
            assert on.tally.lost == [], f"{cut.__name__} after {after} events"
        count = len(CUTS) * (TOKENS - 1)
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (count, count, 2 * count)
