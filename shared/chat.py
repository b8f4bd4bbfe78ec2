"""Chat completions: the request, the answer, the chunk of a stream, and usage.

Requests are checked strictly in the fields known here and open in all others: whoever sends vLLM's own parameters gets
them through unchanged. Answers are open too, since servers add fields. What is checked is never re-serialised: a relay
passes on what it was given.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Request(BaseModel):
    """Strict about types ("5" is no number, nor is 1e999, which reads as infinity), open to unknown fields."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, allow_inf_nan=False)


class ContentPart(_Request):
    """One part of a message in parts; `text` for text, and whatever its type brings along."""

    type: str
    text: str | None = None


class FunctionCall(_Request):
    """A call the model made: the function's name and its arguments, a JSON text."""

    name: str
    arguments: str


class ToolCall(_Request):
    """A tool call in the conversation so far."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(_Request):
    """One turn of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class FunctionDefinition(_Request):
    """A function the model may call; `parameters` is a JSON schema."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(_Request):
    """A tool offered to the model."""

    type: Literal["function"]
    function: FunctionDefinition


class NamedFunction(_Request):
    """The name of the function that must be called."""

    name: str


class NamedToolChoice(_Request):
    """Forces one function."""

    type: Literal["function"]
    function: NamedFunction


class ResponseFormat(_Request):
    """`text`, `json_object`, or `json_schema` with its schema."""

    type: str
    json_schema: dict[str, Any] | None = None


class StreamOptions(_Request):
    """`include_usage` asks for a last chunk with the usage and no choices."""

    include_usage: bool | None = None


class ChatRequest(_Request):
    """The body of `POST /v1/chat/completions`. Only `model` and `messages` are required."""

    model: str
    messages: Annotated[list[Message], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    user: str | None = None


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


class Usage(_Answer):
    """Tokens: of the prompt, of the answer, and their sum."""

    prompt_tokens: int
    completion_tokens: int | None = 0
    total_tokens: int


class AnswerMessage(_Answer):
    """What the model said; `content` is null when it called a tool."""

    role: Literal["assistant"]
    content: str | None = None
    tool_calls: list[ToolCall] | None = None


class Choice(_Answer):
    """One of the `n` answers."""

    index: int
    message: AnswerMessage
    finish_reason: str | None
    logprobs: dict[str, Any] | None = None


class ChatCompletion(_Answer):
    """The body of an answer that was not streamed."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None = None


class Delta(_Answer):
    """What a chunk adds. The first one of a stream has the role."""

    role: str | None = None
    content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class ChunkChoice(_Answer):
    """One choice's part of a chunk. `finish_reason` is null on all but its last."""

    index: int
    delta: Delta
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None


class ChatCompletionChunk(_Answer):
    """One event of a stream. The usage chunk, sent only when asked for, has no choices."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
