"""What is measured of one gateway in one turn: memory, JSON answers, streams as fast as they go, paced streams.

Rates and CPU are counted between two moments of a steady load. CPU is the gateway's own (user and system time of its
processes), so that neither the generator nor other work of the machine is in it.
"""

import asyncio
import http.client
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from tests.bench.engine_script import MODEL
from tests.bench.figures import percentile
from tests.bench.gateway_load import Crowd, Tally
from tests.bench.peers.running import Gateway

TOKENS = 32
PACED_TOKENS = 64
FIRST_S = 0.05
GAP_S = 0.02
_MESSAGES = [
    {"role": "system", "content": "You are Scout, the assistant of Summit Drive Motors. " * 8},
    {"role": "user", "content": "Which hybrid SUVs under 40k do you have, and do they tow?"},
]
_MOST_WARM_S = 15.0
"""Every user has its first answer before anything is counted: a server that is busy with those it has accepted lets new
ones wait. A gateway that has not come so far by then is measured as it is."""
_QUIET_SHARE = 0.1
_MOST_QUIET_S = 15.0

LONGEST_WAIT_S = 15.0
"""More users than a gateway answers in that time are not tried: each would wait longer for one answer."""

Row = dict[str, float]
"""What was measured under one load, by name; a name ends in its unit."""


@dataclass(frozen=True)
class Plan:
    """How long is counted, in seconds, and with how many users."""

    users: tuple[int, ...] = (1, 10, 100, 1000)
    closed_s: float = 1.5
    paced_s: float = 3.0
    open_streams: tuple[int, ...] = (1, 10, 100, 1000)
    most_open_s: float = 30.0


def request_body(streamed: bool) -> bytes:
    """What every client asks."""
    request: dict[str, object] = {"model": MODEL, "messages": _MESSAGES, "max_tokens": 256, "temperature": 0.2}
    return json.dumps({**request, "stream": True} if streamed else request).encode()


class EngineControl:
    """The mock engine's side door, over a blocking connection; one of its ports serves as well as another."""

    def __init__(self, port: int) -> None:
        self._port = port

    def _get(self, target: str) -> object:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30.0)
        connection.request("GET", target)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def pace(self, tokens: int, first_s: float, gap_s: float) -> None:
        """The pace of all streams that begin from now on."""
        self._get(f"/pace?chunks={tokens + 1}&first_s={first_s}&gap_s={gap_s}")

    def running(self) -> int:
        """Streams under way."""
        return int(str(self._get("/running")))

    def cpu_s(self) -> float:
        """CPU that the mock has used so far."""
        return float(str(self._get("/cpu")))


async def _until(true: Callable[[], bool], limit_s: float) -> bool:
    """Whether it came true in time."""
    begun = time.perf_counter()
    while not true():
        if time.perf_counter() - begun > limit_s:
            return False
        await asyncio.sleep(0.05)
    return True


@dataclass(frozen=True)
class Counted:
    """What a load did between two moments."""

    seconds: float
    answers: int
    chunks: int
    cpu_s: float
    engine_cpu_s: float
    own_cpu_s: float
    waited_s: float
    first_content_s: list[float]
    errors: int

    def row(self) -> Row:
        """Rates per second of the clock and per second of the gateway's CPU; microseconds of its CPU; milliseconds."""
        first = sorted(self.first_content_s)
        cpu = self.cpu_s or float("nan")
        return {
            "answers_per_s": self.answers / self.seconds,
            "answers_per_cpu_s": self.answers / cpu,
            "cpu_us_per_chunk": 1e6 * cpu / self.chunks if self.chunks > 0 else float("nan"),
            "core_used": self.cpu_s / self.seconds,
            "core_waited": self.waited_s / self.seconds,
            "load_core_used": (self.engine_cpu_s + self.own_cpu_s) / self.seconds,
            "first_p50_ms": 1e3 * percentile(first, 0.5) if first else float("nan"),
            "first_p99_ms": 1e3 * percentile(first, 0.99) if first else float("nan"),
            "firsts": len(first),
            "errors": self.errors,
        }


