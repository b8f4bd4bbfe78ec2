"""The UI message stream, part by part, as the AI SDK's schema has it."""

import json
from typing import Any

from gateway.errors import UpstreamLost
from gateway.events import Event, Finished, Seam, Served, Text, ToolAnswered, ToolCalled
from gateway.wire.ui_stream import MARK, UiStreamEncoder
from shared import sse

FACTS = {"sessionId": "s_1", "route": "inventory.search"}


def encoder() -> UiStreamEncoder:
    return UiStreamEncoder("req_1", FACTS)


def parts(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(event.data) for event in sse.Decoder().feed(data) if event.data != sse.DONE]


def told(*events: Event) -> list[dict[str, Any]]:
    return parts(encoder().encode(events))


def test_an_answer_begins_with_whom_it_is_for_and_who_speaks() -> None:
    assert told(Served("on-prem", "llama", "replica-1")) == [
        {"type": "start", "messageId": "msg_req_1", "messageMetadata": {"requestId": "req_1", **FACTS}},
        {"type": "start-step"},
        {
            "type": "message-metadata",
            "messageMetadata": {
                "servedBy": "on-prem",
                "tiers": ["on-prem"],
                "model": "llama",
                "replica": "replica-1",
            },
        },
    ]


def test_what_is_not_known_of_who_speaks_is_left_out_since_a_null_would_end_the_stream() -> None:
    *_, metadata = told(Served("cached", cache="hit"))
    assert metadata["messageMetadata"] == {"servedBy": "cached", "tiers": ["cached"], "cache": "hit"}


def test_text_comes_as_one_part_in_pieces() -> None:
    assert told(Text("Hel"), Text("lo"), Finished("stop", {"total_tokens": 5}, 1)) == [
        {"type": "text-start", "id": "t1"},
        {"type": "text-delta", "id": "t1", "delta": "Hel"},
        {"type": "text-delta", "id": "t1", "delta": "lo"},
        {"type": "text-end", "id": "t1"},
        {"type": "finish-step"},
        {
            "type": "finish",
            "finishReason": "stop",
            "messageMetadata": {"usage": {"total_tokens": 5}, "resumed": 1},
        },
    ]


def test_a_tool_ends_the_text_before_it_and_the_text_after_it_is_another_part() -> None:
    events = told(
        Text("Let me look."),
        ToolCalled("call_1", "search", {"make": "Kia"}),
        ToolAnswered("call_1", "search", True, "2 found"),
        Served("on-prem"),
        Text("Two."),
    )
    assert [part["type"] for part in events if part["type"] != "message-metadata"] == [
        "text-start",
        "text-delta",
        "text-end",
        "tool-input-available",
        "tool-output-available",
        "start",
        "start-step",
        "text-start",
        "text-delta",
    ]
    assert events[3] == {
        "type": "tool-input-available",
        "toolCallId": "call_1",
        "toolName": "search",
        "input": {"make": "Kia"},
        "dynamic": True,
    }
    assert events[-2]["id"] == "t2"


def test_a_tool_that_failed_is_told_as_one() -> None:
    assert told(ToolAnswered("call_1", "book", False, "that slot is taken")) == [
        {"type": "tool-output-error", "toolCallId": "call_1", "errorText": "that slot is taken", "dynamic": True}
    ]


def test_the_start_is_told_once_and_the_tiers_add_up() -> None:
    writing = encoder()
    writing.encode([Served("on-prem")])
    (metadata,) = parts(writing.encode([Served("openai")]))
    assert metadata["messageMetadata"]["tiers"] == ["on-prem", "openai"]


def test_a_seam_stands_in_the_metadata() -> None:
    assert told(Seam("on-prem", "openai")) == [
        {"type": "message-metadata", "messageMetadata": {"seams": [{"before": "on-prem", "after": "openai"}]}}
    ]


def test_reasons_are_those_of_the_schema() -> None:
    def reason(given: str) -> str:
        return str(told(Finished(given))[-1]["finishReason"])

    assert [reason(given) for given in ("length", "content_filter", "tool_calls", "repetition")] == [
        "length",
        "content-filter",
        "tool-calls",
        "other",
    ]


def test_a_whole_answer_ends_with_done() -> None:
    assert encoder().end() == b"data: [DONE]\n\n"


def test_a_broken_answer_ends_with_the_error_s_json_as_text_and_done() -> None:
    writing = encoder()
    writing.encode([Text("Hel")])
    data = writing.fail(UpstreamLost("It broke."))
    assert data is not None
    end, error = parts(data)
    assert end == {"type": "text-end", "id": "t1"}
    assert error["type"] == "error"
    assert json.loads(error["errorText"])["error"]["code"] == "upstream_lost"
    assert data.endswith(b"data: [DONE]\n\n")


def test_its_head_has_the_mark_by_which_clients_know_it() -> None:
    assert encoder().headers == (MARK,)
