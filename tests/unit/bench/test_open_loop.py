import asyncio
import json

import pytest

from tests.bench.open_loop import Answer, Load, Target
from tests.support.upstream import (
    DONE,
    MODEL,
    ROLE,
    STOP,
    USAGE,
    Act,
    ScriptedUpstream,
    hang,
    scripted_upstream,
    status,
    stream,
    words,
)

pytestmark = pytest.mark.anyio

FULL = {"error": {"message": "busy", "type": "Service Unavailable", "param": None, "code": 503}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def load_on(upstream: ScriptedUpstream, patience_s: float = 5.0) -> Load:
    return Load(Target(upstream.url, "a-key", MODEL), tokens=9, patience_s=patience_s)


async def answer_to(act: Act, patience_s: float = 5.0) -> Answer:
    async with scripted_upstream() as upstream:
        upstream.script(act)
        return await load_on(upstream, patience_s).one()


async def test_a_whole_answer_has_its_first_token_and_its_count() -> None:
    answer = await answer_to(stream(ROLE, *words("a", "b"), STOP, USAGE, DONE))
    assert (answer.status, answer.whole, answer.broken, answer.tokens) == (200, True, False, 3)
    assert answer.first_content_s is not None and answer.ended_at >= answer.first_content_s


async def test_an_error_in_the_stream_makes_no_whole_answer_though_it_ends_in_done() -> None:
    answer = await answer_to(stream(FULL, DONE))
    assert (answer.status, answer.whole, answer.broken, answer.first_content_s) == (200, False, True, None)


async def test_an_answer_that_breaks_after_its_first_token_is_not_whole() -> None:
    answer = await answer_to(stream(ROLE, *words("a"), FULL, DONE))
    assert answer.first_content_s is not None
    assert (answer.whole, answer.broken) == (False, True)


async def test_an_answer_without_its_end_is_not_whole() -> None:
    assert not (await answer_to(stream(ROLE, *words("a"), STOP))).whole


async def test_an_answer_without_text_is_not_whole() -> None:
    assert not (await answer_to(stream(ROLE, STOP, DONE))).whole


async def test_a_refusal_says_when_to_come_back() -> None:
    answer = await answer_to(status(429, headers={"retry-after": "7"}))
    assert (answer.status, answer.retry_after_s, answer.whole) == (429, 7, False)


async def test_who_gets_nothing_leaves() -> None:
    answer = await answer_to(hang, patience_s=0.05)
    assert (answer.status, answer.first_content_s, answer.whole) == (None, None, False)


async def test_who_is_refused_comes_back_once() -> None:
    async with scripted_upstream() as upstream:
        upstream.otherwise = status(429, headers={"retry-after": "0"})
        load = load_on(upstream)
        await load.arrive([0.0, 0.0, 0.0], comes_back=1.0)
    assert [answer.came_back for answer in load.answers].count(True) == 3
    assert len(load.answers) == 6


async def test_who_was_served_does_not_come_back() -> None:
    async with scripted_upstream() as upstream:
        load = load_on(upstream)
        await load.arrive([0.0, 0.0], comes_back=1.0)
    assert [(answer.whole, answer.came_back) for answer in load.answers] == [(True, False)] * 2


async def test_a_server_that_is_slow_gets_no_fewer_requests() -> None:
    async with scripted_upstream() as upstream:
        upstream.otherwise = hang
        load = load_on(upstream, patience_s=0.5)
        arriving = asyncio.get_running_loop().create_task(load.arrive([0.0] * 5))
        await upstream.exchange(4)  # all five are there while none has been answered
        await arriving
    assert len(load.answers) == 5


async def test_no_two_requests_ask_the_same() -> None:
    async with scripted_upstream() as upstream:
        await load_on(upstream).arrive([0.0] * 4)
        asked = {json.dumps(exchange.json["messages"]) for exchange in upstream.exchanges}
    assert len(asked) == 4
