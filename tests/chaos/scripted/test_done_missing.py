"""A stream that ends without saying so is no answer: it is carried on, or, where only the ending is missing, completed.

Behind nginx a replica that dies can look like a body that ends in good order.
"""

import pytest

from tests.chaos.scripted import engine
from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import Fault, end_of_body, reset, says, silence
from tests.chaos.scripted.stage import question
from tests.chaos.tally import hear
from tests.support.upstream import DONE, Act

pytestmark = pytest.mark.anyio

TOKENS = 24
ALL_TOKENS = 1 + TOKENS
ENDINGS: dict[str, Act] = {"body ends": end_of_body, "[DONE] too early": says(DONE), "reset": reset, "silence": silence}
WITH_USAGE = {"stream_options": {"include_usage": True}}


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("ending", [end_of_body, says(DONE)], ids=["body ends", "[DONE] too early"])
async def test_an_end_before_the_first_token_is_tried_elsewhere(stage: StageOf, ending: Act, after: int) -> None:
    async with stage() as on:
        on.faults.append(Fault(after, ending))
        await on.ask(question())
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (1, 0, 2)


@pytest.mark.parametrize("after", [2, 3, 13, 24])
@pytest.mark.parametrize("ending", [end_of_body, says(DONE)], ids=["body ends", "[DONE] too early"])
async def test_an_end_within_the_answer_is_carried_on(stage: StageOf, ending: Act, after: int) -> None:
    async with stage() as on:
        on.faults.append(Fault(after, ending))
        await on.ask(question())
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (1, 1, 2)


@pytest.mark.parametrize("ending", [pytest.param(act, id=name) for name, act in ENDINGS.items()])
async def test_where_only_the_usage_is_missing_nobody_is_asked_again(stage: StageOf, ending: Act) -> None:
    async with stage() as on:
        on.faults.append(Fault(ALL_TOKENS, ending))
        body = question(**WITH_USAGE)
        heard = hear((await on.ask(body)).body)
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (1, 0, 1)
        assert heard.usage == engine.usage(len(engine.prompt_of(body)), TOKENS)


@pytest.mark.parametrize("ending", [pytest.param(ENDINGS[n], id=n) for n in ("body ends", "reset", "silence")])
async def test_where_only_done_is_missing_nobody_is_asked_again(stage: StageOf, ending: Act) -> None:
    async with stage() as on:
        on.faults.append(Fault(ALL_TOKENS + 1, ending))
        body = question(**WITH_USAGE)
        heard = hear((await on.ask(body)).body)
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (1, 0, 1)
        assert heard.usage == engine.usage(len(engine.prompt_of(body)), TOKENS)
