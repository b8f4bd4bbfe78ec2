"""An answer that the engine stopped by itself is never passed off as one that has ended.

vLLM that shuts down answers 200 with nothing and `finish_reason: "abort"`, and ends so what was under way.
"""

import itertools

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import Fault, says
from tests.chaos.scripted.stage import UNMOVED, question
from tests.support.upstream import DONE, USAGE, Exchange, chunk, completion

pytestmark = pytest.mark.anyio

REASONS = ("abort", "error")


async def test_an_abort_before_the_first_token_is_tried_elsewhere(stage: StageOf) -> None:
    async with stage(**UNMOVED) as on:
        for reason, after in itertools.product(REASONS, (0, 1)):
            on.faults.append(Fault(after, says(chunk({"content": ""}, reason), USAGE, DONE)))
            await on.ask(question())
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (4, 0, 8)


async def test_an_abort_within_the_answer_is_carried_on(stage: StageOf) -> None:
    async with stage(**UNMOVED) as on:
        for reason, after in itertools.product(REASONS, (2, 11, 24)):
            on.faults.append(Fault(after, says(chunk({"content": ""}, reason), USAGE, DONE)))
            result = await on.ask(question())
            assert reason.encode() not in result.body
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (6, 6, 12)


async def test_an_aborted_whole_answer_is_asked_for_again(stage: StageOf) -> None:
    async def stopped(exchange: Exchange) -> None:
        await exchange.answer(200, completion("", "abort"))

    async with stage() as on:
        on.replicas[0].upstream.script(stopped)
        await on.ask(question(stream=False))
        assert (on.tally.whole, on.sent_on) == (1, 2)


async def test_a_replica_that_aborts_everything_is_left_alone(stage: StageOf) -> None:
    async with stage(breaker={"open_s": 60.0}) as on:
        aborts = says(chunk({"content": ""}, "abort"), DONE)

        async def shutting_down(exchange: Exchange) -> None:
            await exchange.start_stream()
            await aborts(exchange)

        on.replicas[1].upstream.otherwise = shutting_down
        for _ in range(24):
            await on.ask(question())
        assert on.tally.whole == 24
        assert await on.state(1) == "failed"
        assert len(on.replicas[1].upstream.exchanges) < 8
