"""After the first content the stream passes through untouched, and one that breaks says so before it ends."""

import asyncio
import json

import httpx
import pytest

from tests.contract.gateway.conftest import QUESTION, Gate, until_logged
from tests.support.upstream import (
    DONE,
    ROLE,
    STOP,
    USAGE,
    Act,
    Exchange,
    ScriptedUpstream,
    chunk,
    event,
    stream,
    then_hang,
    then_reset,
    whole_stream,
    words,
)

pytestmark = pytest.mark.anyio

BEGUN = [ROLE, *words("Hel", "lo")]


async def cut_within_an_event(exchange: Exchange) -> None:
    await exchange.start_stream()
    for body in BEGUN:
        await exchange.send_chunk(event(body))
    await exchange.send_chunk(event(words(" there")[0])[:40])
    await asyncio.sleep(0.05)
    exchange.reset()


async def only_comments(exchange: Exchange) -> None:
    await stream(*BEGUN, end=False)(exchange)
    while not exchange.client_left.is_set():
        await exchange.send_chunk(b": keep-alive\n\n")
        await asyncio.sleep(0.02)


async def drip(exchange: Exchange) -> None:
    await stream(*BEGUN, end=False)(exchange)
    while not exchange.client_left.is_set():
        await exchange.send_chunk(event(words(".")[0]))
        await asyncio.sleep(0.02)


BREAKS = {
    "reset": then_reset(*BEGUN),
    "body ends without [DONE]": stream(*BEGUN),
    "[DONE] without finish_reason": stream(*BEGUN, DONE),
    "error event": stream(*BEGUN, {"error": {"message": "secret detail", "code": 500}}, DONE),
    "abort": stream(*BEGUN, chunk({}, "abort"), DONE),
    "malformed event": stream(*BEGUN, "{oops", DONE),
    "reset within an event": cut_within_an_event,
    "silence": then_hang(*BEGUN),
    "nothing but comments": only_comments,
    "never ends": drip,
}


@pytest.mark.parametrize("break_", [pytest.param(act, id=name) for name, act in BREAKS.items()])
async def test_a_broken_stream_ends_with_a_typed_error_and_done(
    upstreams: list[ScriptedUpstream], gateway_over: Gate, break_: Act
) -> None:
    upstreams[0].script(break_)
    limits = {"idle_timeout_s": 0.3, "total_timeout_s": 0.6}
    async with gateway_over(upstreams[0], on_prem=limits) as front:
        answer = await front.ask(stream=True)
        events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
        assert answer.status_code == 200
        assert [json.loads(data) for data in events[:3]] == BEGUN
        error = json.loads(events[-2])["error"]
        assert (error["code"], error["request_id"]) == ("upstream_lost", answer.headers["x-request-id"])
        assert "secret detail" not in answer.text
        assert events[-1] == DONE
        [line] = front.log_lines("request")
        assert line["outcome"] == "upstream_lost"
        assert line["detail"]
        assert await front.metric("scout_replica_in_flight", replica="replica-0") == 0


@pytest.mark.parametrize("break_", [pytest.param(BREAKS[name], id=name) for name in ("reset", "abort", "silence")])
async def test_a_broken_text_stream_is_torn_not_ended(
    upstreams: list[ScriptedUpstream], gateway_over: Gate, break_: Act
) -> None:
    upstreams[0].script(break_)
    async with gateway_over(upstreams[0], on_prem={"idle_timeout_s": 0.3}) as front:
        text = b""
        with pytest.raises(httpx.RemoteProtocolError):
            async with front.client.stream("POST", "/api/chat", json={"message": "Hi"}) as answer:
                async for part in answer.aiter_raw():
                    text += part
        assert text == b"Hello"


