"""A customer's answer at the conversation door goes on as well when its replica breaks, and is torn when it cannot.

Plain text has no place for an error. So a body that ends is a whole answer, and one that breaks off is none.
"""

import asyncio

import pytest

from tests.chaos.scripted import engine
from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import Fault, end_of_body, half_an_event, reset, says, silence
from tests.chaos.scripted.stage import SOON_SILENT, UNMOVED, until
from tests.support.spoken import conversation
from tests.support.upstream import DONE, Act, chunk, reset_at_once, status

pytestmark = pytest.mark.anyio

BREAKS: tuple[Act, ...] = (reset, half_an_event, end_of_body, silence, says(chunk({}, "abort"), DONE), says(DONE))


def message(number: int) -> str:
    """What a customer says, so that the answer is long enough to be broken, and its first token has text."""
    for attempt in range(1000):
        said = f"Which car, {number}, {attempt}?"
        made = list(engine.generate({"messages": conversation(said)}))
        if made[0].text and len(made) > 10:
            return said
    raise AssertionError("no such message")


async def test_it_goes_on_wherever_it_breaks(stage: StageOf) -> None:
    async with stage(**UNMOVED, **SOON_SILENT, chat={"max_tokens": 40}) as on:
        for number, act in enumerate(BREAKS):
            for after in (2, 3, 7):
                on.faults.append(Fault(after, act))
                await on.chat(message(10 * number + after))
                assert on.tally.lost == [], (number, after)
        assert on.tally.whole == 3 * len(BREAKS)
        assert await on.front.metric("scout_resumes_total", outcome="resumed") == 3 * len(BREAKS)


async def test_all_of_a_dead_replicas_customers_are_served(stage: StageOf) -> None:
    async with stage(chat={"max_tokens": 40}) as on:
        dying = on.replicas[0]
        for replica in on.replicas:
            replica.hold(after=3)
        async with asyncio.TaskGroup() as tasks:
            for number in range(9):
                tasks.create_task(on.chat(message(number)))
            await until(lambda: sum(replica.held for replica in on.replicas) == 9)
            await dying.die()
            for replica in on.replicas:
                replica.go.set()
        assert on.tally.whole == 9
        assert await on.front.metric("scout_resumes_total", outcome="resumed") >= 1


async def test_where_nobody_can_go_on_it_is_torn(stage: StageOf) -> None:
    async with stage(1, attempts={"resume_wait_s": 0.2}) as on:
        for act in BREAKS[:1] + BREAKS[4:]:
            on.faults.append(Fault(6, act))
            result = await on.send("/api/chat", {"message": message(1)})
            assert (result.status, result.ended) == (200, False)
            assert result.body


async def test_before_the_first_word_an_error_is_an_error(stage: StageOf) -> None:
    async with stage(2) as on:
        for replica in on.replicas:
            replica.upstream.script(reset_at_once)
        await on.chat(message(1))
        assert on.tally.typed == {"upstream_unavailable": 1}


async def test_busy_is_told_with_its_code(stage: StageOf) -> None:
    async with stage(2) as on:
        for replica in on.replicas:
            replica.upstream.script(status(503))
        await on.chat(message(1))
        assert on.tally.typed == {"overloaded": 1}
