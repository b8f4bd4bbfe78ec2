"""What is no chat completion never reaches a client, and costs it nothing: the answer comes from another replica.

An event without an end is given up before it fills the memory.
"""

import pytest

from shared import sse
from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import Fault, says, sends
from tests.chaos.scripted.stage import UNMOVED, question
from tests.support.upstream import DONE, Act, Exchange, completion

pytestmark = pytest.mark.anyio


async def no_http(exchange: Exchange) -> None:
    """A chunk whose size is no number."""
    await exchange.send(b"zz\r\nwhatever\r\n")


async def endless(exchange: Exchange) -> None:
    """An event that goes on for as long as somebody reads it."""
    await exchange.send_chunk(b'data: {"choices":[{"index":0,"delta":{"content":"')
    while not exchange.client_left.is_set():
        await exchange.send_chunk(b"x" * 65536)


GARBAGE: dict[str, Act] = {
    "no JSON": says("{oops", DONE),
    "no object": says("[1]", DONE),
    "no choices": says({"id": "x"}, DONE),
    "a choice without index": says({"choices": [{"delta": {"content": "x"}}]}, DONE),
    "text that is a number": says({"choices": [{"index": 0, "delta": {"content": 5}}]}, DONE),
    "no UTF-8": sends(b'data: {"choices":[{"index":0,"delta":{"content":"\xff"}}]}\n\n'),
    "deep": says("[" * 100_000, DONE),
    "a page": sends(b"<html>Bad Gateway</html>\n\n"),
    "an event over the bound": sends(b"data: " + b"x" * (sse.MAX_EVENT_BYTES + 1)),
    "an event without an end": endless,
    "no HTTP": no_http,
}


@pytest.mark.parametrize("after", [1, 9], ids=["before the first token", "within the answer"])
async def test_garbage_is_replaced_by_the_answer(stage: StageOf, after: int) -> None:
    async with stage(**UNMOVED) as on:
        for name, garbage in GARBAGE.items():
            on.faults.append(Fault(after, garbage))
            await on.ask(question())
            assert on.tally.lost == [], name
        count = len(GARBAGE)
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (count, count if after > 1 else 0, 2 * count)


async def test_a_whole_answer_that_is_none_is_asked_for_again(stage: StageOf) -> None:
    async with stage() as on:
        for body in (b"{oops", b"[]", b'{"choices": []}', completion("x")[:-9]):

            async def act(exchange: Exchange, body: bytes = body) -> None:
                await exchange.answer(200, body)

            on.replicas[0].upstream.script(act)
        for _ in range(8):
            await on.ask(question(stream=False))
        assert on.tally.whole == 8
