"""An HTTP/1.1 response that is coming in: from the bytes of a connection to a body that somebody reads.

On the request's path it stands right above the socket: bytes go through the parser into a buffer, and wake the one who
reads. A chunk costs no task, no timer and, while something is buffered or `on_data` is set, no future. Promises: what
came before a failure is delivered before it is raised, a slow reader slows the peer, and whoever closes a response that
has not ended cuts the connection at once. Framing follows RFC 9112, sections 6 and 7.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

MAX_HEAD_BYTES = 64 * 1024
"""Of a head, of trailers, or of whatever else is sent without any content in it."""
MAX_BUFFERED_BYTES = 256 * 1024
"""Unread; beyond it the peer is not read from until the reader has taken everything."""


class ConnectFailed(Exception):
    """There is no connection: refused, unreachable, no such name, no TLS, or not in time."""


class Disconnected(Exception):
    """The connection closed before the response had ended.

    `answered`: at least one byte of a response had come. `reused`: the connection had carried a request before, so
    the peer may merely have closed it for being idle.
    """

    def __init__(self, detail: str, *, answered: bool, reused: bool) -> None:
        super().__init__(detail)
        self.answered = answered
        self.reused = reused


class ProtocolBroken(Exception):
    """What came is not HTTP/1.1, or has a head that is too large."""


class Carrier(Protocol):
    """What a response asks of the connection that it comes in over."""

    def pause_reading(self) -> None:
        """The reader is slow."""

    def resume_reading(self) -> None:
        """The reader has caught up."""

    def release(self, *, reusable: bool) -> None:
        """The exchange is over."""

    def drop(self) -> None:
        """Nothing more can come of this connection."""


class Response:
    """A response whose head has come. One reader at a time.

    `ended`: the whole body has arrived, read or not. `buffered`: bytes of it that have come and were not read yet. The
    `on_` methods are for the parser; `feed`, `cut` and `head` for the connection.
    """

    __slots__ = (
        "_carrier",
        "_failure",
        "_headers",
        "_interruption",
        "_keep_alive",
        "_loop",
        "_overhead",
        "_parser",
        "_paused",
        "_pieces",
        "_reused",
        "_waiter",
        "buffered",
        "ended",
        "on_data",
        "status",
    )

    def __init__(self, carrier: Carrier, loop: asyncio.AbstractEventLoop, *, reused: bool) -> None:
        self.status = 0
        self.ended = False
        self.on_data: Callable[[bytes], bool] | None = None
        """Given the bytes that somebody waits for, in place of waking him. Says whether he may sleep on: so a reader of
        many small pieces spares itself the turn of its task for each."""
        self._carrier: Carrier | None = carrier
        self._loop = loop
        self._reused = reused
        self._parser = HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._keep_alive = False
        self._pieces: list[bytes] = []
        self.buffered = 0
        self._overhead = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._failure: Exception | None = None
        self._interruption: BaseException | None = None

    def header(self, name: str) -> str | None:
        """The value of a header, whatever its case; several of one name are joined by commas."""
        value = self._headers.get(name.lower().encode("latin-1"))
        return None if value is None else value.decode("latin-1")

    async def read(self) -> bytes:
        """All bytes of the body that have come since, waiting for the first; b"" once the body has ended.

        Raises Disconnected when the body is cut or the response is closed, ProtocolBroken, or what `interrupt` was
        given. After a cancellation only `close` is left.
        """
        while (data := self.take()) is None:
            await self.news()
        return data

    async def read_all(self, limit: int) -> bytes:
        """The rest of the body, or its first bytes past `limit`. Raises as `read` does."""
        parts: list[bytes] = []
        size = 0
        while size <= limit and (data := await self.read()):
            parts.append(data)
            size += len(data)
        return b"".join(parts)

    def take(self) -> bytes | None:
        """As `read`, without waiting; None if nothing has come."""
        if self._interruption is not None:
            raise self._interruption
        if self._pieces:
            return self._take()
        if self.ended:
            return b""
        if self._failure is not None:
            raise self._failure
        return None

    def news(self) -> "asyncio.Future[None]":
        """Is done when `take` has something to say that it had not before, or `on_data` has."""
        if self._waiter is not None and not self._waiter.done():
            raise RuntimeError("a response has one reader at a time")
        self._waiter = self._loop.create_future()
        return self._waiter

    def interrupt(self, error: BaseException) -> None:
        """The read that is waiting, or else the next one, raises `error`; so do all later ones. The first call wins."""
        if self._interruption is None:
            self._interruption = error
            self._wake()

    def close(self) -> None:
        """Gives the connection back if the whole body has arrived, else cuts it. Always allowed, also again."""
        carrier, self._carrier = self._carrier, None
        if carrier is None:
            return
        del self._parser  # it holds our methods: without this every response would wait for the garbage collector
        self._pieces.clear()
        self.buffered = 0
        self.on_data = None
        self.interrupt(self._disconnected("closed on this side"))
        if self._paused:
            carrier.resume_reading()
        carrier.release(reusable=self.ended and self._keep_alive)

    async def head(self) -> None:
        """Returns when the head is complete. Raises Disconnected or ProtocolBroken."""
        while not self.status:
            if self._failure is not None:
                raise self._failure
            await self.news()

    def feed(self, data: bytes) -> None:
        """Bytes have come."""
        before = self.buffered
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._break(f"not a response of HTTP/1.1: {error.__context__ or error}")
        if self.buffered != before:
            self._overhead = 0
            if self.buffered > MAX_BUFFERED_BYTES and not self._paused and self._carrier is not None:
                self._paused = True
                self._carrier.pause_reading()
        else:
            self._overhead += len(data)
            if self._overhead > MAX_HEAD_BYTES:
                self._break(f"more than {MAX_HEAD_BYTES} bytes without content")
        self._wake()

    def cut(self, error: Exception | None) -> None:
        """Nothing more will come. `error` is None when the peer has closed in good order."""
        if self.ended or self._failure is not None:
            return
        if error is None and self.status and self._lasts_until_close():
            self.ended = True
        else:
            self._failure = self._disconnected("closed by the peer" if error is None else repr(error))
        self._wake()

    def on_message_begin(self) -> None:
        """Also after a response of 1xx, which says nothing about the real one."""
        if self.ended:
            raise ProtocolBroken("data after the end of the response")
        self._headers.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or a trailer, which nobody has asked for."""
        if self.status:
            return
        name, value = name.lower(), value.strip()
        known = self._headers.get(name)
        self._headers[name] = value if known is None else known + b", " + value

    def on_headers_complete(self) -> None:
        """The head is whole."""
        status = self._parser.get_status_code()
        if status < 100:
            raise ProtocolBroken(f"status {status}")
        if status < 200:
            return
        if sum(map(len, self._headers)) + sum(map(len, self._headers.values())) > MAX_HEAD_BYTES:
            raise ProtocolBroken(f"a head of more than {MAX_HEAD_BYTES} bytes")
        self.status = status

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._pieces.append(data)
        self.buffered += len(data)

    def on_message_complete(self) -> None:
        """The body is whole."""
        if self.status:
            self.ended = True
            self._keep_alive = self._parser.should_keep_alive()

    def _take(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.buffered = 0
        if self._paused and self._carrier is not None:
            self._paused = False
            self._carrier.resume_reading()
        return data

    def _wake(self) -> None:
        if self._waiter is None or self._waiter.done():
            return
        if self.on_data is not None and self._pieces and self._interruption is None and self.on_data(self._take()):
            if self._interruption is None and self._failure is None and not self.ended:
                return
        if not self._waiter.done():
            self._waiter.set_result(None)

    def _break(self, detail: str) -> None:
        self._keep_alive = False
        if not self.ended and self._failure is None:  # what follows a whole response cannot spoil it
            self._failure = ProtocolBroken(detail)
        if self._carrier is not None:
            self._carrier.drop()

    def _lasts_until_close(self) -> bool:
        coding = self._headers.get(b"transfer-encoding")
        if coding is not None:
            return not coding.strip().lower().endswith(b"chunked")
        return b"content-length" not in self._headers

    def _disconnected(self, detail: str) -> Disconnected:
        answered = bool(self.status or self._overhead)
        return Disconnected(detail, answered=answered, reused=self._reused)
