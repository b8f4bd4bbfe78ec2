"""Attempts over replicas that play a script each, for tests; the pool, the queue and the budgets are real."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.admission import Admission
from gateway.attempts import Attempts
from gateway.budget import RetryBudget
from gateway.errors import GatewayError
from gateway.pool import Pool
from gateway.ports import Answer
from gateway.settings import Settings
from gateway.work import Opened, Work
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.manual_clock import ManualClock
from tests.unit.gateway.pool_bench import URLS, make_work, ready_pool, settings_for
from tests.unit.gateway.upstream_double import ScriptedUpstream, Step


@dataclass
class Bench:
    """One request, `work`, and what it is tried with."""

    attempts: Attempts
    admission: Admission
    retries: RetryBudget
    upstream: ScriptedUpstream
    accounts: Accounts
    clock: ManualClock
    settings: Settings
    work: Work

    @property
    def pool(self) -> Pool:
        return self.admission.pool

    @property
    def in_flight(self) -> list[int]:
        return [replica.in_flight for replica in self.pool.replicas]

    @property
    def outcomes(self) -> dict[tuple[str, ...], float]:
        """How often each replica's tries came to what, by (outcome, replica)."""
        return self.accounts.counted("scout_upstream_attempts_total")

    def another(self, **how: Any) -> Work:
        return make_work(self.settings, self.accounts.ledger, self.clock, **how)

    async def stream(self) -> Opened:
        return await self.attempts.first_content(self.work)

    async def whole(self) -> Answer:
        answer, _ = await self.attempts.whole_answer(self.work)
        return answer

    async def fails(self, how: Callable[[], Awaitable[object]]) -> GatewayError:
        with pytest.raises(GatewayError) as raised:
            await how()
        assert self.in_flight == [0] * len(self.pool.replicas), "a try that failed must give its place back"
        return raised.value


def attempts_bench(
    accounts: Accounts,
    clock: ManualClock,
    *scripts: Sequence[Step],
    on_call: Callable[[str], None] = lambda url: None,
    timeout_s: float = 30.0,
    deadline_s: float | None = None,
    **slices: Any,
) -> Bench:
    """A bench with one replica a script; keyword arguments replace whole slices of the settings."""
    on_prem = {"first_content_timeout_s": timeout_s, **slices.pop("on_prem", {})}
    settings = settings_for(len(scripts), on_prem=on_prem, **slices)
    admission = Admission(ready_pool(settings, clock), settings, accounts.metrics, clock)
    upstream = ScriptedUpstream(dict(zip(URLS, scripts, strict=False)), on_call)
    retries = RetryBudget(settings.attempts.retry_ratio, settings.attempts.retry_reserve)
    attempts = Attempts(admission, upstream, settings.attempts, retries, accounts.metrics, clock)
    work = make_work(settings, accounts.ledger, clock, deadline_s=deadline_s)
    return Bench(attempts, admission, retries, upstream, accounts, clock, settings, work)
