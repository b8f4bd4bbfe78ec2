"""What happens when a stream is left: is its connection closed at once, and is the pool as good as before?

A model goes on generating for a client that has left until the connection closes, so this decides whether a client
can be used at all. Each way of leaving is tried with the event loop held still after the call has ended, so that the
source can be asked what it has seen so far, and once more with the loop free, for the time. In the end more streams
are read than the pool has connections.
"""

import asyncio
import contextlib
import http.client
import json
import math
import sys
import time
import uuid
from collections.abc import Awaitable, Callable

from shared import sse
from tests.bench.stream_clients import Endpoint, StreamClient

POOL = 8
TRIES = 10
"""Per way and manner; any slot that a way leaks is missed in the end, since the tries are more than the pool holds."""
MOST_TURNS = 20
LIMIT_S = 5.0
"""A try that takes longer hangs, as it does when the pool has leaked all its slots."""


Look = Callable[[str], Awaitable[float]]
"""What to find out about the stream of a tag once it has been left."""


class Left(Exception):
    """Raised by a sink: the reader leaves of itself."""


class LeavingSink:
    """Reads `events` events, then leaves in its way: raises, or tells the one who waits for `reached` to cancel."""

    def __init__(self, events: int, by_raising: bool = False) -> None:
        self._decoder = sse.Decoder()
        self._events = events
        self._by_raising = by_raising
        self.count = 0
        self.done = False
        self.reached = asyncio.Event()
        self.raised_at: float | None = None

    def feed(self, data: bytes) -> None:
        """See Sink."""
        for event in self._decoder.feed(data):
            self.count += event.data != sse.DONE
            self.done = self.done or event.data == sse.DONE
        if self.count >= self._events:
            self.reached.set()
            if self._by_raising:
                self.raised_at = time.monotonic()
                raise Left


class Witness:
    """Asks the source what it saw, over a blocking connection: while it asks, no turn of our loop passes."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=LIMIT_S)
        self._run = uuid.uuid4().hex

    def tag(self, name: str) -> str:
        """A tag that no other measurement of the same source has."""
        return f"{self._run}-{name}"

    def _ask(self, target: str) -> object:
        self._connection.request("GET", target)
        return json.loads(self._connection.getresponse().read())

    def closed_at(self, tag: str) -> float | None:
        """When the source lost the connection of `tag` before its answer had ended; seconds, monotonic."""
        nanoseconds = self._ask(f"/closed?{tag}")
        return nanoseconds / 1e9 if isinstance(nanoseconds, int) else None

    def cpu_s(self) -> float:
        """CPU that the source has used so far."""
        return float(str(self._ask("/cpu")))

    def has_seen(self, tag: str) -> bool:
        """Whether the request of `tag` has come."""
        return bool(self._ask(f"/seen?{tag}"))


def _body(tag: str, chunks: int = 500, headers_s: float = 0.0, gap_s: float = 0.005) -> bytes:
    pace = {"chunks": chunks, "headers_s": headers_s, "gap_s": gap_s, "tag": tag}
    return json.dumps({"model": "llama-70b-scout", "stream": True, "pace": pace}).encode()


class Prober:
    """Leaves streams of one client and looks at what the source sees."""

    def __init__(self, client: StreamClient, witness: Witness) -> None:
        self._client = client
        self._witness = witness
        self._left_at = 0.0

    async def by_cancel(self, tag: str, after: Look) -> float:
        """Cancelled between two chunks, as when the gateway's own client is gone."""
        sink = LeavingSink(events=3)
        task = asyncio.create_task(self._leave(_body(tag), sink, tag, after))
        await sink.reached.wait()
        return await self._cancel(task)

    async def by_raising(self, tag: str, after: Look) -> float:
        """Left of itself, as when a relay refuses what it reads."""
        return await self._leave(_body(tag), LeavingSink(events=3, by_raising=True), tag, after)

    async def before_headers(self, tag: str, after: Look) -> float:
        """Cancelled while the source has said nothing yet, as in the queue of an engine or its prefill."""
        task = asyncio.create_task(self._leave(_body(tag, headers_s=60.0), LeavingSink(events=1), tag, after))
        while not self._witness.has_seen(tag):  # noqa: ASYNC110 - the source is another process
            await asyncio.sleep(0.001)
        return await self._cancel(task)

    async def _cancel(self, task: "asyncio.Task[float]") -> float:
        self._left_at = time.monotonic()
        task.cancel()
        return await task

    async def _leave(self, body: bytes, sink: LeavingSink, tag: str, after: Look) -> float:
        # A task may go on after its cancellation: what follows runs in the very turn in which the call ended.
        with contextlib.suppress(asyncio.CancelledError, Left):
            await self._client.stream(body, sink)
        if sink.done:
            raise RuntimeError("the stream was over before it was left")
        if sink.raised_at is not None:
            self._left_at = sink.raised_at
        return await after(tag)

    async def turns(self, tag: str) -> float:
        """How many turns of the loop pass, after the call has ended, until the source sees the connection closed."""
        for turn in range(MOST_TURNS):
            for _ in range(3):  # loopback is fast, but the source is another process
                if self._witness.closed_at(tag) is not None:
                    return turn
                time.sleep(0.002)  # noqa: ASYNC251 - no turn may pass here
            await asyncio.sleep(0)
        return math.inf

    async def milliseconds(self, tag: str) -> float:
        """How long after the leaving the source saw the connection closed."""
        begun = time.monotonic()
        while (closed_at := self._witness.closed_at(tag)) is None:
            if time.monotonic() - begun > 2.0:
                return math.inf
            await asyncio.sleep(0.005)
        return 1e3 * (closed_at - self._left_at)


