"""Connections that were used once: which is used next, which is dropped, and which turns out to be closed."""

import asyncio
from typing import Any

import pytest

from gateway.upstreams.http1 import Client, Disconnected
from tests.unit.gateway.upstreams.scripted_server import LIMIT, STREAM, WHOLE, Server, post, rest, until

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return "asyncio", {"use_uvloop": request.param}


async def test_the_connection_that_was_used_last_is_used_next(client: Client, server: Server) -> None:
    (first, first_peer), (second, second_peer) = [await server.ask(client, WHOLE) for _ in range(2)]
    second.close()
    first.close()
    assert client.idle_connections(server.url) == 2
    (await server.ask_again(client, first_peer, WHOLE)).close()
    (await server.ask_again(client, first_peer, STREAM)).close()
    await first_peer.left()
    (await server.ask_again(client, second_peer, WHOLE)).close()
    assert len(server.peers) == 2


async def test_connections_that_were_idle_for_too_long_are_closed_and_not_used(server: Server) -> None:
    client = Client(connect_timeout_s=10, max_connections_per_origin=4, keepalive_s=0)
    asked = [await server.ask(client, WHOLE) for _ in range(3)]
    for response, _ in asked:
        response.close()
    response, _ = await server.ask(client, WHOLE)
    for _, peer in asked:
        await peer.left()
    assert (client.idle_connections(server.url), client.open_connections(server.url)) == (0, 1)
    response.close()
    client.close()


@pytest.mark.parametrize("sent", [b"", b"x", WHOLE], ids=["end", "garbage", "unasked answer"])
async def test_an_idle_connection_on_which_anything_comes_is_dropped(
    client: Client, server: Server, sent: bytes
) -> None:
    response, peer = await server.ask(client, WHOLE)
    response.close()
    if sent:
        peer.send(sent)
    else:
        peer.close()
    await until(lambda: client.open_connections(server.url) == 0)
    assert client.idle_connections(server.url) == 0
    await peer.left()


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_kept_connections_that_turn_out_closed_are_replaced_by_a_new_one(
    client: Client, server: Server, ending: str
) -> None:
    asked = [await server.ask(client, WHOLE) for _ in range(2)]
    for response, _ in asked:
        response.close()
    posting = asyncio.create_task(post(client, server))
    for _, peer in reversed(asked):
        request = await peer.request()
        getattr(peer, ending)()
    fresh = await server.accept()
    assert await fresh.request() == request
    fresh.send(WHOLE)
    assert await rest(await posting) == b"ok"
    assert client.open_connections(server.url) == 1


async def test_a_new_connection_that_closes_unanswered_is_not_replaced(client: Client, server: Server) -> None:
    for _ in range(LIMIT + 1):
        posting = asyncio.create_task(post(client, server))
        peer = await server.accept()
        await peer.request()
        peer.close()
        with pytest.raises(Disconnected) as closed:
            await posting
        assert (closed.value.answered, closed.value.reused) == (False, False)
    assert len(server.peers) == LIMIT + 1


async def test_a_kept_connection_that_closes_once_it_has_answered_is_not_replaced(
    client: Client, server: Server
) -> None:
    response, peer = await server.ask(client, WHOLE)
    response.close()
    posting = asyncio.create_task(post(client, server))
    await peer.request()
    peer.send(b"H")
    peer.close()
    with pytest.raises(Disconnected) as closed:
        await posting
    assert (closed.value.answered, closed.value.reused) == (True, True)
    assert len(server.peers) == 1
