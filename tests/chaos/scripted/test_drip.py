"""A replica that sends byte after byte is heard while it keeps to the clocks, and left when it does not.

Bytes are no tokens: the clocks count events, so a line that is kept busy with nothing does not hold a client.
"""

import asyncio

import pytest

from tests.chaos.scripted import engine
from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import Fault
from tests.chaos.scripted.stage import SOON_SILENT, question
from tests.support.upstream import Act, Exchange

pytestmark = pytest.mark.anyio

SLOW_S = 0.1
QUICK_S = 0.0002


def drips(gap_s: float) -> Act:
    """The whole answer, headers and all, a byte at a time."""

    async def act(exchange: Exchange) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        chunks = [f"{len(data):x}\r\n".encode() + data + b"\r\n" for data in engine.events(exchange.json, "chatcmpl-d")]
        await _drip(exchange, head + b"".join(chunks) + b"0\r\n\r\n", gap_s)

    return act


async def an_event_drips(exchange: Exchange) -> None:
    """An event that was begun comes on for a minute."""
    await _drip(exchange, b'14\r\ndata: {"choices":[{"\r\n' * 10, SLOW_S)


async def _drip(exchange: Exchange, data: bytes, gap_s: float) -> None:
    for at in range(len(data)):
        if exchange.client_left.is_set():
            return
        await exchange.send(data[at : at + 1])
        await asyncio.sleep(gap_s)


async def test_a_byte_each_100_ms_ends_by_the_first_content_clock(stage: StageOf) -> None:
    async with stage(on_prem={"first_content_timeout_s": 0.6}) as on:
        on.replicas[0].upstream.script(drips(SLOW_S))
        result = await on.ask(question())
        assert result.status == 504
        assert on.tally.typed == {"upstream_timeout": 1}
        await asyncio.wait_for(on.replicas[0].upstream.exchanges[0].client_left.wait(), 5)


async def test_a_client_that_has_time_gets_a_byte_each_moment(stage: StageOf) -> None:
    async with stage(1) as on:
        on.replicas[0].upstream.script(drips(QUICK_S))
        await on.ask(question(max_tokens=6))
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (1, 0, 1)


async def test_an_event_that_drips_within_the_answer_is_silence(stage: StageOf) -> None:
    async with stage(**SOON_SILENT) as on:
        on.faults.append(Fault(6, an_event_drips))
        await on.ask(question())
        assert (on.tally.whole, on.tally.resumed, on.sent_on) == (1, 1, 2)
