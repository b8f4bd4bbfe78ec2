"""A chat completion over HTTP: what is sent, what comes of the answer, and what is left of the connection."""

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

import pytest

from gateway.errors import Draining
from gateway.ports import AttemptFailed, Chunk, Fault
from gateway.settings import OnPrem
from gateway.upstreams.http1 import Client
from gateway.upstreams.vllm import MAX_ERROR_BYTES, VllmStream, VllmUpstream, open_client
from shared import sse
from tests.unit.gateway.chunks import finish, role, text, usage
from tests.unit.gateway.upstreams.scripted_server import END, Peer, Server, chunk, settle

pytestmark = pytest.mark.anyio

BODY: dict[str, Any] = {"model": "m", "messages": [], "stream_options": {"continuous_usage_stats": True}}
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = sse.encode(sse.DONE)
MAX = 2048


@pytest.fixture
def upstream(client: Client) -> VllmUpstream:
    return VllmUpstream(client, "onprem-key", OnPrem(max_response_bytes=MAX))


def whole(body: bytes, status: int = 200, *fields: str) -> bytes:
    head = "".join(f"{field}\r\n" for field in (*fields, f"content-length: {len(body)}"))
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


async def answered(server: Server, asking: Awaitable[Any], answer: bytes) -> tuple[Any, Peer, bytes]:
    """What `asking` comes to, a failure included; the peer that answered; and the request."""
    task = asyncio.ensure_future(asking)
    peer = await server.accept()
    request = await peer.request()
    peer.send(answer)
    await asyncio.wait({task})
    return task.exception() or task.result(), peer, request


async def streaming(server: Server, upstream: VllmUpstream, *parts: bytes) -> tuple[VllmStream, Peer]:
    stream, peer, _ = await answered(server, upstream.open(server.url, BODY, "req_1"), EVENTS + b"".join(parts))
    assert isinstance(stream, VllmStream)
    return stream, peer


async def failure(reading: Awaitable[Any]) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as failed:
        await reading
    return failed.value


async def read_all(stream: VllmStream) -> list[Chunk]:
    """Everything up to [DONE]."""
    told: list[Chunk] = []
    while (chunks := await stream.read()) is not None:
        told += chunks
    return told


# ---- what is sent


async def test_a_stream_is_asked_for_with_the_key_the_id_and_the_count(server: Server, upstream: VllmUpstream) -> None:
    stream, _, request = await answered(server, upstream.open(server.url, BODY, "req_1"), EVENTS)
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    for line in (b"authorization: Bearer onprem-key", b"x-request-id: req_1", b"accept-encoding: identity"):
        assert line in head.lower().replace(b"bearer", b"Bearer")
    options = {"continuous_usage_stats": True, "include_usage": True}
    assert json.loads(body) == {**BODY, "stream": True, "stream_options": options}
    stream.close()


async def test_a_whole_answer_is_asked_for_without_the_streams_options(server: Server, upstream: VllmUpstream) -> None:
    raw = b'{"choices":[{"index":0,"finish_reason":"stop"}],"usage":{"total_tokens":4}}'
    answer, _, request = await answered(server, upstream.ask(server.url, BODY, "req_1"), whole(raw))
    assert json.loads(request.partition(b"\r\n\r\n")[2]) == {"model": "m", "messages": [], "stream": False}
    assert (answer.raw, answer.finish_reason, answer.usage) == (raw, "stop", {"total_tokens": 4})


# ---- a stream


async def test_chunks_come_as_they_were_sent_and_the_connection_is_used_again(
    server: Server, upstream: VllmUpstream, client: Client
) -> None:
    sent = [role(), text("Hi", 10), finish("stop", 4), usage(3, 2)]
    raw = b"".join(one.raw for one in sent) + DONE
    cut = len(sent[0].raw) + 20
    stream, peer = await streaming(server, upstream, chunk(raw[:cut]))
    first = await stream.read()
    assert first == sent[:1]
    peer.send(chunk(raw[cut:]) + END)
    assert await read_all(stream) == sent[1:]
    assert await stream.read() is None
    stream.close()
    assert client.idle_connections(server.url) == 1


async def test_what_comes_after_done_is_not_looked_at(server: Server, upstream: VllmUpstream) -> None:
    stream, peer = await streaming(server, upstream, chunk(text("a", 1).raw + DONE + b"data: {oops\n\n"))
    assert await stream.read() == [text("a", 1)]
    peer.send(chunk(b"data: {oops\n\n") + END)
    assert await stream.read() is None


async def test_an_answer_whose_body_does_not_end_is_whole_and_its_connection_is_cut(
    server: Server, upstream: VllmUpstream, client: Client
) -> None:
    stream, peer = await streaming(server, upstream, chunk(DONE))
    assert await stream.read() is None
    await peer.left()
    assert client.open_connections(server.url) == 0


