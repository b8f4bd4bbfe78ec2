"""The head of an answer goes out with the first of its body, in order; and a request is told when its client leaves."""

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from gateway.api.client_end import client_end
from gateway.http_protocol import HeadFirst
from tests.support.servers import serving


class Wire(asyncio.Transport):
    """What was written, a piece each."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def cycle() -> Any:
    """All that is asked of uvicorn's: to have a transport, and to have begun its answer."""
    return SimpleNamespace(transport=None, response_started=True)


def test_the_first_two_writes_are_one_and_the_others_are_the_transports_own(wire: Wire, cycle: Any) -> None:
    transport = HeadFirst(wire, cycle)
    transport.write(b"head|")
    assert wire.written == []
    for piece in (b"first|", b"second|", b"last"):
        transport.write(piece)
    assert wire.written == [b"head|first|", b"second|", b"last"]
    assert cycle.transport is wire


def test_an_answer_that_is_torn_after_its_head_has_sent_it(wire: Wire, cycle: Any) -> None:
    transport = HeadFirst(wire, cycle)
    transport.write(b"head")
    transport.close()
    assert (wire.written, wire.closed, transport.is_closing()) == ([b"head"], True, True)


def test_closing_sends_nothing_twice(wire: Wire, cycle: Any) -> None:
    transport = HeadFirst(wire, cycle)
    transport.write(b"head|")
    transport.write(b"body")
    transport.close()
    transport.close()
    assert wire.written == [b"head|body"]


def test_closing_before_anything_was_written_sends_nothing(wire: Wire, cycle: Any) -> None:
    HeadFirst(wire, cycle).close()
    assert (wire.written, wire.closed) == ([], True)


class Waits:
    """Answers no request before it is told to, and remembers who has left."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[str] = asyncio.Queue()
        self.left: asyncio.Queue[str] = asyncio.Queue()
        self.answer = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            return
        end = client_end(scope)
        end.on_left = lambda: self.left.put_nowait(scope["path"])
        self.arrived.put_nowait(scope["path"])
        await self.answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        if end.writable:
            end.write(b"two")
        await send({"type": "http.response.body", "body": b"three"})


async def _ask(url: str, *paths: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"".join(b"GET %b HTTP/1.1\r\nhost: test\r\n\r\n" % path.encode() for path in paths))
    return reader, writer


@pytest.mark.anyio
async def test_pieces_written_at_once_stand_between_those_that_are_sent() -> None:
    app = Waits()
    app.answer.set()
    async with serving(app) as url:
        reader, writer = await _ask(url, "/")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        assert await reader.readuntil(b"0\r\n\r\n") == b"3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n"
        writer.close()


@pytest.mark.anyio
async def test_a_request_is_told_when_its_client_leaves() -> None:
    app = Waits()
    async with serving(app) as url:
        _, writer = await _ask(url, "/running")
        assert await app.arrived.get() == "/running"
        writer.transport.abort()
        assert await app.left.get() == "/running"
        app.answer.set()


@pytest.mark.anyio
async def test_nobody_has_left_whose_answer_was_complete() -> None:
    app = Waits()
    app.answer.set()
    async with serving(app) as url:
        reader, writer = await _ask(url, "/first", "/second")
        for _ in range(2):
            await reader.readuntil(b"0\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert app.left.empty()


class Reads(Waits):
    """Answers with the body that it was sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


@pytest.mark.anyio
async def test_a_client_that_asks_whether_to_send_its_body_is_told_at_once() -> None:
    async with serving(Reads()) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n")
        async with asyncio.timeout(5):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"body")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
            assert await reader.readexactly(4) == b"body"
        writer.close()


@pytest.mark.anyio
async def test_an_answer_that_is_a_head_alone_is_sent() -> None:
    async with serving(Reads()) as url, httpx.AsyncClient(trust_env=False, timeout=5) as client:
        assert [(await client.head(url)).status_code for _ in range(2)] == [200, 200]
