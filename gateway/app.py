"""The composition root: the one place where the gateway's parts are built and joined."""

import time
from asyncio import TaskGroup
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from gateway import gauges, health
from gateway.admission import Admission
from gateway.api import admin, chat, docs, openai, ops
from gateway.api.doors import FAULT, Door, Doors
from gateway.api.request_id import RequestId, request_id
from gateway.api.responses import error_response
from gateway.api.state import State
from gateway.attempts import Attempts
from gateway.auth import Keyring
from gateway.budget import RetryBudget
from gateway.chat import Gateway
from gateway.ending import Ending
from gateway.errors import GatewayError, InternalError, InvalidRequest, MethodNotAllowed, PathNotFound
from gateway.ledger import Ledger
from gateway.link import Link
from gateway.logs import Log, make_log
from gateway.metrics import Metrics
from gateway.pool import Pool, Replica
from gateway.ports import Clock
from gateway.probes import Prober
from gateway.settings import Cors, Settings
from gateway.site import SiteEvent
from gateway.tiers.on_prem import OnPrem
from gateway.upstreams.questions import Questions
from gateway.upstreams.vllm import VllmUpstream, open_client
from shared import headers
from shared.chat import ChatCompletion, ChatRequest

PREFLIGHT_MAX_AGE_S = 600

CHAT_COMPLETIONS = "/v1/chat/completions"
CONVERSATION = "/api/chat"

DESCRIBED = (
    docs.Described(
        CHAT_COMPLETIONS,
        "OpenAI-compatible",
        "Chat completion, streamed or whole",
        ChatRequest,
        {
            "application/json": {"$ref": "#/components/schemas/ChatCompletion"},
            "text/event-stream": {"type": "string"},
        },
    ),
    docs.Described(
        CONVERSATION,
        "conversation",
        "Ask Scout; the answer streams as plain text",
        chat.ChatMessage,
        {"text/plain": {"type": "string"}},
    ),
)


def build_app(
    settings: Settings, *, clock: Clock = time.monotonic, log: Log | None = None, ending: Ending | None = None
) -> ASGIApp:
    """The gateway as an ASGI application. Nothing is opened before its lifespan starts."""
    log = log or make_log()
    ending = ending or Ending()
    metrics = Metrics(CollectorRegistry())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        async with _running(settings, clock, log, ending, metrics) as state:
            yield state

    app = FastAPI(
        title="Scout gateway",
        version="0.1.0",
        description="The front door of a dealership's own LLM.",
        lifespan=lifespan,
        redirect_slashes=False,  # a path is right or it is not there
    )
    app.include_router(openai.routes())
    app.include_router(ops.routes(metrics))
    app.include_router(admin.routes())
    docs.describe(app, DESCRIBED, [ChatCompletion])
    _answer_errors(app, log)
    cross_origin = _cross_origin(settings.cors)
    if cross_origin is not None:
        app.add_middleware(cross_origin)
    app.add_middleware(RequestId)  # added last, so outermost: a preflight's answer has an id too
    return Doors(app, _doors(settings), log, cross_origin)


@asynccontextmanager
async def _running(
    settings: Settings, clock: Clock, log: Log, ending: Ending, metrics: Metrics
) -> AsyncIterator[State]:
    """What lives while the gateway runs: built here, joined, and closed in reverse."""
    key = settings.onprem_key.get_secret_value()
    pool = Pool(settings, clock)
    admission = Admission(pool, settings, metrics, clock)
    retries = RetryBudget(settings.attempts.retry_ratio, settings.attempts.retry_reserve)
    gauges.watch(metrics, pool, admission, retries)
    _tell_of(pool, metrics, log)
    with (
        closing(open_client(settings.on_prem)) as client,
        closing(open_client(settings.on_prem)) as probe_client,
        closing(admission),
    ):
        upstream = VllmUpstream(client, key, settings.on_prem)
        async with TaskGroup() as tasks:
            link = _link(settings)
            prober = Prober(Questions(probe_client), key, settings.on_prem.model, settings.health, pool, log, link)
            gauges.watch_link(metrics, prober)
            apart_s = settings.health.busy_interval_s / len(pool.replicas)
            watchers = [tasks.create_task(prober.watch(one, i * apart_s)) for i, one in enumerate(pool.replicas)]
            watchers.append(tasks.create_task(prober.watch_link()))
            attempts = Attempts(admission, upstream, settings.attempts, retries, metrics, clock)
            gateway = Gateway(
                settings=settings,
                keys=Keyring(key.get_secret_value() for key in settings.api_keys),
                admins=Keyring(key.get_secret_value() for key in settings.admin_keys),
                ledger=Ledger(metrics, log, clock),
                pool=pool,
                attempts=attempts,
                on_prem=OnPrem(pool, attempts, settings.attempts, clock),
                retries=retries,
                ending=ending,
                paths=lambda: dict(prober.paths),
                clock=clock,
            )
            yield State(gateway=gateway)
            for watcher in watchers:
                watcher.cancel()


def _link(settings: Settings) -> Link | None:
    """Who tells the tailnet's path, where a tailscaled can be asked."""
    if not settings.tailscale_socket:
        return None
    return Link(settings.tailscale_socket, [urlsplit(url).hostname or "" for url in settings.replica_urls])


def _doors(settings: Settings) -> dict[str, Door]:
    """The hot paths."""
    return {
        CHAT_COMPLETIONS: openai.ChatCompletionsDoor(settings.limits, settings.chat_completions),
        CONVERSATION: chat.ConversationDoor(settings.limits, settings.chat, settings.on_prem.model),
    }


def _tell_of(pool: Pool, metrics: Metrics, log: Log) -> None:
    """What the pool finds out goes to the log and the metrics."""

    def state(replica: Replica, was: health.State, reason: str) -> None:
        if replica.shown is health.State.FAILED:
            metrics.replica_failed.labels(replica.name).inc()

    def site(event: SiteEvent) -> None:
        log.warning("site", down=event.down, text=event.text, outage_s=round(event.outage_s, 1))

    pool.on_state, pool.on_site = state, site


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
        return error_response(InternalError(FAULT), request_id(request.scope))

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


def _cross_origin(cors: Cors) -> "partial[CORSMiddleware] | None":
    """What answers pages of other origins; None where no page may call us."""
    if not cors.allow_origins and cors.allow_origin_regex is None:
        return None
    return partial(
        CORSMiddleware,
        allow_origins=cors.allow_origins,
        allow_origin_regex=cors.allow_origin_regex,
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", headers.REQUEST_ID, headers.DEADLINE_MS, headers.PRIORITY],
        expose_headers=headers.EXPOSED,
        max_age=PREFLIGHT_MAX_AGE_S,
    )
