"""uvicorn's HTTP protocol, with the head of an answer written together with the first of its body.

uvicorn writes them apart, and a write is a system call: of a short answer's cost it was a seventh. Nothing is delayed,
since an application that has begun an answer sends its body without waiting for anything in between.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OneWriteProtocol(HttpToolsProtocol):
    """What `server` has uvicorn use."""

    def on_headers_complete(self) -> None:
        """The parser's: the request's head is there, and the cycle that answers it is made."""
        super().on_headers_complete()
        if self.cycle is not None and not isinstance(self.cycle.transport, HeadFirst):
            self.cycle.transport = HeadFirst(self.transport)


class HeadFirst(asyncio.Transport):
    """A transport that keeps its first write until the second, and is out of the way after that."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._head: bytes | None = None
        self.write = self._keep  # type: ignore[method-assign]  # once, then it is the transport's own

    def _keep(self, data: bytes | bytearray | memoryview) -> None:
        self._head = bytes(data)
        self.write = self._write_both  # type: ignore[method-assign]

    def _write_both(self, data: bytes | bytearray | memoryview) -> None:
        head, self._head = self._head or b"", None
        self.write = self._transport.write  # type: ignore[method-assign]
        self._transport.write(head + bytes(data))

    def close(self) -> None:
        """What was kept is written first."""
        if self._head is not None:
            self.write(b"")
        self._transport.close()

    def is_closing(self) -> bool:
        """The transport's own."""
        return self._transport.is_closing()