async def test_an_answer_that_is_interrupted_after_its_end_is_whole(server: Server, upstream: VllmUpstream) -> None:
    stream, _ = await streaming(server, upstream, chunk(DONE))
    reading = asyncio.create_task(stream.read())
    await settle()
    stream.interrupt(AttemptFailed(Draining("Stopping."), Fault.NONE))
    assert await reading is None


@pytest.mark.parametrize(
    ("rest", "code", "fault"),
    [
        (chunk(sse.encode(b"{oops")), "upstream_protocol_error", Fault.SUSPECT),
        (chunk(sse.encode(b'{"error":{"code":500}}')), "upstream_unavailable", Fault.SUSPECT),
        (chunk(sse.encode(b'{"error":{"code":400,"message":"no"}}')), "invalid_request", Fault.NONE),
        (chunk(b"data: " + b"x" * (sse.MAX_EVENT_BYTES + 1)), "upstream_protocol_error", Fault.SUSPECT),
    ],
    ids=["not JSON", "an error", "a refusal", "an event without end"],
)
async def test_what_came_before_a_failure_is_delivered_before_it(
    server: Server, upstream: VllmUpstream, rest: bytes, code: str, fault: Fault
) -> None:
    stream, _ = await streaming(server, upstream, chunk(text("a", 1).raw) + rest)
    assert await stream.read() == [text("a", 1)]
    failed = await failure(stream.read())
    assert (failed.error.code, failed.fault, failed.cut) == (code, fault, False)
    assert await failure(stream.read()) is failed
    stream.close()


async def test_a_body_that_ends_before_done_is_cut_off(server: Server, upstream: VllmUpstream) -> None:
    stream, _ = await streaming(server, upstream, END)
    failed = await failure(stream.read())
    assert (failed.fault, failed.cut, failed.error.detail) == (Fault.SUSPECT, True, "the body ended without [DONE]")


async def test_a_stream_whose_connection_breaks_is_cut_off(server: Server, upstream: VllmUpstream) -> None:
    stream, peer = await streaming(server, upstream)
    peer.reset()
    failed = await failure(stream.read())
    assert (failed.error.code, failed.fault, failed.cut) == ("upstream_unavailable", Fault.SUSPECT, True)


async def test_a_read_can_be_interrupted(server: Server, upstream: VllmUpstream) -> None:
    stream, _ = await streaming(server, upstream)
    reading = asyncio.create_task(failure(stream.read()))
    await settle()
    silent = AttemptFailed(Draining("Stopping."), Fault.NONE)
    stream.interrupt(silent)
    assert await reading is silent
    stream.close()


async def test_closing_a_stream_under_way_tells_the_replica(server: Server, upstream: VllmUpstream) -> None:
    stream, peer = await streaming(server, upstream, chunk(text("a", 1).raw))
    stream.close()
    stream.close()
    await peer.left()


# ---- what is no answer


@pytest.mark.parametrize("content_type", ["content-type: application/json", "x-none: 1"])
async def test_a_stream_that_is_none_is_a_fault_of_the_replica(
    server: Server, upstream: VllmUpstream, content_type: str
) -> None:
    asking = upstream.open(server.url, BODY, "req_1")
    failed, _, _ = await answered(server, asking, whole(b"{}", 200, content_type))
    assert (failed.error.code, failed.fault) == ("upstream_protocol_error", Fault.SUSPECT)


async def test_a_status_says_what_is_wrong(server: Server, upstream: VllmUpstream, client: Client) -> None:
    asking = upstream.open(server.url, BODY, "req_1")
    failed, peer, _ = await answered(server, asking, whole(b"", 503, "Retry-After: 7"))
    assert (failed.fault, failed.error.retry_after_s) == (Fault.BUSY, 7)
    assert client.idle_connections(server.url) == 1
    asking_again = asyncio.create_task(failure(upstream.ask(server.url, BODY, "req_1")))
    await peer.request()
    peer.send(whole(b"", 502, "X-Upstream-Connect: 0.001"))
    assert (await asking_again).fault is Fault.UNREACHABLE


@pytest.mark.parametrize(
    ("answer", "code", "cut"),
    [
        (whole(b"x" * (MAX + 1)), "upstream_protocol_error", False),
        (whole(b"{oops"), "upstream_protocol_error", False),
        (whole(b"{}" + b" " * 90)[:-80], "upstream_unavailable", True),
        (b"SSH-2.0\r\n\r\n", "upstream_protocol_error", False),
        (whole(b"x" * (MAX_ERROR_BYTES + 9), 500), "upstream_unavailable", False),
    ],
    ids=["too long", "not JSON", "cut", "not HTTP", "a long explanation"],
)
async def test_a_whole_answer_that_cannot_be_used_may_be_tried_elsewhere(
    server: Server, upstream: VllmUpstream, answer: bytes, code: str, cut: bool
) -> None:
    asking = asyncio.create_task(failure(upstream.ask(server.url, BODY, "req_1")))
    peer = await server.accept()
    await peer.request()
    peer.send(answer)
    peer.close()
    failed = await asking
    assert (failed.error.code, failed.error.retryable, failed.fault, failed.cut) == (code, True, Fault.SUSPECT, cut)


