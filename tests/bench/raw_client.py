"""The floor of the comparison: the least that an asyncio client can do to read a chat stream.

No timeouts, no limits on what a server may send, no header parsing beyond the status line: not a client to use, but
what the loop, the sockets, the SSE decoder and the harness cost by themselves.
"""

import asyncio
from typing import cast

from tests.bench.stream_clients import HEADERS, Endpoint, Sink, check_status


class RawClient:
    """A pool of at most `limit` bare protocol connections to one server."""

    def __init__(self, endpoint: Endpoint, limit: int) -> None:
        self._endpoint = endpoint
        self._free = asyncio.Semaphore(limit)
        self._idle: list[_Connection] = []
        lines = [f"POST {endpoint.path} HTTP/1.1", f"host: {endpoint.host}:{endpoint.port}"]
        lines += [f"{name}: {value}" for name, value in HEADERS.items()]
        self._head = "\r\n".join(lines).encode() + b"\r\ncontent-length: %d\r\n\r\n"

    async def stream(self, body: bytes, sink: Sink) -> None:
        """Send one request and give all of its answer to `sink`."""
        async with self._free:
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                await connection.exchange(self._head % len(body) + body, sink)
            except BaseException:
                connection.transport.abort()
                raise
            self._idle.append(connection)

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._endpoint.host, self._endpoint.port)
        return connection

    async def aclose(self) -> None:
        """Close the idle connections; the others belong to their streams."""
        for connection in self._idle:
            connection.transport.abort()


class _Connection(asyncio.Protocol):
    """Takes chunked transfer coding apart as the bytes come, and hands the sink what one read brought."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._rest = b""
        self._in_head = True
        self._sink: Sink | None = None
        self._ended: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class is not a subclass

    async def exchange(self, request: bytes, sink: Sink) -> None:
        self._sink, self._in_head, self._rest = sink, True, b""
        self._ended = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        await self._ended

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(exc or ConnectionError("closed before the end of the answer"))

    def data_received(self, data: bytes) -> None:
        assert self._sink is not None and self._ended is not None
        if self._ended.done():  # the caller has left, and aborted the connection
            return
        try:
            self._take(self._rest + data, self._sink, self._ended)
        except Exception as error:  # noqa: BLE001 - whatever the sink raises belongs to the one who waits
            self._ended.set_exception(error)

    def _take(self, data: bytes, sink: Sink, ended: "asyncio.Future[None]") -> None:
        at = 0
        if self._in_head:
            head_end = data.find(b"\r\n\r\n")
            if head_end < 0:
                self._rest = data
                return
            check_status(int(data[9:12]))
            self._in_head, at = False, head_end + 4
        parts: list[bytes] = []
        over = False
        while (line_end := data.find(b"\r\n", at)) >= 0:
            size = int(data[at:line_end], 16)
            if len(data) < line_end + 4 + size:
                break
            over = size == 0
            if not over:
                parts.append(data[line_end + 2 : line_end + 2 + size])
            at = line_end + 4 + size
        self._rest = data[at:]
        if parts:
            sink.feed(parts[0] if len(parts) == 1 else b"".join(parts))
        if over:
            ended.set_result(None)
