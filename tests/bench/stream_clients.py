"""The clients that are compared, each doing what the gateway does with an upstream, in its own best configuration.

POST a JSON body, check the status, hand on the raw bytes as they arrive, read to the end so that the connection goes
back to its pool. All of them: one client for the life of the process, `limit` connections of which all may be kept
alive, the same timeouts (connect, pool, and 30 s between two reads), no environment, no redirects, no cookies, no
decompression. The gateway's own client has no time-out between reads: its relay has that clock.
"""

from dataclasses import dataclass
from typing import Protocol

import aiohttp
import httpx
import httpx2
import yarl
from httpx_aiohttp import AiohttpTransport

from gateway.upstreams.http1 import Client

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
KEEPALIVE_S = 60.0
HEADERS = {
    "content-type": "application/json",
    "accept": "text/event-stream",
    "accept-encoding": "identity",
    "authorization": "Bearer a-key-of-the-benchmark",
    "user-agent": "scout",
}


@dataclass(frozen=True)
class Endpoint:
    """Where the streams come from."""

    host: str
    port: int
    path: str = "/v1/chat/completions"

    @property
    def url(self) -> str:
        """The whole address."""
        return f"http://{self.host}:{self.port}{self.path}"


class Sink(Protocol):
    """Takes the bytes of one answer's body; may raise to leave."""

    def feed(self, data: bytes) -> None:
        """Bytes as they came: any number of events, cut anywhere."""


class StreamClient(Protocol):
    """A client with its connection pool."""

    async def stream(self, body: bytes, sink: Sink) -> None:
        """Send one request and give all of its answer to `sink`; cancel it, or raise in the sink, to leave."""

    async def aclose(self) -> None:
        """Close all connections."""


def check_status(status: int) -> None:
    """Raises when the answer is not a stream."""
    if status != 200:
        raise RuntimeError(f"the source answered {status}")


def _session(limit: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=limit, keepalive_timeout=KEEPALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S),
        auto_decompress=False,
        trust_env=False,
    )


class AiohttpClient:
    """aiohttp by itself: `iter_any` gives what has come, without waiting for more and without cutting it."""

    def __init__(self, endpoint: Endpoint, limit: int) -> None:
        self._url = yarl.URL(endpoint.url)
        self._session = _session(limit)

    async def stream(self, body: bytes, sink: Sink) -> None:
        """See StreamClient."""
        async with self._session.post(self._url, data=body, headers=HEADERS, allow_redirects=False) as response:
            check_status(response.status)
            async for data in response.content.iter_any():
                sink.feed(data)

    async def aclose(self) -> None:
        """See StreamClient."""
        await self._session.close()


class OwnClient:
    """The gateway's own (`gateway.upstreams.http1`): httptools' parser on bare protocol connections."""

    def __init__(self, endpoint: Endpoint, limit: int) -> None:
        self._base_url, self._path = f"http://{endpoint.host}:{endpoint.port}", endpoint.path
        self._client = Client(
            connect_timeout_s=CONNECT_TIMEOUT_S, max_connections_per_origin=limit, keepalive_s=KEEPALIVE_S
        )
        self._headers = tuple(HEADERS.items())

    async def stream(self, body: bytes, sink: Sink) -> None:
        """See StreamClient."""
        response = await self._client.post(self._base_url, self._path, self._headers, body)
        try:
            check_status(response.status)
            while data := await response.read():
                sink.feed(data)
        finally:
            response.close()

    async def aclose(self) -> None:
        """See StreamClient."""
        self._client.close()


class HttpxClient:
    """httpx: over httpcore and h11, its own transport, or over the transport given."""

    def __init__(self, endpoint: Endpoint, limit: int, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = httpx.URL(endpoint.url)
        self._client = httpx.AsyncClient(
            transport=transport,
            limits=httpx.Limits(max_connections=limit, max_keepalive_connections=limit, keepalive_expiry=KEEPALIVE_S),
            timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, pool=CONNECT_TIMEOUT_S),
            headers=HEADERS,
            trust_env=False,
        )

    async def stream(self, body: bytes, sink: Sink) -> None:
        """See StreamClient."""
        async with self._client.stream("POST", self._url, content=body) as response:
            check_status(response.status_code)
            async for data in response.aiter_raw():
                sink.feed(data)

    async def aclose(self) -> None:
        """See StreamClient."""
        await self._client.aclose()


class Httpx2Client:
    """httpx2: over httpcore2 and h11. The same calls as httpx."""

    def __init__(self, endpoint: Endpoint, limit: int) -> None:
        self._url = httpx2.URL(endpoint.url)
        self._client = httpx2.AsyncClient(
            limits=httpx2.Limits(max_connections=limit, max_keepalive_connections=limit, keepalive_expiry=KEEPALIVE_S),
            timeout=httpx2.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, pool=CONNECT_TIMEOUT_S),
            headers=HEADERS,
            trust_env=False,
        )

    async def stream(self, body: bytes, sink: Sink) -> None:
        """See StreamClient."""
        async with self._client.stream("POST", self._url, content=body) as response:
            check_status(response.status_code)
            async for data in response.aiter_raw():
                sink.feed(data)

    async def aclose(self) -> None:
        """See StreamClient."""
        await self._client.aclose()


def httpx_over_aiohttp(endpoint: Endpoint, limit: int) -> HttpxClient:
    """httpx as the interface, aiohttp below it: the same session as AiohttpClient has."""
    return HttpxClient(endpoint, limit, AiohttpTransport(client=_session(limit), trust_env=False))
