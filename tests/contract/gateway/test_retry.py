"""Before the first content a try that fails is made again on another replica; the client sees nothing of it."""

import pytest

from tests.contract.gateway.conftest import Gate
from tests.support.upstream import (
    DONE,
    ROLE,
    STOP,
    Act,
    ScriptedUpstream,
    chunk,
    completion,
    event,
    hang,
    reset_at_once,
    scripted_upstream,
    status,
    stream,
    then_reset,
    whole_stream,
    words,
)

pytestmark = pytest.mark.anyio


async def not_a_stream(exchange) -> None:
    await exchange.answer(200, completion("whole"))


async def html_page(exchange) -> None:
    await exchange.answer(502, b"<html>Bad Gateway</html>", {"content-type": "text/html"})


async def huge_event(exchange) -> None:
    await exchange.start_stream()
    await exchange.send_chunk(b"data: " + b"x" * (5 * 1024 * 1024))
    await exchange.end_body()


FAILURES = {
    "reset before headers": reset_at_once,
    "500": status(500),
    "502 page of nginx": html_page,
    "503 busy": status(503),
    "504 of nginx": status(504),
    "redirect": status(302, headers={"location": "/elsewhere"}),
    "ends before content": stream(ROLE, DONE),
    "ends without [DONE]": stream(ROLE),
    "cut after the role": then_reset(ROLE),
    "error event before content": stream(ROLE, {"error": {"message": "x", "code": 500}}, DONE),
    "abort before content": stream(ROLE, chunk({}, "abort"), DONE),
    "malformed JSON": stream(ROLE, "{not json", DONE),
    "no choices": stream(ROLE, {"id": "x"}, DONE),
    "a choice without index": stream({"choices": [{"delta": {"content": "x"}}]}, DONE),
    "JSON instead of a stream": not_a_stream,
    "an event without end": huge_event,
    "only role chunks": stream(*[ROLE] * 100, DONE),
}


@pytest.mark.parametrize("failure", [pytest.param(act, id=name) for name, act in FAILURES.items()])
async def test_a_stream_that_fails_before_content_is_retried_on_the_other_replica(
    upstreams: list[ScriptedUpstream], gateway_over: Gate, failure: Act
) -> None:
    first, second = upstreams
    first.script(failure)
    async with gateway_over(first, second) as front:
        answer = await front.ask(stream=True)
        assert answer.status_code == 200
        assert answer.text == "".join(
            event(body).decode() for body in [ROLE, *words("Hello", " there", "."), STOP, DONE]
        )
        assert answer.headers["x-scout-replica"] == "replica-1"
        assert len(first.exchanges) == len(second.exchanges) == 1
        assert await front.metric("scout_upstream_attempts_total", replica="replica-1", outcome="ok") == 1
        [line] = front.log_lines("request")
        assert (line["outcome"], line["attempts"], line["replica"]) == ("ok", 2, "replica-1")


@pytest.mark.parametrize(
    "failure", [pytest.param(FAILURES[n], id=n) for n in ("reset before headers", "500", "503 busy")]
)
async def test_a_whole_answer_is_retried_too(
    upstreams: list[ScriptedUpstream], gateway_over: Gate, failure: Act
) -> None:
    first, second = upstreams
    first.script(failure)
    async with gateway_over(first, second) as front:
        answer = await front.ask()
        assert answer.json()["choices"][0]["message"]["content"] == "Hello there."


@pytest.mark.parametrize("failure", ["500", "503 busy"])
async def test_when_the_attempts_are_used_up_there_is_a_typed_error_and_no_more_to_try(
    upstreams: list[ScriptedUpstream], gateway_over: Gate, failure: str
) -> None:
    for upstream in upstreams:
        upstream.script(FAILURES[failure])
    async with gateway_over(*upstreams, attempts={"max_attempts": 2}) as front:
        answer = await front.ask(stream=True)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] in ("upstream_unavailable", "overloaded")
        assert answer.headers["x-should-retry"] == "false"
        assert sum(len(upstream.exchanges) for upstream in upstreams) == 2


async def test_a_request_over_which_two_replicas_broke_off_is_not_sent_to_the_third(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    async with scripted_upstream() as third:
        everybody = [*upstreams, third]
        for upstream in everybody:
            upstream.script(reset_at_once)
        async with gateway_over(*everybody) as front:
            answer = await front.ask(stream=True)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "upstream_unavailable")
            assert "Change the request" in answer.json()["error"]["message"]
            assert answer.headers["x-should-retry"] == "false"
            assert sum(len(upstream.exchanges) for upstream in everybody) == 2


async def test_a_refused_request_is_not_retried(upstreams: list[ScriptedUpstream], gateway_over: Gate) -> None:
    first, second = upstreams
    first.script(status(400, "top_p must be in (0, 1]", param="top_p"))
    async with gateway_over(first, second) as front:
        answer = await front.ask(top_p=7)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_request", "top_p")
        assert error["message"] == "top_p must be in (0, 1]"
        assert not second.exchanges
        assert await front.metric("scout_replica_ready", replica="replica-0") == 1


async def test_busy_everywhere_is_overloaded_and_says_when_to_come_again(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    for upstream in upstreams:
        upstream.script(status(503, headers={"retry-after": "7"}))
    async with gateway_over(*upstreams) as front:
        answer = await front.ask()
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")
        assert answer.headers["retry-after"] == "7"
        assert answer.json()["error"]["retry_after"] == 7
        assert await front.metric("scout_replica_ready", replica="replica-0") == 1


async def test_a_replica_that_says_nothing_ends_in_a_timeout(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    first, _ = upstreams
    first.script(hang)
    async with gateway_over(first, on_prem={"first_content_timeout_s": 0.2}) as front:
        answer = await front.ask(stream=True)
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
        await (await first.exchange(0)).client_left.wait()


async def test_requests_spread_over_the_replicas(upstreams: list[ScriptedUpstream], gateway_over: Gate) -> None:
    async with gateway_over(*upstreams) as front:
        for _ in range(6):
            assert (await front.ask()).status_code == 200
        assert [len(upstream.exchanges) for upstream in upstreams] == [3, 3]


async def test_the_clients_request_reaches_the_replica_unchanged(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    first, _ = upstreams
    first.script(whole_stream("a"))
    extras = {"min_tokens": 3, "x_other": {"deep": [1, {"x": None}]}, "seed": 7, "emoji": "\N{AUTOMOBILE}é"}
    async with gateway_over(first) as front:
        await front.ask(stream=True, stream_options={"continuous_usage_stats": False}, **extras)
        await front.ask(**extras)
        streamed, whole = first.exchanges
        for sent in (streamed.json, whole.json):
            assert {name: sent[name] for name in extras} == extras
            assert sent["messages"] == [{"role": "user", "content": "Hi"}]
        assert streamed.json["stream_options"] == {"continuous_usage_stats": False, "include_usage": True}
        assert "stream_options" not in whole.json
        assert streamed.headers["authorization"] == "Bearer sk-test-onprem-0123456789"
