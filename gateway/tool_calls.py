"""Puts a model's tool calls together from the pieces in which a stream brings them. Pure.

OpenAI's dialect: each piece has the call's `index`; the first one its id and name, all of them parts of the arguments.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from shared import sse

MAX_CALLS = 4
"""A judgment: of one round; a model that asks for more has lost its way."""

MAX_ARGUMENT_CHARS = 8192


@dataclass(slots=True)
class ToolCall:
    """One call; `arguments` is JSON, if the model wrote any."""

    id: str
    name: str
    arguments: str = ""

    def as_message_part(self) -> dict[str, Any]:
        """As an assistant's message has it."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}

    def parsed(self) -> dict[str, Any]:
        """The arguments, for a person to look at; {} where they are no JSON object."""
        try:
            found = msgspec.json.decode(self.arguments or "{}")
        except (msgspec.DecodeError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Piece(msgspec.Struct):
    index: int = 0
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    tool_calls: list[_Piece] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None


class _Event(msgspec.Struct):
    choices: list[_Choice] | None = None


_EVENT = msgspec.json.Decoder(_Event)


class ToolCalls:
    """The calls of one round."""

    def __init__(self) -> None:
        self._calls: dict[int, ToolCall] = {}
        self.cut = False
        """Whether more was asked for than is let through."""

    def note(self, raw: bytes) -> None:
        """An event of the stream. What it says of other things than tools is not looked at."""
        for event in sse.Decoder().feed(raw):
            try:
                body = _EVENT.decode(event.data)
            except (msgspec.DecodeError, RecursionError):
                continue  # it was read before, by somebody who minds
            for choice in body.choices or ():
                for piece in (choice.delta.tool_calls or ()) if choice.delta else ():
                    self._add(piece)

    @property
    def calls(self) -> list[ToolCall]:
        """Those that have a name, in their order."""
        return [call for _, call in sorted(self._calls.items()) if call.name]

    def _add(self, piece: _Piece) -> None:
        call = self._calls.get(piece.index)
        if call is None:
            if len(self._calls) >= MAX_CALLS:
                self.cut = True
                return
            call = self._calls[piece.index] = ToolCall(piece.id or f"call_{piece.index}", "")
        if piece.function is None:
            return
        call.name = call.name or piece.function.name or ""
        room = MAX_ARGUMENT_CHARS - len(call.arguments)
        added = piece.function.arguments or ""
        self.cut |= len(added) > room
        call.arguments += added[:room]
