"""Answers on their way out: whole, streamed, or an error.

Whoever sends a stream closes it, however the sending ends: Starlette's StreamingResponse does not.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from starlette.responses import Response
from starlette.types import Send

from gateway.api.client_end import ClientEnd
from gateway.chat import Whole
from gateway.errors import GatewayError
from gateway.relay import SERVED_BY
from gateway.wire.openai import error_body
from shared import headers

Pairs = list[tuple[bytes, bytes]]
Item = TypeVar("Item")
Told = TypeVar("Told", contravariant=True)

_REQUEST_ID = headers.REQUEST_ID.encode()
_STREAM_HEADERS: Pairs = [(b"cache-control", b"no-cache, no-transform"), (headers.ACCEL_BUFFERING.encode(), b"no")]


class Encoder(Protocol[Told]):
    """One client protocol's way to write a stream. `fail` returns None where only a torn connection tells."""

    content_type: str
    headers: Sequence[tuple[str, str]]

    def encode(self, items: Sequence[Told]) -> bytes: ...
    def end(self) -> bytes: ...
    def fail(self, error: GatewayError) -> bytes | None: ...


class Stream(Protocol[Item]):
    """An answer as it comes: a relay, or a customer's turn. `sink` and `on_overdue` are set by who sends it."""

    on_overdue: Callable[[], None] | None
    sink: Any

    def __aiter__(self) -> "Stream[Item]": ...
    async def __anext__(self) -> list[Item]: ...
    def headers(self) -> list[tuple[str, str]]: ...
    def finished(self) -> bool: ...
    def close(self) -> None: ...


async def send_whole(send: Send, answer: Whole, request_id: str) -> None:
    """An answer in one piece."""
    length = (b"content-length", str(len(answer.raw)).encode())
    told = _encoded([(headers.SERVED_BY, SERVED_BY), (headers.REPLICA, answer.replica)])
    own = (_REQUEST_ID, request_id.encode())
    await _start(send, 200, [(b"content-type", b"application/json"), length, *told, own])
    await send({"type": "http.response.body", "body": answer.raw})


async def send_stream(
    send: Send, end: ClientEnd, stream: Stream[Item], encoder: Encoder[Item], request_id: str
) -> None:
    """An answer as it comes. Closes it.

    The head goes out with the first that there is to say. Until then whoever answers may change, and an error is one
    with a status.
    """
    started = False
    sink = _Sink(end, encoder)
    try:
        try:
            async for items in stream:
                data = encoder.encode(items)
                last = stream.finished()
                if last:
                    data += encoder.end()
                if (data or last) and not started:
                    started = True
                    await _start(send, 200, _head(stream, encoder, request_id))
                if last:
                    await send({"type": "http.response.body", "body": data})
                    return
                if data:
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                    stream.sink = sink  # from now on what comes while the client keeps up goes to it without this task
            rest: bytes | None = encoder.end()
        except GatewayError as error:
            if not started:
                await send_error(send, error, request_id)
                return
            rest = encoder.fail(error)
        if rest is not None:
            await send({"type": "http.response.body", "body": rest})
        # else: to return without the body's end makes the server tear the connection, which is the message
    finally:
        stream.close()


class _Sink:
    """Satisfies `gateway.relay.Sink`."""

    __slots__ = ("_encoder", "_end")

    def __init__(self, end: ClientEnd, encoder: Encoder[Any]) -> None:
        self._end = end
        self._encoder = encoder

    @property
    def open(self) -> bool:
        return self._end.writable

    def tell(self, items: Sequence[Any]) -> None:
        if data := self._encoder.encode(items):
            self._end.write(data)


async def send_error(send: Send, error: GatewayError, request_id: str) -> None:
    """An error before anything of the answer was sent."""
    body = error_body(error, request_id)
    length = (b"content-length", str(len(body)).encode())
    told = _encoded(list(_error_headers(error).items()))
    told.append((_REQUEST_ID, request_id.encode()))
    await _start(send, error.status, [(b"content-type", b"application/json"), length, *told])
    await send({"type": "http.response.body", "body": body})


def error_response(error: GatewayError, request_id: str) -> Response:
    """The same for routes of the framework."""
    response = Response(error_body(error, request_id), error.status, media_type="application/json")
    # Also from here, since the outermost error handler answers from outside the middleware that sets it elsewhere.
    response.headers[headers.REQUEST_ID] = request_id
    response.headers.update(_error_headers(error))
    return response


def _error_headers(error: GatewayError) -> dict[str, str]:
    told = {}
    if error.retry_after_s is not None:
        told[headers.RETRY_AFTER] = str(error.retry_after_s)
    if error.spent:
        told[headers.SHOULD_RETRY] = "false"
    if error.status == 401:
        told["www-authenticate"] = "Bearer"
    return told


def _head(stream: Stream[Any], encoder: Encoder[Any], request_id: str) -> Pairs:
    """Who answers, which request it was, and what kind of body follows."""
    own = [("content-type", encoder.content_type), *encoder.headers]
    return [*_encoded(own), *_STREAM_HEADERS, *_encoded(stream.headers()), (_REQUEST_ID, request_id.encode())]


def _encoded(pairs: Sequence[tuple[str, str]]) -> Pairs:
    return [(name.encode(), value.encode("latin-1", "replace")) for name, value in pairs]


async def _start(send: Send, status: int, pairs: Pairs) -> None:
    await send({"type": "http.response.start", "status": status, "headers": pairs})
