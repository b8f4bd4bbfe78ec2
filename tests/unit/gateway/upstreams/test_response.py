"""A response from its first byte to its end, however it is cut, broken, interrupted or left. On both event loops."""

import asyncio
from typing import Any

import pytest

from gateway.upstreams.http1 import Client, Disconnected, ProtocolBroken, Response
from gateway.upstreams.response import MAX_BUFFERED_BYTES
from tests.unit.gateway.upstreams.scripted_server import (
    END,
    STREAM,
    WHOLE,
    Peer,
    Server,
    chunk,
    post,
    rest,
    settle,
    until,
)

pytestmark = pytest.mark.anyio

ONE_RECEIVE = 256 * 1024  # what a loop reads from a socket at once, at most

TRAILERS = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-a: b\r\n\r\n3;x=y\r\nwho\r\n2\r\nle\r\n0\r\nt: u\r\n\r\n"
)
LENGTH = b"HTTP/1.1 404 Not Found\r\nX-A: b\r\nContent-Length: 5\r\n\r\nwhole"
INFORMED = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nx-a: z\r\n\r\n" + LENGTH
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\nx-a: b\r\n\r\nwhole"
FRAMINGS = {
    "length": (LENGTH, 404, b"whole", True),
    "chunked": (TRAILERS, 200, b"whole", True),
    "informed": (INFORMED, 404, b"whole", True),
    "empty": (b"HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 0\r\n\r\n", 200, b"", True),
    "no-content": (b"HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n", 204, b"", True),
    "close-header": (LENGTH.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), 404, b"whole", False),
    "until-close": (UNTIL_CLOSE, 200, b"whole", False),
    "other-coding": (
        b"HTTP/1.1 200 OK\r\nx-a: b\r\ntransfer-encoding: gzip\r\n\r\nwhole",
        200,
        b"whole",
        False,
    ),
}


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return "asyncio", {"use_uvloop": request.param}


async def cut(peer: Peer, pieces: list[bytes], *, close: bool) -> None:
    for piece in pieces:
        peer.send(piece)
        await settle()
    if close:
        peer.close()


async def answer_in_pieces(client: Client, server: Server, pieces: list[bytes], *, close: bool) -> Response:
    """One exchange over the connection that is there, or else a new one. The answer goes on after this returns."""
    kept = client.idle_connections(server.url)
    posting = asyncio.create_task(post(client, server))
    peer = server.peers[-1] if kept else await server.accept()
    await peer.request()
    await cut(peer, pieces, close=close)
    return await posting


@pytest.mark.parametrize(("raw", "status", "body", "kept"), FRAMINGS.values(), ids=FRAMINGS)
async def test_wherever_a_response_is_cut_in_two_it_is_the_same(
    client: Client, server: Server, raw: bytes, status: int, body: bytes, kept: bool
) -> None:
    for at in range(1, len(raw)):
        response = await answer_in_pieces(client, server, [raw[:at], raw[at:]], close=not kept)
        assert (response.status, response.header("x-a")) == (status, "b")
        assert await rest(response) == body
        assert response.ended
        response.close()
        assert client.idle_connections(server.url) == client.open_connections(server.url) == kept
    assert len(server.peers) == (1 if kept else len(raw) - 1)


@pytest.mark.parametrize(("raw", "status", "body", "kept"), FRAMINGS.values(), ids=FRAMINGS)
async def test_a_response_that_comes_byte_by_byte_is_the_same(
    client: Client, server: Server, raw: bytes, status: int, body: bytes, kept: bool
) -> None:
    pieces = [raw[i : i + 1] for i in range(len(raw))]
    response = await answer_in_pieces(client, server, pieces, close=not kept)
    assert (response.status, response.header("x-a"), await rest(response)) == (status, "b", body)


@pytest.mark.parametrize("raw", [LENGTH, TRAILERS, INFORMED], ids=["length", "chunked", "informed"])
async def test_a_response_that_ends_too_early_is_disconnected_after_what_had_come(
    client: Client, server: Server, raw: bytes
) -> None:
    delivered = []
    for at in range(len(raw)):
        got, response = b"", None
        with pytest.raises(Disconnected) as cut_off:
            response = await answer_in_pieces(client, server, [raw[:at]], close=True)
            while data := await response.read():
                got += data
        if response is not None:
            response.close()
        assert (cut_off.value.answered, cut_off.value.reused) == (at > 0, False)
        assert b"whole".startswith(got)
        assert client.open_connections(server.url) == 0
        delivered.append(len(got))
    assert delivered == sorted(delivered)
    assert delivered[-1] == len(b"whole") - raw.endswith(b"whole")


async def test_a_header_is_found_in_any_case_and_repeated_ones_are_joined(client: Client, server: Server) -> None:
    raw = b"HTTP/1.1 200 OK\r\nVary: a \r\nRetry-After:  7\r\nvary: b\r\ncontent-length: 0\r\n\r\n"
    response, _ = await server.ask(client, raw)
    assert (response.header("vary"), response.header("RETRY-after"), response.header("x")) == ("a, b", "7", None)


