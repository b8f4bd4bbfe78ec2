"""The cloud's events as the gateway sees them: OpenAI's chat completion chunks, one answer to a request.

Stands beside `gateway.upstreams.events`, which knows vLLM's own fields and endings; what is not named here is not
looked at. Pure; an event passes on as the bytes in which it came.
"""

from typing import Any

import msgspec

from gateway.ports import ONLY_FIRST, Chunk
from gateway.upstreams import cloud_failures
from gateway.upstreams.events import UNASKED_ENDINGS
from shared import sse


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None


class _Choice(msgspec.Struct):
    index: int
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Event(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_EVENT = msgspec.json.Decoder(_Event)
_NOTHING = _Delta()


def chunk(event: sse.Event) -> Chunk:
    """What an event says. A refusal, which OpenAI tells beside the content, is text of the answer like any other.

    Raises AttemptFailed for an error in-band, an ending that nobody asked for, and what is no chunk of one answer.
    """
    raw, data = event
    if not data:
        return Chunk(raw)
    body = _decoded(data)
    if body.error:
        raise cloud_failures.in_band(body.error)
    if body.choices is None:
        raise cloud_failures.faulty("no list of choices")
    if not body.choices:
        return Chunk(raw, usage=body.usage)
    choice = body.choices[0]
    if len(body.choices) > 1 or choice.index != 0:
        raise cloud_failures.faulty("more than the one answer that was asked for")
    delta, reason = choice.delta or _NOTHING, choice.finish_reason
    if reason in UNASKED_ENDINGS:
        raise cloud_failures.broken_off(f"finish_reason {reason}")
    text, tools = delta.content or delta.refusal or "", bool(delta.tool_calls)
    found = Chunk(raw, ONLY_FIRST, tools or text != "", text, tools=tools, usage=body.usage)
    if reason is not None:
        # An answer that ends at once, with nothing said, is an answer: hence content.
        found.content, found.finished = True, ((0, reason),)
    return found


def _decoded(data: bytes) -> _Event:
    try:
        return _EVENT.decode(data)
    except msgspec.ValidationError as error:
        raise cloud_failures.faulty(f"not a chat completion: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise cloud_failures.faulty("not JSON") from error
