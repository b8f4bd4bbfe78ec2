"""A whole answer at once: its fields, how it ends, and what it cost."""

import pytest

from shared.chat import ChatCompletion
from tests.contract.targets import Feature
from tests.contract.wire import text


def test_an_answer_has_every_field(wire, target):
    response = wire.post(wire.body())
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/json")
    answer = ChatCompletion.model_validate(response.json())
    assert answer.id
    assert answer.created > 0
    assert answer.model == target.model
    assert [choice.index for choice in answer.choices] == [0]
    assert answer.choices[0].message.content
    assert not answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason in {"stop", "length"}


def test_ids_are_never_given_twice(wire):
    assert len({wire.chat(max_tokens=1)["id"] for _ in range(3)}) == 3


def test_usage_adds_up(wire):
    usage = wire.chat(max_tokens=5)["usage"]
    assert usage["prompt_tokens"] > 0
    assert 0 < usage["completion_tokens"] <= 5
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_longer_prompt_costs_more_prompt_tokens(wire):
    short = wire.chat(question="Hello", max_tokens=1)["usage"]["prompt_tokens"]
    long = wire.chat(question="Hello " * 20, max_tokens=1)["usage"]["prompt_tokens"]
    assert long >= short + 19


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_token_limit_ends_the_answer_with_length(wire, field):
    # Whichever field is not given must not be sent at all: the two together mean something else.
    body = wire.body()
    del body["max_tokens"]
    answer = wire.post({**body, field: 3}).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 3


def test_a_stop_string_ends_the_answer_before_itself(wire):
    whole = text(wire.chat(max_tokens=40))
    stop = whole.split()[2]
    answer = wire.chat(max_tokens=40, stop=[stop])
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert text(answer) == whole[: whole.index(stop)]


def test_a_stop_may_be_one_string(wire):
    whole = text(wire.chat(max_tokens=40))
    stop = whole.split()[2]
    assert stop not in text(wire.chat(max_tokens=40, stop=stop))


def test_a_system_message_and_earlier_turns_are_read(wire):
    turns = [
        {"role": "system", "content": "You are Scout, the assistant of a car dealership."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello! How can I help you?"},
        {"role": "user", "content": "What are your opening hours?"},
    ]
    answer = wire.chat(messages=turns)
    assert text(answer)
    assert answer["usage"]["prompt_tokens"] > wire.chat(messages=turns[-1:])["usage"]["prompt_tokens"]


def test_content_may_come_in_parts(wire):
    parts = [{"type": "text", "text": "What are your opening hours?"}]
    whole = wire.chat()
    in_parts = wire.chat(messages=[{"role": "user", "content": parts}])
    assert in_parts["usage"]["prompt_tokens"] == whole["usage"]["prompt_tokens"]
    assert text(in_parts) == text(whole)


@pytest.mark.needs(Feature.COMPLETIONS)
def test_plain_completions_answer_too(wire, target):
    body = {"model": target.model, "prompt": "Our showroom is", "max_tokens": 4, "temperature": 0}
    response = wire.http.post("/v1/completions", json=body)
    assert response.status_code == 200
    answer = response.json()
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"]
    assert answer["usage"]["completion_tokens"] <= 4
