"""Request bodies: bounded, parsed, and refused with the name of the field as the client wrote it."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.types import Message

from gateway.api.body import MAX_DEPTH, READ_ON_FACTOR, check, read_json
from gateway.api.chat import ChatMessage
from gateway.errors import ClientGone, InvalidField, InvalidJson, RequestTooLarge
from shared.chat import ChatRequest

pytestmark = pytest.mark.anyio


class Client:
    """The sending side of a request, one part at a time; counts what is taken from it."""

    def __init__(self, parts: Sequence[bytes], *, leaves: bool = False) -> None:
        last = len(parts) - 1
        messages = [
            {"type": "http.request", "body": part, "more_body": i < last or leaves} for i, part in enumerate(parts)
        ]
        self._messages: list[Message] = [*messages, {"type": "http.disconnect"}]
        self.taken = 0

    async def receive(self) -> Message:
        self.taken += 1
        return self._messages.pop(0)


async def read(*parts: bytes, max_bytes: int = 1000) -> dict[str, Any]:
    return await read_json(Client(parts).receive, max_bytes)


# ---- reading


async def test_a_body_is_read_however_it_is_cut() -> None:
    assert await read(b'{"mess', b"", 'age": "Škoda 🚗"}'.encode()[:12], 'age": "Škoda 🚗"}'.encode()[12:]) == {
        "message": "Škoda 🚗"
    }


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param(b"", "EOF while parsing a value at line 1 column 0", id="nothing"),
        pytest.param(b"{", "EOF while parsing an object at line 1 column 1", id="cut off"),
        pytest.param(b'{"a": 1,}', "trailing comma at line 1 column 9", id="a trailing comma"),
        pytest.param(b"{'a': 1}", "key must be a string at line 1 column 2", id="Python"),
        pytest.param(b'{"a": 1} {}', "trailing characters at line 1 column 10", id="two values"),
        pytest.param(b'{"a": NaN}', "expected value at line 1 column 7", id="NaN"),
        pytest.param(b'{"a": Infinity}', "expected value at line 1 column 7", id="Infinity"),
        pytest.param(b'{"a": -Infinity}', "invalid number at line 1 column 8", id="minus Infinity"),
        pytest.param(b'{"a": "\xff"}', "invalid unicode code point", id="no UTF-8"),
        pytest.param(b'{"a": "\\ud800"}', "hex escape", id="half a character"),
        pytest.param(b"[" * 2000 + b"]" * 2000, "recursion limit exceeded", id="deep nesting"),
        pytest.param(b'{"a":' * 2000 + b"1" + b"}" * 2000, "recursion limit exceeded", id="deep nesting of objects"),
        pytest.param(b'{"a": 1' + b"0" * 5000 + b"}", "number out of range", id="an endless number"),
        pytest.param(b'{"a": [1e999]}', "Number out of range", id="a number that is too large"),
    ],
)
async def test_what_is_no_json_is_refused_with_the_place(body: bytes, why: str) -> None:
    with pytest.raises(InvalidJson) as refused:
        await read(body, max_bytes=100_000)
    assert refused.value.message.startswith("The body is not valid JSON: ")
    assert why in refused.value.message


@pytest.mark.parametrize("inner", [b"[%b]", b'{"a":%b}'])
async def test_a_body_may_be_nested_so_deep_and_no_deeper(inner: bytes) -> None:
    opens, closes = inner.split(b"%b")
    deep = b'{"a":' + opens * (MAX_DEPTH - 1) + b"1" + closes * (MAX_DEPTH - 1) + b"}"
    assert "a" in await read(deep)
    with pytest.raises(InvalidJson, match="deeper than 100 levels"):
        await read(b'{"a":' + opens * MAX_DEPTH + b"1" + closes * MAX_DEPTH + b"}")
    assert len(await read(b'{"a":[%b]}' % b",".join([b"[]"] * 300), max_bytes=5000)) == 1  # wide is not deep


@pytest.mark.parametrize("body", [b"[]", b'[{"model": "x"}]', b'"text"', b"5", b"null", b"true"])
async def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidJson, match="must be a JSON object"):
        await read(body)


async def test_a_body_of_exactly_the_bound_is_read() -> None:
    body = b'{"a": "%s"}' % (b"x" * 91)
    assert len(body) == 100
    assert await read(body[:50], body[50:], max_bytes=100) == {"a": "x" * 91}
    with pytest.raises(RequestTooLarge, match="larger than 99 bytes"):
        await read(body[:50], body[50:], max_bytes=99)


async def test_a_body_that_is_too_large_is_read_to_its_end_so_that_the_client_sees_the_answer() -> None:
    client = Client([b"x" * 100] * 7 + [b"x"])
    with pytest.raises(RequestTooLarge):
        await read_json(client.receive, 100)
    assert client.taken == 8


async def test_a_body_without_end_is_not_read_for_ever() -> None:
    client = Client([b"x" * 100] * 100)
    with pytest.raises(RequestTooLarge):
        await read_json(client.receive, 100)
    assert client.taken == READ_ON_FACTOR + 1


async def test_a_small_part_after_a_large_one_does_not_make_a_body_small() -> None:
    with pytest.raises(RequestTooLarge):
        await read(b" " * 200, b'{"a": 1}', max_bytes=100)


async def test_a_client_that_leaves_while_it_sends_is_gone() -> None:
    with pytest.raises(ClientGone):
        await read_json(Client([b'{"a":'], leaves=True).receive, 100)


# ---- checking

USER = {"role": "user", "content": "Hi"}
FUNCTION = {"name": "find_cars"}


def request(**fields: Any) -> dict[str, Any]:
    return {"model": "llama-70b-scout", "messages": [USER], **fields}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in request().items() if key != name}


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        pytest.param(without("model"), "model", "Field required", id="no model"),
        pytest.param(without("messages"), "messages", "Field required", id="no messages"),
        pytest.param({}, "model", "Field required", id="nothing"),
        pytest.param(request(model=None), "model", "valid string", id="null for a model"),
        pytest.param(request(messages=[]), "messages", "at least 1 item", id="empty messages"),
        pytest.param(request(messages="Hi"), "messages", "valid list", id="text for messages"),
        pytest.param(request(messages=["Hi"]), "messages.0", "valid dictionary", id="text for a message"),
        pytest.param(request(messages=[USER, {}]), "messages.1.role", "Field required", id="no role"),
        pytest.param(request(messages=[{"role": "robot"}]), "messages.0.role", "'system'", id="an unknown role"),
        pytest.param(
            request(messages=[{**USER, "content": 5}]), "messages.0.content", "valid string", id="a number for content"
        ),
        pytest.param(
            request(messages=[{**USER, "content": {}}]), "messages.0.content", "valid", id="an object for content"
        ),
        pytest.param(
            request(messages=[{**USER, "content": ["Hi"]}]),
            "messages.0.content.0",
            "valid dictionary",
            id="text for a part",
        ),
        pytest.param(
            request(messages=[{**USER, "content": [{"text": "Hi"}]}]),
            *("messages.0.content.0.type", "Field required"),
            id="a part without a type",
        ),
        pytest.param(
            request(messages=[{**USER, "content": [{"type": "text"}, {"type": "text", "text": 5}]}]),
            *("messages.0.content.1.text", "valid string"),
            id="a number in a part",
        ),
        pytest.param(
            request(messages=[{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f"}}]}]),
            *("messages.0.tool_calls.0.function.arguments", "Field required"),
            id="a call without arguments",
        ),
        pytest.param(request(tools={}), "tools", "valid list", id="an object for tools"),
        pytest.param(
            request(tools=[{"type": "function"}]), "tools.0.function", "Field required", id="a tool without a function"
        ),
        pytest.param(
            request(tools=[{"type": "function", "function": {}}]),
            *("tools.0.function.name", "Field required"),
            id="a function without a name",
        ),
        pytest.param(
            request(tools=[{"type": "function", "function": {**FUNCTION, "parameters": "{}"}}]),
            *("tools.0.function.parameters", "valid dictionary"),
            id="text for parameters",
        ),
        pytest.param(request(tool_choice="any"), "tool_choice", "'none', 'auto' or 'required'", id="an unknown choice"),
        pytest.param(request(tool_choice=5), "tool_choice", "'none', 'auto' or 'required'", id="a number for a choice"),
        pytest.param(
            request(tool_choice={"type": "function"}),
            *("tool_choice.function", "Field required"),
            id="a choice without a function",
        ),
        pytest.param(
            request(tool_choice={"type": "function", "function": {}}),
            *("tool_choice.function.name", "Field required"),
            id="a choice without a name",
        ),
        pytest.param(
            request(tool_choice={"type": "tool", "function": FUNCTION}),
            *("tool_choice.type", "'function'"),
            id="a choice of another kind",
        ),
        pytest.param(request(stop=5), "stop", "valid string", id="a number for stop"),
        pytest.param(request(stop=["a", 5]), "stop.1", "valid string", id="a number in stop"),
        pytest.param(request(max_tokens="5"), "max_tokens", "valid integer", id="a number as text"),
        pytest.param(request(temperature=float("inf")), "temperature", "finite", id="infinity"),
        pytest.param(request(stream="yes"), "stream", "valid boolean", id="text for a truth value"),
        pytest.param(
            request(stream_options={"include_usage": 1}),
            *("stream_options.include_usage", "valid boolean"),
            id="a number for a truth value",
        ),
        pytest.param(request(logit_bias={"7": "x"}), "logit_bias.7", "valid number", id="text in a map"),
        pytest.param(request(response_format="json"), "response_format", "valid dictionary", id="text for a format"),
    ],
)
def test_a_wrong_field_is_named_as_the_client_wrote_it(body: dict[str, Any], param: str, says: str) -> None:
    with pytest.raises(InvalidField) as refused:
        check(ChatRequest, body)
    assert refused.value.param == param
    assert refused.value.message.startswith(f"{param}: ")
    assert says in refused.value.message


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        ({}, "message", "Field required"),
        ({"message": ""}, "message", "at least 1 character"),
        ({"message": 5}, "message", "valid string"),
        ({"message": "Hi", "session": "1"}, "session", "not permitted"),
    ],
)
def test_a_wrong_field_of_the_conversation_is_named(body: dict[str, Any], param: str, says: str) -> None:
    with pytest.raises(InvalidField) as refused:
        check(ChatMessage, body)
    assert refused.value.param == param
    assert says in refused.value.message


def test_what_is_refused_is_not_quoted() -> None:
    with pytest.raises(InvalidField) as refused:
        check(ChatRequest, request(stop={"my card": "4111"}))
    assert "4111" not in json.dumps(refused.value.message)
    assert refused.value.__cause__ is None


def test_what_is_right_is_handed_over_as_the_schema_sees_it() -> None:
    assert check(ChatRequest, request(stream=True)).stream is True
