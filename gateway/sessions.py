"""A conversation as a value: its id, its messages, and which of them the model is sent.

Pure; `gateway.stores.sessions` keeps sessions and `gateway.memory` recalls them. An exchange is a message of the
customer with all that follows it up to the next one: it stays or goes as a whole, so that no result of a tool is ever
without its call, and no answer without its question.
"""

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.errors import ContextLengthExceeded, InvalidField

Message = dict[str, Any]
"""In OpenAI's shape: `role`, `content`; an assistant's may have `tool_calls`, a tool's has `tool_call_id`."""

_ID_BYTES = 16
_ID = re.compile(r"s_[A-Za-z0-9_-]{21}[AQgw]")  # the last character carries two bits

PREVIOUS = "previousMessages"


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation. `tokens` has a count for each message, None where it was never counted.

    Times are epoch seconds, `replica` is who served it last, and `stored` tells whether it has been written: what was
    written and is gone has been deleted.
    """

    id: str
    tenant: str
    sensitive: bool
    messages: tuple[Message, ...]
    tokens: tuple[int | None, ...]
    created_at: float
    used_at: float
    replica: str | None = None
    stored: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """What a list of conversations says of one. Times are epoch seconds, `messages` is their number."""

    id: str
    created_at: float
    used_at: float
    messages: int
    sensitive: bool


def new_id(random_bytes: Callable[[int], bytes]) -> str:
    """An id that nobody guesses: 128 bits of `random_bytes`, as 22 characters that may stand in a URL."""
    return "s_" + base64.urlsafe_b64encode(random_bytes(_ID_BYTES)).rstrip(b"=").decode()


def is_id(text: str) -> bool:
    """Whether it looks like one of ours."""
    return _ID.fullmatch(text) is not None


def exchanges(messages: Sequence[Message]) -> list[tuple[int, int]]:
    """Where each exchange starts and ends, oldest first. What stands before the first question is one of its own."""
    return _groups(messages, lambda message: bool(message["role"] == "user"))


def first_to_keep(messages: Sequence[Message], sizes: Sequence[int], *, max_messages: int, max_bytes: int) -> int:
    """Where the newest exchanges that are within both bounds begin. The last one is always kept, whatever its size."""
    kept, total_bytes = len(messages), 0
    for start, end in reversed(exchanges(messages)):
        total_bytes += sum(sizes[start:end])
        over = len(messages) - start > max_messages or total_bytes > max_bytes
        if over and end < len(messages):
            break
        kept = start
    return kept


def window(
    system: Message, history: Sequence[Message], asked: Message, *, counts: Sequence[int], limit_tokens: int
) -> list[Message]:
    """What the model is sent: the instructions, as many of the newest exchanges as fit, and the new message.

    `counts` are the tokens of the instructions, of each message of the history, and of the new one. Raises
    ContextLengthExceeded where instructions and message do not fit by themselves.
    """
    of_system, *of_history, of_asked = counts
    if len(of_history) != len(history):
        raise ValueError(f"{len(counts)} counts for {len(history) + 2} messages")
    room = limit_tokens - of_system - of_asked
    if room < 0:
        raise ContextLengthExceeded(
            f"message: too long for the model: of its context {max(0, limit_tokens - of_system)} tokens are left for a "
            f"message, and this one has {of_asked}. Ask in fewer words.",
            param="message",
        )
    kept = len(history)
    for start, end in reversed(exchanges(history)):
        room -= sum(of_history[start:end])
        if room < 0:
            break
        kept = start
    return [system, *_settled(history[kept:]), asked]


def check_previous(previous: Any, *, max_messages: int, max_chars: int) -> list[Message]:
    """A history that a client sends, in our shape. `max_chars` bounds each message. Raises InvalidField.

    Only what was said: instructions and results of tools are ours to write, and a message without text (one that
    called tools) has nothing to remember. Null means not sent.
    """
    if previous is None:
        return []
    if not isinstance(previous, list):
        raise InvalidField(f"{PREVIOUS}: must be a list of messages.", param=PREVIOUS)
    if len(previous) > max_messages:
        problem = f"{len(previous)} messages; at most {max_messages} are allowed. Send the last ones."
        raise InvalidField(f"{PREVIOUS}: {problem}", param=PREVIOUS)
    checked = [_previous_message(f"{PREVIOUS}[{i}]", message, max_chars) for i, message in enumerate(previous)]
    return [message for message in checked if message["content"]]


def _settled(messages: Sequence[Message]) -> list[Message]:
    """The messages without calls that lack a result: an answer can break off while a tool runs, and OpenAI's API
    refuses a history with one half of a call. What was said beside such a call is kept."""
    settled: list[Message] = []
    for start, end in _groups(messages, lambda message: bool(message["role"] != "tool")):
        said, *results = messages[start:end]
        # Compared here alone: an id is unique among the calls of one message, and not always in a conversation.
        called = {call["id"] for call in said.get("tool_calls") or ()}
        if called == {result["tool_call_id"] for result in results}:
            settled += messages[start:end]
        elif said.get("content"):
            settled.append({"role": said["role"], "content": said["content"]})
    return settled


def _groups(messages: Sequence[Message], begins: Callable[[Message], bool]) -> list[tuple[int, int]]:
    starts = [i for i, message in enumerate(messages) if i == 0 or begins(message)]
    return list(zip(starts, [*starts[1:], len(messages)], strict=True)) if starts else []


def _previous_message(name: str, message: Any, max_chars: int) -> Message:
    if not isinstance(message, dict):
        raise InvalidField(f"{name}: must be an object with role and content.", param=name)
    role = message.get("role")
    if role not in ("user", "assistant"):
        raise InvalidField(f"{name}.role: must be 'user' or 'assistant'; the rest is Scout's to write.", param=name)
    text = _text_of(message)
    if text is None:
        raise InvalidField(f"{name}.content: must be text, or the message must have parts.", param=name)
    if len(text) > max_chars:
        problem = f"{len(text)} characters; at most {max_chars} are allowed. Shorten it."
        raise InvalidField(f"{name}.content: {problem}", param=name)
    return {"role": role, "content": text}


def _text_of(message: Message) -> str | None:
    """The text of a message with `content`, or with `parts` as the AI SDK's pages have it; parts of other kinds say
    nothing that counts here. None where there is neither."""
    content, parts = message.get("content"), message.get("parts")
    if isinstance(content, str):
        return content
    if not isinstance(parts, list):
        return None
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))
