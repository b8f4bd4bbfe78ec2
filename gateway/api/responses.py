"""Answers on their way out: whole, streamed, or an error.

Whoever sends a relay closes it, however the sending ends: Starlette's StreamingResponse does not.
"""

from collections.abc import Sequence
from typing import Protocol

from starlette.responses import Response
from starlette.types import Send

from gateway.api.client_end import ClientEnd
from gateway.chat import Streamed, Whole
from gateway.errors import GatewayError
from gateway.ports import Chunk
from gateway.wire.openai import error_body
from shared import headers

Pairs = list[tuple[bytes, bytes]]

_SERVED_BY, _REPLICA, _REQUEST_ID = (name.encode() for name in (headers.SERVED_BY, headers.REPLICA, headers.REQUEST_ID))
_STREAM_HEADERS: Pairs = [(b"cache-control", b"no-cache, no-transform"), (headers.ACCEL_BUFFERING.encode(), b"no")]


class Encoder(Protocol):
    """One client protocol's way to write a stream. `fail` returns None where only a torn connection tells."""

    content_type: str

    def encode(self, chunks: Sequence[Chunk]) -> bytes: ...
    def end(self) -> bytes: ...
    def fail(self, error: GatewayError) -> bytes | None: ...


async def send_whole(send: Send, answer: Whole, request_id: str) -> None:
    """An answer in one piece."""
    length = (b"content-length", str(len(answer.raw)).encode())
    await _start(send, 200, [(b"content-type", b"application/json"), length, *_told(answer, request_id)])
    await send({"type": "http.response.body", "body": answer.raw})


async def send_stream(send: Send, end: ClientEnd, answer: Streamed, encoder: Encoder, request_id: str) -> None:
    """An answer as it comes. Closes its relay."""
    relay = answer.relay
    sink = _Sink(end, encoder)
    try:
        content_type = (b"content-type", encoder.content_type.encode())
        await _start(send, 200, [content_type, *_STREAM_HEADERS, *_told(answer, request_id)])
        try:
            async for chunks in relay:
                data = encoder.encode(chunks)
                if relay.finished():
                    await send({"type": "http.response.body", "body": data + encoder.end()})
                    return
                if data:
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                relay.sink = sink  # from now on what comes while the client keeps up goes to it without this task
            last: bytes | None = encoder.end()
        except GatewayError as error:
            last = encoder.fail(error)
        if last is not None:
            await send({"type": "http.response.body", "body": last})
        # else: to return without the body's end makes the server tear the connection, which is the message
    finally:
        relay.close()


class _Sink:
    """Satisfies `gateway.relay.Sink`."""

    __slots__ = ("_encoder", "_end")

    def __init__(self, end: ClientEnd, encoder: Encoder) -> None:
        self._end = end
        self._encoder = encoder

    @property
    def open(self) -> bool:
        return self._end.writable

    def tell(self, chunks: Sequence[Chunk]) -> None:
        if data := self._encoder.encode(chunks):
            self._end.write(data)


async def send_error(send: Send, error: GatewayError, request_id: str) -> None:
    """An error before anything of the answer was sent."""
    body = error_body(error, request_id)
    length = (b"content-length", str(len(body)).encode())
    told = [(name.encode(), value.encode()) for name, value in _error_headers(error).items()]
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


def _told(answer: Whole | Streamed, request_id: str) -> Pairs:
    """Who answered, and which request it was."""
    return [
        (_SERVED_BY, answer.served_by.encode()),
        (_REPLICA, answer.replica.encode()),
        (_REQUEST_ID, request_id.encode()),
    ]


async def _start(send: Send, status: int, pairs: Pairs) -> None:
    await send({"type": "http.response.start", "status": status, "headers": pairs})
