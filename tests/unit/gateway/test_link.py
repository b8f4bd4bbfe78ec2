"""Which way the packets go, asked of a tailscaled on a real socket, and silence where nothing sensible answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path as File
from typing import Any

import pytest

from gateway.link import Link, Path

pytestmark = pytest.mark.anyio

ONPREM = "100.64.0.7"
HTTP_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"

Answer = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


def status(peers: Any, backend: str = "Running") -> dict[str, Any]:
    return {"BackendState": backend, "Self": {"TailscaleIPs": ["100.64.0.1"], "Online": True}, "Peer": peers}


def peer(**fields: Any) -> dict[str, Any]:
    """A peer as tailscaled writes it: Relay is its home relay, whether or not packets go there."""
    return {
        "DNSName": "onprem.tail1234.ts.net.",
        "TailscaleIPs": [ONPREM, "fd7a:115c:a1e0::7"],
        "CurAddr": "",
        "Relay": "fra",
        "PeerRelay": "",
        "Online": True,
        "Active": True,
        **fields,
    }


@pytest.fixture
def socket(tmp_path_factory: pytest.TempPathFactory) -> File:
    return tmp_path_factory.mktemp("tailscaled") / "sock"  # a socket's path has room for some 100 characters only


@asynccontextmanager
async def tailscaled(socket: File, answer: Answer) -> AsyncIterator[None]:
    served: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            await answer(head, writer)
            await reader.read()  # until the client has left
        writer.close()

    async with await asyncio.start_unix_server(serve, socket):
        yield
    for task in served:
        assert task is not None
        await task


def saying(body: bytes) -> Answer:
    """Answers as tailscaled does: only at its path, and only where the host is named as it wants."""

    async def answer(head: str, writer: asyncio.StreamWriter) -> None:
        lines = head.lower().split("\r\n")
        asked = lines[0] == "get /localapi/v0/status http/1.1" and "host: local-tailscaled.sock" in lines
        writer.write(HTTP_OK % (len(body), body) if asked else b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    return answer


async def look(socket: File, body: Any, *hosts: str) -> dict[str, Path]:
    async with tailscaled(socket, saying(json.dumps(body).encode())):
        return await Link(str(socket), hosts, timeout_s=5).look()


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        pytest.param({"CurAddr": "203.0.113.9:41641"}, Path.DIRECT, id="direct, though it has a home relay"),
        pytest.param({}, Path.RELAYED, id="relayed by Tailscale"),
        pytest.param({"PeerRelay": "198.51.100.4:40000:vni:1", "Relay": ""}, Path.RELAYED, id="relayed by a peer"),
        pytest.param({"Online": False, "CurAddr": "203.0.113.9:41641"}, Path.NONE, id="offline"),
        pytest.param({"Active": False}, Path.UNKNOWN, id="idle, so no path is in use"),
        pytest.param({"Relay": ""}, Path.UNKNOWN, id="nothing said"),
    ],
)
async def test_the_path_to_a_peer(socket: File, fields: dict[str, Any], path: Path) -> None:
    other = peer(TailscaleIPs=["100.64.0.8"], DNSName="laptop.tail1234.ts.net.", CurAddr="203.0.113.1:1")
    found = await look(socket, status({"nodekey:aa": other, "nodekey:bb": peer(**fields)}), ONPREM)
    assert found == {ONPREM: path}


@pytest.mark.parametrize(
    "host", [ONPREM, "fd7a:115c:a1e0::7", "[fd7a:115c:a1e0::7]", "onprem.tail1234.ts.net", "OnPrem.tail1234.ts.net"]
)
async def test_a_host_is_found_by_each_of_its_names(socket: File, host: str) -> None:
    found = await look(socket, status({"nodekey:aa": peer()}), host)
    assert list(found.values()) == [Path.RELAYED]


async def test_several_hosts_are_told_apart_and_repeats_are_one(socket: File) -> None:
    found = await look(socket, status({"nodekey:aa": peer()}), ONPREM, "192.168.1.5", ONPREM)
    assert found == {ONPREM: Path.RELAYED, "192.168.1.5": Path.NONE}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(status(None), id="no peers"),
        pytest.param(status({"nodekey:aa": {}}), id="a peer without names"),
        pytest.param(status({"nodekey:aa": peer(CurAddr="203.0.113.9:1")}, backend="Stopped"), id="tailscaled stopped"),
    ],
)
async def test_no_path(socket: File, body: dict[str, Any]) -> None:
    assert await look(socket, body, ONPREM) == {ONPREM: Path.NONE}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param([], id="a list"),
        pytest.param({}, id="no state"),
        pytest.param({"BackendState": "Running", "Peer": [1]}, id="peers of another kind"),
    ],
)
async def test_json_of_another_kind_is_no_answer(socket: File, body: Any) -> None:
    assert await look(socket, body, ONPREM) == {ONPREM: Path.UNKNOWN}


async def never(head: str, writer: asyncio.StreamWriter) -> None:
    pass


async def refuse(head: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")


async def hang_up(head: str, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(saying(b"not json"), id="no JSON"),
        pytest.param(refuse, id="refused"),
        pytest.param(hang_up, id="torn"),
        pytest.param(never, id="silent"),
    ],
)
async def test_without_an_answer_no_path_is_known(socket: File, answer: Answer) -> None:
    async with tailscaled(socket, answer):
        assert await Link(str(socket), [ONPREM], timeout_s=0.2).look() == {ONPREM: Path.UNKNOWN}


@pytest.mark.parametrize("path", ["", "/nonexistent/tailscaled.sock"])
async def test_without_a_socket_no_path_is_known(path: str) -> None:
    assert await Link(path, [ONPREM]).look() == {ONPREM: Path.UNKNOWN}


async def test_a_look_sees_what_has_changed_since_the_last(socket: File) -> None:
    link = Link(str(socket), [ONPREM], timeout_s=5)
    assert await link.look() == {ONPREM: Path.UNKNOWN}
    state = peer()

    async def answer(head: str, writer: asyncio.StreamWriter) -> None:
        await saying(json.dumps(status({"nodekey:aa": state})).encode())(head, writer)

    async with tailscaled(socket, answer):
        assert await link.look() == {ONPREM: Path.RELAYED}
        state["CurAddr"] = "203.0.113.9:41641"
        assert await link.look() == {ONPREM: Path.DIRECT}
