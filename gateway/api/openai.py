"""The OpenAI-compatible door: /v1/chat/completions and /v1/models."""

from typing import Any

from fastapi import APIRouter, Request

from gateway.api.body import check
from gateway.api.docs import ERRORS
from gateway.api.state import TheGateway
from gateway.chat import Question
from gateway.settings import Limits, Route
from gateway.wire.openai import OpenAiEncoder
from shared import headers
from shared.chat import ChatRequest
from shared.models import Model, ModelList


class ChatCompletionsDoor:
    """Satisfies `gateway.api.doors.Door`: the client's messages and tools pass through as they are."""

    endpoint = "chat_completions"

    def __init__(self, limits: Limits, route: Route) -> None:
        self.route = route
        self.max_body_bytes = limits.max_body_bytes

    def question(self, body: dict[str, Any]) -> Question:
        """See the protocol."""
        asked = check(ChatRequest, body)
        return Question(body, asked.model, bool(asked.stream))

    def encoder(self, question: Question, request_id: str) -> OpenAiEncoder:
        """See the protocol."""
        options = question.body.get("stream_options") or {}
        wants_ids = bool(question.body.get("return_token_ids"))
        return OpenAiEncoder(request_id, wants_usage=bool(options.get("include_usage")), wants_ids=wants_ids)


def routes() -> APIRouter:
    """The routes of this door that are no hot path."""
    router = APIRouter(tags=["OpenAI-compatible"], responses=ERRORS)

    @router.get("/v1/models", summary="The models that can be asked for")
    async def models(request: Request, gateway: TheGateway) -> ModelList:
        gateway.keys.authenticate(request.headers.get(headers.AUTHORIZATION))
        return ModelList(data=[Model(id=gateway.settings.on_prem.model, created=0, owned_by="scout")])

    return router
