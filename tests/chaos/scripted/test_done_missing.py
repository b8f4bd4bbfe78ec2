"""A stream that ends without saying so is no answer: it is carried on, or, where only the ending is missing, completed.

Behind nginx a replica that dies can look like a body that ends in good order.
"""

import itertools

import pytest

from tests.chaos.scripted import engine
from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import Fault, end_of_body, reset, says, silence
from tests.chaos.scripted.stage import SOON_SILENT, UNMOVED, question
from tests.chaos.tally import hear
from tests.support.upstream import DONE

pytestmark = pytest.mark.anyio

TOKENS = 24
ALL_TOKENS = 1 + TOKENS
TOO_EARLY = (end_of_body, says(DONE))
WITH_USAGE = {"stream_options": {"include_usage": True}}


async def test_an_end_before_the_first_token_is_tried_elsewhere(stage: StageOf) -> None:
    async with stage(**UNMOVED) as on:
        for ending, after in itertools.product(TOO_EARLY, (0, 1)):
            on.faults.append(Fault(after, ending))
            await on.ask(question())
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (4, 0, 8)


async def test_an_end_within_the_answer_is_carried_on(stage: StageOf) -> None:
    async with stage(**UNMOVED) as on:
        for ending, after in itertools.product(TOO_EARLY, (2, 3, 13, 24)):
            on.faults.append(Fault(after, ending))
            await on.ask(question())
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (8, 8, 16)


@pytest.mark.parametrize("after", [ALL_TOKENS, ALL_TOKENS + 1], ids=["usage missing", "[DONE] missing"])
async def test_where_only_the_ending_is_missing_nobody_is_asked_again(stage: StageOf, after: int) -> None:
    async with stage(**UNMOVED, **SOON_SILENT) as on:
        for ending in (end_of_body, reset, silence):
            on.faults.append(Fault(after, ending))
            body = question(**WITH_USAGE)
            heard = hear((await on.ask(body)).body)
            assert heard.usage == engine.usage(len(engine.prompt_of(body)), TOKENS)
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (3, 0, 3)


async def test_done_without_the_usage_is_enough(stage: StageOf) -> None:
    async with stage() as on:
        on.faults.append(Fault(ALL_TOKENS, says(DONE)))
        body = question(**WITH_USAGE)
        heard = hear((await on.ask(body)).body)
        assert heard.usage == engine.usage(len(engine.prompt_of(body)), TOKENS)
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (1, 0, 1)
