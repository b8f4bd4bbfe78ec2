"""vLLM behind nginx, over HTTP/1.1: posts a chat completion and reads the answer, streamed or whole.

Closing a response that has not ended closes its socket, nginx passes that on, and vLLM stops generating. Parsing of
events is in `gateway.upstreams.events`, the client in `gateway.upstreams.http1`.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.errors import UpstreamUnavailable
from gateway.ports import Answer, AttemptFailed, Chunk, Fault, PassOn
from gateway.settings import OnPrem
from gateway.upstreams import events, failures
from gateway.upstreams.http1 import Client, ConnectFailed, Disconnected, ProtocolBroken, Response
from shared import headers, sse

CHAT_COMPLETIONS = "/v1/chat/completions"
MAX_ERROR_BYTES = 64 * 1024
KEEPALIVE_S = 15.0  # below nginx's 75 s, so that it is not nginx that closes a connection just as we use it

END_OF_BODY_S = 0.1  # after [DONE] the body's end comes at once; waiting for it keeps the connection


def open_client(settings: OnPrem) -> Client:
    """The HTTP client for all replicas. Close it when the gateway stops."""
    return Client(
        connect_timeout_s=settings.connect_timeout_s,
        max_connections_per_origin=settings.max_connections_per_replica,
        keepalive_s=KEEPALIVE_S,
    )


class VllmUpstream:
    """Satisfies `gateway.ports.Upstream`."""

    def __init__(self, client: Client, key: str, settings: OnPrem) -> None:
        self._client = client
        self._headers = (
            (headers.AUTHORIZATION, f"Bearer {key}"),
            ("content-type", "application/json"),
            ("accept-encoding", "identity"),
        )
        self._settings = settings

    async def open(self, base_url: str, body: Mapping[str, Any], request_id: str) -> "VllmStream":
        """Asks for a stream, with the usage at its end whether or not the client wants to see it."""
        options = {**(body.get("stream_options") or {}), "include_usage": True}
        response = await self._post(base_url, {**body, "stream": True, "stream_options": options}, request_id)
        content_type = (response.header("content-type") or "").partition(";")[0].strip().lower()
        if content_type != "text/event-stream":
            response.close()
            raise events.faulty(f"a stream was asked for and {content_type or 'something without a type'} came")
        return VllmStream(response)

    async def ask(self, base_url: str, body: Mapping[str, Any], request_id: str) -> Answer:
        """Asks for the whole answer."""
        whole = {name: value for name, value in body.items() if name != "stream_options"}
        response = await self._post(base_url, {**whole, "stream": False}, request_id)
        try:
            raw = await response.read_all(self._settings.max_response_bytes)
        except (Disconnected, ProtocolBroken) as error:
            raise failures.from_exception(error) from error
        finally:
            response.close()
        if len(raw) > self._settings.max_response_bytes:
            raise events.faulty(f"an answer of more than {self._settings.max_response_bytes} bytes")
        return events.answer(raw)

    async def _post(self, base_url: str, body: Mapping[str, Any], request_id: str) -> Response:
        data = msgspec.json.encode(body)
        try:
            response = await self._client.post(
                base_url, CHAT_COMPLETIONS, (*self._headers, (headers.REQUEST_ID, request_id)), data
            )
            if response.status == 200:
                return response
            try:
                explanation = await response.read_all(MAX_ERROR_BYTES)
            finally:
                response.close()
        except (ConnectFailed, Disconnected, ProtocolBroken) as error:
            raise failures.from_exception(error) from error
        retry_after, connected = response.header(headers.RETRY_AFTER), response.header(headers.UPSTREAM_CONNECT)
        raise failures.from_status(response.status, explanation, retry_after, connected)


class VllmStream:
    """Satisfies `gateway.ports.UpstreamStream`."""

    __slots__ = ("_decoder", "_done", "_failure", "_left", "_pass_on", "_response")

    def __init__(self, response: Response) -> None:
        self._response = response
        self._decoder = sse.Decoder()
        self._done = False
        self._failure: AttemptFailed | None = None
        self._pass_on: PassOn | None = None
        self._left: list[Chunk] | None = None  # by `pass_on`, for the reader

    async def read(self, pass_on: PassOn | None = None) -> list[Chunk] | None:
        """See the protocol. What came before a failure is delivered before the failure is raised."""
        while self._failure is None and not self._done:
            try:
                data = self._response.take()
                if data is None:
                    if (left := await self._wait(pass_on)) is not None:
                        return left
                    continue
            except (Disconnected, ProtocolBroken) as error:
                raise failures.from_exception(error) from error
            if not data:
                broken = UpstreamUnavailable(failures.BROKEN_OFF, detail="the body ended without [DONE]")
                raise AttemptFailed(broken, Fault.SUSPECT, cut=True)
            if chunks := self._decode(data):
                return chunks
        if self._failure is not None:
            raise self._failure
        await self._keep_connection()
        return None

    async def _wait(self, pass_on: PassOn | None) -> list[Chunk] | None:
        """For news; what `pass_on` has left of the chunks that came meanwhile, if it was asked and wants no more."""
        if pass_on is None:
            await self._response.news()
            return None
        self._pass_on, self._response.on_data = pass_on, self._came
        try:
            await self._response.news()
        finally:
            self._pass_on = self._response.on_data = None
        left, self._left = self._left, None
        return left

    def _came(self, data: bytes) -> bool:
        """Bytes have come while `read` waits: whether it may wait on."""
        assert self._pass_on is not None  # noqa: S101  # set together with the callback
        try:
            if not (chunks := self._decode(data)):
                return self._failure is None and not self._done
            self._left = chunks if self._failure is not None or self._done else self._pass_on(chunks)
        except Exception as error:  # noqa: BLE001  # whatever it is, the reader is told, and not the event loop
            self._response.interrupt(error)
        return self._left is None

    @property
    def over(self) -> bool:
        """See the protocol."""
        return self._done and self._failure is None and self._response.ended

    def interrupt(self, failure: Exception) -> None:
        """See the protocol."""
        self._response.interrupt(failure)

    def close(self) -> None:
        """Cuts the stream if it has not ended; otherwise the connection is already back in the pool."""
        self._response.close()

    def _decode(self, data: bytes) -> list[Chunk]:
        chunks: list[Chunk] = []
        try:
            for event in self._decoder.feed(data):
                if event.data.startswith(sse.DONE):
                    self._done = True
                    break
                chunks.append(events.chunk(event))
        except AttemptFailed as failed:
            self._failure = failed
        if self._failure is None and self._decoder.too_large:
            self._failure = events.faulty("an event that does not end")
        return chunks

    async def _keep_connection(self) -> None:
        if self._response.ended:
            return
        try:
            async with asyncio.timeout(END_OF_BODY_S):
                while await self._response.read():
                    pass
        except (TimeoutError, Disconnected, ProtocolBroken, AttemptFailed):  # the answer is whole, whatever comes
            self._response.close()
