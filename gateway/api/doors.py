"""The doors that answer with a model: plain ASGI in front of the framework, because they are the hot path.

A door says what a body means and how its answer is written. What all doors have in common is here: who asks, the watch
for a client that leaves, errors, and the sending of an answer, whole or as it comes. FastAPI serves everything else.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.body import read_json
from gateway.api.client_end import client_end
from gateway.api.presence import Presence
from gateway.api.request_id import assign_request_id
from gateway.api.responses import Encoder, send_error, send_stream, send_whole
from gateway.chat import Call, Gateway, Question, Streamed, complete
from gateway.errors import ClientGone, GatewayError, InternalError, MethodNotAllowed
from gateway.logs import Log
from gateway.settings import Route
from shared import headers

FAULT = "Something went wrong on our side. The operator finds it in the log by the request id."

_AUTHORIZATION = headers.AUTHORIZATION.encode()
_DEADLINE_MS = headers.DEADLINE_MS.encode()
_PRIORITY = headers.PRIORITY.encode()


class Door(Protocol):
    """One path that answers with a model. `endpoint` is its name in logs and metrics."""

    endpoint: str
    max_body_bytes: int

    @property
    def route(self) -> Route:
        """Its clocks and its place in the queue."""

    def question(self, body: dict[str, Any]) -> Question:
        """What the body asks. Raises GatewayError."""

    def encoder(self, question: Question, request_id: str) -> Encoder:
        """How a streamed answer to it is written."""


class Doors:
    """The application: requests to the doors' paths are answered here, all others by the framework.

    Outermost, so that nothing stands between a token and its client. `cross_origin` wraps what answers requests of web
    pages from elsewhere; preflights are the framework's.
    """

    def __init__(
        self,
        framework: ASGIApp,
        doors: Mapping[str, Door],
        log: Log,
        cross_origin: Callable[[ASGIApp], ASGIApp] | None = None,
    ) -> None:
        self._framework = framework
        self._doors = doors
        self._log = log
        self._cross_origin = cross_origin(self._answer) if cross_origin is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door = self._doors.get(scope["path"]) if scope["type"] == "http" else None
        if door is None or (scope["method"] == "OPTIONS" and self._cross_origin is not None):
            await self._framework(scope, receive, send)
        elif self._cross_origin is not None:
            await self._cross_origin(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = _Visit(self._doors[scope["path"]], scope, receive, send)
        try:
            await visit.run()
        except Exception as error:  # noqa: BLE001  # the outermost handler: whatever it is, the client is told
            self._log.error("fault", request_id=visit.request_id, exc_info=error)
            await visit.tell_fault()


class _Visit:
    """One request at a door."""

    __slots__ = ("_door", "_end", "_presence", "_question", "_receive", "_scope", "_send", "_started", "request_id")

    def __init__(self, door: Door, scope: Scope, receive: Receive, send: Send) -> None:
        self._door = door
        self._scope = scope
        self._receive = receive
        self._send = send
        self._end = client_end(scope)
        self._presence = Presence(self._end)
        self._question: Question | None = None
        self._started = False
        self.request_id = assign_request_id(scope)

    async def run(self) -> None:
        """To its end, or until the client leaves: then nobody is there to be told, and the ledger has it."""
        with suppress(ClientGone):
            await self._presence.needed_for(self._answer(self._scope["state"]["gateway"]))

    async def tell_fault(self) -> None:
        """Something unforeseen has happened. An answer that has begun is torn by the server when we return."""
        if not self._started:
            await send_error(self._send, InternalError(FAULT), self.request_id)

    async def _answer(self, gateway: Gateway) -> None:
        try:
            if self._scope["method"] != "POST":
                raise MethodNotAllowed(f"Use POST for {self._scope['path']}.")
            answer = await complete(gateway, self._call())
        except ClientGone:
            raise
        except GatewayError as error:
            await send_error(self._send, error, self.request_id)
            return
        self._started = True
        if not isinstance(answer, Streamed):
            await send_whole(self._send, answer, self.request_id)
            return
        assert self._question is not None  # noqa: S101  # there is no answer before a question
        answer.relay.on_overdue = self._presence.expire
        encoder = self._door.encoder(self._question, self.request_id)
        await send_stream(self._send, self._end, answer, encoder, self.request_id)

    def _call(self) -> Call:
        given: dict[bytes, bytes] = dict(self._scope["headers"])
        return Call(
            self._door.endpoint,
            self._door.route,
            self.request_id,
            _text(given.get(_AUTHORIZATION)),
            _text(given.get(_DEADLINE_MS)),
            _text(given.get(_PRIORITY)),
            self._read,
        )

    async def _read(self) -> Question:
        body = await read_json(self._receive, self._door.max_body_bytes)
        self._question = self._door.question(body)
        return self._question


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