async def test_what_is_buffered_is_read_as_one_and_without_waiting(client: Client, server: Server) -> None:
    response, peer = await server.ask(client, STREAM)
    for piece in (b"a", b"b", b"c"):
        peer.send(chunk(piece))
        await settle()
    await until(lambda: response.buffered == 3)
    with pytest.raises(StopIteration) as returned:
        response.read().send(None)
    assert returned.value.value == b"abc"
    assert response.buffered == 0


async def test_a_read_waits_for_the_next_chunk(client: Client, server: Server) -> None:
    response, peer = await server.ask(client, STREAM)
    for piece in (b"one", b"two"):
        reading = asyncio.create_task(response.read())
        await settle()
        assert not reading.done()
        peer.send(chunk(piece))
        assert await reading == piece
    assert not response.ended
    peer.send(END)
    assert await response.read() == b""
    assert response.ended


async def test_bytes_that_somebody_waits_for_go_to_the_callback_until_it_has_him_woken(
    client: Client, server: Server
) -> None:
    response, peer = await server.ask(client, STREAM)
    came: list[bytes] = []

    def on_data(data: bytes) -> bool:
        came.append(data)
        return data != b"stop"

    response.on_data = on_data
    news = response.news()
    for piece in (b"one", b"two"):
        peer.send(chunk(piece))
        await until(lambda piece=piece: piece in came)  # type: ignore[misc]  # bound now
        assert not news.done()
    peer.send(chunk(b"stop"))
    await news
    assert came == [b"one", b"two", b"stop"]
    assert response.take() is None
    peer.send(chunk(b"three"))
    await until(lambda: response.buffered)
    assert response.take() == b"three"  # nobody waited
    response.close()


@pytest.mark.parametrize("ending", [END, b"no chunk\r\n", None])
async def test_the_end_wakes_who_waits_after_the_callback_has_had_what_came_before(
    client: Client, server: Server, ending: bytes | None
) -> None:
    response, peer = await server.ask(client, STREAM)
    came: list[bytes] = []

    def on_data(data: bytes) -> bool:
        came.append(data)
        return True

    response.on_data = on_data
    news = response.news()
    peer.send(chunk(b"last") + (ending or b""))
    if ending is None:
        peer.close()
    await news
    assert came == [b"last"]
    if ending == END:
        assert response.take() == b""
    else:
        with pytest.raises(Disconnected if ending is None else ProtocolBroken):
            response.take()
    response.close()


async def test_two_readers_are_one_too_many(client: Client, server: Server) -> None:
    response, peer = await server.ask(client, STREAM)
    reading = asyncio.create_task(response.read())
    await settle()
    with pytest.raises(RuntimeError):
        await response.read()
    peer.send(chunk(b"a"))
    assert await reading == b"a"


async def test_a_reset_is_raised_after_what_had_come(client: Client, server: Server) -> None:
    response, peer = await server.ask(client, STREAM + chunk(b"a"))
    await until(lambda: response.buffered)
    peer.reset()
    await until(lambda: client.open_connections(server.url) == 0)
    assert await response.read() == b"a"
    with pytest.raises(Disconnected) as reset:
        await response.read()
    assert reset.value.answered


async def test_a_reset_is_no_end_of_a_body_that_lasts_until_the_connection_closes(
    client: Client, server: Server
) -> None:
    response, peer = await server.ask(client, UNTIL_CLOSE)
    assert await response.read() == b"whole"
    reading = asyncio.create_task(response.read())
    await settle()
    peer.reset()
    with pytest.raises(Disconnected):
        await reading
    assert not response.ended


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 000 Nothing\r\n\r\n", id="no status"),
        pytest.param(b"HTTP/1.1 101 Switch\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", id="upgrade"),
        pytest.param(LENGTH.replace(b"X-A: b", b"transfer-encoding: chunked"), id="two lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000 + b"\r\ncontent-length: 0\r\n\r\n", id="large head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000, id="head without an end"),
        pytest.param(b"HTTP/1.1 103 Early\r\n\r\n" * 4000, id="nothing but hints"),
    ],
)
async def test_a_head_that_is_not_http_breaks_the_protocol(client: Client, server: Server, raw: bytes) -> None:
    with pytest.raises(ProtocolBroken):
        await server.ask(client, raw)
    assert client.open_connections(server.url) == 0


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"not a length\r\n", id="chunk without a length"),
        pytest.param(b"0\r\nt: " + b"a" * 70_000, id="trailer without an end"),
        pytest.param(b"5;" + b"a" * 70_000, id="extension without an end"),
    ],
)
async def test_a_body_that_breaks_the_protocol_is_read_until_there(client: Client, server: Server, raw: bytes) -> None:
    response, peer = await server.ask(client, STREAM + chunk(b"good"))
    assert await response.read() == b"good"
    peer.send(raw)
    with pytest.raises(ProtocolBroken):
        await response.read()
    response.close()
    assert client.open_connections(server.url) == 0


