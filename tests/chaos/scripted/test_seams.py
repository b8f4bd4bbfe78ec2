"""A resumed answer is the unbroken one in all that its client asked for: text, stop strings, usage, odds, token ids.

Wherever the seam is: between two tokens of one character, inside a stop string, after the last token but one.
"""

import json
from typing import Any

import pytest

from shared import sse
from tests.chaos.scripted import engine
from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import Fault, reset
from tests.chaos.scripted.stage import UNMOVED, Stage, question
from tests.chaos.tally import Heard, hear

pytestmark = pytest.mark.anyio

TOKENS = 24
WITH_USAGE = {"stream_options": {"include_usage": True}}


def with_halves() -> dict[str, Any]:
    """A question whose answer has a character of two tokens, and not at its end."""
    while True:
        body = question(**WITH_USAGE)
        ids = engine.token_ids(body)
        if engine.HALF in ids[4:16]:
            return body


def with_stop(*, include: bool) -> tuple[dict[str, Any], int]:
    """A question with a stop string that begins in one token and ends in another, and the number of the last one."""
    while True:
        body = question(**WITH_USAGE)
        made = list(engine.generate(body))
        for number in range(6, 16):
            first, second = made[number].text, made[number + 1].text
            stop = first[-2:] + second[:2]
            text = "".join(one.text for one in made[: number + 2])
            if len(first) > 2 and len(second) > 2 and text.index(stop) > len(text) - len(first) - len(second):
                return {**body, "stop": [stop, "never said"], "include_stop_str_in_output": include}, number + 1


async def cut(on: Stage, body: dict[str, Any], *afters: int) -> Heard:
    """Asks with a cut after so many events in the first leg, the second, ..."""
    on.faults.extend([Fault(after, reset) for after in afters])
    heard = hear((await on.ask(body)).body)
    assert on.tally.lost == [], f"cut after {afters}"
    on.faults.clear()
    return heard


def chunks(body: bytes) -> list[dict[str, Any]]:
    events = [event.data for event in sse.Decoder().feed(body)]
    return [json.loads(data) for data in events if data != sse.DONE]


async def test_half_a_character_is_never_a_seam(stage: StageOf) -> None:
    async with stage(**UNMOVED) as on:
        body = with_halves()
        for after in range(2, TOKENS + 1):
            heard = await cut(on, body, after)
            assert heard.usage == engine.usage(len(engine.prompt_of(body)), TOKENS)
            assert heard.resumed == 1


async def test_two_seams_are_as_good_as_one(stage: StageOf) -> None:
    async with stage(**UNMOVED) as on:
        body = with_halves()
        async with on.company(6):  # a stream that is alone on two replicas as they die is taken for the cause
            for first, second in ((3, 3), (5, 3), (8, 12), (20, 3)):
                heard = await cut(on, body, first, second)
                assert heard.usage == engine.usage(len(engine.prompt_of(body)), TOKENS)
                assert heard.resumed == 2
        assert on.tally.whole == 10


@pytest.mark.parametrize("include", [False, True])
async def test_a_stop_string_across_the_seam_ends_the_answer(stage: StageOf, include: bool) -> None:
    async with stage(**UNMOVED) as on:
        body, last = with_stop(include=include)
        for after in range(2, last + 2):
            heard = await cut(on, body, after)
            assert (heard.resumed, heard.code) == (1, None), after
            assert heard.text == engine.twin(body)


async def test_an_answer_that_ends_by_itself_ends_there_too(stage: StageOf) -> None:
    async with stage(**UNMOVED) as on:
        for _ in range(6):
            body = question(ignore_eos=False, max_tokens=200, **WITH_USAGE)
            count = len(engine.token_ids(body))
            if count < 4:
                continue
            for after in {2, count // 2 + 1, count}:
                heard = await cut(on, body, after)
                assert heard.usage == engine.usage(len(engine.prompt_of(body)), count)


async def test_odds_and_token_ids_are_told_once_each(stage: StageOf) -> None:
    async with stage(**UNMOVED) as on:
        body = {**with_halves(), "logprobs": True, "return_token_ids": True}
        ids = engine.token_ids(body)
        for after in range(2, TOKENS + 1):
            on.faults.append(Fault(after, reset))
            told = chunks((await on.ask(body)).body)
            choices = [choice for one in told for choice in one["choices"]]
            assert [token_id for choice in choices for token_id in choice.get("token_ids") or ()] == ids, after
            odds = [odd for choice in choices for odd in (choice.get("logprobs") or {}).get("content") or ()]
            assert odds == [engine.log_odds(token_id) for token_id in ids], after
            assert [one["prompt_token_ids"] for one in told if one.get("prompt_token_ids")] == [engine.prompt_of(body)]


async def test_who_did_not_ask_for_token_ids_or_usage_sees_none(stage: StageOf) -> None:
    async with stage(**UNMOVED) as on:
        on.faults.append(Fault(9, reset))
        result = await on.ask(question())
        assert (on.tally.whole, on.tally.resumed) == (1, 1)
        for key in (b"token_ids", b"usage", b"kv_transfer_params"):
            assert key not in result.body


async def test_no_limit_stays_no_limit(stage: StageOf) -> None:
    async with stage(**UNMOVED) as on:
        body = question(max_tokens=None, max_completion_tokens=TOKENS)
        await cut(on, body, 9)
        sent = [one for replica in on.replicas for one in replica.bodies]
        assert sorted(engine.limit_of(one) for one in sent) == [TOKENS - 8, TOKENS]
        assert all("max_tokens" not in one for one in sent if "kv_transfer_params" in one)
