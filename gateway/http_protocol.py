"""uvicorn's HTTP protocol, with what it keeps to itself and the hot doors need: who has left, and how to write at once.

It leaves the framing of heads and endings, keep-alive and pipelining to uvicorn. Three things are its own: the head of
an answer is written together with the first of its body, since a write is a system call; a client that leaves is told
by a call, so that no task waits for it; and a piece of a body may be written without a coroutine around it.
"""

import asyncio
from collections import deque

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.api.client_end import EXTENSION, ClientEnd


class ScoutProtocol(HttpToolsProtocol):
    """What `server` has uvicorn use."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own
        """See asyncio.BaseProtocol."""
        super().connection_made(transport)
        self._ends: deque[ClientEnd] = deque()  # of the requests that are not answered, the oldest first

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.BaseProtocol."""
        super().connection_lost(exc)
        while self._ends:
            self._ends.popleft().lost()

    def on_headers_complete(self) -> None:
        """The parser's: the request's head is there, and the cycle that answers it is made."""
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:  # else it is a web socket
            if self.cycle.scope["method"] != "HEAD":  # else the head is all that is ever written
                self.cycle.transport = HeadFirst(self.transport, self.cycle)
            end = ClientEnd(self.cycle.transport, self.flow)
            self._ends.append(end)
            self.cycle.scope["extensions"] = {EXTENSION: end}  # type: ignore[dict-item]  # the specification says any value

    def on_response_complete(self) -> None:
        """The cycle's: its answer has been written."""
        self._ends.popleft()
        super().on_response_complete()


class HeadFirst(asyncio.Transport):
    """A cycle's transport that keeps its first write until the second, and is out of the cycle's way after that.

    Nothing is delayed: who has begun an answer sends its body without waiting for anything in between.
    """

    def __init__(self, transport: asyncio.Transport, cycle: RequestResponseCycle) -> None:
        super().__init__()
        self._transport = transport
        self._cycle: RequestResponseCycle | None = cycle
        self._head: bytes | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keeps the head; writes it with what comes next; then writes."""
        if self._cycle is None or not self._cycle.response_started:  # 100 Continue is no head: the client waits for it
            self._transport.write(data)
        elif self._head is None:
            self._head = bytes(data)
        else:
            self._out_of_the_way()
            self._transport.write(self._head + bytes(data))

    def close(self) -> None:
        """What was kept is written first."""
        if self._cycle is not None:
            self._out_of_the_way()
            if self._head is not None:
                self._transport.write(self._head)
        self._transport.close()

    def is_closing(self) -> bool:
        """The transport's own."""
        return self._transport.is_closing()

    def _out_of_the_way(self) -> None:
        # Also so that the two do not hold each other: nothing of a request is left for the garbage collector.
        assert self._cycle is not None  # noqa: S101  # its callers have looked
        self._cycle.transport = self._transport
        self._cycle = None
