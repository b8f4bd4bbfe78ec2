"""A connection that is torn costs no client its answer: not before the headers, not after them, not inside an event.

Whatever the point at which it breaks, the answer is whole, and the one that an unbroken stream would have brought.
"""

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import Fault, half_a_chunk, half_an_event, reset
from tests.chaos.scripted.stage import question
from tests.support.upstream import Act, reset_at_once

pytestmark = pytest.mark.anyio

TOKENS = 24
CUTS = {"reset": reset, "inside an event": half_an_event, "inside a chunk": half_a_chunk}


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_reset_before_the_headers_is_tried_elsewhere(stage: StageOf, streamed: bool) -> None:
    async with stage() as on:
        on.replicas[0].upstream.script(reset_at_once)
        await on.ask(question(stream=streamed))
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (1, 0, 2)


@pytest.mark.parametrize("cut", [pytest.param(act, id=name) for name, act in CUTS.items()])
async def test_a_cut_before_the_first_token_is_tried_elsewhere(stage: StageOf, cut: Act) -> None:
    async with stage() as on:
        for after in (0, 1):
            on.faults.append(Fault(after, cut))
            await on.ask(question())
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (2, 0, 4)


@pytest.mark.parametrize("cut", [pytest.param(act, id=name) for name, act in CUTS.items()])
async def test_a_cut_after_any_token_is_carried_on(stage: StageOf, cut: Act) -> None:
    # As many retries as there are tokens, one after the other: more than the pool's budget has after a quiet moment.
    async with stage(attempts={"retry_reserve": 200}, breaker={"min_volume": 1000}) as on:
        for after in range(2, TOKENS + 1):
            on.faults.append(Fault(after, cut))
            await on.ask(question())
            assert on.tally.lost == [], f"cut after {after} events"
        assert on.tally.whole == TOKENS - 1
        assert on.tally.resumed == TOKENS - 1
