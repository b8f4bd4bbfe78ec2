"""A client that does not read slows its own stream and nobody else's, and costs bounded memory.

What it does not take stays in the replica: the back-pressure goes all the way. When it reads again it gets everything.
"""

import asyncio
import gc
import json
import socket
import tracemalloc

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.stage import CHAT, Stage, question
from tests.chaos.tally import hear
from tests.contract.gateway.conftest import KEY
from tests.support.upstream import DONE, ROLE, STOP, Exchange, event, words

pytestmark = pytest.mark.anyio

PIECE = "x" * 16_000
PIECES = 2_000
"""32 MB together: several times what the sockets between a replica and a client can hold."""

MAY_HOLD_BYTES = 3 * 1024 * 1024
"""Buffers of the gateway, of the replica and of the test's own reader, which run in one process here."""


class Flood:
    """A replica's answer that is as fast as it may be; `sent` counts its pieces."""

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.send_chunk(event(ROLE))
        piece = event(words(PIECE)[0])
        for _ in range(PIECES):
            await exchange.send_chunk(piece)
            self.sent += 1
        await exchange.send_chunk(event(STOP) + event(DONE))
        await exchange.end_body()


async def connect(on: Stage) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection with small buffers, on which the question has been sent and nothing is read."""
    url = on.front.client.base_url
    plug = socket.socket()
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    plug.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plug, (url.host, url.port))
    reader, writer = await asyncio.open_connection(sock=plug, limit=16 * 1024)
    body = json.dumps(question()).encode()
    writer.write(
        f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    return reader, writer


async def until_it_stands(flood: Flood) -> None:
    """Returns when the flood has not moved for a while."""
    before = -1
    while flood.sent == 0 or flood.sent != before:
        before = flood.sent
        await asyncio.sleep(0.2)


async def test_a_slow_client_costs_bounded_memory_and_gets_everything(stage: StageOf) -> None:
    flood = Flood()
    async with stage(2, on_prem={"idle_timeout_s": 0.3}) as on:
        on.replicas[0].upstream.script(flood)
        gc.collect()
        tracemalloc.start()
        try:
            reader, writer = await connect(on)
            await until_it_stands(flood)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert flood.sent < PIECES
        assert peak < MAY_HOLD_BYTES
        await on.ask_all([question() for _ in range(12)])
        assert on.tally.whole == 12
        assert await on.in_flight() == 1

        answer = await reader.read()
        writer.close()
        assert flood.sent == PIECES
        assert answer.count(PIECE.encode()) == PIECES
        assert answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


async def test_a_client_that_never_reads_is_left_when_the_time_is_up(stage: StageOf) -> None:
    flood = Flood()
    async with stage(2, on_prem={"idle_timeout_s": 0.3, "total_timeout_s": 1.5}) as on:
        on.replicas[0].upstream.script(flood)
        _, writer = await connect(on)
        left = (await on.replicas[0].upstream.exchange(0)).client_left
        await asyncio.wait_for(left.wait(), 10)
        assert flood.sent < PIECES
        await on.settle()
        writer.close()
        assert hear((await on.ask(question())).body).code is None
