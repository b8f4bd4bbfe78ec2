"""vLLM behind nginx, over HTTP/1.1: posts a chat completion and reads the answer, streamed or whole.

The client is aiohttp, by measurement (tests/bench/README.md). One session serves all replicas. Closing a response that
has not ended closes its socket, nginx passes that on, and vLLM stops generating.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
from pydantic_core import from_json

from gateway.errors import InvalidRequest, UpstreamProtocolError, UpstreamUnavailable
from gateway.ports import Answer, AttemptFailed, Chunk, Fault
from gateway.settings import OnPrem
from gateway.upstreams import failures
from shared import headers, sse

CHAT_COMPLETIONS = "/v1/chat/completions"
MAX_ERROR_BYTES = 64 * 1024
KEEPALIVE_S = 15.0  # below nginx's 75 s, so that it is not nginx that closes a connection just as we use it
END_OF_BODY_S = 0.1  # after [DONE] the body's end comes at once; waiting for it keeps the connection

UNASKED_ENDINGS = frozenset({"abort", "error"})
"""Finish reasons by which vLLM says that it was stopped: no answer ends like that unless the engine is going down."""


def open_session(settings: OnPrem) -> aiohttp.ClientSession:
    """The HTTP client for all replicas. Close it when the gateway stops."""
    connector = aiohttp.TCPConnector(
        limit=0, limit_per_host=settings.max_connections_per_replica, keepalive_timeout=KEEPALIVE_S
    )
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout_s)
    return aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False, trust_env=False)


class VllmUpstream:
    """Satisfies `gateway.ports.Upstream`."""

    def __init__(self, session: aiohttp.ClientSession, key: str, settings: OnPrem) -> None:
        self._session = session
        self._authorization = f"Bearer {key}"
        self._settings = settings

    async def open(self, base_url: str, body: Mapping[str, Any], request_id: str) -> "VllmStream":
        """Asks for a stream, with the usage at its end whether or not the client wants to see it."""
        options = {**(body.get("stream_options") or {}), "include_usage": True}
        response = await self._post(base_url, {**body, "stream": True, "stream_options": options}, request_id)
        if response.content_type != "text/event-stream":
            response.close()
            raise _faulty(f"a stream was asked for and {response.content_type} came")
        return VllmStream(response)

    async def ask(self, base_url: str, body: Mapping[str, Any], request_id: str) -> Answer:
        """Asks for the whole answer."""
        whole = {name: value for name, value in body.items() if name != "stream_options"}
        response = await self._post(base_url, {**whole, "stream": False}, request_id)
        try:
            raw = await _read(response, self._settings.max_response_bytes)
        except aiohttp.ClientError as error:
            raise failures.from_exception(error) from error
        finally:
            response.close()
        if len(raw) > self._settings.max_response_bytes:
            raise _faulty(f"an answer of more than {self._settings.max_response_bytes} bytes")
        parsed = _parse(raw)
        choices = _choices(parsed)
        if not choices:
            raise _faulty("an answer without choices")
        for choice in choices:
            if choice.get("finish_reason") in UNASKED_ENDINGS:
                raise _stopped(choice["finish_reason"])
        return Answer(raw, parsed, _usage(parsed) or {})

    async def _post(self, base_url: str, body: Mapping[str, Any], request_id: str) -> aiohttp.ClientResponse:
        try:
            data = json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
        except ValueError as error:
            raise AttemptFailed(InvalidRequest("A number in the request is too large."), Fault.NONE) from error
        try:
            response = await self._session.post(
                base_url + CHAT_COMPLETIONS,
                data=data,
                headers={
                    headers.AUTHORIZATION: self._authorization,
                    headers.REQUEST_ID: request_id,
                    "content-type": "application/json",
                    "accept-encoding": "identity",
                },
                allow_redirects=False,
            )
        except aiohttp.ClientError as error:
            raise failures.from_exception(error) from error
        if response.status == 200:
            return response
        try:
            explanation = await _read(response, MAX_ERROR_BYTES)
        except aiohttp.ClientError as error:
            raise failures.from_exception(error) from error
        finally:
            response.close()
        raise failures.from_status(response.status, explanation, response.headers.get(headers.RETRY_AFTER))


class VllmStream:
    """Satisfies `gateway.ports.UpstreamStream`."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._decoder = sse.Decoder()
        self._done = False
        self._failure: AttemptFailed | None = None

    async def read(self) -> list[Chunk] | None:
        """See the protocol. What came before a failure is delivered before the failure is raised."""
        while self._failure is None and not self._done:
            try:
                data = await self._response.content.readany()
            except aiohttp.ClientError as error:
                raise failures.from_exception(error) from error
            if not data:
                raise AttemptFailed(
                    UpstreamUnavailable(failures.BROKEN_OFF, detail="the body ended without [DONE]"), Fault.SUSPECT
                )
            if chunks := self._decode(data):
                return chunks
        if self._failure is not None:
            raise self._failure
        await self._keep_connection()
        return None

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
                chunks.append(_chunk(event))
        except AttemptFailed as failed:
            self._failure = failed
        if self._failure is None and self._decoder.too_large:
            self._failure = _faulty("an event that does not end")
        return chunks

    async def _keep_connection(self) -> None:
        try:
            async with asyncio.timeout(END_OF_BODY_S):
                while await self._response.content.readany():
                    pass
        except (TimeoutError, aiohttp.ClientError):
            self._response.close()


def _chunk(event: sse.Event) -> Chunk:
    if not event.data:
        return Chunk(event.raw, {})
    body = _parse(event.data)
    if body.get("error"):
        raise failures.in_band(body["error"])
    content = False
    finished: list[tuple[int, str]] = []
    for choice in _choices(body):
        delta = choice.get("delta") or {}
        if delta.get("content") or delta.get("tool_calls") or delta.get("reasoning") or delta.get("reasoning_content"):
            content = True
        if reason := choice.get("finish_reason"):
            if reason in UNASKED_ENDINGS:
                raise _stopped(reason)
            finished.append((choice["index"], reason))
    # An answer that ends at once, with nothing said, is an answer.
    return Chunk(event.raw, body, content or bool(finished), tuple(finished), _usage(body))


def _choices(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    choices = body.get("choices")
    if not isinstance(choices, list):
        raise _faulty("no list of choices")
    for choice in choices:
        if not isinstance(choice, dict) or not isinstance(choice.get("index"), int):
            raise _faulty("a choice without an index")
        if not isinstance(choice.get("delta") or {}, dict):
            raise _faulty("a delta that is no object")
    return choices


def _usage(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    usage = body.get("usage")
    return usage if isinstance(usage, dict) else None


def _parse(data: bytes) -> dict[str, Any]:
    try:
        body = from_json(data)
    except ValueError as error:
        raise _faulty("not JSON") from error
    if not isinstance(body, dict):
        raise _faulty("not a JSON object")
    return body


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body, or its first bytes past `limit`."""
    parts: list[bytes] = []
    size = 0
    while size <= limit and (data := await response.content.readany()):
        parts.append(data)
        size += len(data)
    return b"".join(parts)


def _faulty(detail: str) -> AttemptFailed:
    return AttemptFailed(UpstreamProtocolError(failures.FAULTY, detail=detail), Fault.SUSPECT)


def _stopped(reason: str) -> AttemptFailed:
    return AttemptFailed(UpstreamUnavailable(failures.BROKEN_OFF, detail=f"finish_reason {reason}"), Fault.SUSPECT)
