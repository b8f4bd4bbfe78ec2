"""A client that leaves frees its place at once: the upstream's connection is closed, the lease is given back."""

import asyncio
from contextlib import suppress

import httpx
import pytest

from tests.contract.gateway.conftest import QUESTION, Front, Gate, until_logged
from tests.support.upstream import ROLE, Act, Exchange, ScriptedUpstream, hang, stream, then_hang, words

pytestmark = pytest.mark.anyio


async def headers_then_hang(exchange: Exchange) -> None:
    await exchange.start_stream()
    await exchange.client_left.wait()


PHASES: dict[str, tuple[Act, bool]] = {
    "before the upstream's headers": (hang, True),
    "after its headers": (headers_then_hang, True),
    "before the first content": (then_hang(ROLE), True),
    "while it streams": (then_hang(ROLE, *words("Hel", "lo")), True),
    "before a whole answer": (hang, False),
}


async def leave(front: Front, upstream: ScriptedUpstream, streamed: bool) -> None:
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(_read(front, streamed))
        await upstream.exchange(0)
        await asyncio.sleep(0.1)  # lets it come as far as its act takes it
        asking.cancel()


async def _read(front: Front, streamed: bool) -> None:
    async with front.client.stream("POST", "/v1/chat/completions", json={**QUESTION, "stream": streamed}) as answer:
        async for _ in answer.aiter_raw():
            pass


@pytest.mark.parametrize(("act", "streamed"), [pytest.param(*case, id=name) for name, case in PHASES.items()])
async def test_leaving_closes_the_upstream_and_gives_the_lease_back(
    upstreams: list[ScriptedUpstream], gateway_over: Gate, act: Act, streamed: bool
) -> None:
    first, second = upstreams
    first.script(act)
    async with gateway_over(first, second) as front:
        await leave(front, first, streamed)
        await asyncio.wait_for(first.exchanges[0].client_left.wait(), 5)
        assert (await until_logged(front, "request"))[0]["outcome"] == "client_gone"
        assert await front.metric("scout_replica_in_flight", replica="replica-0") == 0
        assert await front.metric("scout_open_requests") == 0
        assert not second.exchanges  # leaving is nobody's failure: no retry,
        assert await front.metric("scout_replica_ready", replica="replica-0") == 1  # and nothing held against it


async def test_leaving_while_the_body_is_sent_reaches_no_replica(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    async with gateway_over(upstreams[0]) as front:
        host, port = front.client.base_url.host, front.client.base_url.port
        _, writer = await asyncio.open_connection(host, port)
        authorization = front.client.headers["authorization"]
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\n"
            "content-type: application/json\r\ncontent-length: 1000\r\n\r\n{".encode()
        )
        await writer.drain()
        while await front.metric("scout_open_requests") == 0:
            pass
        writer.close()
        assert (await until_logged(front, "request"))[0]["outcome"] == "client_gone"
        assert not upstreams[0].exchanges


async def test_a_gateway_that_stops_cuts_what_is_left_after_its_grace(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    upstreams[0].script(then_hang(ROLE, *words("Hi")))
    async with asyncio.TaskGroup() as tasks:
        async with gateway_over(upstreams[0]) as front:

            async def read() -> None:
                with suppress(httpx.HTTPError):
                    await _read(front, True)

            tasks.create_task(read())
            exchange = await upstreams[0].exchange(0)
        await asyncio.wait_for(exchange.client_left.wait(), 5)


async def test_a_replica_whose_stream_fell_silent_is_asked_again(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    upstreams[0].script(stream(ROLE, *words("a"), end=False))
    async with gateway_over(upstreams[0], on_prem={"idle_timeout_s": 0.2}) as front:
        assert "upstream_lost" in (await front.ask(stream=True)).text
        assert (await front.ask()).status_code == 200