async def _worst(way: Callable[[str, Look], Awaitable[float]], tag: str, look: Look) -> float:
    """The worst of all tries; no more of them after one that failed."""
    worst = 0.0
    for number in range(TRIES):
        try:
            async with asyncio.timeout(LIMIT_S):
                worst = max(worst, await way(f"{tag}-{number}", look))
        except Exception as error:  # noqa: BLE001 - whatever a poisoned pool raises is the finding
            print(f"{tag}: {error!r}", file=sys.stderr)
            return math.inf
        if worst == math.inf:
            break
    return worst


async def _pool_is_whole(client: StreamClient, witness: Witness) -> bool:
    """Whether four times the pool's size of short streams at once all come whole, and in time."""
    sinks = [LeavingSink(events=10_000) for _ in range(4 * POOL)]
    try:
        async with asyncio.timeout(LIMIT_S):
            await _leave_the_queue(client, witness)
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
            for sink in sinks:
                group.create_task(client.stream(_body("", chunks=32, gap_s=0.001), sink))
    except (ExceptionGroup, TimeoutError):
        return False
    return all(sink.done and sink.count == 32 for sink in sinks)


async def _leave_the_queue(client: StreamClient, witness: Witness) -> None:
    """Fills the pool, cancels those that wait for a connection, then those that have one."""
    tags = [witness.tag(f"held-{n}") for n in range(POOL)]
    async with asyncio.TaskGroup() as group:
        held = [group.create_task(client.stream(_body(tag), LeavingSink(10_000))) for tag in tags]
        while not all(witness.has_seen(tag) for tag in tags):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)
        queued = [group.create_task(client.stream(_body(""), LeavingSink(10_000))) for _ in range(POOL)]
        await asyncio.sleep(0.05)  # to get into the pool's queue; nothing tells when
        for task in [*queued, *held]:
            task.cancel()


async def leave(make: Callable[[Endpoint, int], StreamClient], endpoint: Endpoint) -> dict[str, object]:
    """The most turns and milliseconds of all tries, by way of leaving, and whether the pool was whole afterwards."""
    client, witness = make(endpoint, POOL), Witness(endpoint)
    prober = Prober(client, witness)
    ways = {"cancel": prober.by_cancel, "raise": prober.by_raising, "before-headers": prober.before_headers}
    result: dict[str, object] = {}
    for name, way in ways.items():
        turns = await _worst(way, witness.tag(f"{name}-turns"), prober.turns)
        result[name] = {
            "turns": turns,
            "milliseconds": await _worst(way, witness.tag(f"{name}-times"), prober.milliseconds),
        }
    result["pool_is_whole"] = await _pool_is_whole(client, witness)
    await client.aclose()
    return result
