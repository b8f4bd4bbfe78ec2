"""The load on a gateway: `users` that each ask, read the answer to its end, and ask again on the same connection.

Bare protocol connections, since the generator shares its core with the mock engine and must cost little: it finds the
end of an answer, the first content, and counts events; whether an answer is right is `gateway_probe`'s to say.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

_CONTENT = re.compile(rb'"content": ?"[^"]')
"""The first content of a stream: not the role's event, whose content is empty."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_TAIL = 64
_PAUSE_AFTER_ERROR_S = 0.05


@dataclass(frozen=True)
class Target:
    """Where the requests go, and the headers that this gateway wants."""

    port: int
    path: str = "/v1/chat/completions"
    headers: tuple[tuple[str, str], ...] = ()

    def request(self, body: bytes) -> bytes:
        """The whole request as bytes."""
        lines = [f"POST {self.path} HTTP/1.1", f"host: 127.0.0.1:{self.port}", "content-type: application/json"]
        lines += ["accept: */*", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


@dataclass
class Tally:
    """What all users together have got so far; times in seconds."""

    answers: int = 0
    events: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    first_content_s: list[float] = field(default_factory=list)
    opened: int = 0
    """Streams whose first content has come."""
    served: int = 0
    """Connections that have had an answer."""


class User(asyncio.Protocol):
    """One connection, one request at a time, for ever; a connection that the other side closes is opened again."""

    def __init__(self, request: bytes, tally: Tally, streamed: bool, ended: Callable[["User"], None]) -> None:
        self._request = request
        self._tally = tally
        self._streamed = streamed
        self._ended = ended
        self._served = False
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reset()

    def _reset(self) -> None:
        self._head: bytes | None = None
        self._rest = b""
        self._left = -1
        self._asked_at = 0.0
        self._waits_for_content = self._streamed
        self._failed = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is not a subclass
        self._ask()

    def _ask(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._reset()
        self._asked_at = time.perf_counter()
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asked_at:
            self._tally.errors[f"closed: {type(exc).__name__ if exc else 'by the gateway'}"] += 1
        self._transport = None
        self._ended(self)

    def leave(self) -> None:
        """Close at once, without an error counted."""
        self._asked_at = 0.0
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._head is None:
            data = self._rest + data
            head_end = data.find(b"\r\n\r\n")
            if head_end < 0:
                self._rest = data
                return
            self._read_head(data[:head_end])
            self._rest, data = b"", data[head_end + 4 :]
        if self._waits_for_content:
            self._look_for_content(data)
        self._tally.events += data.count(b"data: ")
        self._rest = (self._rest + data)[-_TAIL:]
        if self._left >= 0:
            self._left -= len(data)
            over = self._left <= 0
        else:
            over = self._rest.endswith(b"0\r\n\r\n")
        if over:
            self._finish()

    def _read_head(self, head: bytes) -> None:
        self._head = head
        if not head.startswith(b"HTTP/1.1 200"):
            self._failed = head[9:12].decode("ascii", "replace")
        length = _LENGTH.search(head)
        if length:
            self._left = int(length[1])
        elif not _CHUNKED.search(head):
            self._failed = "no framing"

    def _look_for_content(self, data: bytes) -> None:
        if _CONTENT.search(self._rest + data):
            self._waits_for_content = False
            self._tally.first_content_s.append(time.perf_counter() - self._asked_at)
            self._tally.opened += 1

    def _finish(self) -> None:
        if not self._failed and self._streamed and b"[DONE]" not in self._rest:
            self._failed = "no [DONE]"
        if self._failed:
            self._tally.errors[self._failed] += 1
            self._asked_at = 0.0
            self._loop.call_later(_PAUSE_AFTER_ERROR_S, self._ask)
            return
        self._tally.answers += 1
        if not self._served:
            self._served = True
            self._tally.served += 1
        self._ask()


class Crowd:
    """All users of one load. Connections that are lost are opened again, after a pause, until `leave`."""

    def __init__(self, target: Target, body: bytes, streamed: bool) -> None:
        self.tally = Tally()
        self._target = target
        self._request = target.request(body)
        self._streamed = streamed
        self._users: set[User] = set()
        self._left = False
        self._loop = asyncio.get_running_loop()
        self._again: set[asyncio.Task[None]] = set()

    async def join(self, users: int, over_s: float) -> None:
        """Let so many more users begin, evenly over a time, in groups small enough for a listening queue."""
        group = max(1, min(50, users // 20))
        begun, joined = self._loop.time(), 0
        while joined < users:
            for _ in range(min(group, users - joined)):
                await self._connect()
                joined += 1
            due = begun + over_s * joined / users
            await asyncio.sleep(max(due - self._loop.time(), 0.0))

    async def _connect(self) -> None:
        try:
            _, user = await self._loop.create_connection(
                lambda: User(self._request, self.tally, self._streamed, self._gone), "127.0.0.1", self._target.port
            )
        except OSError as error:
            self.tally.errors[f"connect: {type(error).__name__}"] += 1
            return
        self._users.add(user)

    def _gone(self, user: User) -> None:
        self._users.discard(user)
        if not self._left:
            task = self._loop.create_task(self._reconnect())
            self._again.add(task)
            task.add_done_callback(self._again.discard)

    async def _reconnect(self) -> None:
        await asyncio.sleep(_PAUSE_AFTER_ERROR_S)
        if not self._left:
            await self._connect()

    def has_opened(self, streams: int) -> bool:
        """Whether the first content of so many streams has come."""
        return self.tally.opened >= streams

    async def leave(self) -> None:
        """All users go at once."""
        self._left = True
        for task in self._again:
            task.cancel()
        for user in list(self._users):
            user.leave()
        await asyncio.sleep(0.05)
