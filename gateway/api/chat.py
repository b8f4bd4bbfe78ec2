"""The conversation door: a customer's message in, plain text out as it is generated.

For a page that reads the body with a TextDecoder. An answer that breaks is torn, not ended: a reader that sees the
body's end has the whole answer.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from gateway.api.body import check
from gateway.chat import Question
from gateway.dealership.prompt import conversation
from gateway.errors import InvalidField
from gateway.settings import Chat, Limits
from gateway.wire.text import TextEncoder


class ChatMessage(BaseModel):
    """The body of `POST /api/chat`. Nothing else is read yet, so nothing else is accepted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    message: str = Field(min_length=1, description="what the customer says")


class ConversationDoor:
    """Satisfies `gateway.api.doors.Door`."""

    endpoint = "chat"

    def __init__(self, limits: Limits, chat: Chat, model: str) -> None:
        self.route = chat
        self.max_body_bytes = limits.max_body_bytes
        self._chat = chat
        self._model = model
        self._max_message_chars = limits.max_message_chars

    def question(self, body: dict[str, Any]) -> Question:
        """See the protocol."""
        message = check(ChatMessage, body).message
        if len(message) > self._max_message_chars:
            raise InvalidField(
                f"message: longer than {self._max_message_chars} characters. Ask in fewer words.", param="message"
            )
        asked = {
            "model": self._model,
            "messages": conversation(message),
            "max_tokens": self._chat.max_tokens,
            "temperature": self._chat.temperature,
        }
        return Question(asked, self._model, stream=True)

    def encoder(self, question: Question, request_id: str) -> TextEncoder:
        """See the protocol."""
        return TextEncoder()
