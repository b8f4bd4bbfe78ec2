"""Chat completions on the wire: strict in what is known, open to what is not, in both directions."""

from typing import Any

import pytest
from pydantic import ValidationError

from shared.chat import ChatCompletion, ChatCompletionChunk, ChatRequest

HELLO = {"role": "user", "content": "Hello"}
TOOL = {"type": "function", "function": {"name": "find_cars", "description": "…", "parameters": {"type": "object"}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "find_cars", "arguments": '{"max": 5}'}}


def request(**fields: Any) -> dict[str, Any]:
    return {"model": "llama-70b-scout", "messages": [HELLO], **fields}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="only what is required"),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}, id="content in parts"
        ),
        pytest.param(
            {
                "messages": [
                    HELLO,
                    {"role": "assistant", "tool_calls": [CALL]},
                    {"role": "tool", "tool_call_id": "call_1"},
                ]
            },
            id="a tool's turn",
        ),
        pytest.param({"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False}, id="tools"),
        pytest.param({"tool_choice": {"type": "function", "function": {"name": "find_cars"}}}, id="a forced tool"),
        pytest.param({"temperature": 1, "top_p": 0.5, "seed": 7, "stop": "\n"}, id="a whole number for a fraction"),
        pytest.param({"stop": ["a", "b"], "logit_bias": {"50256": -100}, "n": 2}, id="lists and maps"),
        pytest.param({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, id="a schema"),
        pytest.param({"stream": True, "stream_options": {"include_usage": True}}, id="a stream"),
        pytest.param({"stream": None, "stop": None, "tools": None, "max_tokens": None}, id="null is as good as absent"),
    ],
)
def test_what_openai_clients_send_is_accepted(fields: dict[str, Any]) -> None:
    body = request(**fields)
    read = ChatRequest.model_validate(body)
    assert read.model_dump(exclude_unset=True) == body


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        pytest.param({"model": 5}, ("model",), id="model"),
        pytest.param({"messages": []}, ("messages",), id="no messages"),
        pytest.param({"messages": {"0": HELLO}}, ("messages",), id="messages as an object"),
        pytest.param({"messages": [{"role": "robot"}]}, ("messages", 0, "role"), id="an unknown role"),
        pytest.param({"messages": [{"content": "Hi"}]}, ("messages", 0, "role"), id="no role"),
        pytest.param({"max_tokens": "5"}, ("max_tokens",), id="a number as text"),
        pytest.param({"max_tokens": 5.0}, ("max_tokens",), id="a fraction for a whole number"),
        pytest.param({"max_tokens": True}, ("max_tokens",), id="a truth value for a number"),
        pytest.param({"temperature": "0.7"}, ("temperature",), id="a fraction as text"),
        pytest.param({"temperature": float("inf")}, ("temperature",), id="infinity"),
        pytest.param({"stream": "true"}, ("stream",), id="a truth value as text"),
        pytest.param({"stream": 1}, ("stream",), id="a truth value as a number"),
        pytest.param({"stream_options": True}, ("stream_options",), id="options that are no object"),
        pytest.param({"tools": [{"type": "function"}]}, ("tools", 0, "function"), id="a tool without its function"),
        pytest.param({"tools": [{**TOOL, "type": "search"}]}, ("tools", 0, "type"), id="an unknown kind of tool"),
        pytest.param({"user": 7}, ("user",), id="user"),
    ],
)
def test_a_wrong_type_in_a_known_field_is_refused_at_its_place(fields: dict[str, Any], place: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        ChatRequest.model_validate(request(**fields))
    assert [problem["loc"] for problem in refused.value.errors()] == [place]


@pytest.mark.parametrize("field", ["model", "messages"])
def test_model_and_messages_are_required(field: str) -> None:
    body = request()
    del body[field]
    with pytest.raises(ValidationError) as refused:
        ChatRequest.model_validate(body)
    assert [(problem["loc"], problem["type"]) for problem in refused.value.errors()] == [((field,), "missing")]


def test_fields_that_are_not_known_here_are_kept_at_every_level() -> None:
    body = request(
        guided_choice=["yes", "no"],
        chat_template_kwargs={"thinking": False},
        messages=[{**HELLO, "weight": 0.5, "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}],
        tools=[{**TOOL, "strict": True}],
    )
    read = ChatRequest.model_validate(body)
    assert read.model_extra == {"guided_choice": ["yes", "no"], "chat_template_kwargs": {"thinking": False}}
    assert read.model_dump(exclude_unset=True) == body


CHUNK = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "llama-70b-scout",
    "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None, "token_ids": [1]}],
    "system_fingerprint": "fp",
}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "llama-70b-scout",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi", "reasoning": None}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4, "prompt_tokens_details": None},
    "kv_transfer_params": None,
}


@pytest.mark.parametrize(("schema", "body"), [(ChatCompletion, COMPLETION), (ChatCompletionChunk, CHUNK)])
def test_answers_keep_what_a_server_adds(schema: type[ChatCompletion], body: dict[str, Any]) -> None:
    assert schema.model_validate(body).model_dump(exclude_unset=True) == body


def test_the_usage_chunk_has_no_choices() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    chunk = ChatCompletionChunk.model_validate({**CHUNK, "choices": [], "usage": usage})
    assert chunk.usage is not None
    assert chunk.usage.total_tokens == 4


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        pytest.param(
            ChatCompletion, {**COMPLETION, "object": "chat.completion.chunk"}, id="a chunk for a whole answer"
        ),
        pytest.param(ChatCompletionChunk, {**CHUNK, "object": "chat.completion"}, id="a whole answer for a chunk"),
        pytest.param(ChatCompletion, {**COMPLETION, "choices": None}, id="no choices"),
        pytest.param(ChatCompletionChunk, {**CHUNK, "choices": [{"delta": {}}]}, id="a choice without an index"),
        pytest.param(ChatCompletion, {"error": {"message": "no"}}, id="an error"),
    ],
)
def test_what_is_no_answer_is_not_taken_for_one(schema: type[ChatCompletion], body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        schema.model_validate(body)
