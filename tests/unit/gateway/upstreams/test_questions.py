"""A short question gets its whole answer, or a reason why there is none."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest

from gateway.ports import NoReply, Reply
from gateway.upstreams.http1 import Client
from gateway.upstreams.questions import MAX_REPLY_BYTES, Questions
from tests.support.servers import free_port
from tests.unit.gateway.upstreams.scripted_server import Server, serving

pytestmark = pytest.mark.anyio

KEY = ("authorization", "Bearer k")
PACKED = gzip.compress(b"vllm:one 1\n" * 100)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


@pytest.fixture
def questions() -> Questions:
    return Questions(Client(connect_timeout_s=10, max_connections_per_origin=2))


def head(body: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"content-length: %d" % len(body), *lines, b"", body])


async def asked(questions: Questions, server: Server, answer: bytes, body: bytes | None = None) -> tuple[bytes, Reply]:
    asking = asyncio.create_task(questions.ask(server.url, "/metrics", [KEY], body))
    peer = await server.accept()
    request = await peer.request()
    peer.send(answer)
    if b"content-length" not in answer:
        peer.close()
    return request, await asking


async def test_without_a_body_it_gets(questions: Questions, server: Server) -> None:
    request, reply = await asked(questions, server, head(b"fine"))
    assert request.startswith(b"GET /metrics HTTP/1.1\r\n") and b"authorization: Bearer k\r\n" in request
    assert reply == Reply(200, b"fine")


async def test_with_a_body_it_posts(questions: Questions, server: Server) -> None:
    request, reply = await asked(questions, server, b"HTTP/1.1 503 Busy\r\n\r\n", b"{}")
    assert request.startswith(b"POST /metrics HTTP/1.1\r\n") and request.endswith(b"\r\n\r\n{}")
    assert reply == Reply(503, b"")


async def test_what_came_packed_is_unpacked(questions: Questions, server: Server) -> None:
    request, reply = await asked(questions, server, head(PACKED, b"content-encoding: gzip"))
    assert b"accept-encoding: gzip\r\n" in request
    assert reply.body == gzip.decompress(PACKED)


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (b"no gzip", "not the gzip"),
        (PACKED[:-9], "cut short"),
        (gzip.compress(bytes(MAX_REPLY_BYTES + 1)), "too long"),
    ],
)
async def test_packing_that_cannot_be_undone_is_no_reply(
    questions: Questions, server: Server, packed: bytes, reason: str
) -> None:
    with pytest.raises(NoReply, match=reason) as caught:
        await asked(questions, server, head(packed, b"content-encoding: gzip"))
    assert caught.value.reached


async def test_an_answer_without_bounds_is_left(questions: Questions, server: Server) -> None:
    with pytest.raises(NoReply, match="too long"):
        await asked(questions, server, head(bytes(MAX_REPLY_BYTES + 1)))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(b"HTTP/1.1 200 OK\r\ncontent-len", "Disconnected"), (b"hello\r\n\r\n", "ProtocolBroken")],
)
async def test_a_broken_answer_is_no_reply(questions: Questions, server: Server, answer: bytes, reason: str) -> None:
    asking = asyncio.create_task(questions.ask(server.url, "/health", [KEY]))
    peer = await server.accept()
    await peer.request()
    peer.send(answer)
    peer.close()
    with pytest.raises(NoReply, match=reason) as caught:
        await asking
    assert caught.value.reached


async def test_where_nobody_listens_nothing_was_reached(questions: Questions) -> None:
    with pytest.raises(NoReply, match="ConnectFailed") as caught:
        await questions.ask(f"http://127.0.0.1:{free_port()}", "/health", [KEY])
    assert not caught.value.reached
