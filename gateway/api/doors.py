"""The doors that answer with a model: plain ASGI in front of the framework, because they are the hot path.

A door says what a body means and how its answer is written. What all doors have in common is here: who asks, the watch
for a client that leaves, errors, and the sending of an answer, whole or as it comes. FastAPI serves everything else.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.body import read_json
from gateway.api.client_end import client_end
from gateway.api.presence import Presence
from gateway.api.request_id import assign_request_id
from gateway.api.responses import Encoder, Stream, send_error, send_stream, send_whole
from gateway.api.state import State
from gateway.chat import Whole
from gateway.errors import ClientGone, GatewayError, InternalError, MethodNotAllowed
from gateway.logs import Log

FAULT = "Something went wrong on our side. The operator finds it in the log by the request id."


class Arrival:
    """A request at a door: its headers, and its body once somebody reads it."""

    __slots__ = ("_given", "_max_body_bytes", "_receive", "request_id")

    def __init__(self, scope: Scope, receive: Receive, max_body_bytes: int, request_id: str) -> None:
        self.request_id = request_id
        self._given: dict[bytes, bytes] = dict(scope["headers"])
        self._receive = receive
        self._max_body_bytes = max_body_bytes

    def header(self, name: str) -> str | None:
        """The last header of this name, lower case; None if there is none."""
        value = self._given.get(name.encode())
        return None if value is None else value.decode("latin-1")

    async def read(self) -> dict[str, Any]:
        """The body, a JSON object. Raises GatewayError."""
        return await read_json(self._receive, self._max_body_bytes)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An answer as it comes, and how it is written."""

    stream: Stream[Any]
    encoder: Encoder[Any]


class Door(Protocol):
    """One path that answers with a model."""

    max_body_bytes: int

    async def answer(self, state: State, arrival: Arrival) -> Whole | Outgoing:
        """What the request is answered with. Raises GatewayError. Safe to cancel."""


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

    __slots__ = ("_door", "_end", "_presence", "_receive", "_scope", "_send_on", "_started", "request_id")

    def __init__(self, door: Door, scope: Scope, receive: Receive, send: Send) -> None:
        self._door = door
        self._scope = scope
        self._receive = receive
        self._send_on = send
        self._end = client_end(scope)
        self._presence = Presence(self._end)
        self._started = False
        self.request_id = assign_request_id(scope)

    async def run(self) -> None:
        """To its end, or until the client leaves: then nobody is there to be told, and the ledger has it."""
        with suppress(ClientGone):
            await self._presence.needed_for(self._answer())

    async def tell_fault(self) -> None:
        """Something unforeseen has happened. An answer that has begun is torn by the server when we return."""
        if not self._started:
            await send_error(self._send, InternalError(FAULT), self.request_id)

    async def _send(self, message: Message) -> None:
        self._started = True
        await self._send_on(message)

    async def _answer(self) -> None:
        try:
            if self._scope["method"] != "POST":
                raise MethodNotAllowed(f"Use POST for {self._scope['path']}.")
            arrival = Arrival(self._scope, self._receive, self._door.max_body_bytes, self.request_id)
            answer = await self._door.answer(self._scope["state"], arrival)
        except ClientGone:
            raise
        except GatewayError as error:
            await send_error(self._send, error, self.request_id)
            return
        if not isinstance(answer, Outgoing):
            await send_whole(self._send, answer, self.request_id)
            return
        answer.stream.on_overdue = self._presence.expire
        await send_stream(self._send, self._end, answer.stream, answer.encoder, self.request_id)
