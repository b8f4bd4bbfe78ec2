"""The one way to the cloud's socket: it takes what the privacy step has cleared, records it, and only then sends it.

A transport of httpx2, so that it stands below everything that the SDK does, and sees the very bytes that are sent. It
belongs to one clearance and sends one request: no retry, redirect or second use of it can send what is not recorded.
Promises: what cannot be recorded is not sent, and the answer can be cut off synchronously.
"""

from collections.abc import AsyncIterator
from typing import Protocol

import httpx2

from gateway.privacy.clearance import Cleared
from gateway.upstreams.http1 import Client, Response

MAX_ERROR_BYTES = 64 * 1024
"""Of an answer that is not a stream: more of an explanation is not read."""

SENT = ("authorization", "content-type", "user-agent")
"""Of the headers that the SDK makes. The rest tells of this machine, or comes from its environment."""
OURS = (("accept", "text/event-stream"), ("accept-encoding", "identity"), ("connection", "close"))
"""A kept connection may turn out to be closed when the request is on its way, and sending that again would be a second
request under one record: so none is kept."""
KEPT = ("content-type", "content-encoding", "retry-after")
"""Of the answer's headers: those that somebody looks at."""


class Ledger(Protocol):
    """Where everything is recorded that is sent to the cloud."""

    async def append(
        self, *, tenant: str, conversation: str, label: str, request_id: str, model: str, body: bytes
    ) -> int:
        """The record's number, once it is on disk."""


class NotRecorded(Exception):
    """The ledger has failed, and nothing was sent."""


class OneRequest(httpx2.AsyncBaseTransport):
    """Carries one cleared request to the cloud. Raises TypeError for anything that the privacy step has not made.

    `response` is the answer, from its head on. Whoever made this closes it.
    """

    def __init__(self, client: Client, ledger: Ledger, cleared: Cleared, *, request_id: str, model: str) -> None:
        if type(cleared) is not Cleared:
            raise TypeError(f"only what the privacy step has cleared is sent, and not a {type(cleared).__name__}")
        self.response: Response | None = None
        self._client = client
        self._ledger = ledger
        self._cleared = cleared
        self._request_id = request_id
        self._model = model
        self._spent = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Records and sends. Raises NotRecorded, or as `gateway.upstreams.http1.Client.post` does. Safe to cancel: what
        has been recorded then may have been sent."""
        if self._spent:
            raise RuntimeError("one request was cleared, and it has been sent")
        self._spent = True
        body = await request.aread()
        await self._record(body)
        url = request.url
        headers = [(name, request.headers[name]) for name in SENT if name in request.headers]
        self.response = await self._client.post(
            f"{url.scheme}://{url.netloc.decode('ascii')}", url.raw_path.decode("ascii"), [*headers, *OURS], body
        )
        return _as_httpx2(self.response)

    def close(self) -> None:
        """Cuts the answer off, if there is one; always allowed."""
        if self.response is not None:
            self.response.close()

    async def _record(self, body: bytes) -> None:
        try:
            await self._ledger.append(
                tenant=self._cleared.tenant,
                conversation=self._cleared.conversation,
                label=self._cleared.label,
                request_id=self._request_id,
                model=self._model,
                body=body,
            )
        except Exception as error:  # whatever it is, there is no record
            raise NotRecorded(type(error).__name__) from error


class _Body(httpx2.AsyncByteStream):
    """What the SDK reads of an answer that is an error. A stream is read past it, from `response` itself."""

    def __init__(self, response: Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield await self._response.read_all(MAX_ERROR_BYTES)

    async def aclose(self) -> None:
        self._response.close()


def _as_httpx2(response: Response) -> httpx2.Response:
    named = ((name, response.header(name)) for name in KEPT)
    headers = [(name, value) for name, value in named if value is not None]
    return httpx2.Response(response.status, headers=headers, stream=_Body(response))
