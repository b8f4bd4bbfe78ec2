"""The conversation door: a customer's message in, plain text out as it is generated.

For a page that reads the body with a TextDecoder. An answer that breaks is torn, not ended: a reader that sees the
body's end has the whole answer.
"""

from typing import cast

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from gateway.api.body import check, read_json
from gateway.api.call import call_of
from gateway.api.docs import ERRORS, json_body
from gateway.api.responses import Presence, StreamResponse
from gateway.api.state import TheGateway, TheTasks
from gateway.chat import Question, Streamed, complete
from gateway.dealership.prompt import conversation
from gateway.errors import InvalidField
from gateway.settings import Chat, Limits
from gateway.wire.text import TextEncoder


class ChatMessage(BaseModel):
    """The body of `POST /api/chat`. Nothing else is read yet, so nothing else is accepted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    message: str = Field(min_length=1, description="what the customer says")


def routes(limits: Limits, chat: Chat, model: str) -> APIRouter:
    """The routes of this door."""
    router = APIRouter(tags=["conversation"], responses=ERRORS)

    @router.post(
        "/api/chat",
        summary="Ask Scout; the answer streams as plain text",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        openapi_extra=json_body(ChatMessage),
    )
    async def ask(request: Request, gateway: TheGateway, tasks: TheTasks) -> Response:
        presence = Presence(request.receive, tasks)

        async def read() -> Question:
            body = await read_json(request, limits.max_body_bytes)
            presence.watch()
            message = check(ChatMessage, body).message
            if len(message) > limits.max_message_chars:
                raise InvalidField(
                    f"message: longer than {limits.max_message_chars} characters. Ask in fewer words.", param="message"
                )
            return Question(
                {
                    "model": model,
                    "messages": conversation(message),
                    "max_tokens": chat.max_tokens,
                    "temperature": chat.temperature,
                },
                model,
                stream=True,
            )

        answer = await presence.needed_for(complete(gateway, call_of(request, "chat", chat, read)))
        return StreamResponse(cast(Streamed, answer), TextEncoder(), tasks)  # a stream is what `read` asks for

    return router
