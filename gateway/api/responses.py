"""Answers on their way out: whole, streamed, or an error; and the watch for a client that leaves.

Starlette's StreamingResponse does not close its body's generator when the client leaves, so streams are sent by a
response of our own, which closes the relay however it ends.
"""

import asyncio
from asyncio import TaskGroup
from collections.abc import Awaitable, Sequence
from typing import Protocol, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.chat import Streamed, Whole
from gateway.errors import ClientGone, GatewayError
from gateway.ports import Chunk
from gateway.wire.openai import error_body
from shared import headers

T = TypeVar("T")


class Encoder(Protocol):
    """One client protocol's way to write a stream. `fail` returns None where only a torn connection tells."""

    content_type: str

    def encode(self, chunks: Sequence[Chunk]) -> bytes: ...
    def end(self) -> bytes: ...
    def fail(self, error: GatewayError) -> bytes | None: ...


class Presence:
    """Knows whether the client is still there, and cancels the work that is done for one who has left.

    All that a request's `receive` brings after its body is the news that the client has left. So `watch` may be called
    only once the body has been read.
    """

    def __init__(self, receive: Receive, tasks: TaskGroup) -> None:
        self._receive = receive
        self._tasks = tasks
        self._watcher: asyncio.Task[None] | None = None
        # A time-out without a time, used for its cancellation alone. Unlike an anyio scope it also cancels a task that
        # never rests because its next data is always there already.
        self._scope = asyncio.timeout(None)

    def watch(self) -> None:
        """From now on the work is cancelled when the client leaves. To be called from within the work."""
        self._watcher = self._tasks.create_task(self._watch())

    async def needed_for(self, work: Awaitable[T]) -> T:
        """Awaits `work`. Raises ClientGone when the client leaves first. One call per presence."""
        try:
            async with self._scope:
                return await work
        except TimeoutError:
            if self._scope.expired():
                raise ClientGone("The client left.") from None
            raise
        finally:
            if self._watcher is not None:
                self._watcher.cancel()

    def expire(self) -> None:
        """Cancels the work: the client is there, and does not take what it is sent."""
        self._scope.reschedule(0)

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._scope.reschedule(0)


def answer_headers(answer: Whole | Streamed) -> dict[str, str]:
    """Who answered."""
    return {headers.SERVED_BY: answer.served_by, headers.REPLICA: answer.replica}


def error_response(error: GatewayError, request_id: str) -> Response:
    """An error before anything of the answer was sent."""
    response = Response(error_body(error, request_id), error.status, media_type="application/json")
    # Also from here, since the outermost error handler answers from outside the middleware that sets it elsewhere.
    response.headers[headers.REQUEST_ID] = request_id
    if error.retry_after_s is not None:
        response.headers[headers.RETRY_AFTER] = str(error.retry_after_s)
    if error.spent:
        response.headers[headers.SHOULD_RETRY] = "false"
    if error.status == 401:
        response.headers["www-authenticate"] = "Bearer"
    return response


class StreamResponse(Response):
    """Sends a relay's chunks as they come and closes the relay however that ends."""

    def __init__(self, answer: Streamed, encoder: Encoder, tasks: TaskGroup) -> None:
        super().__init__()
        self._relay = answer.relay
        self._encoder = encoder
        self._tasks = tasks
        self.headers.update(answer_headers(answer))
        self.headers["content-type"] = encoder.content_type
        self.headers["cache-control"] = "no-cache, no-transform"
        self.headers[headers.ACCEL_BUFFERING] = "no"
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            presence = Presence(receive, self._tasks)
            self._relay.on_overdue = presence.expire
            await presence.needed_for(self._send(send, presence))
        except ClientGone:
            pass  # the relay books it when it is closed before its end
        finally:
            self._relay.close()

    async def _send(self, send: Send, presence: Presence) -> None:
        presence.watch()
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async for chunks in self._relay:
                if data := self._encoder.encode(chunks):
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            last: bytes | None = self._encoder.end()
        except GatewayError as error:
            last = self._encoder.fail(error)
        if last is not None:
            await send({"type": "http.response.body", "body": last})
        # else: to return without the body's end makes the server tear the connection, which is the message
