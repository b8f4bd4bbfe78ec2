"""Answers held to a JSON schema. The schemas are bounded: a tiny model fills an open string or number to the limit."""

import json

import pytest

from tests.contract.targets import Feature
from tests.contract.wire import text

pytestmark = pytest.mark.needs(Feature.STRUCTURED)

INTENTS = ["greeting", "inventory", "opening hours"]
SCHEMA = {
    "type": "object",
    "properties": {
        "intent": {"type": "string", "enum": INTENTS},
        "seats": {"type": "integer", "minimum": 2, "maximum": 9},
        "urgent": {"type": "boolean"},
    },
    "required": ["intent", "seats", "urgent"],
    "additionalProperties": False,
}


def held_to(schema):
    return {"type": "json_schema", "json_schema": {"name": "wish", "strict": True, "schema": schema}}


def assert_obeys(said: str) -> None:
    wish = json.loads(said)
    assert set(wish) == {"intent", "seats", "urgent"}
    assert wish["intent"] in INTENTS
    assert type(wish["seats"]) is int
    assert 2 <= wish["seats"] <= 9
    assert type(wish["urgent"]) is bool


def test_an_answer_obeys_its_schema(wire):
    answer = wire.chat(response_format=held_to(SCHEMA), max_tokens=120)
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert_obeys(text(answer))


def test_a_stream_obeys_its_schema(wire):
    stream = wire.stream(response_format=held_to(SCHEMA), max_tokens=120)
    assert stream.finishes() == ["stop"]
    assert_obeys(stream.text())


def test_a_schema_is_obeyed_at_high_temperature_too(wire):
    # Left to itself the model would hardly ever say this: that it does shows that it is held, not lucky.
    assert_obeys(text(wire.chat(response_format=held_to(SCHEMA), temperature=1.5, seed=5, max_tokens=120)))


def test_values_of_a_schema_may_be_in_any_language(wire):
    names = ["Škoda ☕", "Citroën 🚗"]
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "enum": names}},
        "required": ["name"],
        "additionalProperties": False,
    }
    stream = wire.stream(response_format=held_to(schema), max_tokens=120)
    assert json.loads(stream.text())["name"] in names


def test_a_format_of_plain_text_changes_nothing(wire):
    assert text(wire.chat(response_format={"type": "text"})) == text(wire.chat())