async def test_framing_is_no_overhead_while_content_comes(client: Client, server: Server) -> None:
    """Chunk heads that come by themselves add up to more than a head may have."""
    response, peer = await server.ask(client, STREAM)
    extension = b";" + b"x" * 20_000 + b"\r\n"
    for _ in range(5):
        peer.send(b"1" + extension)
        await settle()
        peer.send(b"a\r\n")
        assert await response.read() == b"a"


async def test_an_interruption_reaches_the_read_that_waits_and_all_later_ones(client: Client, server: Server) -> None:
    response, peer = await server.ask(client, STREAM)
    reading = asyncio.create_task(response.read())
    await settle()
    response.interrupt(TimeoutError("first"))
    response.interrupt(TimeoutError("second"))
    with pytest.raises(TimeoutError, match="first"):
        await reading
    peer.send(chunk(b"late"))
    await until(lambda: response.buffered)
    with pytest.raises(TimeoutError, match="first"):
        await response.read()


async def test_an_interruption_before_a_read_comes_before_what_is_buffered(client: Client, server: Server) -> None:
    response, _ = await server.ask(client, STREAM + chunk(b"a"))
    response.interrupt(TimeoutError("silent"))
    with pytest.raises(TimeoutError, match="silent"):
        await response.read()


async def test_a_cancelled_read_leaves_a_response_that_can_be_closed(client: Client, server: Server) -> None:
    response, peer = await server.ask(client, STREAM)
    reading = asyncio.create_task(response.read())
    await settle()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    response.close()
    await peer.left()
    assert client.open_connections(server.url) == 0


async def test_closing_a_running_response_cuts_it_and_ends_the_read_that_waits(client: Client, server: Server) -> None:
    response, peer = await server.ask(client, STREAM)
    reading = asyncio.create_task(response.read())
    await settle()
    response.close()
    response.close()
    with pytest.raises(Disconnected):
        await reading
    await peer.left()
    assert client.open_connections(server.url) == 0


async def test_closing_an_ended_response_keeps_the_connection_also_unread(client: Client, server: Server) -> None:
    response, peer = await server.ask(client, WHOLE)
    assert response.ended
    response.close()
    response.close()
    assert client.idle_connections(server.url) == 1
    again = await server.ask_again(client, peer, WHOLE)
    assert await rest(again) == b"ok"
    with pytest.raises(Disconnected):  # it must not read as an empty body, let alone as the other response's
        await response.read()


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("more", [WHOLE, b"x"], ids=["a response", "garbage"])
async def test_data_after_the_end_costs_the_connection_but_not_the_response(
    client: Client, server: Server, more: bytes, later: bool
) -> None:
    response, peer = await server.ask(client, WHOLE if later else WHOLE + more)
    if later:
        peer.send(more)
        await until(lambda: client.open_connections(server.url) == 0)
    assert await rest(response) == b"ok"
    response.close()
    assert client.open_connections(server.url) == 0


async def test_a_connection_lost_between_end_and_close_is_not_kept(client: Client, server: Server) -> None:
    response, peer = await server.ask(client, WHOLE)
    peer.close()
    await until(lambda: client.open_connections(server.url) == 0)
    assert await rest(response) == b"ok"
    response.close()
    assert client.idle_connections(server.url) == 0


async def test_a_request_answered_before_it_was_sent_in_full_costs_the_connection(
    client: Client, server: Server
) -> None:
    posting = asyncio.create_task(post(client, server, bytes(32 * 1024 * 1024)))
    peer = await server.accept()
    peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
    response = await posting
    assert (response.status, response.ended) == (413, True)
    response.close()
    assert client.open_connections(server.url) == 0


async def test_a_flood_waits_outside_until_the_reader_comes(client: Client, server: Server) -> None:
    flood = bytes(range(256)) * (32 * 1024)
    response, peer = await server.ask(client, STREAM)
    peer.send(chunk(flood) + END)
    await until(lambda: response.buffered > MAX_BUFFERED_BYTES)
    for _ in range(200):
        await asyncio.sleep(0)
    assert response.buffered <= MAX_BUFFERED_BYTES + ONE_RECEIVE
    got = []
    while data := await response.read():
        assert len(data) <= MAX_BUFFERED_BYTES + ONE_RECEIVE
        got.append(data)
    assert b"".join(got) == flood
    response.close()
    assert client.idle_connections(server.url) == 1
    assert await rest(await server.ask_again(client, peer, WHOLE)) == b"ok"


async def test_a_flood_that_nobody_reads_can_be_left(client: Client, server: Server) -> None:
    response, peer = await server.ask(client, STREAM)
    peer.send(chunk(bytes(8 * 1024 * 1024)))
    await until(lambda: response.buffered > MAX_BUFFERED_BYTES)
    response.close()
    await peer.left()
    assert client.open_connections(server.url) == 0
