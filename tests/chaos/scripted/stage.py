"""A gateway over breakable replicas, clients that ask it, and what must hold when a test is over.

Clients read to the end whatever comes and bring a `Result` for the tally. When a stage is left nothing may be held any
more: no place, no request, nobody in the queue, nothing running on a replica.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.scripted import engine
from tests.chaos.scripted.replica import Fault, Replica
from tests.chaos.tally import Result, Tally, hear
from tests.contract.gateway.conftest import Front
from tests.support.upstream import MODEL

CHAT = "/v1/chat/completions"
SETTLED_WITHIN_S = 5.0

SHORT: Mapping[str, Mapping[str, Any]] = {
    "on_prem": {"first_content_timeout_s": 15.0, "idle_timeout_s": 15.0},
    "health": {"failed_interval_s": 0.1, "busy_interval_s": 0.2},
    "breaker": {"open_s": 0.1, "ramp_s": 0.0},
    "attempts": {"resume_wait_s": 5.0},
}
"""Clocks that a test can wait for. A slice given to a stage changes single fields of these."""

UNMOVED: Mapping[str, Mapping[str, Any]] = {
    "breaker": {**SHORT["breaker"], "min_volume": 1000},
    "attempts": {**SHORT["attempts"], "retry_reserve": 1000},
}
"""For one breakage after the other on one stage: neither a breaker nor the budget for retries puts an end to it."""

SOON_SILENT: Mapping[str, Mapping[str, Any]] = {"on_prem": {"idle_timeout_s": 0.4}}
"""For silence within an answer: no test has to hold a stream for longer than that."""

_numbers = itertools.count(1)


def question(**changes: Any) -> dict[str, Any]:
    """A streamed request like no other before it, 24 tokens long unless it says otherwise; the first one has text."""
    while True:
        asked = {"role": "user", "content": f"Question {next(_numbers)}: which car?"}
        body: dict[str, Any] = {"model": MODEL, "messages": [asked], "stream": True, "max_tokens": 24}
        body = {**body, "ignore_eos": True, **changes}
        if next(engine.generate(body)).text:
            return body


@dataclass
class Stage:
    """One gateway, its replicas, and the count of what became of the requests."""

    front: Front
    replicas: list[Replica]
    faults: deque[Fault | None]
    tally: Tally = field(default_factory=Tally)

    async def ask(self, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Result:
        """Sends one chat completion, reads all of it, and judges it by its twin."""
        result = await self.send(CHAT, body, headers)
        self.tally.judge(result, engine.twin(body) if (body.get("n") or 1) == 1 else None)
        return result

    async def chat(self, message: str) -> Result:
        """Asks at the conversation door, and judges the text by the twin of what a replica was asked for it."""
        result = await self.send("/api/chat", {"message": message})
        asked = [body for replica in self.replicas for body in replica.bodies if "kv_transfer_params" not in body]
        twins = {engine.twin(body) for body in asked if body["messages"][-1]["content"] == message}
        self.tally.judge(result, min(twins, default=None))
        return result

    async def ask_all(
        self, bodies: Iterable[Mapping[str, Any]], headers: Mapping[str, str] | None = None
    ) -> list[Result]:
        """Sends all at once."""
        return list(await asyncio.gather(*[self.ask(body, headers) for body in bodies]))

    async def send(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Result:
        """Sends one request and reads all that comes, however it ends."""
        status, kind, data, failure = None, "", bytearray(), ""
        try:
            async with self.front.client.stream("POST", path, json=body, headers=headers) as answer:
                status, kind = answer.status_code, answer.headers.get("content-type", "")
                async for part in answer.aiter_raw():
                    data += part
        except httpx.HTTPError as error:
            failure = f"{type(error).__name__}: {error}"
        return Result(status, kind, bytes(data), ended=not failure, failure=failure)

    async def in_flight(self) -> float:
        """Places held, over all replicas."""
        names = [f"replica-{number}" for number in range(len(self.replicas))]
        return sum([await self.front.metric("scout_replica_in_flight", replica=name) for name in names])

    async def queued(self) -> float:
        """Requests that wait for a place."""
        kinds = ("resume", "interactive", "batch")
        return sum([await self.front.metric("scout_queue_waiting", priority=kind) for kind in kinds])

    async def state(self, number: int) -> str:
        """A replica's state as /readyz tells it."""
        told = (await self.front.client.get("/readyz")).json()["replicas"]
        return str(told[number]["state"])

    async def until_ready(self) -> None:
        """Returns when every replica takes traffic; raises TimeoutError when one does not come back."""
        async with asyncio.timeout(10):
            while not await self._all_ready():  # noqa: ASYNC110  # as an operator would, by asking
                await asyncio.sleep(0.05)

    async def until_queued(self, count: int) -> None:
        """Returns when so many requests wait for a place; raises TimeoutError when they never do."""
        async with asyncio.timeout(10):
            while await self.queued() != count:  # noqa: ASYNC110  # a gauge has no event
                await asyncio.sleep(0.01)

    async def _all_ready(self) -> bool:
        return all([await self.state(number) == "ready" for number in range(len(self.replicas))])

    async def _held(self) -> float:
        return await self.in_flight() + await self.queued() + await self.front.metric("scout_open_requests")

    async def settle(self) -> None:
        """Returns when nothing is held any more; raises TimeoutError when something stays."""
        async with asyncio.timeout(SETTLED_WITHIN_S):
            while await self._held():  # noqa: ASYNC110  # gauges have no event
                await asyncio.sleep(0.01)
            await until(lambda: not any(replica.running for replica in self.replicas))

    @asynccontextmanager
    async def company(self, count: int) -> AsyncIterator[None]:
        """So many streams that run beside the block and stand still in it; all must be whole when it is left."""
        for replica in self.replicas:
            replica.hold(after=4)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.ask_all([question() for _ in range(count)]))
            await until(lambda: sum(replica.held for replica in self.replicas) == count)
            for replica in self.replicas:
                replica.hold_after = -1  # who comes now is not held
            yield
            for replica in self.replicas:
                replica.go.set()

    @property
    def sent_on(self) -> int:
        """Requests that reached a replica."""
        return sum(len(replica.upstream.exchanges) for replica in self.replicas)


async def until(true: Callable[[], bool]) -> None:
    """Waits for it; raises TimeoutError when it does not come."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110  # counters of the replicas, which have no event
            await asyncio.sleep(0.005)


def code(result: Result) -> str | None:
    """The code of the error that ends a stream; None for a whole one."""
    return hear(result.body).code
