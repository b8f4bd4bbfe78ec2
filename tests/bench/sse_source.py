"""A source of chat streams for the benchmarks: HTTP/1.1, chunked, keep-alive, and next to no work per chunk.

It answers `POST /v1/chat/completions` with events shaped like vLLM's, one HTTP chunk an event, at a pace that the
request names. Every event carries the moment it was written (`STAMP`), on the clock that all processes of the machine
share, so that a reader can tell how late it got it. `GET /cpu`, `/seen?TAG` and `/closed?TAG` tell what the source
used and saw.

Run by itself: `python -m tests.bench.sse_source --core 0` prints its port on one line and serves until its input
ends.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import uvloop

STAMP = slice(16, 36)
"""Where in an event's data the time of its writing stands: nanoseconds of the monotonic clock, 20 digits."""

WORDS = (" The", " hybrid", " SUV", " has", " a", " towing", " package", ",", " heated", " seats")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: Mon, 02 Nov 2026 09:00:00 GMT\r\nserver: uvicorn\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
_DONE = b"data: [DONE]\n\n"


@dataclass
class Sightings:
    """What the source saw, by the tag of a request: that it came, and when its connection closed mid-answer (ns)."""

    seen: set[str] = field(default_factory=set)
    closed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pace:
    """How one answer is sent: `chunks` events, then [DONE]; times in seconds; a gap of 0 is one event a loop turn."""

    chunks: int
    headers_s: float = 0.0
    first_s: float = 0.0
    gap_s: float = 0.0
    tag: str = ""


def _event(delta: dict[str, str], finish_reason: str | None) -> tuple[bytes, bytes]:
    """One event in its HTTP chunk, in two parts: the stamp goes between them."""
    stamp = "0" * (STAMP.stop - STAMP.start)
    chunk = {
        "id": f"chatcmpl-{stamp}5f0c2ab19d47",
        "object": "chat.completion.chunk",
        "created": 1793610000,
        "model": "llama-70b-scout",
        "choices": [
            {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason, "token_ids": None},
        ],
    }
    event = b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"
    before, after = event.split(stamp.encode(), 1)
    return b"%x\r\n" % len(event) + before, after + b"\r\n"


@dataclass(frozen=True)
class Script:
    """The events of every answer, prepared once."""

    first: tuple[bytes, bytes] = field(default_factory=lambda: _event({"role": "assistant", "content": ""}, None))
    middle: list[tuple[bytes, bytes]] = field(default_factory=lambda: [_event({"content": w}, None) for w in WORDS])
    last: tuple[bytes, bytes] = field(default_factory=lambda: _event({"content": ""}, "stop"))
    end: bytes = b"%x\r\n" % len(_DONE) + _DONE + b"\r\n0\r\n\r\n"

    def part(self, index: int, chunks: int) -> tuple[bytes, bytes]:
        """The event at `index` of an answer of `chunks` events."""
        if index == 0:
            return self.first
        return self.last if index == chunks - 1 else self.middle[index % len(self.middle)]


class Connection(asyncio.Protocol):
    """One client connection; it serves one request after the other."""

    def __init__(self, script: Script, sightings: Sightings) -> None:
        self._script = script
        self._sightings = sightings
        self._loop = asyncio.get_running_loop()
        self._inbox = b""
        self._transport: asyncio.Transport | None = None
        self._pace: Pace | None = None
        self._next: asyncio.Handle | None = None
        self._index = 0
        self._started = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is not a subclass

    def connection_lost(self, exc: Exception | None) -> None:
        if self._next is not None:
            self._next.cancel()
        if self._pace is not None and self._pace.tag:
            self._sightings.closed[self._pace.tag] = time.monotonic_ns()

    def data_received(self, data: bytes) -> None:
        self._inbox += data
        head_end = self._inbox.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length = _LENGTH.search(self._inbox, 0, head_end)
        body_end = head_end + 4 + (int(length[1]) if length else 0)
        if len(self._inbox) < body_end:
            return
        request, self._inbox = self._inbox[:body_end], self._inbox[body_end:]
        method, target, _ = request.split(b" ", 2)
        if method == b"GET":
            self._tell(target.decode())
        else:
            self._take(target, request[head_end + 4 :])

    def _take(self, target: bytes, body: bytes) -> None:
        """A POST has come in whole. `target`: its path."""
        self._answer(Pace(**json.loads(body)["pace"]))

    def _tell(self, target: str) -> None:
        path, _, tag = target.partition("?")
        answers: dict[str, Callable[[], object]] = {
            "/cpu": time.process_time,
            "/seen": lambda: tag in self._sightings.seen,
            "/closed": lambda: self._sightings.closed.get(tag),
        }
        body = json.dumps(answers[path]()).encode()
        self._write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def _answer(self, pace: Pace) -> None:
        self._pace, self._index = pace, 0
        self._sightings.seen.add(pace.tag)
        if pace.headers_s:
            self._next = self._loop.call_later(pace.headers_s, self._begin)
        else:
            self._begin()

    def _begin(self) -> None:
        self._write(STREAM_HEAD)
        self._started = self._loop.time()
        self._plan_next()

    def _plan_next(self) -> None:
        assert self._pace is not None
        if self._pace.gap_s:
            # From the start of the answer, not from the last event: a late event does not delay the later ones.
            self._next = self._loop.call_at(self._started + self._due_s(self._pace, self._index), self._send)
        else:
            self._next = self._loop.call_soon(self._send)

    def _due_s(self, pace: Pace, index: int) -> float:
        """When the event at `index` is due, from the start of the answer."""
        return pace.first_s + index * pace.gap_s

    def _send(self) -> None:
        assert self._pace is not None
        event = self._event(self._index, self._pace.chunks)
        self._index += 1
        self._write(event)
        if self._index < self._pace.chunks:
            self._plan_next()
        else:
            self._pace = self._next = None

    def _event(self, index: int, chunks: int) -> bytes:
        """What to write for the event at `index` of an answer of `chunks` events; the end goes with the last."""
        before, after = self._script.part(index, chunks)
        stamped = b"%b%020d%b" % (before, time.monotonic_ns(), after)
        return stamped if index < chunks - 1 else stamped + self._script.end


async def serve() -> None:
    """Serve on a free loopback port, print it, and end when the standard input does: with whoever started this."""
    loop = asyncio.get_running_loop()
    script, sightings = Script(), Sightings()
    server = await loop.create_server(lambda: Connection(script, sightings), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    await ended.wait()


def main() -> None:
    """Pin to one core, if asked to, and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", type=int, help="run on this core alone")
    core = parser.parse_args().core
    if core is not None:
        os.sched_setaffinity(0, {core})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


if __name__ == "__main__":
    main()
