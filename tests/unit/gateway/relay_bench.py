"""A relay that is under way, for tests: attempts, queue and pool are real, the replicas play what a test wrote down.

The n-th leg is scripted for the n-th replica: the pool is idle and asks them in their order. The clock stands still
until told, and tells when somebody has looked at it, so that a test can wait for the relay's timer without a time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.admission import Admission
from gateway.attempts import Attempts
from gateway.budget import RetryBudget
from gateway.errors import GatewayError, UpstreamUnavailable
from gateway.narrator import Narrator
from gateway.pool import Pool
from gateway.ports import AttemptFailed, Chunk, Fault, PassOn
from gateway.relay import Relay
from gateway.work import Work
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.chunks import finish, role, text, usage
from tests.unit.gateway.manual_clock import ManualClock
from tests.unit.gateway.pool_bench import BODY, URLS, make_work, ready_pool, settings_for
from tests.unit.gateway.upstream_double import Read, ScriptedStream, ScriptedUpstream, Step

T = TypeVar("T")

FIRST = [role(), text("Hel", 10)]
REST = [role(leg=1), text("lo", 11, leg=1)]
END: list[Read] = [[finish("stop", 4, leg=1)], [usage(4, 2, leg=1)], None]
"""How the second leg goes on, and how it ends."""

NO_RESUMES = {"n": 2}
"""A request that cannot go on elsewhere."""
SOON = {"idle_timeout_s": 0.03}
"""The clock stands still, so this is only how often the timer looks at it."""


def cut() -> AttemptFailed:
    """The stream breaks, not by a replica's death, which would also be held against the request."""
    return AttemptFailed(UpstreamUnavailable("Broken off.", detail="the body ended"), Fault.SUSPECT)


class SeenClock(ManualClock):
    """A clock that knows when it is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self._seen = asyncio.Event()

    def __call__(self) -> float:
        self._seen.set()
        return self.now

    async def looked_at(self, times: int = 1) -> None:
        for _ in range(times):
            self._seen.clear()
            await self._seen.wait()


class DrippingStream(ScriptedStream):
    """Each read takes so many seconds."""

    def __init__(self, clock: SeenClock, seconds: float, *reads: Read) -> None:
        super().__init__(*reads)
        self._clock, self._seconds = clock, seconds

    async def read(self, pass_on: PassOn | None = None) -> list[Chunk] | None:
        self._clock.advance(self._seconds)
        return await super().read(pass_on)


@dataclass
class Bench:
    """A relay, all it holds, and all it can see."""

    relay: Relay
    streams: list[ScriptedStream]
    upstream: ScriptedUpstream
    pool: Pool
    work: Work
    accounts: Accounts
    clock: SeenClock

    @property
    def holds(self) -> bool:
        """Whether anything is still held; all or nothing, else the test fails."""
        places = sum(replica.in_flight for replica in self.pool.replicas)
        opened = [stream for stream, url in zip(self.streams, URLS, strict=False) if url in self.upstream.asked]
        closed = [stream.closed for stream in opened]
        held = (places, self.accounts.count("scout_open_requests"), closed.count(False))
        assert held in [(1, 1, 1), (0, 0, 0)]
        return held != (0, 0, 0)

    async def drain(self) -> list[Chunk]:
        return [chunk for chunks in [chunks async for chunks in self.relay] for chunk in chunks]

    async def error(self) -> GatewayError:
        """What the stream ends with."""
        try:
            await self.drain()
        except GatewayError as error:
            return error
        raise AssertionError("the stream has ended well")

    async def heard(self) -> str:
        """The text of what is left, told to its good end."""
        return "".join(chunk.text for chunk in await self.drain())

    async def after_silence(self, seconds: float, heard: Coroutine[Any, Any, T], leg: int = 0) -> T:
        """What `heard` comes to, when so much time passes once it waits for what does not come."""
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(heard)
            await self.streams[leg].stalled.wait()
            self.clock.advance(seconds)
        return reading.result()

    def resumes(self) -> dict[str, float]:
        return {outcome: count for (outcome,), count in self.accounts.counted("scout_resumes_total").items()}


Leg = Sequence[Read] | Step


async def begin(
    accounts: Accounts,
    clock: SeenClock,
    *legs: Leg,
    first: Sequence[Chunk] = FIRST,
    body: dict[str, Any] | None = None,
    deadline_s: float | None = None,
    **slices: dict[str, Any],
) -> Bench:
    """A stream whose first leg has begun with `first`, unless that leg is given as a stream of its own.

    `body` joins the request, `slices` replace settings.
    """
    settings = settings_for(max(2, len(legs)), **slices)
    pool = ready_pool(settings, clock)
    retries = RetryBudget(settings.attempts.retry_ratio, settings.attempts.retry_reserve)
    steps: list[Step] = [leg if not isinstance(leg, Sequence) else ScriptedStream(*leg) for leg in legs]
    if isinstance(legs[0], Sequence):
        steps[0] = ScriptedStream(list(first), *legs[0])
    upstream = ScriptedUpstream({url: [step] for url, step in zip(URLS, steps, strict=False)})
    admission = Admission(pool, settings, accounts.metrics, clock)
    attempts = Attempts(admission, upstream, settings.attempts, retries, accounts.metrics, clock)
    work = make_work(settings, accounts.ledger, clock, deadline_s=deadline_s)
    narrator = Narrator({**BODY, **(body or {})}, set())
    work.body = narrator.first_leg()
    with ExitStack() as held:
        held.enter_context(work.entry)
        opened = await attempts.first_content(work)
        relay = Relay(opened, work, narrator, pool=pool, attempts=attempts, held=held.pop_all(), clock=clock)
    streams = [step for step in steps if isinstance(step, ScriptedStream)]
    return Bench(relay, streams, upstream, pool, work, accounts, clock)


Start = Callable[..., Awaitable[Bench]]


@asynccontextmanager
async def benches(accounts: Accounts, clock: SeenClock) -> AsyncIterator[Start]:
    """However a test leaves its relays, closing them gives everything back and leaves no timer."""
    begun: list[Bench] = []

    async def start(*legs: Leg, **how: Any) -> Bench:
        begun.append(await begin(accounts, clock, *legs, **how))
        return begun[-1]

    yield start
    for bench in begun:
        bench.relay.close()
    assert [bench.holds for bench in begun] == [False] * len(begun)
    timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    assert [timer for timer in timers if not timer.cancelled() and "Relay" in repr(timer)] == []
