"""The composition root: the one place where the gateway's parts are built and joined."""

import time
from asyncio import TaskGroup
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import httpx
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway import health
from gateway.api import chat, docs, openai, ops
from gateway.api.request_id import RequestId, request_id
from gateway.api.responses import error_response
from gateway.api.state import State
from gateway.attempts import Attempts
from gateway.auth import Keyring
from gateway.chat import Gateway
from gateway.errors import GatewayError, InternalError, InvalidRequest, MethodNotAllowed, PathNotFound
from gateway.ledger import Ledger
from gateway.logs import Log, make_log
from gateway.metrics import Metrics
from gateway.ports import Clock
from gateway.probes import Prober
from gateway.routing import Pool, Replica
from gateway.settings import Cors, Settings
from gateway.upstreams.vllm import VllmUpstream, open_session
from shared import headers
from shared.chat import ChatRequest

PREFLIGHT_MAX_AGE_S = 600


def build_app(settings: Settings, *, clock: Clock = time.monotonic, log: Log | None = None) -> FastAPI:
    """The gateway as an ASGI application. Nothing is opened before its lifespan starts."""
    log = log or make_log()
    metrics = Metrics(CollectorRegistry())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        key = settings.onprem_key.get_secret_value()
        pool = Pool(settings.replica_urls, settings.health, clock)
        _watch_pool(metrics, pool)
        async with (
            open_session(settings.on_prem) as session,
            httpx.AsyncClient(trust_env=False) as probe_client,
            TaskGroup() as tasks,
        ):
            prober = Prober(probe_client, key, settings.on_prem.model, settings.health, pool, log)
            watchers = [tasks.create_task(prober.watch(replica)) for replica in pool.replicas]
            yield State(
                gateway=Gateway(
                    keys=Keyring(key.get_secret_value() for key in settings.api_keys),
                    ledger=Ledger(metrics, log, clock),
                    attempts=Attempts(pool, VllmUpstream(session, key, settings.on_prem), settings.on_prem),
                    on_prem=settings.on_prem,
                    clock=clock,
                ),
                tasks=tasks,
            )
            for watcher in watchers:
                watcher.cancel()

    app = FastAPI(
        title="Scout gateway",
        version="0.1.0",
        description="The front door of a dealership's own LLM.",
        lifespan=lifespan,
        redirect_slashes=False,  # a path is right or it is not there
    )
    app.include_router(openai.routes(settings.limits))
    app.include_router(chat.routes(settings.limits, settings.chat, settings.on_prem.model))
    app.include_router(ops.routes(metrics))
    docs.describe(app, [ChatRequest, chat.ChatMessage])
    _answer_errors(app, log)
    _allow_origins(app, settings.cors)
    app.add_middleware(RequestId)  # added last, so outermost: a preflight's answer has an id too
    return app


def _watch_pool(metrics: Metrics, pool: Pool) -> None:
    """Gauges that are read off the pool when they are scraped, so that they cannot drift from it."""

    def in_flight(replica: Replica) -> float:
        return replica.in_flight

    def ready(replica: Replica) -> float:
        return float(replica.belief.state is health.State.READY)

    for replica in pool.replicas:
        metrics.in_flight.labels(replica.name).set_function(partial(in_flight, replica))
        metrics.ready.labels(replica.name).set_function(partial(ready, replica))


def _answer_errors(app: FastAPI, log: Log) -> None:
    """Whatever is raised becomes an error of the closed set, rendered in one place."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, GatewayError)  # noqa: S101  # what the handler is registered for
        return error_response(error, request_id(request.scope))

    async def frameworks(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101  # what the handler is registered for
        return error_response(_translate(error, request.url.path), request_id(request.scope))

    async def unforeseen(request: Request, error: Exception) -> Response:
        log.error("fault", request_id=request_id(request.scope), exc_info=error)
        message = "Something went wrong on our side. The operator finds it in the log by the request id."
        return error_response(InternalError(message), request_id(request.scope))

    app.add_exception_handler(GatewayError, ours)
    app.add_exception_handler(HTTPException, frameworks)
    app.add_exception_handler(Exception, unforeseen)


def _translate(error: HTTPException, path: str) -> GatewayError:
    if error.status_code == 404:
        return PathNotFound(f"There is nothing at {path[:200]}. /docs lists what there is.")
    if error.status_code == 405:
        allowed = (error.headers or {}).get("allow", "another method")
        return MethodNotAllowed(f"Use {allowed} for {path[:200]}.")
    return InvalidRequest(str(error.detail))


def _allow_origins(app: FastAPI, cors: Cors) -> None:
    app.add_middleware(
        CORSMiddleware,
        allow_origins=cors.allow_origins,
        allow_origin_regex=cors.allow_origin_regex,
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", headers.REQUEST_ID],
        expose_headers=headers.EXPOSED,
        max_age=PREFLIGHT_MAX_AGE_S,
    )