class Measurer:
    """Puts load after load on one gateway."""

    def __init__(self, gateway: Gateway, engine: EngineControl, plan: Plan) -> None:
        self._gateway = gateway
        self._engine = engine
        self._plan = plan
        self.troubles: list[str] = []
        """What went wrong, by load: a line each."""

    def _note(self, load: str, errors: Mapping[str, int]) -> int:
        if errors:
            self.troubles.append(f"{load}: " + ", ".join(f"{count} x {kind}" for kind, count in errors.items()))
        return sum(errors.values())

    async def json_answers(self, users: int) -> Row:
        """Closed loop: each user asks again as soon as it has its answer."""
        return await self._load("json", users, users / 2000, self._plan.closed_s)

    async def streams(self, users: int) -> Row:
        """Closed loop of streams whose events come as fast as they are taken."""
        self._engine.pace(TOKENS, 0.0, 0.0)
        return await self._load("streams", users, users / 2000, self._plan.closed_s)

    async def paced(self, users: int) -> Row:
        """Streams at the pace of a model. Their starts are spread over the length of one."""
        self._engine.pace(PACED_TOKENS, FIRST_S, GAP_S)
        length_s = FIRST_S + GAP_S * PACED_TOKENS
        return await self._load("paced streams", users, length_s, self._plan.paced_s)

    async def _load(self, name: str, users: int, join_s: float, seconds: float) -> Row:
        streamed = name != "json"
        crowd = Crowd(self._gateway.target, request_body(streamed), streamed)
        try:
            await crowd.join(users, join_s)
            await _until(lambda: crowd.tally.served >= users, _MOST_WARM_S)
            return (await self._count(f"{name}, {users} users", crowd.tally, seconds)).row()
        finally:
            await crowd.leave()
            await self._quiet()

    async def _count(self, load: str, tally: Tally, seconds: float) -> Counted:
        tally.first_content_s.clear()
        tally.errors.clear()
        answers, events, cpu, engine_cpu = tally.answers, tally.events, self._gateway.cpu_s(), self._engine.cpu_s()
        waited, own, begun = self._gateway.waited_s(), time.process_time(), time.perf_counter()
        await asyncio.sleep(seconds)
        took, cpu_after, own_after = time.perf_counter() - begun, self._gateway.cpu_s(), time.process_time()
        return Counted(
            seconds=took,
            answers=tally.answers - answers,
            chunks=tally.events - events - (tally.answers - answers),  # without each stream's [DONE]
            cpu_s=cpu_after - cpu,
            engine_cpu_s=self._engine.cpu_s() - engine_cpu,
            own_cpu_s=own_after - own,
            waited_s=self._gateway.waited_s() - waited,
            first_content_s=list(tally.first_content_s),
            errors=self._note(load, tally.errors),
        )

    async def _quiet(self) -> None:
        """Wait until the gateway has let go of what was left: no stream at the engine, little CPU used."""
        begun = time.perf_counter()
        while time.perf_counter() - begun < _MOST_QUIET_S:
            cpu = self._gateway.cpu_s()
            await asyncio.sleep(0.2)
            if self._gateway.cpu_s() - cpu < _QUIET_SHARE * 0.2 and self._engine.running() == 0:
                return

    async def memory(self) -> Row:
        """Resident memory by open streams that have begun and then say nothing, one stage after the other."""
        self._engine.pace(3, 0.05, 0.0)
        await self._load("warm-up", 8, 0.1, 0.5)  # what is only loaded at the first use
        self._engine.pace(TOKENS, 0.05, 600.0)
        empty = self._gateway.rss_bytes()
        row: Row = {"idle_mib": empty / 2**20}
        crowd = Crowd(self._gateway.target, request_body(True), True)
        try:
            for stage in self._plan.open_streams:
                await crowd.join(stage - crowd.tally.opened, stage / 1000)
                complete = await _until(partial(crowd.has_opened, stage), self._plan.most_open_s)
                await asyncio.sleep(0.5)
                opened = crowd.tally.opened
                row[f"kib_per_stream_{stage}"] = (self._gateway.rss_bytes() - empty) / 1024 / max(opened, 1)
                row[f"opened_{stage}"] = opened
                if not complete:
                    break
            row["errors"] = self._note("memory", crowd.tally.errors)
        finally:
            await crowd.leave()
            await self._quiet()
        return row

    async def turn(self, streams_work: bool) -> dict[str, Row]:
        """All of it, memory first: later the allocator would have room from before."""
        if not streams_work:
            return await self._stages("json", self.json_answers)
        rows: dict[str, Row] = {}
        if self._gateway.process is not None:
            rows["memory"] = await self.memory()
        rows |= await self._stages("json", self.json_answers)
        streams = await self._stages("stream", self.streams)
        most = max((users for users in self._plan.users if f"stream-{users}" in streams), default=0)
        return {**rows, **streams, **await self._stages("paced", self.paced, most)}

    async def _stages(self, name: str, load: Callable[[int], Awaitable[Row]], most: int = 10**6) -> dict[str, Row]:
        """One load with ever more users, as long as the gateway can be expected to answer them."""
        rows: dict[str, Row] = {}
        for users in self._plan.users:
            if users <= most:
                row = rows[f"{name}-{users}"] = await load(users)
                if name != "paced":
                    most = int(row["answers_per_s"] * LONGEST_WAIT_S)
        return rows
