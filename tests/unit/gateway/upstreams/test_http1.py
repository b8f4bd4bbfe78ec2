"""Requests, and the slots that they wait for, take and give back, however they end. On both event loops."""

import asyncio
import random
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.upstreams.http1 import Client, ConnectFailed, Disconnected, Origin, ProtocolBroken, Response
from tests.unit.gateway.upstreams.scripted_server import (
    END,
    LIMIT,
    PATH,
    STREAM,
    WHOLE,
    Peer,
    Server,
    post,
    rest,
    serving,
    settle,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command")
    both = tmp_path_factory.mktemp("tls") / "both.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=site"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(both), "-out", str(both) + ".crt"]
    subprocess.run(command, check=True, capture_output=True)
    both.write_text(both.read_text() + Path(str(both) + ".crt").read_text())
    return both


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def fill(client: Client, server: Server) -> list[tuple[Response, Peer]]:
    """Takes every slot; responses and peers."""
    return [await server.ask(client, STREAM) for _ in range(LIMIT)]


async def test_a_request_is_sent_as_it_was_given(client: Client, server: Server) -> None:
    headers = [("authorization", "Bearer k"), ("content-type", "application/json")]
    posting = asyncio.create_task(client.post(server.url, PATH, headers, b'{"a":1}'))
    peer = await server.accept()
    assert await peer.request() == (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: %b\r\nauthorization: Bearer k\r\n"
        b'content-type: application/json\r\ncontent-length: 7\r\n\r\n{"a":1}' % server.url[7:].encode()
    )
    peer.send(WHOLE)
    assert await rest(await posting) == b"ok"


@pytest.mark.parametrize(
    ("url", "line", "host"),
    [
        ("http://site", "POST /p HTTP/1.1", "site"),
        ("http://site:80/", "POST /p HTTP/1.1", "site"),
        ("http://site:8081", "POST /p HTTP/1.1", "site:8081"),
        ("https://site", "POST /p HTTP/1.1", "site"),
        ("https://site:443/v1/", "POST /v1/p HTTP/1.1", "site"),
        ("https://site:80", "POST /p HTTP/1.1", "site:80"),
        ("http://[::1]:8081", "POST /p HTTP/1.1", "[::1]:8081"),
        ("http://[::1]", "POST /p HTTP/1.1", "[::1]"),
    ],
)
async def test_the_host_is_named_as_the_url_names_it(url: str, line: str, host: str) -> None:
    request = Origin(url, 1, 15.0).request("POST", "/p", [], b"")
    assert request == f"{line}\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n".encode()


async def test_a_get_has_no_body_and_says_nothing_of_one(client: Client, server: Server) -> None:
    getting = asyncio.create_task(client.get(server.url, "/health", [("a", "b")]))
    peer = await server.accept()
    assert await peer.request() == b"GET /health HTTP/1.1\r\nhost: %b\r\na: b\r\n\r\n" % server.url[7:].encode()
    peer.send(WHOLE)
    assert await rest(await getting) == b"ok"


@pytest.mark.parametrize(
    "url", ["", "site:80", "ftp://site", "http://", "http://u:p@site", "http://site/?q", "http://site:x"]
)
async def test_what_is_no_base_url_is_refused(client: Client, url: str) -> None:
    with pytest.raises(ValueError):
        await client.post(url, PATH, [], b"")


@pytest.mark.parametrize(
    ("path", "header"),
    [
        ("/p", ("a", "b\r\nc: d")),
        ("/p", ("a", "b\nc: d")),
        ("/p", ("a", "b\rc")),
        ("/p", ("a", "b\0")),
        ("/p", ("a", "\u2713")),
        ("/p", ("a: b\r\nc", "d")),
        ("/p", ("", "d")),
        ("/p", ("Content-Length", "0")),
        ("/p", ("transfer-encoding", "chunked")),
        ("/p", ("host", "elsewhere")),
        ("/p HTTP/1.1\r\na: b", ("a", "b")),
    ],
)
async def test_what_would_change_the_request_is_refused_before_anything_is_sent(
    client: Client, server: Server, path: str, header: tuple[str, str]
) -> None:
    for _ in range(LIMIT + 1):  # none of them takes a slot with it
        with pytest.raises(ValueError):
            await client.post(server.url, path, [header], b"")
    assert client.open_connections(server.url) == 0


async def test_nobody_there_is_a_failed_connect_and_takes_no_slot(client: Client) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        for _ in range(LIMIT + 1):
            with pytest.raises(ConnectFailed):
                await client.post(url, PATH, [], b"")
    assert client.open_connections(url) == 0


async def test_a_connection_that_takes_too_long_is_a_failed_connect(server: Server) -> None:
    client = Client(connect_timeout_s=0.05, max_connections_per_origin=1)
    url = server.url.replace("http:", "https:")  # the server never answers the handshake
    for _ in range(2):
        with pytest.raises(ConnectFailed):
            await client.post(url, PATH, [], b"")
        await (await server.accept()).left()
    assert client.open_connections(url) == 0


async def test_cancelled_while_it_connects_it_leaves_nothing_behind(server: Server) -> None:
    client = Client(connect_timeout_s=10, max_connections_per_origin=1)
    url = server.url.replace("http:", "https:")
    for _ in range(2):
        posting = asyncio.create_task(client.post(url, PATH, [], b""))
        peer = await server.accept()
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting
        await peer.left()
    assert client.open_connections(url) == 0


