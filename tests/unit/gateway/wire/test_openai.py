"""OpenAI's dialect: bytes as they came, one chunk taken out, and errors that every client reads as such."""

import json
from typing import Any

import pytest

from gateway.errors import InvalidField, Overloaded, UpstreamLost
from gateway.ports import Chunk
from gateway.wire.openai import OpenAiEncoder, error_body
from shared.errors import ErrorBody
from shared.sse import DONE, Decoder

CHOICE = {"index": 0, "delta": {"content": "Hi"}}
USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
TEXT = Chunk(b'data:  {"odd": "spacing"}\r\n\r\n', {"choices": [CHOICE]}, content=True)
COMMENT = Chunk(b": ping\n\n", {})
USAGE_ONLY = Chunk(b"data: usage\n\n", {"choices": [], "usage": USAGE}, usage=USAGE)
USAGE_TOO = Chunk(b"data: both\n\n", {"choices": [CHOICE], "usage": USAGE}, content=True, usage=USAGE)


def encoder(*, wants_usage: bool = False) -> OpenAiEncoder:
    return OpenAiEncoder("req_1", wants_usage=wants_usage)


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