async def test_a_replica_that_is_not_there_is_unreachable(client: Client, upstream: VllmUpstream) -> None:
    client.close()
    failed = await failure(upstream.open("http://127.0.0.1:9", BODY, "req_1"))
    assert (failed.fault, failed.reached) == (Fault.UNREACHABLE, False)


async def test_a_request_that_is_cancelled_cuts_its_connection(server: Server, upstream: VllmUpstream) -> None:
    asking = asyncio.create_task(upstream.open(server.url, BODY, "req_1"))
    peer = await server.accept()
    await peer.request()
    asking.cancel()
    await peer.left()
    await asyncio.wait({asking})
    assert asking.cancelled()


async def test_the_client_for_all_replicas_takes_its_bounds_from_the_settings(server: Server) -> None:
    client = open_client(OnPrem(max_connections_per_replica=1))
    upstream = VllmUpstream(client, "onprem-key", OnPrem())
    stream, _ = await streaming(server, upstream)
    waiting = asyncio.create_task(upstream.open(server.url, BODY, "req_2"))
    await settle()
    assert len(server.peers) == 1
    waiting.cancel()
    stream.close()
    client.close()


# ---- what comes while somebody waits


class Taker:
    """A `pass_on` that takes what it is given, but for what has this text."""

    def __init__(self, leaves: str = "") -> None:
        self.took: list[str] = []
        self._leaves = leaves

    def __call__(self, chunks: list[Chunk]) -> list[Chunk] | None:
        if self._leaves and chunks[0].text == self._leaves:
            return chunks
        self.took += [chunk.text for chunk in chunks]
        return None

    async def until(self, *texts: str) -> None:
        while self.took != list(texts):  # noqa: ASYNC110  # it is called, and says nothing
            await asyncio.sleep(0)


async def test_chunks_are_passed_on_while_the_reader_sleeps(server: Server, upstream: VllmUpstream) -> None:
    stream, peer = await streaming(server, upstream)
    taker = Taker()
    reading = asyncio.create_task(stream.read(taker))
    await settle()
    for number, piece in enumerate(("one", "two", "three")):
        peer.send(chunk(text(piece, number).raw))
        await taker.until(*("one", "two", "three")[: number + 1])
    assert not reading.done()
    last = finish()
    peer.send(chunk(last.raw + DONE))
    assert [one.raw for one in await reading or ()] == [last.raw]  # what comes with the end is for the reader
    assert await stream.read(taker) is None
    assert taker.took == ["one", "two", "three"]


async def test_what_is_not_wanted_is_returned(server: Server, upstream: VllmUpstream) -> None:
    stream, peer = await streaming(server, upstream)
    reading = asyncio.create_task(stream.read(Taker(leaves="two")))
    await settle()
    peer.send(chunk(text("one", 1).raw))
    await settle()
    peer.send(chunk(text("two", 2).raw + text("three", 3).raw))
    assert [one.text for one in await reading or ()] == ["two", "three"]


async def test_what_was_there_before_is_returned_and_not_passed_on(server: Server, upstream: VllmUpstream) -> None:
    stream, _ = await streaming(server, upstream, chunk(text("one", 1).raw))
    await settle()
    taker = Taker()
    assert [one.text for one in await stream.read(taker) or ()] == ["one"]
    assert taker.took == []


async def test_a_failure_is_raised_after_what_was_passed_on(server: Server, upstream: VllmUpstream) -> None:
    stream, peer = await streaming(server, upstream)
    taker = Taker()
    reading = asyncio.create_task(stream.read(taker))
    await settle()
    peer.send(chunk(text("one", 1).raw))
    await taker.until("one")
    peer.send(chunk(text("two", 2).raw + b"data: no JSON\n\n"))
    assert [one.text for one in await reading or ()] == ["two"]  # what comes with a failure is for the reader
    assert (await failure(stream.read(taker))).fault is Fault.SUSPECT


async def test_a_fault_in_passing_on_is_the_readers(server: Server, upstream: VllmUpstream) -> None:
    def broken(chunks: list[Chunk]) -> list[Chunk] | None:
        raise LookupError("unforeseen")

    stream, peer = await streaming(server, upstream)
    reading = asyncio.create_task(stream.read(broken))
    await settle()
    peer.send(chunk(text("one", 1).raw))
    with pytest.raises(LookupError):
        await reading
    stream.close()
