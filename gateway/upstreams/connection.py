"""One connection to an upstream: one exchange after the other, until it is of no further use.

The side of `gateway.upstreams.response` that faces the event loop; runs on uvloop and on plain asyncio alike. Promises:
a request goes out in one write, and a connection on which anything unasked for has come is never used again.
"""

import asyncio
from typing import Protocol, cast

from gateway.upstreams.response import Response


class Owner(Protocol):
    """Who keeps count of connections. `lost` may come more than once, `released` once for every exchange."""

    def opened(self, connection: "Connection") -> None:
        """It is connected."""

    def lost(self, connection: "Connection") -> None:
        """It is of no further use."""

    def released(self, connection: "Connection", *, reusable: bool) -> None:
        """Its exchange is over."""


class Connection(asyncio.Protocol):
    """Satisfies `gateway.upstreams.response.Carrier`. Bytes that nobody has asked for end it."""

    __slots__ = ("_loop", "_owner", "_response", "_transport", "idle_since")

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self.idle_since = 0.0
        self._owner = owner
        self._loop = loop
        self._response: Response | None = None

    async def exchange(self, request: bytes, *, reused: bool) -> Response:
        """Sends a whole request. Returns when the response's head is complete; the caller closes the response.

        Raises Disconnected or ProtocolBroken; then, and when cancelled, the connection is cut.
        """
        response = self._response = Response(self, self._loop, reused=reused)
        if self._transport.is_closing():  # the peer hung up before anything was sent
            response.cut(None)
        else:
            self._transport.write(request)
        try:
            await response.head()
        except BaseException:
            self.drop()
            raise
        return response

    def release(self, *, reusable: bool) -> None:
        """The exchange is over. A request that was answered before it was sent in full leaves a connection unusable."""
        self._response = None
        transport = self._transport
        if reusable and not transport.is_closing() and not transport.get_write_buffer_size():
            self._owner.released(self, reusable=True)
        else:
            self.drop()
            self._owner.released(self, reusable=False)

    def drop(self) -> None:
        """Cuts the connection; the peer sees it at once."""
        self._over(ConnectionAbortedError("closed on this side"))

    def pause_reading(self) -> None:
        """See Carrier."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """See Carrier."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.BaseProtocol."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is not a subclass
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._response is not None:
            self._response.feed(data)
        else:
            self.drop()

    def eof_received(self) -> None:
        """See asyncio.Protocol. A peer that has stopped sending has nothing more to say to us, and may never read."""
        self._over(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.BaseProtocol."""
        self._over(exc)

    def _over(self, error: Exception | None) -> None:
        if self._response is not None:
            self._response.cut(error)
        self._owner.lost(self)
        self._transport.abort()