async def test_cancelled_before_the_head_it_cuts_the_connection(client: Client, server: Server) -> None:
    for _ in range(LIMIT + 1):
        posting = asyncio.create_task(post(client, server))
        peer = await server.accept()
        await peer.request()
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting
        await peer.left()
        assert client.open_connections(server.url) == 0


async def test_beyond_the_limit_requests_wait_and_get_their_turn_in_order(client: Client, server: Server) -> None:
    held = await fill(client, server)
    waiting = [asyncio.create_task(post(client, server, b"%d" % number)) for number in range(3)]
    await settle()
    assert len(server.peers) == client.open_connections(server.url) == LIMIT
    for number, (response, peer) in enumerate(held[:3]):
        peer.send(END)
        assert await rest(response) == b""
        response.close()
        assert (await peer.request()).endswith(b"%d" % number)
    assert len(server.peers) == LIMIT
    for _, peer in held[:3]:
        peer.send(WHOLE)
    for response in await asyncio.gather(*waiting):
        response.close()
    assert client.idle_connections(server.url) == 3


async def test_the_turn_of_a_cancelled_waiter_goes_to_the_next(client: Client, server: Server) -> None:
    held = await fill(client, server)
    early, late, last = [asyncio.create_task(post(client, server)) for _ in range(3)]
    await settle()
    early.cancel()
    await settle()
    held[0][0].close()  # wakes the second, which is cancelled before it runs
    late.cancel()
    peer = await server.accept()
    await peer.request()
    peer.send(WHOLE)
    assert await rest(await last) == b"ok"
    assert early.cancelled()
    assert late.cancelled()


async def test_closing_cuts_what_runs_and_what_is_kept_and_refuses_the_rest(client: Client, server: Server) -> None:
    kept, kept_peer = await server.ask(client, WHOLE)
    running, running_peer = await server.ask(client, b"HTTP/1.1 200 OK\r\n\r\nuntil close")
    kept.close()
    assert await running.read() == b"until close"
    reading = asyncio.create_task(running.read())
    await settle()
    client.close()
    client.close()
    with pytest.raises(Disconnected):  # not the end of a body that lasts until the connection closes
        await reading
    running.close()
    await kept_peer.left()
    await running_peer.left()
    assert (client.open_connections(server.url), client.idle_connections(server.url)) == (0, 0)
    with pytest.raises(ConnectFailed):
        await post(client, server)


async def test_requests_that_wait_when_the_client_is_closed_fail(client: Client, server: Server) -> None:
    held = await fill(client, server)
    waiting = [asyncio.create_task(post(client, server)) for _ in range(2)]
    await settle()
    client.close()
    for response, _ in held:
        response.close()
    for posting in waiting:
        with pytest.raises(ConnectFailed):
            await posting


async def test_over_tls_a_trusted_server_is_talked_to_and_its_connection_kept(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    client = Client(connect_timeout_s=10, max_connections_per_origin=1)
    async with serving(server_side(certificate)) as server:
        response, peer = await server.ask(client, WHOLE)
        assert await rest(response) == b"ok"
        response.close()
        response = await server.ask_again(client, peer, STREAM)
        response.close()
        await peer.left()
        assert client.open_connections(server.url) == 0


async def test_over_tls_a_server_that_is_not_trusted_is_a_failed_connect(certificate: Path) -> None:
    client = Client(connect_timeout_s=10, max_connections_per_origin=1)
    async with serving(server_side(certificate)) as server:
        with pytest.raises(ConnectFailed, match="CERTIFICATE_VERIFY_FAILED"):
            await post(client, server)
        assert client.open_connections(server.url) == 0


class Moody:
    """Answers every request of a server, at random, until it is told to behave."""

    def __init__(self, server: Server, seed: int) -> None:
        self._server = server
        self.chance = random.Random(seed)
        self.behaves = False

    async def serve(self) -> None:
        async with asyncio.TaskGroup() as answering:
            while True:
                answering.create_task(self._answer(await self._server.accept()))

    async def _answer(self, peer: Peer) -> None:
        try:
            while True:
                await peer.request()
                if self.behaves:
                    peer.send(WHOLE)
                    continue
                peer.send(self.chance.choice([WHOLE, WHOLE, WHOLE, STREAM, b"nonsense", b"HTTP/1.1 2"]))
                if self.chance.random() < 0.2:
                    peer.close() if self.chance.random() < 0.5 else peer.reset()
        except (asyncio.IncompleteReadError, ConnectionError):
            peer.close()


async def use(client: Client, server: Server) -> None:
    try:
        response = await post(client, server)
    except (Disconnected, ProtocolBroken):
        return
    try:
        await response.read()
    except Disconnected:
        pass
    finally:
        response.close()


@pytest.mark.parametrize("seed", range(3))
async def test_after_any_mix_of_endings_every_slot_is_free_again(client: Client, server: Server, seed: int) -> None:
    moody = Moody(server, seed)
    serving = asyncio.create_task(moody.serve())
    users = [asyncio.create_task(use(client, server)) for _ in range(100)]
    while not all(user.done() for user in users):
        await settle()
        moody.chance.choice(users).cancel()
    for user in users:
        assert user.cancelled() or user.exception() is None
    assert client.open_connections(server.url) == client.idle_connections(server.url)
    moody.behaves = True
    responses = await asyncio.gather(*(post(client, server) for _ in range(LIMIT)))
    one_more = asyncio.create_task(post(client, server))
    await settle()
    assert client.open_connections(server.url) == LIMIT
    assert not one_more.done()
    for response in responses:
        response.close()
    (await one_more).close()
    serving.cancel()
    await asyncio.wait([serving])
