"""Hours of use in a few minutes: does the gateway still hold after it what it did before?

    python -m tests.soak.run --minutes 30 [--clients 24] [--seed 1] [--dev]

Mixed traffic with clients that leave, through a gateway in a process of its own, over replicas that go wrong
(`tests.soak.engines`); no GPU and no vLLM. Prints the readings over time, what became of the requests, and every
promise that was broken: then it exits with 1.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.bench.facts import machine_facts
from tests.chaos.tally import Tally
from tests.contract.engines import parse
from tests.soak.engines import REPLICAS
from tests.soak.judgement import Bounds, Growth, Reading, leftovers, memory_problems, over_time, too_many_sockets
from tests.soak.traffic import CHAT_TOKENS, Crowd
from tests.support.gateway_process import ROOT, Running, Upstream, gateway_process

READINGS = 120
SETTLES_WITHIN_S = 20.0
ENGINE_KEY = "a-key-that-no-engine-reads"

PER_REPLICA = 4
PLACES = PER_REPLICA * REPLICAS

SETTINGS = f"""
[on_prem]
connect_timeout_s = 1.0
first_content_timeout_s = 3.0
idle_timeout_s = 1.5

[admission]
max_concurrent_per_replica = {PER_REPLICA}
max_queued = 8
max_wait_s = 1.0

[affinity]
max_index_bytes = 262144

[attempts]
resume_wait_s = 3.0

[health]
failed_interval_s = 0.3

[breaker]
open_s = 0.5
ramp_s = 1.0

[chat]
temperature = 0.0
max_tokens = {CHAT_TOKENS}

[shutdown]
notice_s = 0.1
grace_s = 5.0
"""
"""Fewer places than clients, so that some wait and some are sent away; clocks that run out within a run of minutes;
an index that is full, and forgetting, before the memory is judged."""


@dataclass(frozen=True)
class Outcome:
    """One run: readings from before the traffic, during it and after it, and what was found wrong."""

    during: list[Reading]
    before: Reading
    after: Reading
    tally: Tally
    problems: list[str]

    def __str__(self) -> str:
        lines = [over_time([self.before, *self.during, self.after]), "", str(Growth.of(self.during)), str(self.tally)]
        return "\n".join([*lines, *(f"BROKEN: {problem}" for problem in self.problems)])


class Gauge:
    """Reads the gateway: what the kernel knows of its process, and what it says of itself."""

    def __init__(self, running: Running, requests: Callable[[], int]) -> None:
        # Each scrape has its own connection and closes it, so that it is not among the sockets that are counted.
        self._client = httpx.AsyncClient(base_url=running.url, headers={"connection": "close"}, trust_env=False)
        self._process = psutil.Process(running.process.pid)
        self._requests = requests
        self._began = time.monotonic()

    async def read(self) -> Reading:
        """Now."""
        said = parse((await self._client.get("/metrics")).text)
        await asyncio.sleep(0.02)  # until the gateway has seen that it was closed
        return Reading(
            time.monotonic() - self._began,
            self._requests(),
            self._process.memory_info().rss / 1024,
            self._process.num_fds(),
            len(self._process.net_connections("inet")),
            self._process.num_threads(),
            round(said["scout_replica_in_flight"]),
            round(said["scout_queue_waiting"]),
            round(said["scout_open_requests"]),
        )


@contextlib.contextmanager
def engines(seed: int) -> Iterator[tuple[Upstream, Callable[[], list[str]]]]:
    """The replicas, and what ends them: that returns what they were asked and no engine should be."""
    command = [sys.executable, "-m", "tests.soak.engines", "--seed", str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None

        def end() -> list[str]:
            told, _ = process.communicate(timeout=10)
            wrong: list[str] = json.loads(told)
            return wrong

        try:
            yield Upstream(process.stdout.readline().strip().split(","), ENGINE_KEY), end
        finally:
            process.kill()


async def soak(
    minutes: float,
    directory: Path,
    *,
    seed: int = 1,
    clients: int = 24,
    bounds: Bounds | None = None,
    flags: Sequence[str] = ("-W", "default"),
) -> Outcome:
    """One run. The directory keeps the gateway's log, and what Python said on its standard error."""
    with engines(seed) as (upstream, end_engines), gateway_process(upstream, SETTINGS, directory, flags) as running:
        crowd = Crowd(running.url, running.key, clients, seed)
        gauge = Gauge(running, lambda: crowd.tally.sent)
        before = await gauge.read()
        during = [reading async for reading in _while_asked(crowd, gauge, minutes * 60)]
        idle = await _settled(gauge, lambda reading: not reading.held)
        problems = [f"{level}: {line}" for level, line in _loud(running.log)]
        # Once its replicas are gone the gateway has no reason to keep a connection. It may warn of that: the log
        # has been read.
        problems += [f"a replica was {wrong}" for wrong in await asyncio.to_thread(end_engines)]
        after = await _settled(gauge, lambda reading: not list(leftovers(before, reading)))
        code = await asyncio.to_thread(running.end)
    if code not in (0, -signal.SIGTERM):  # uvicorn, having stopped in order, lets the signal do the rest
        problems.append(f"the gateway ended with {code}")
    if said := running.stderr.read_text():
        problems.append(f"Python said: {said[:2000]}")
    problems += [f"lost: {reason}" for reason in crowd.tally.lost]
    problems += [f"with its replicas at hand: {idle.held} held"] * bool(idle.held)
    problems += leftovers(before, after)
    problems += too_many_sockets(during, before.sockets + clients + 2 * PLACES)
    problems += memory_problems(Growth.of(during), bounds or Bounds())
    return Outcome(during, before, after, crowd.tally, problems)


async def _while_asked(crowd: Crowd, gauge: Gauge, seconds: float) -> AsyncIterator[Reading]:
    """Readings at even intervals while the crowd asks; it has left when this is over."""
    async with asyncio.TaskGroup() as group:
        group.create_task(crowd.run())
        began, every_s = time.monotonic(), seconds / READINGS
        while (passed_s := time.monotonic() - began) < seconds:
            await asyncio.sleep(every_s - passed_s % every_s)  # a reading that is late does not delay the others
            yield await gauge.read()
        crowd.stop()


async def _settled(gauge: Gauge, true: Callable[[Reading], bool]) -> Reading:
    """The first reading of which this is true; the last one, if none is for SETTLES_WITHIN_S."""
    give_up_at = time.monotonic() + SETTLES_WITHIN_S
    while not true(reading := await gauge.read()) and time.monotonic() < give_up_at:  # noqa: ASYNC110  # gauges
        await asyncio.sleep(0.2)
    return reading


def _loud(log: Path) -> Iterator[tuple[str, str]]:
    """The lines that say more than that something happened, and those that are no lines of the log at all."""
    with log.open() as lines:
        for line in lines:
            try:
                level = json.loads(line)["level"]
            except (ValueError, KeyError):
                level = "not of the log's format"
            if level != "info":
                yield level, line.strip()[:1000]


def main() -> int:
    """Run, print; 1 where something was found wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dev", action="store_true", help="Python's development mode: slow, and memory is larger")
    args = parser.parse_args()
    print(", ".join(f"{name} {value}" for name, value in machine_facts(ROOT).items()))
    flags = ("-X", "dev") if args.dev else ("-W", "default")
    with tempfile.TemporaryDirectory() as directory:
        run = soak(args.minutes, Path(directory), seed=args.seed, clients=args.clients, flags=flags)
        outcome = asyncio.run(run)
    print(outcome)
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
