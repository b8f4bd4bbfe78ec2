"""What cannot be continued exactly ends in an error that says so, then [DONE]: never as a whole answer that is none.

Nobody else is asked, since a second answer glued to the first would be a lie.
"""

from typing import Any

import pytest

from tests.chaos.scripted.conftest import StageOf
from tests.chaos.scripted.replica import Fault, reset
from tests.chaos.scripted.stage import UNMOVED, code, question
from tests.chaos.tally import hear
from tests.support.upstream import Exchange, chunk, event

pytestmark = pytest.mark.anyio

WEATHER = {"type": "function", "function": {"name": "stock", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "car", "schema": {"type": "object"}}}

OBSTACLES: dict[str, dict[str, Any]] = {
    "n": {"n": 2},
    "structured output": {"response_format": SCHEMA},
    "a JSON object": {"response_format": {"type": "json_object"}},
    "a forced call": {"tools": [WEATHER], "tool_choice": "required"},
    "penalties": {"frequency_penalty": 0.5},
    "barred words": {"bad_words": ["Diesel"]},
}


async def begins_a_call(exchange: Exchange) -> None:
    """A tool call is under way when the replica breaks."""
    call = {"index": 0, "id": "call-1", "type": "function", "function": {"name": "stock", "arguments": '{"mo'}}
    await exchange.send_chunk(event({**chunk({"tool_calls": [call]}), "id": _name(exchange)}))
    await reset(exchange)


def _name(exchange: Exchange) -> str:
    return f"chatcmpl-{exchange.writer.get_extra_info('sockname')[1]}-1"


async def test_each_ends_with_a_typed_error_after_what_came(stage: StageOf) -> None:
    async with stage(**UNMOVED) as on:
        for name, fields in OBSTACLES.items():
            on.faults.append(Fault(9, reset))
            result = await on.ask(question(**fields))
            assert (result.status, code(result)) == (200, "upstream_lost"), name
            assert hear(result.body).text
        assert (on.tally.typed, on.sent_on) == ({"upstream_lost": len(OBSTACLES)}, len(OBSTACLES))
        assert await on.front.metric("scout_resumes_total", outcome="refused") == len(OBSTACLES)


async def test_before_the_first_token_they_are_tried_elsewhere_all_the_same(stage: StageOf) -> None:
    async with stage(**UNMOVED) as on:
        for fields in OBSTACLES.values():
            on.faults.append(Fault(1 if fields.get("n") is None else 2, reset))
            await on.ask(question(**fields))
        assert (on.tally.whole, on.sent_on) == (len(OBSTACLES), 2 * len(OBSTACLES))


async def test_a_call_under_way_is_not_begun_again(stage: StageOf) -> None:
    async with stage() as on:
        on.faults.append(Fault(1, begins_a_call))
        result = await on.ask(question(tools=[WEATHER]))
        assert code(result) == "upstream_lost"
        assert (on.tally.typed, on.sent_on) == ({"upstream_lost": 1}, 1)


async def test_text_goes_on_though_tools_were_offered(stage: StageOf) -> None:
    async with stage() as on:
        on.faults.append(Fault(9, reset))
        await on.ask(question(tools=[WEATHER]))
        assert (on.tally.whole, on.tally.resumed) == (1, 1)
        [second] = [body for replica in on.replicas for body in replica.bodies if "kv_transfer_params" in body]
        assert second["tool_choice"] == "none"


async def test_a_stream_that_may_not_be_resumed_again_says_so(stage: StageOf) -> None:
    async with stage(attempts={"max_resumes": 0}) as on:
        on.faults.append(Fault(9, reset))
        result = await on.ask(question())
        assert code(result) == "upstream_lost"
        assert on.sent_on == 1


async def test_without_a_budget_for_extra_tries_it_says_so(stage: StageOf) -> None:
    async with stage(attempts={"retry_reserve": 0}) as on:
        on.faults.append(Fault(9, reset))
        result = await on.ask(question())
        assert code(result) == "upstream_lost"
        assert on.sent_on == 1
