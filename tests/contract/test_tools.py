"""Tool calls: when the model decides, when it must, when it may not, and the turn after the call."""

import json

import pytest

from tests.contract.targets import Feature
from tests.contract.wire import message, text

pytestmark = pytest.mark.needs(Feature.TOOLS)

SYSTEM = "You are Scout, the assistant of Summit Drive Motors. Use the tools to look up vehicles."
QUESTION = "Which SUVs under 30k do you have?"
TALK = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
SEARCH = {
    "type": "function",
    "function": {
        "name": "search_inventory",
        "description": "Searches the vehicles in stock.",
        "parameters": {
            "type": "object",
            "properties": {
                "make": {"type": "string"},
                "model": {"type": "string"},
                "body_style": {"type": "string", "enum": ["SUV", "sedan", "truck", "minivan"]},
                "fuel_type": {"type": "string"},
                "max_price": {"type": "integer"},
                "min_year": {"type": "integer"},
            },
        },
    },
}
# `strict` makes vLLM hold the model to the schema. Bounded, because a tiny model fills an open number with digits, and
# a string last, because blanks may follow a number, and such a model goes on with those.
BOOK = {
    "type": "function",
    "function": {
        "name": "book_visit",
        "description": "Books a visit at the dealership.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {
                "people": {"type": "integer", "minimum": 1, "maximum": 9},
                "day": {"type": "string", "enum": ["monday", "tuesday", "wednesday"]},
            },
            "required": ["people", "day"],
            "additionalProperties": False,
        },
    },
}
FORCED = [
    pytest.param("required", {"tool_calls"}, id="required"),
    # OpenAI ends a named call with "stop", some servers with "tool_calls".
    pytest.param({"type": "function", "function": {"name": "book_visit"}}, {"stop", "tool_calls"}, id="named"),
]


def assert_is_a_search(name: str, arguments: str) -> None:
    assert name == "search_inventory"
    asked = json.loads(arguments)
    properties = SEARCH["function"]["parameters"]["properties"]
    assert asked, "a question about SUVs under 30k has something to search by"
    assert set(asked) <= set(properties)
    for field, value in asked.items():
        assert isinstance(value, int if properties[field]["type"] == "integer" else str), asked


def assert_is_a_booking(name: str, arguments: str) -> None:
    assert name == "book_visit"
    asked = json.loads(arguments)
    assert set(asked) == {"day", "people"}
    assert asked["day"] in {"monday", "tuesday", "wednesday"}
    assert isinstance(asked["people"], int)
    assert 1 <= asked["people"] <= 9


def test_a_question_about_stock_becomes_a_tool_call(wire):
    answer = wire.chat(messages=TALK, tools=[SEARCH], max_tokens=100)
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    (call,) = message(answer)["tool_calls"]
    assert call["id"]
    assert call["type"] == "function"
    assert_is_a_search(call["function"]["name"], call["function"]["arguments"])


def test_a_streamed_tool_call_comes_in_parts_that_join(wire):
    stream = wire.stream(messages=TALK, tools=[SEARCH], max_tokens=100)
    assert stream.finishes() == ["tool_calls"]
    assert stream.deltas("role") == ["assistant"]
    assert stream.text().strip() == "", "the call itself must not be shown as text"
    first = stream.deltas("tool_calls")[0][0]
    assert first["index"] == 0
    assert first["id"]
    assert first["type"] == "function"
    assert first["function"]["name"] == "search_inventory"
    (call,) = stream.tool_calls()
    assert_is_a_search(call["name"], call["arguments"])
    assert stream.done


def test_a_streamed_tool_call_is_the_same_call(wire):
    asked = {"messages": TALK, "tools": [SEARCH], "max_tokens": 100}
    (whole,) = message(wire.chat(**asked))["tool_calls"]
    (streamed,) = wire.stream(**asked).tool_calls()
    assert json.loads(streamed["arguments"]) == json.loads(whole["function"]["arguments"])


@pytest.mark.parametrize(("choice", "finishes"), FORCED)
def test_a_forced_tool_is_called_after_its_schema(wire, choice, finishes):
    answer = wire.chat(tools=[BOOK], tool_choice=choice, max_tokens=100)
    assert answer["choices"][0]["finish_reason"] in finishes
    (call,) = message(answer)["tool_calls"]
    assert call["id"]
    assert_is_a_booking(call["function"]["name"], call["function"]["arguments"])


@pytest.mark.parametrize(("choice", "finishes"), FORCED)
def test_a_forced_tool_is_called_after_its_schema_in_a_stream(wire, choice, finishes):
    stream = wire.stream(tools=[BOOK], tool_choice=choice, max_tokens=100)
    assert len(stream.finishes()) == 1
    assert stream.finishes()[0] in finishes
    (call,) = stream.tool_calls()
    assert call["id"]
    assert_is_a_booking(call["name"], call["arguments"])


def test_no_tool_is_called_when_none_may_be(wire):
    answer = wire.chat(messages=TALK, tools=[SEARCH], tool_choice="none", max_tokens=40)
    assert not message(answer).get("tool_calls")
    assert text(answer)
    assert answer["choices"][0]["finish_reason"] in {"stop", "length"}


def test_the_result_of_a_tool_is_turned_into_words(wire):
    found = [{"stock_number": "H4821", "year": 2022, "make": "Honda", "model": "HR-V", "price": 27450}]
    asked = {"name": "search_inventory", "arguments": '{"body_style": "SUV", "max_price": 30000}'}
    turns = [
        *TALK,
        {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": asked}]},
        {"role": "tool", "tool_call_id": "call_1", "content": json.dumps(found)},
    ]
    answer = wire.chat(messages=turns, tools=[SEARCH], max_tokens=60)
    assert text(answer).strip()
    assert not message(answer).get("tool_calls")
    assert wire.stream(messages=turns, tools=[SEARCH], max_tokens=60).text() == text(answer)
