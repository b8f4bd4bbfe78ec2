"""The queue before a pool, and those who wait in it, for tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.admission import Admission
from gateway.errors import GatewayError
from gateway.pool import Lease, Pool
from gateway.settings import Settings
from gateway.work import Work
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.manual_clock import ManualClock
from tests.unit.gateway.pool_bench import NO_PREFIX, make_work, ready_pool, settings_for


@dataclass
class Bench:
    """A queue, and those who wait in it."""

    admission: Admission
    settings: Settings
    accounts: Accounts
    clock: ManualClock
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    @property
    def pool(self) -> Pool:
        return self.admission.pool

    def work(self, **how: Any) -> Work:
        return make_work(self.settings, self.accounts.ledger, self.clock, **how)

    def fill(self) -> list[Lease]:
        """Takes every place that is free."""
        leases = []
        while (lease := self.pool.lease(NO_PREFIX, 1, ())) is not None:
            leases.append(lease)
        return leases

    async def queue(self, work: Work | None = None, **how: Any) -> asyncio.Task[Lease]:
        """Somebody who now waits for a place."""
        task = asyncio.create_task(self.admission.place(work or self.work(**how)))
        self.tasks.append(task)
        await asyncio.sleep(0)
        return task

    async def refused(self, task: asyncio.Task[Lease] | Work) -> GatewayError:
        with pytest.raises(GatewayError) as raised:
            await (self.admission.place(task) if isinstance(task, Work) else task)
        return raised.value

    def look(self) -> None:
        """What the timer does, now."""
        self.pool.place_free()


@asynccontextmanager
async def queue_bench(
    accounts: Accounts, clock: ManualClock, replicas: int = 1, places: int = 1, **slices: Any
) -> AsyncIterator[Bench]:
    """A queue before so many replicas with so many places each; keyword arguments replace whole slices."""
    admission = {"max_concurrent_per_replica": places, **slices.pop("admission", {})}
    settings = settings_for(replicas, admission=admission, **slices)
    queue = Admission(ready_pool(settings, clock), settings, accounts.metrics, clock)
    made = Bench(queue, settings, accounts, clock)
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)
    queue.close()
    assert queue.line.waiting() == 0, "somebody has left and is still in the line"
