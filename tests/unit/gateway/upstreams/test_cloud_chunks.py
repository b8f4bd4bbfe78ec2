"""What an event of the cloud's says."""

import json
from typing import Any

import pytest

from gateway.errors import Overloaded, UpstreamProtocolError, UpstreamUnavailable
from gateway.ports import AttemptFailed, Chunk, Fault
from gateway.upstreams.cloud_chunks import chunk
from shared import sse
from tests.support import cloud


def event(body: Any) -> sse.Event:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return sse.Event(b"data: " + data + b"\n\n", data)


def read(body: Any) -> Chunk:
    return chunk(event(body))


def failure(body: Any) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as failed:
        read(body)
    return failed.value


def test_a_word_is_content_and_its_event_is_kept_as_it_came() -> None:
    (body,) = cloud.words("Hi")
    assert read(body) == Chunk(event(body).raw, (0,), True, "Hi")


def test_the_role_alone_is_no_content() -> None:
    assert read(cloud.ROLE) == Chunk(event(cloud.ROLE).raw, (0,), False, "")


def test_a_refusal_is_text_like_any_other() -> None:
    assert read(cloud.chunk({"refusal": "I cannot."})).text == "I cannot."


def test_a_tool_call_is_content_without_text() -> None:
    found = read(cloud.chunk({"tool_calls": [{"index": 0, "function": {"name": "get_vehicle"}}]}))
    assert (found.content, found.tools, found.text) == (True, True, "")


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter"])
def test_an_ending_passes_through_and_is_content(reason: str) -> None:
    found = read(cloud.chunk({}, reason))
    assert (found.finished, found.content) == (((0, reason),), True)


def test_a_choice_without_a_delta_says_nothing() -> None:
    assert read({"choices": [{"index": 0}]}).content is False


def test_the_usage_comes_without_a_choice() -> None:
    found = read(cloud.usage(9, 3))
    assert (found.choices, found.content) == ((), False)
    assert found.usage is not None
    assert found.usage["total_tokens"] == 12


def test_an_event_without_a_choice_and_usage_says_only_that_the_line_is_alive() -> None:
    body = {"choices": [], "prompt_filter_results": []}
    assert read(body) == Chunk(event(body).raw)


def test_a_comment_says_only_that_the_line_is_alive() -> None:
    assert chunk(sse.Event(b": ping\n\n", b"")) == Chunk(b": ping\n\n")


def test_an_error_in_band_is_a_failure() -> None:
    assert isinstance(failure({"error": cloud.error(None, "server_error")}).error, UpstreamUnavailable)
    assert isinstance(failure({"error": cloud.error("rate_limit_exceeded", "requests")}).error, Overloaded)


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_ending_that_nobody_asked_for_is_a_cut(reason: str) -> None:
    failed = failure(cloud.chunk({}, reason))
    assert (failed.cut, failed.fault) == (True, Fault.SUSPECT)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{oops", id="not JSON"),
        pytest.param(b"[" * 100_000, id="too deep"),
        pytest.param(b'{"choices":[{"index":0,"delta":{"content":"\xff"}}]}', id="not UTF-8"),
        pytest.param([], id="not an object"),
        pytest.param({"choices": [{"index": 0, "delta": {"content": 5}}]}, id="text that is a number"),
        pytest.param({"choices": None}, id="no choices"),
        pytest.param({"choices": [{"index": 1, "delta": {}}]}, id="another answer"),
        pytest.param({"choices": [{"index": 0}, {"index": 1}]}, id="two answers"),
    ],
)
def test_what_is_no_chunk_of_one_answer_is_a_fault_of_the_clouds(body: Any) -> None:
    failed = failure(body)
    assert isinstance(failed.error, UpstreamProtocolError)
    assert (failed.fault, failed.cut) == (Fault.SUSPECT, False)
