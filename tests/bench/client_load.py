"""Measures one client in a process of its own: CPU per chunk, streams a second, delay of chunks, memory of a stream.

CPU is what this process used (user and system) between two moments of a steady load, divided by the chunks that
arrived between them, so that other work on the machine hardly shows in it. Prints one line of JSON.
"""

import argparse
import asyncio
import gc
import json
import os
import time
from array import array
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import psutil
import uvloop

from shared import sse
from tests.bench.client_leave import Witness, leave
from tests.bench.figures import percentile
from tests.bench.raw_client import RawClient
from tests.bench.sse_source import STAMP
from tests.bench.stream_clients import (
    AiohttpClient,
    Endpoint,
    Httpx2Client,
    HttpxClient,
    OwnClient,
    StreamClient,
    httpx_over_aiohttp,
)

CLIENTS: dict[str, Callable[[Endpoint, int], StreamClient]] = {
    "raw": RawClient,
    "own": OwnClient,
    "aiohttp": AiohttpClient,
    "httpx-aiohttp": httpx_over_aiohttp,
    "httpx2": Httpx2Client,
    "httpx": HttpxClient,
}
CONNECTIONS = 512


@dataclass(frozen=True)
class Load:
    """`streams` at a time, each of `chunks` events, again and again; the first `warm_s` do not count."""

    streams: int
    chunks: int
    first_s: float
    gap_s: float
    warm_s: float

    @property
    def body(self) -> bytes:
        """The request: as a chat client sends it, and beside it the pace that the source shall keep."""
        turns = [
            {"role": "system", "content": "You are Scout, the assistant of Summit Drive Motors. " * 8},
            {"role": "user", "content": "Which hybrid SUVs under 40k do you have, and do they tow?"},
        ]
        pace = {"chunks": self.chunks, "first_s": self.first_s, "gap_s": self.gap_s}
        return json.dumps({"model": "llama-70b-scout", "messages": turns, "stream": True, "pace": pace}).encode()


LOADS = {
    "closed": Load(streams=32, chunks=32, first_s=0.0, gap_s=0.0, warm_s=1.0),
    # The warm-up is longer than a stream lasts: by then the starts are spread over a stream's length.
    "paced": Load(streams=100, chunks=100, first_s=0.05, gap_s=0.02, warm_s=2.5),
}
OPEN = Load(streams=500, chunks=1000, first_s=0.05, gap_s=0.25, warm_s=0.0)
"""Many streams that do little: enough for the size of one to stand out of the allocator's grain of a megabyte."""


@dataclass
class Tally:
    """What all streams together have received so far. `delays_s` is filled from its beginning, up to `delays_taken`."""

    streams: int = 0
    chunks: int = 0
    pieces: int = 0
    delays_taken: int = 0
    delays_s: "array[float]" = field(default_factory=lambda: array("d"))


class CountingSink:
    """What the gateway does with each piece: decode, look at each event. Takes delays while there is room for them."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._decoder = sse.Decoder()
        self.done = False

    def feed(self, data: bytes) -> None:
        """See Sink."""
        tally = self._tally
        tally.pieces += 1
        now = time.monotonic_ns()
        for event in self._decoder.feed(data):
            if event.data == sse.DONE:
                self.done = True
                tally.streams += 1
                continue
            tally.chunks += 1
            if tally.delays_taken < len(tally.delays_s):
                tally.delays_s[tally.delays_taken] = (now - int(event.data[STAMP])) / 1e9
                tally.delays_taken += 1


async def _repeat(client: StreamClient, load: Load, tally: Tally, start_after_s: float) -> None:
    await asyncio.sleep(start_after_s)
    body = load.body
    while True:
        sink = CountingSink(tally)
        await client.stream(body, sink)
        if not sink.done:
            raise RuntimeError("a stream ended without [DONE]")


@dataclass(frozen=True)
class Loaded:
    """The result: `*_us` microseconds, `*_ms` milliseconds. `*_share`: of one core.

    `pieces_per_chunk` below 1: the client handed on several chunks in one piece.
    """

    streams_per_s: float
    cpu_us_per_chunk: float
    cpu_share: float
    source_cpu_share: float
    pieces_per_chunk: float
    delay_p50_ms: float
    delay_p99_ms: float


async def measure(client: StreamClient, witness: Witness, load: Load, seconds: float) -> Loaded:
    """Run `load` and count for `seconds` after its warm-up."""
    tally = Tally()
    room = 2 * int(load.streams * seconds / load.gap_s) if load.gap_s else 0
    spread_s = (load.first_s + load.gap_s * load.chunks) / load.streams
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_repeat(client, load, tally, n * spread_s)) for n in range(load.streams)]
        await asyncio.sleep(load.warm_s)
        source_before = witness.cpu_s()
        tally.delays_s = array("d", bytes(8 * room))
        before, cpu_before, began = (
            (tally.streams, tally.chunks, tally.pieces),
            time.process_time(),
            time.perf_counter(),
        )
        await asyncio.sleep(seconds)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu_before
        streams, chunks, pieces = tally.streams - before[0], tally.chunks - before[1], tally.pieces - before[2]
        source_cpu = witness.cpu_s() - source_before
        for task in tasks:
            task.cancel()
    delays = sorted(tally.delays_s[: tally.delays_taken])
    return Loaded(
        streams_per_s=streams / took,
        cpu_us_per_chunk=1e6 * cpu / chunks,
        cpu_share=cpu / took,
        source_cpu_share=source_cpu / took,
        pieces_per_chunk=pieces / chunks,
        delay_p50_ms=1e3 * percentile(delays, 0.50) if delays else 0.0,
        delay_p99_ms=1e3 * percentile(delays, 0.99) if delays else 0.0,
    )


async def measure_memory(client: StreamClient) -> float:
    """Resident memory of one open stream, its connection included, in KiB."""
    tally = Tally()
    await client.stream(LOADS["closed"].body, CountingSink(tally))
    gc.collect()
    before = psutil.Process().memory_info().rss
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_repeat(client, OPEN, tally, 0.0)) for _ in range(OPEN.streams)]
        while tally.chunks < 4 * OPEN.streams:  # noqa: ASYNC110 - not worth an event in the counted path
            await asyncio.sleep(0.05)
        after = psutil.Process().memory_info().rss
        for task in tasks:
            task.cancel()
    return float(after - before) / 1024 / OPEN.streams


async def _run(name: str, mode: str, port: int, seconds: float) -> dict[str, object]:
    endpoint = Endpoint("127.0.0.1", port)
    if mode == "leave":
        return await leave(CLIENTS[name], endpoint)
    client = CLIENTS[name](endpoint, CONNECTIONS)
    try:
        if mode == "memory":
            return {"kib_per_stream": await measure_memory(client)}
        return asdict(await measure(client, Witness(endpoint), LOADS[mode], seconds))
    finally:
        await client.aclose()


def main() -> None:
    """Measure one client in one mode."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("mode", choices=[*LOADS, "memory", "leave"])
    parser.add_argument("--port", type=int, required=True, help="of tests.bench.sse_source, on loopback")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--core", type=int, help="run on this core alone")
    args = parser.parse_args()
    if args.core is not None:
        os.sched_setaffinity(0, {args.core})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(_run(args.client, args.mode, args.port, args.seconds))))


if __name__ == "__main__":
    main()
