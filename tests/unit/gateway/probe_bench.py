"""A prober with one replica before it, for tests: the beliefs are real, only the pool around them is left out."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Any

from gateway import health
from gateway.health import Finding, State
from gateway.link import Link
from gateway.logs import make_log
from gateway.ports import Headers, Reply
from gateway.probes import Prober
from gateway.settings import Health
from gateway.upstreams.http1 import Client
from gateway.upstreams.questions import Questions
from tests.support.upstream import MODEL

KEY = "sk-test-onprem-0123456789"
SETTINGS = Health(ready_interval_s=0.05, busy_interval_s=0.05, failed_interval_s=0.05)


@dataclass
class OneReplica:
    """A replica, and all that a pool knows of it: a belief, kept by the rules of `gateway.health`."""

    url: str
    settings: Health = SETTINGS
    name: str = "replica-0"
    begun: int = 0
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.belief = health.at_start(time.monotonic())

    def seconds_until_probe(self, replica: "OneReplica") -> float:
        return self.belief.next_probe_at - time.monotonic()

    def wants_canary(self, replica: "OneReplica") -> bool:
        return health.wants_canary(self.belief, time.monotonic(), self.settings, busy=False)

    def probe_begins(self, replica: "OneReplica") -> None:
        self.begun += 1

    def probed(self, replica: "OneReplica", finding: Finding) -> None:
        self.findings.append(finding)
        self.belief = health.after_probe(self.belief, finding, time.monotonic(), self.settings, busy=False)

    def state(self, replica: "OneReplica") -> tuple[State, str]:
        return health.assess(self.belief, time.monotonic(), self.settings, admits=True, why_not="")

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110  # a belief has no event to wait for
            await asyncio.sleep(0.005)


@dataclass
class Bench:
    """A prober with one replica, and what it has logged."""

    pool: OneReplica
    prober: Prober[OneReplica]
    output: io.StringIO

    async def probe(self) -> Finding:
        """One probe, and the pool told of it."""
        finding = await self.prober.probe(self.pool)
        self.pool.probed(self.pool, finding)
        return finding

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.output.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


@asynccontextmanager
async def bench(
    url: str,
    settings: Health = SETTINGS,
    link: Link | None = None,
    answers: Callable[[str], Awaitable[Reply]] | None = None,
) -> AsyncIterator[Bench]:
    """`answers` by path, in place of a replica that listens at `url`."""
    output, pool = io.StringIO(), OneReplica(url, settings)
    with closing(Client(connect_timeout_s=1, max_connections_per_origin=10)) as client:
        asker = Questions(client) if answers is None else ScriptedAsker(answers)
        yield Bench(pool, Prober(asker, KEY, MODEL, settings, pool, make_log(output), link), output)


@dataclass
class ScriptedAsker:
    """Satisfies `gateway.ports.Asker`, without a connection."""

    answers: Callable[[str], Awaitable[Reply]]

    async def ask(self, base_url: str, path: str, headers: Headers, body: bytes | None = None) -> Reply:
        return await self.answers(path)


@asynccontextmanager
async def running(watch: Callable[[], Any]) -> AsyncIterator[asyncio.Task[None]]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(watch())
        yield task
        task.cancel()
