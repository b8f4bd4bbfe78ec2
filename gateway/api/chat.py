"""The conversation door: a customer's message in, and Scout's answer out as it is generated.

As plain text, for a page that reads the body with a TextDecoder, or, for who accepts `text/event-stream`, as the AI SDK's
UI message stream, which also tells who speaks and which tools are used. A text that breaks is torn, not ended: a reader
that sees the body's end has the whole answer.
"""

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from gateway.api.body import check
from gateway.api.doors import Arrival, Outgoing
from gateway.api.state import State
from gateway.conversation import Asked, Visit
from gateway.errors import InvalidField
from gateway.sessions import check_previous
from gateway.settings import Limits, Sessions
from gateway.turn import Turn
from gateway.wire.text import TextEncoder
from gateway.wire.ui_stream import UiStreamEncoder
from shared import headers

EVENT_STREAM = "text/event-stream"


class ChatMessage(BaseModel):
    """The body of `POST /api/chat`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=True)

    message: str = Field(min_length=1, description="what the customer says")
    session_id: str | None = Field(
        None,
        validation_alias=AliasChoices("sessionId", "session_id"),
        description="the conversation, as the header x-scout-session of the last answer named it; none begins a new one",
    )
    previous_messages: list[Any] | None = Field(
        None,
        validation_alias=AliasChoices("previousMessages", "previous_messages"),
        description="the messages before, from a client that keeps them itself: role user or assistant, and content",
    )


class ConversationDoor:
    """Satisfies `gateway.api.doors.Door`."""

    def __init__(self, limits: Limits, sessions: Sessions) -> None:
        self.max_body_bytes = limits.max_body_bytes
        self._max_message_chars = limits.max_message_chars
        self._max_previous = sessions.max_previous

    async def answer(self, state: State, arrival: Arrival) -> Outgoing:
        """See the protocol."""

        async def read() -> Asked:
            return self._asked(await arrival.read())

        visit = Visit(
            arrival.request_id,
            arrival.header(headers.AUTHORIZATION),
            arrival.header(headers.DEADLINE_MS),
            arrival.header(headers.PRIORITY),
            arrival.header(headers.ROUTE),
            read,
        )
        turn = await state["conversations"].answer(visit)
        if EVENT_STREAM in (arrival.header("accept") or ""):
            return Outgoing(turn, _ui_stream(turn, arrival.request_id))
        return Outgoing(turn, TextEncoder())

    def _asked(self, body: dict[str, Any]) -> Asked:
        given = check(ChatMessage, body)
        limit = self._max_message_chars
        if len(given.message) > limit:
            raise InvalidField(f"message: longer than {limit} characters. Ask in fewer words.", param="message")
        if not given.message.strip():
            raise InvalidField("message: there is nothing in it. Say something.", param="message")
        previous = check_previous(given.previous_messages or [], max_messages=self._max_previous, max_chars=limit)
        return Asked(given.message, given.session_id, tuple(previous))


def _ui_stream(turn: Turn, request_id: str) -> UiStreamEncoder:
    return UiStreamEncoder(request_id, {"sessionId": turn.session_id, "route": turn.route})
