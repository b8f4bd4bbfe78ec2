"""A lean HTTP/1.1 client for one kind of request: its whole body is at hand, and its answer is a stream.

It stands between the upstream's dialect and the socket, because what a request and a chunk cost here is most of what
they cost the gateway. Keeps connections alive, at most so many to an origin, and gives waiting requests their turn in
the order in which they came. A request may be sent again only if the peer had closed a kept connection before it
answered anything: a generation has no side effects, so that it does not matter whether the first copy arrived.
"""

import asyncio
import re
import ssl
from collections import deque
from urllib.parse import urlsplit

from gateway.ports import Headers
from gateway.upstreams.connection import Connection
from gateway.upstreams.response import ConnectFailed, Disconnected, ProtocolBroken, Response

__all__ = ["Client", "ConnectFailed", "Disconnected", "ProtocolBroken", "Response"]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_NOT_IN_A_VALUE = re.compile(r"[\r\n\0]")  # RFC 9110, 5.5
_NOT_IN_A_TARGET = re.compile(r"[\x00-\x20\x7f]")
_OURS = frozenset({"host", "content-length", "transfer-encoding"})
_PORTS = {"http": 80, "https": 443}


class Origin:
    """The connections to one base URL. Satisfies `gateway.upstreams.connection.Owner`."""

    __slots__ = ("_head", "_keepalive_s", "_loop", "host", "idle", "open", "port", "secure", "slots")

    def __init__(self, base_url: str, limit: int, keepalive_s: float) -> None:
        url = urlsplit(base_url)
        if url.scheme not in _PORTS or not url.hostname or url.username is not None or url.query or url.fragment:
            raise ValueError(f"not a base URL of HTTP: {base_url!r}")
        self.secure = url.scheme == "https"
        self.host = url.hostname
        self.port = url.port or _PORTS[url.scheme]
        self.slots = asyncio.Semaphore(limit)  # FIFO, and a cancelled waiter passes its turn on
        self.idle: deque[Connection] = deque()  # the longest idle first
        self.open: set[Connection] = set()
        name = f"[{self.host}]" if ":" in self.host else self.host
        authority = name if self.port == _PORTS[url.scheme] else f"{name}:{self.port}"
        self._head = (url.path.rstrip("/"), f" HTTP/1.1\r\nhost: {authority}\r\n")
        self._keepalive_s = keepalive_s
        self._loop = asyncio.get_running_loop()

    def request(self, method: str, path: str, headers: Headers, body: bytes) -> bytes:
        """A whole request. Raises ValueError for what cannot be sent, or must not: it would end the header early."""
        prefix, head = self._head
        if _NOT_IN_A_TARGET.search(path):
            raise ValueError(f"not a path: {path!r}")
        lines = []
        for name, value in headers:
            if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
                raise ValueError(f"not a header for a caller to set: {name!r}")
            if _NOT_IN_A_VALUE.search(value):
                raise ValueError(f"a line break in the value of {name}")
            lines.append(f"{name}: {value}\r\n")
        if body or method == "POST":  # RFC 9110, 8.6: else a length means that a body was meant
            lines.append(f"content-length: {len(body)}\r\n")
        text = f"{method} {prefix}{path}{head}{''.join(lines)}\r\n"
        return text.encode("latin-1") + body

    def checkout(self) -> Connection | None:
        """The connection that was used last. Those that have been idle for too long are closed."""
        stale_at = self._loop.time() - self._keepalive_s
        while self.idle and self.idle[0].idle_since <= stale_at:
            self.idle[0].drop()
        return self.idle.pop() if self.idle else None

    def opened(self, connection: Connection) -> None:
        """See Owner."""
        self.open.add(connection)

    def lost(self, connection: Connection) -> None:
        """See Owner."""
        if connection in self.open:
            self.open.remove(connection)
            if connection in self.idle:
                self.idle.remove(connection)

    def released(self, connection: Connection, *, reusable: bool) -> None:
        """See Owner."""
        if reusable:
            connection.idle_since = self._loop.time()
            self.idle.append(connection)
        self.slots.release()


class Client:
    """Asks any number of origins. Belongs to the event loop in which it is used.

    `connect_timeout_s` is for TCP and TLS together. Whoever has sent a request holds one of an origin's
    `max_connections_per_origin` slots until the response is closed. A connection that has been idle for `keepalive_s`
    is not used again.
    """

    def __init__(self, *, connect_timeout_s: float, max_connections_per_origin: int, keepalive_s: float = 15.0) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._limit = max_connections_per_origin
        self._keepalive_s = keepalive_s
        self._origins: dict[str, Origin] = {}
        self._tls: ssl.SSLContext | None = None
        self._closed = False

    async def get(self, base_url: str, path: str, headers: Headers) -> Response:
        """As `post`, without a body."""
        return await self._request("GET", base_url, path, headers, b"")

    async def post(self, base_url: str, path: str, headers: Headers, body: bytes) -> Response:
        """Returns when the response's head is complete; the caller closes the response. There is no time limit to it.

        Raises ConnectFailed (also once the client is closed), Disconnected, ProtocolBroken; ValueError for a URL or
        headers that cannot be sent. When cancelled it cuts the connection, and nothing is left behind.
        """
        return await self._request("POST", base_url, path, headers, body)

    async def _request(self, method: str, base_url: str, path: str, headers: Headers, body: bytes) -> Response:
        origin = self._origins.get(base_url)
        if origin is None:
            origin = self._origins[base_url] = Origin(base_url, self._limit, self._keepalive_s)
        request = origin.request(method, path, headers, body)
        await origin.slots.acquire()
        try:
            return await self._exchange(origin, request)
        except BaseException:
            origin.slots.release()
            raise

    def idle_connections(self, base_url: str) -> int:
        """How many wait for a request."""
        origin = self._origins.get(base_url)
        return len(origin.idle) if origin else 0

    def open_connections(self, base_url: str) -> int:
        """How many there are, idle ones included."""
        origin = self._origins.get(base_url)
        return len(origin.open) if origin else 0

    def close(self) -> None:
        """Cuts all connections. Responses that are being read raise Disconnected, requests that wait ConnectFailed."""
        self._closed = True
        for origin in self._origins.values():
            for connection in list(origin.open):
                connection.drop()

    async def _exchange(self, origin: Origin, request: bytes) -> Response:
        while (connection := origin.checkout()) is not None:
            try:
                return await connection.exchange(request, reused=True)
            except Disconnected as error:
                if error.answered or self._closed:
                    raise
        connection = await self._connect(origin)
        return await connection.exchange(request, reused=False)

    async def _connect(self, origin: Origin) -> Connection:
        if self._closed:
            raise ConnectFailed("the client is closed")
        if origin.secure and self._tls is None:
            self._tls = ssl.create_default_context()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: Connection(origin, loop),
                    origin.host,
                    origin.port,
                    ssl=self._tls if origin.secure else None,
                    server_hostname=origin.host if origin.secure else None,
                )
        except TimeoutError:
            raise ConnectFailed(f"no connection within {self._connect_timeout_s} s") from None
        except OSError as error:
            raise ConnectFailed(f"{type(error).__name__}: {error}") from error
        if self._closed:
            connection.drop()
            raise ConnectFailed("the client is closed")
        return connection
