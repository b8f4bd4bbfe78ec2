"""A replica that answers 200 and then reports an error costs no client its answer, and its words stay inside.

An error about the request itself is the client's, and is told once.
"""

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import Fault, says
from tests.chaos.scripted.stage import UNMOVED, question
from tests.support.upstream import DONE

pytestmark = pytest.mark.anyio

SECRET = "EngineDeadError at 10.0.0.7"
DIED = says({"error": {"message": SECRET, "type": "InternalServerError", "code": 500}}, DONE)
REFUSED = says({"error": {"message": "too long for the context", "type": "BadRequestError", "code": 400}}, DONE)


async def test_an_error_before_the_first_token_is_tried_elsewhere(stage: StageOf) -> None:
    async with stage(**UNMOVED) as on:
        for after in (0, 1):
            on.faults.append(Fault(after, DIED))
            result = await on.ask(question())
            assert SECRET.encode() not in result.body
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (2, 0, 4)


async def test_an_error_after_a_token_is_carried_on_elsewhere(stage: StageOf) -> None:
    async with stage(**UNMOVED) as on:
        for after in (2, 7, 24):
            on.faults.append(Fault(after, DIED))
            result = await on.ask(question())
            assert SECRET.encode() not in result.body
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (3, 3, 6)


async def test_an_error_without_an_end_is_an_error_too(stage: StageOf) -> None:
    async with stage() as on:
        on.faults.append(Fault(9, says({"error": {"message": SECRET, "code": 500}})))
        await on.ask(question())
        assert (on.tally.whole, on.tally.resumed) == (1, 1)


async def test_a_refusal_in_the_stream_is_the_clients(stage: StageOf) -> None:
    async with stage() as on:
        on.faults.append(Fault(0, REFUSED))
        result = await on.ask(question())
        assert result.status == 400
        assert (on.tally.typed, on.sent_on) == ({"invalid_request": 1}, 1)
        assert await on.state(0) == "ready"


async def test_nobody_to_go_on_with_is_told_in_band(stage: StageOf) -> None:
    async with stage(1, attempts={"resume_wait_s": 0.2}) as on:
        on.faults.append(Fault(5, DIED))
        result = await on.ask(question())
        assert result.status == 200
        assert (on.tally.typed, on.sent_on) == ({"upstream_lost": 1}, 1)
        assert SECRET.encode() not in result.body
