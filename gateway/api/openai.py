"""The OpenAI-compatible door: /v1/chat/completions and /v1/models."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gateway.api.body import check, read_json
from gateway.api.call import call_of
from gateway.api.docs import ERRORS, json_body
from gateway.api.responses import Presence, StreamResponse, answer_headers
from gateway.api.state import TheGateway, TheTasks
from gateway.chat import Question, Streamed, complete
from gateway.settings import Limits, Route
from gateway.wire.openai import OpenAiEncoder
from shared import headers
from shared.chat import ChatCompletion, ChatRequest
from shared.models import Model, ModelList


def routes(limits: Limits, route: Route) -> APIRouter:
    """The routes of this door."""
    router = APIRouter(tags=["OpenAI-compatible"], responses=ERRORS)

    @router.post(
        "/v1/chat/completions",
        summary="Chat completion, streamed or whole",
        response_model=ChatCompletion,
        openapi_extra=json_body(ChatRequest),
    )
    async def chat_completions(request: Request, gateway: TheGateway, tasks: TheTasks) -> Response:
        presence = Presence(request.receive, tasks)
        wants_usage = wants_ids = False

        async def read() -> Question:
            nonlocal wants_usage, wants_ids
            body = await read_json(request, limits.max_body_bytes)
            presence.watch()
            asked = check(ChatRequest, body)
            wants_usage = bool(asked.stream_options and asked.stream_options.include_usage)
            wants_ids = bool(body.get("return_token_ids"))
            return Question(body, asked.model, bool(asked.stream))

        call = call_of(request, "chat_completions", route, read)
        answer = await presence.needed_for(complete(gateway, call))
        if isinstance(answer, Streamed):
            encoder = OpenAiEncoder(call.request_id, wants_usage=wants_usage, wants_ids=wants_ids)
            return StreamResponse(answer, encoder, tasks)
        return Response(answer.raw, media_type="application/json", headers=answer_headers(answer))

    @router.get("/v1/models", summary="The models that can be asked for")
    async def models(request: Request, gateway: TheGateway) -> ModelList:
        gateway.keys.authenticate(request.headers.get(headers.AUTHORIZATION))
        return ModelList(data=[Model(id=gateway.settings.on_prem.model, created=0, owned_by="scout")])

    return router
