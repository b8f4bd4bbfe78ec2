"""A replica that falls silent holds nobody longer than the clocks allow, and a stream that it holds goes on elsewhere.

Silence is what a hung engine sounds like: connections stand, /health may answer, and no token comes.
"""

import asyncio

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import Fault, silence
from tests.chaos.scripted.stage import SOON_SILENT, UNMOVED, question, until
from tests.support.upstream import Exchange, hang

pytestmark = pytest.mark.anyio


async def test_nothing_at_all_ends_by_the_first_content_clock(stage: StageOf) -> None:
    async with stage(on_prem={"first_content_timeout_s": 0.3}) as on:
        silent = on.replicas[0].upstream
        silent.script(hang, hang)
        results = await asyncio.gather(on.ask(question()), on.ask(question(stream=False)))
        assert [result.status for result in results] in ([504, 200], [200, 504], [504, 504])
        assert on.tally.typed.keys() == {"upstream_timeout"}
        await asyncio.wait_for(silent.exchanges[0].client_left.wait(), 5)


@pytest.mark.parametrize("after", [0, 1])
async def test_headers_and_then_nothing_end_by_the_first_content_clock(stage: StageOf, after: int) -> None:
    async with stage(on_prem={"first_content_timeout_s": 0.3}) as on:
        on.faults.append(Fault(after, silence))
        result = await on.ask(question())
        assert (result.status, on.tally.typed, on.sent_on) == (504, {"upstream_timeout": 1}, 1)


async def test_silence_within_the_answer_is_carried_on(stage: StageOf) -> None:
    async with stage(**UNMOVED, **SOON_SILENT) as on:
        on.faults.extend([Fault(after, silence) for after in (2, 12, 24)])
        await on.ask_all([question() for _ in range(3)])
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (3, 3, 6)


async def test_comments_are_no_tokens(stage: StageOf) -> None:
    async def only_comments(exchange: Exchange) -> None:
        while not exchange.client_left.is_set():
            await exchange.send_chunk(b": keep-alive\n\n")
            await asyncio.sleep(0.02)

    async with stage(**SOON_SILENT) as on:
        on.faults.append(Fault(8, only_comments))
        await on.ask(question())
        assert (on.tally.whole, on.tally.resumed) == (1, 1)


async def test_streams_leave_a_replica_as_soon_as_it_is_found_ill(stage: StageOf) -> None:
    async with stage(on_prem={"idle_timeout_s": 60.0}) as on:
        ill = on.replicas[0]
        ill.hold(after=8)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(on.ask_all([question() for _ in range(9)]))
            await until(lambda: ill.held == 3)
            ill.upstream.health = 503
        assert (on.tally.whole, on.tally.resumed) == (9, 3)


async def test_a_request_leaves_it_before_the_first_token_too(stage: StageOf) -> None:
    async with stage(on_prem={"first_content_timeout_s": 60.0}) as on:
        ill = on.replicas[0]
        ill.upstream.script(hang)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(on.ask(question()))
            await ill.upstream.exchange(0)
            ill.upstream.health = 503
        assert (on.tally.whole, on.sent_on) == (1, 2)
