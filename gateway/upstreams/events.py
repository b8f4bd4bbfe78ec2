"""vLLM's events and answers as the gateway sees them: parsed once, into typed structs, with only what we look at.

There is one event for each token, so this is the gateway's innermost code: msgspec skips what is not named here.
"""

from typing import Any

import msgspec

from gateway.errors import UpstreamProtocolError, UpstreamUnavailable
from gateway.ports import ONLY_FIRST, Answer, AttemptFailed, Chunk, Fault
from gateway.upstreams import failures
from shared import sse

UNASKED_ENDINGS = frozenset({"abort", "error"})
"""Finish reasons by which vLLM says that it was stopped: no answer ends like that unless the engine is going down."""


class _Delta(msgspec.Struct):
    content: str | None = None
    tool_calls: list[Any] | None = None
    reasoning: Any = None
    reasoning_content: Any = None


class _Choice(msgspec.Struct):
    index: int
    delta: _Delta | None = None
    finish_reason: str | None = None
    token_ids: list[int] | None = None


class _Event(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    prompt_token_ids: list[int] | None = None


class _AnswerChoice(msgspec.Struct):
    index: int
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_AnswerChoice] | None = None
    usage: dict[str, Any] | None = None


_EVENT = msgspec.json.Decoder(_Event)
_ANSWER = msgspec.json.Decoder(_Answer)
_NOTHING = _Delta()


def chunk(event: sse.Event) -> Chunk:
    """What an event says. Raises AttemptFailed for an error in-band, an unasked ending, and what is no chunk."""
    raw, data = event
    if not data:
        return Chunk(raw)
    try:
        body = _EVENT.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(error) from error
    if body.error:
        raise failures.in_band(body.error)
    choices = body.choices
    if choices is None:
        raise faulty("no list of choices")
    if len(choices) != 1 or choices[0].index != 0:
        return _of_several(raw, body, choices)
    choice = choices[0]
    delta = choice.delta or _NOTHING
    text = delta.content or ""
    tools = bool(delta.tool_calls or delta.reasoning or delta.reasoning_content)
    ids, prompt_ids, reason = choice.token_ids or (), body.prompt_token_ids, choice.finish_reason
    if reason is None:
        return Chunk(raw, ONLY_FIRST, tools or text != "", text, ids, prompt_ids, tools, (), body.usage)
    if reason in UNASKED_ENDINGS:
        raise stopped(reason)
    # An answer that ends at once, with nothing said, is an answer: hence content.
    return Chunk(raw, ONLY_FIRST, True, text, ids, prompt_ids, tools, ((0, reason),), body.usage)


def _of_several(raw: bytes, body: _Event, choices: list[_Choice]) -> Chunk:
    found = Chunk(raw, tuple(choice.index for choice in choices), usage=body.usage)
    finished: list[tuple[int, str]] = []
    for choice in choices:
        delta = choice.delta or _NOTHING
        found.tools |= bool(delta.tool_calls or delta.reasoning or delta.reasoning_content)
        found.content |= bool(delta.content) or found.tools
        if choice.index == 0:
            found.text += delta.content or ""
        if choice.finish_reason in UNASKED_ENDINGS:
            raise stopped(str(choice.finish_reason))
        if choice.finish_reason is not None:
            finished.append((choice.index, choice.finish_reason))
    found.finished = tuple(finished)
    found.content |= bool(finished)
    return found


def answer(raw: bytes) -> Answer:
    """A whole answer. Raises AttemptFailed."""
    try:
        body = _ANSWER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(error) from error
    if not body.choices:
        raise faulty("an answer without choices")
    for choice in body.choices:
        if choice.finish_reason in UNASKED_ENDINGS:
            raise stopped(str(choice.finish_reason))
    return Answer(raw, body.choices[0].finish_reason, body.usage or {})


def _no_json(error: Exception) -> AttemptFailed:
    if isinstance(error, msgspec.ValidationError):
        return faulty(f"not a chat completion: {error}")
    return faulty("not JSON")


def faulty(detail: str) -> AttemptFailed:
    """The replica sent what is no chat completion."""
    return AttemptFailed(UpstreamProtocolError(failures.FAULTY, detail=detail), Fault.SUSPECT)


def stopped(reason: str) -> AttemptFailed:
    """The engine was stopped in the middle of the answer."""
    return AttemptFailed(UpstreamUnavailable(failures.BROKEN_OFF, detail=f"finish_reason {reason}"), Fault.SUSPECT)
