"""What an event of vLLM says, and which ones are no answer."""

import json
from typing import Any

import pytest

from gateway.ports import AttemptFailed, Chunk, Fault
from gateway.upstreams import events
from gateway.upstreams.failures import FAULTY
from shared import sse
from tests.unit.gateway import chunks

COUNT = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}


def read(body: Any) -> Chunk:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return events.chunk(sse.Event(sse.encode(data), data))


def of_choices(*choices: dict[str, Any], **fields: Any) -> Chunk:
    return read({"id": "chatcmpl-0", "choices": list(choices), **fields})


def failure(body: Any) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as failed:
        read(body)
    return failed.value


# ---- chunks


def test_the_bytes_are_kept_as_they_came() -> None:
    raw = b'data:  {"choices": [ ] , "odd":1}\r\n\r\n'
    (event,) = sse.Decoder().feed(raw)
    assert events.chunk(event).raw == raw


def test_a_comment_says_nothing() -> None:
    assert chunks.comment() == Chunk(b": ping\n\n")


def test_the_role_is_no_content_and_brings_the_prompt() -> None:
    role = chunks.role(prompt=[1, 2])
    assert (role.choices, role.content, role.text, role.prompt_token_ids) == ((0,), False, "", [1, 2])


def test_a_piece_of_the_answer_has_its_text_and_its_tokens() -> None:
    piece = chunks.text("Hi", 10, 11)
    assert (piece.content, piece.text, piece.token_ids, piece.finished) == (True, "Hi", [10, 11], ())


def test_half_a_character_is_no_content() -> None:
    half = chunks.text("", 195)
    assert (half.choices, half.content, half.text, half.token_ids) == ((0,), False, "", [195])


def test_an_ending_is_content_even_if_nothing_was_said() -> None:
    ending = chunks.finish("length", 4)
    assert (ending.content, ending.text, ending.finished, ending.token_ids) == (True, "", ((0, "length"),), [4])


def test_the_count_comes_without_choices() -> None:
    counted = chunks.usage(3, 1)
    assert (counted.choices, counted.content, counted.usage) == ((), False, COUNT)


def test_a_running_count_comes_beside_the_text() -> None:
    assert of_choices({"index": 0, "delta": {"content": "a"}}, usage=COUNT).usage == COUNT
    assert of_choices({"index": 0, "delta": {}, "finish_reason": "stop"}, usage=COUNT).usage == COUNT


@pytest.mark.parametrize(
    "delta",
    [
        {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]},
        {"reasoning": "Hm"},
        {"reasoning_content": "Hm"},
    ],
    ids=lambda delta: next(iter(delta)),
)
def test_tool_calls_and_reasoning_are_content_of_a_kind_that_cannot_go_on(delta: dict[str, Any]) -> None:
    for found in (of_choices({"index": 0, "delta": delta}), of_choices({"index": 1, "delta": delta})):
        assert (found.content, found.tools, found.text) == (True, True, "")
    ending = of_choices({"index": 0, "delta": delta, "finish_reason": "tool_calls"})
    assert (ending.tools, ending.finished) == (True, ((0, "tool_calls"),))


@pytest.mark.parametrize("delta", [{}, None, {"content": None}, {"content": ""}, {"tool_calls": []}], ids=str)
def test_an_empty_delta_is_no_content(delta: Any) -> None:
    for index in (0, 1):
        found = of_choices({"index": index, "delta": delta})
        assert (found.choices, found.content, found.text, found.tools) == ((index,), False, "", False)


def test_another_choice_is_content_and_not_the_first_ones_text() -> None:
    other = of_choices({"index": 1, "delta": {"content": "b"}})
    assert (other.choices, other.content, other.text) == ((1,), True, "")


def test_several_choices_in_an_event_are_told_apart() -> None:
    both = of_choices(
        {"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}, {"index": 0, "delta": {"content": "a"}}
    )
    assert (both.choices, both.content, both.text, both.finished) == ((1, 0), True, "a", ((1, "stop"),))
    ends = of_choices({"index": 0, "finish_reason": "stop"}, {"index": 1, "finish_reason": "length"})
    assert (ends.content, ends.finished) == (True, ((0, "stop"), (1, "length")))


# ---- what is none


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"{oops", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"odd":' + b"[" * 100_000, "not JSON"),
        ([], "not a chat completion"),
        ("text", "not a chat completion"),
        ({}, "no list of choices"),
        ({"choices": None}, "no list of choices"),
        ({"choices": {}}, "not a chat completion"),
        ({"choices": [{"delta": {}}]}, "not a chat completion"),
        ({"choices": [{"index": 0, "delta": {"content": 1}}]}, "not a chat completion"),
        ({"choices": [{"index": 0, "token_ids": ["a"]}]}, "not a chat completion"),
    ],
    ids=range(11),
)
def test_what_is_no_chunk_makes_the_replica_suspect(body: Any, detail: str) -> None:
    failed = failure(body)
    assert (failed.error.code, failed.fault, failed.error.message) == ("upstream_protocol_error", Fault.SUSPECT, FAULTY)
    assert (failed.error.detail or "").startswith(detail)


def test_an_error_in_a_stream_is_a_failure() -> None:
    assert failure({"error": {"message": "EngineCore died", "code": 500}}).error.code == "upstream_unavailable"
    assert failure({"error": {"message": "bad grammar", "code": 400}}).error.code == "invalid_request"


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_ending_that_nobody_asked_for_is_the_engine_going_down(reason: str) -> None:
    ends: dict[str, Any] = {"delta": {}, "finish_reason": reason}
    for choices in ([{"index": 0, **ends}], [{"index": 1, **ends}], [{"index": 0}, {"index": 1, **ends}]):
        failed = failure({"choices": choices})
        assert (failed.error.code, failed.fault, failed.error.detail) == (
            "upstream_unavailable",
            Fault.SUSPECT,
            f"finish_reason {reason}",
        )


# ---- whole answers


def whole(*choices: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({"choices": list(choices), **fields}).encode()


def test_a_whole_answer_has_its_ending_and_its_count() -> None:
    raw = whole({"index": 0, "finish_reason": "length", "message": {"content": "Hi"}}, usage=COUNT)
    answer = events.answer(raw)
    assert (answer.raw, answer.finish_reason, answer.usage) == (raw, "length", COUNT)
    assert events.answer(whole({"index": 0})).usage == {}


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", whole(), b'{"choices": null}'], ids=range(6))
def test_what_is_no_answer_makes_the_replica_suspect(raw: bytes) -> None:
    with pytest.raises(AttemptFailed) as failed:
        events.answer(raw)
    assert (failed.value.error.code, failed.value.fault) == ("upstream_protocol_error", Fault.SUSPECT)


def test_a_whole_answer_of_which_one_choice_was_stopped_is_none() -> None:
    with pytest.raises(AttemptFailed) as failed:
        events.answer(whole({"index": 0, "finish_reason": "stop"}, {"index": 1, "finish_reason": "abort"}))
    assert failed.value.error.code == "upstream_unavailable"
