"""OpenAI's dialect: bytes as they came, one chunk taken out, and errors that every client reads as such."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidField, Overloaded, UpstreamLost
from gateway.ports import ONLY_FIRST, Chunk
from gateway.wire.openai import OpenAiEncoder, error_body
from shared.errors import ErrorBody
from shared.sse import DONE, Decoder
from tests.unit.gateway import chunks
from tests.unit.gateway.chunks import finish, role, text

USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
TEXT = Chunk(b'data:  {"odd": "spacing"}\r\n\r\n', ONLY_FIRST, True, "Hi")
COMMENT = Chunk(b": ping\n\n")
USAGE_ONLY = Chunk(b"data: usage\n\n", usage=USAGE)
USAGE_TOO = Chunk(b"data: both\n\n", ONLY_FIRST, True, "Hi", usage=USAGE)


def encoder(*, wants_usage: bool = False, wants_ids: bool = False) -> OpenAiEncoder:
    return OpenAiEncoder("req_1", wants_usage=wants_usage, wants_ids=wants_ids)


def bodies(raw: bytes) -> list[dict[str, Any]]:
    return [json.loads(event.data) for event in Decoder().feed(raw)]


def test_it_is_an_event_stream() -> None:
    assert encoder().content_type == "text/event-stream; charset=utf-8"


def test_chunks_pass_as_the_bytes_they_came_in() -> None:
    assert encoder().encode([TEXT, COMMENT, TEXT]) == TEXT.raw + COMMENT.raw + TEXT.raw


def test_the_usage_chunk_is_kept_from_clients_that_did_not_ask_for_it() -> None:
    assert encoder().encode([TEXT, USAGE_ONLY]) == TEXT.raw
    assert encoder().encode([USAGE_ONLY]) == b""


def test_the_usage_chunk_is_given_to_clients_that_asked_for_it() -> None:
    assert encoder(wants_usage=True).encode([TEXT, USAGE_ONLY]) == TEXT.raw + USAGE_ONLY.raw


@pytest.mark.parametrize("wants_usage", [False, True])
def test_usage_beside_content_takes_nothing_out(wants_usage: bool) -> None:
    assert encoder(wants_usage=wants_usage).encode([USAGE_TOO]) == USAGE_TOO.raw


def test_ids_that_only_we_asked_for_are_taken_out_and_nothing_else() -> None:
    odds = {"content": [{"token": "a", "bytes": [97], "top_logprobs": []}]}
    told = [role(), text("a", 10, 11, logprobs=odds), text("", 12), finish("stop", 4)]
    plain = [role(prompt=()), text("a", logprobs=odds), text(""), finish("stop")]
    assert encoder().encode(told) == b"".join(chunk.raw for chunk in plain)


def test_ids_are_given_to_clients_that_asked_for_them() -> None:
    told = [role(), text("a", 10)]
    assert encoder(wants_ids=True).encode(told) == told[0].raw + told[1].raw


def test_text_that_looks_like_ids_is_text() -> None:
    said = ',"token_ids":[1,2],"prompt_token_ids":[3],"prompt_text":null'
    (shown,) = bodies(encoder().encode([text(said, 10)]))
    assert shown["choices"][0]["delta"] == {"content": said}
    assert "token_ids" not in shown["choices"][0]


def test_a_prompts_text_is_kept_for_whom_it_was_asked() -> None:
    asked = chunks.of({**json.loads(role().raw[6:]), "prompt_text": "<s>Hi"})
    (shown,) = bodies(encoder().encode([asked]))
    assert shown["prompt_text"] == "<s>Hi"
    assert "prompt_token_ids" not in shown


@given(st.lists(st.integers(0, 200_000), min_size=1, max_size=5), st.text(max_size=20))
def test_whatever_the_text_only_the_ids_go(ids: list[int], said: str) -> None:
    assert encoder().encode([text(said, *ids)]) == text(said).raw


def test_a_whole_answer_ends_with_done() -> None:
    assert encoder().end() == b"data: [DONE]\n\n"


def test_a_broken_answer_ends_with_an_error_event_and_done() -> None:
    error, done = Decoder().feed(
        encoder().fail(UpstreamLost("It broke.\nAsk again.", detail="10.0.0.1 is gone")) or b""
    )
    assert done.data == DONE
    assert json.loads(error.data) == {
        "error": {
            "message": "It broke.\nAsk again.",
            "type": "upstream_error",
            "param": None,
            "code": "upstream_lost",
            "request_id": "req_1",
            "retryable": True,
        }
    }


def test_an_error_says_what_the_headers_say() -> None:
    body: dict[str, Any] = json.loads(error_body(Overloaded("Busy.", retry_after_s=7), "req_1"))
    assert (body["error"]["retry_after"], body["error"]["request_id"]) == (7, "req_1")


def test_an_error_names_the_field_at_fault() -> None:
    body = json.loads(error_body(InvalidField("stop: no.", param="stop"), "req_1"))
    assert (body["error"]["param"], body["error"]["retryable"]) == ("stop", False)
    assert "retry_after" not in body["error"]


def test_an_error_is_what_the_schema_of_the_wire_says() -> None:
    raw = error_body(Overloaded("Bitte später wieder.", param="x", retry_after_s=1), "req_1")
    assert "später".encode() in raw
    error = ErrorBody.model_validate_json(raw).error
    assert error.model_extra == {}
    assert error.model_fields_set == set(type(error).model_fields)


def test_what_is_only_for_our_log_is_not_sent() -> None:
    assert b"100.64.0.7" not in error_body(Overloaded("Busy.", detail="100.64.0.7"), "req_1")