async def test_a_text_stream_is_the_content_and_nothing_else(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    upstreams[0].script(whole_stream("Gr", "ü", "ezi \N{AUTOMOBILE}"))
    async with gateway_over(upstreams[0]) as front:
        answer = await front.client.post("/api/chat", json={"message": "Hallo"})
        assert answer.content.decode() == "Grüezi \N{AUTOMOBILE}"
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["x-scout-served-by"] == "on-prem"
        sent = upstreams[0].exchanges[0].json
        assert sent["messages"][-1] == {"role": "user", "content": "Hallo"}
        assert sent["messages"][0]["role"] == "system"


async def test_usage_is_sent_only_to_those_who_ask(upstreams: list[ScriptedUpstream], gateway_over: Gate) -> None:
    async with gateway_over(upstreams[0]) as front:
        without = await front.ask(stream=True)
        asked = await front.ask(stream=True, stream_options={"include_usage": True})
        usage = event(USAGE).decode()
        assert usage not in without.text
        assert asked.text == without.text.replace(event(DONE).decode(), usage + event(DONE).decode())
        assert await front.metric("scout_tokens_total", kind="completion") == 6


async def test_each_event_reaches_the_client_before_the_next_is_made(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    go_on = asyncio.Semaphore(0)
    bodies = [*words("a", "b", "c"), STOP]

    async def one_at_a_time(exchange: Exchange) -> None:
        await exchange.start_stream()
        for body in bodies:
            await exchange.send_chunk(event(body))
            await go_on.acquire()
        await exchange.send_chunk(event(DONE))
        await exchange.end_body()

    upstreams[0].script(one_at_a_time)
    async with (
        gateway_over(upstreams[0]) as front,
        front.client.stream("POST", "/v1/chat/completions", json={**QUESTION, "stream": True}) as answer,
    ):
        seen = b""
        parts = answer.aiter_raw()
        for number in range(len(bodies)):
            while seen.count(b"\n\n") <= number:
                seen += await anext(parts)
            assert seen.count(b"\n\n") == number + 1  # the upstream waits for us before it makes another
            go_on.release()
        assert [part async for part in parts] == [event(DONE)]


async def test_chunks_pass_through_byte_for_byte_however_they_are_cut(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    payload = b"".join(event(body) for body in [ROLE, *words("Grü", "\N{AUTOMOBILE}"), STOP])
    payload = b": ping\n\n" + payload.replace(b'"delta"', b'"extra": {"x":1} ,"delta"')

    async def byte_by_byte(exchange: Exchange) -> None:
        await exchange.start_stream()
        for position in range(len(payload)):
            await exchange.send_chunk(payload[position : position + 1])
        await exchange.send_chunk(event(DONE))
        await exchange.end_body()

    upstreams[0].script(byte_by_byte)
    async with gateway_over(upstreams[0]) as front:
        answer = await front.ask(stream=True)
        assert answer.content == payload.removeprefix(b": ping\n\n") + event(DONE)


async def test_a_slow_client_holds_back_only_its_own_stream(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    sent = 0

    async def flood(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.start_stream()
        piece = event(words("x" * 60_000)[0])
        while not exchange.client_left.is_set():
            await exchange.send_chunk(piece)
            sent += len(piece)

    upstreams[0].script(flood)
    async with gateway_over(upstreams[0]) as front:
        body = {**QUESTION, "stream": True}
        async with front.client.stream("POST", "/v1/chat/completions", json=body) as slow:
            parts = slow.aiter_raw()
            await anext(parts)
            still = -1
            while still != sent:  # until back-pressure has reached the upstream
                still = sent
                await asyncio.sleep(0.2)
            assert sent < 32 * 1024 * 1024
            assert (await front.ask(stream=True)).text.endswith(event(DONE).decode())
            await parts.aclose()
        await (await upstreams[0].exchange(0)).client_left.wait()


async def test_leaving_a_stream_that_never_rests_frees_it_too(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    async def flood(exchange: Exchange) -> None:
        await exchange.start_stream()
        while not exchange.client_left.is_set():
            await exchange.send_chunk(event(words("x" * 60_000)[0]))

    upstreams[0].script(flood)
    async with gateway_over(upstreams[0]) as front:
        async with front.client.stream("POST", "/v1/chat/completions", json={**QUESTION, "stream": True}) as answer:
            parts = answer.aiter_raw()
            await anext(parts)
            await parts.aclose()
        await (await upstreams[0].exchange(0)).client_left.wait()
        assert (await until_logged(front, "request"))[0]["outcome"] == "client_gone"


async def test_a_connection_is_used_again_after_a_whole_stream(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    async with gateway_over(upstreams[0]) as front:
        for _ in range(3):
            assert (await front.ask(stream=True)).status_code == 200
        ports = {exchange.writer.get_extra_info("peername")[1] for exchange in upstreams[0].exchanges}
        assert len(ports) == 1
