"""Tool calls come in pieces, and garbage among them is nobody's call."""

import json
from typing import Any

from gateway.tool_calls import MAX_ARGUMENT_CHARS, MAX_CALLS, ToolCalls
from shared import sse


def piece(*calls: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"tool_calls": list(calls)}}]})


def event(body: Any) -> bytes:
    return sse.encode(json.dumps(body).encode())


def begin(index: int, name: str | None, arguments: str = "") -> dict[str, Any]:
    return {"index": index, "id": f"call_{index}", "function": {"name": name, "arguments": arguments}}


def more(index: int, arguments: str | None) -> dict[str, Any]:
    return {"index": index, "function": {"arguments": arguments}}


def noted(*raws: bytes) -> ToolCalls:
    calls = ToolCalls()
    for raw in raws:
        calls.note(raw)
    return calls


def test_a_call_is_put_together_from_its_pieces() -> None:
    (call,) = noted(piece(begin(0, "search", '{"ma')), piece(more(0, 'ke": "Kia"}')), piece(more(0, None))).calls
    assert (call.id, call.name, call.arguments) == ("call_0", "search", '{"make": "Kia"}')
    assert call.parsed() == {"make": "Kia"}
    assert call.as_message_part() == {
        "id": "call_0",
        "type": "function",
        "function": {"name": "search", "arguments": '{"make": "Kia"}'},
    }


def test_several_calls_come_in_the_order_of_their_indices() -> None:
    calls = noted(piece(begin(1, "second"), begin(0, "first"))).calls
    assert [call.name for call in calls] == ["first", "second"]


def test_a_call_without_an_id_gets_one_and_one_without_a_name_is_none() -> None:
    calls = noted(piece({"function": {"name": "search"}}, {"index": 1, "id": "x"})).calls
    assert [(call.id, call.name, call.parsed()) for call in calls] == [("call_0", "search", {})]


def test_what_is_no_call_is_passed_over() -> None:
    assert noted(b"data: nonsense\n\n", event({}), event({"choices": [{"delta": {"content": "Hi"}}]})).calls == []
    assert noted(event({"choices": [{}]})).calls == []


def test_arguments_that_are_no_object_are_shown_as_none() -> None:
    assert [call.parsed() for call in noted(piece(begin(0, "a", "[1]"), begin(1, "b", "{"))).calls] == [{}, {}]


def test_more_calls_than_a_round_may_have_are_left_out_and_told() -> None:
    calls = noted(piece(*(begin(index, "search") for index in range(MAX_CALLS + 1))))
    assert len(calls.calls) == MAX_CALLS
    assert calls.cut


def test_arguments_are_cut_at_their_bound() -> None:
    calls = noted(piece(begin(0, "search", "x" * MAX_ARGUMENT_CHARS)), piece(more(0, "y")))
    assert calls.calls[0].arguments == "x" * MAX_ARGUMENT_CHARS
    assert calls.cut
    assert not noted(piece(begin(0, "search", "x"))).cut
