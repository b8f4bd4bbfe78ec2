"""The OpenAI-compatible door: /v1/chat/completions and /v1/models."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request

from gateway.api.body import check
from gateway.api.docs import ERRORS
from gateway.api.doors import Arrival, Outgoing
from gateway.api.state import State, TheGateway
from gateway.chat import Call, Question, Whole, complete
from gateway.settings import DoorClocks, Limits
from gateway.wire.openai import OpenAiEncoder
from shared import headers
from shared.chat import ChatRequest
from shared.models import Model, ModelList


class ChatCompletionsDoor:
    """Satisfies `gateway.api.doors.Door`: the client's messages and tools pass through as they are."""

    def __init__(self, limits: Limits, clocks: DoorClocks) -> None:
        self.max_body_bytes = limits.max_body_bytes
        self._clocks = clocks

    async def answer(self, state: State, arrival: Arrival) -> Whole | Outgoing:
        """See the protocol."""

        async def read() -> Question:
            body = await arrival.read()
            asked = check(ChatRequest, body)
            return Question(body, asked.model, bool(asked.stream))

        call = Call(
            "chat_completions",
            self._clocks,
            arrival.request_id,
            arrival.header(headers.AUTHORIZATION),
            arrival.header(headers.DEADLINE_MS),
            arrival.header(headers.PRIORITY),
            read,
        )
        answer = await complete(state["gateway"], call)
        if isinstance(answer, Whole):
            return answer
        return Outgoing(answer.relay, _encoder(answer.question.body, arrival.request_id))


def _encoder(body: Mapping[str, Any], request_id: str) -> OpenAiEncoder:
    options = body.get("stream_options") or {}
    wants_ids = bool(body.get("return_token_ids"))
    return OpenAiEncoder(request_id, wants_usage=bool(options.get("include_usage")), wants_ids=wants_ids)


def routes() -> APIRouter:
    """The routes of this door that are no hot path."""
    router = APIRouter(tags=["OpenAI-compatible"], responses=ERRORS)

    @router.get("/v1/models", summary="The models that can be asked for")
    async def models(request: Request, gateway: TheGateway) -> ModelList:
        gateway.keys.authenticate(request.headers.get(headers.AUTHORIZATION))
        return ModelList(data=[Model(id=gateway.settings.on_prem.model, created=0, owned_by="scout")])

    return router
