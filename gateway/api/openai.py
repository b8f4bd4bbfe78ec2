"""The OpenAI-compatible door: /v1/chat/completions and /v1/models."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gateway.api.body import check, read_json
from gateway.api.docs import ERRORS, json_body
from gateway.api.request_id import request_id
from gateway.api.responses import Presence, StreamResponse, answer_headers
from gateway.api.state import TheGateway, TheTasks
from gateway.chat import Call, Question, Streamed, complete
from gateway.settings import Limits
from gateway.wire.openai import OpenAiEncoder
from shared import headers
from shared.chat import ChatCompletion, ChatRequest
from shared.models import Model, ModelList


def routes(limits: Limits) -> APIRouter:
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
        wants_usage = False

        async def read() -> Question:
            nonlocal wants_usage
            body = await read_json(request, limits.max_body_bytes)
            presence.watch()
            asked = check(ChatRequest, body)
            wants_usage = bool(asked.stream_options and asked.stream_options.include_usage)
            return Question(body, asked.model, bool(asked.stream))

        call = Call("chat_completions", request_id(request.scope), request.headers.get(headers.AUTHORIZATION), read)
        answer = await presence.needed_for(complete(gateway, call))
        if isinstance(answer, Streamed):
            return StreamResponse(answer, OpenAiEncoder(call.request_id, wants_usage=wants_usage), tasks)
        return Response(answer.raw, media_type="application/json", headers=answer_headers(answer))

    @router.get("/v1/models", summary="The models that can be asked for")
    async def models(request: Request, gateway: TheGateway) -> ModelList:
        gateway.keys.authenticate(request.headers.get(headers.AUTHORIZATION))
        return ModelList(data=[Model(id=gateway.on_prem.model, created=0, owned_by="scout")])

    return router
