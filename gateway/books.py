"""Books every answer of a tier: its tokens and what it cost, in the usage ledger, the month's budget and the metrics.

Satisfies `gateway.answering.Books`. Booking is at once, the writing is done beside; a store that fails costs the row and
says so in the log, never an answer.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from gateway.answering import Matter
from gateway.background import Background
from gateway.costs import MICROS_PER_DOLLAR, CloudBudget, PriceTable
from gateway.logs import Log
from gateway.metrics import Metrics
from gateway.ports import Clock, StoreFailed
from gateway.routes import Tier
from gateway.usage import Usage


class UsageStore(Protocol):
    """Where the rows are kept."""

    async def record(self, usage: Usage) -> None: ...


class UsageBooks:
    """All answers of one gateway. `now` tells the time in epoch seconds."""

    def __init__(
        self,
        store: UsageStore,
        prices: PriceTable,
        budget: CloudBudget,
        background: Background,
        metrics: Metrics,
        log: Log,
        now: Clock,
    ) -> None:
        self._store = store
        self._prices = prices
        self._budget = budget
        self._background = background
        self._metrics = metrics
        self._log = log
        self._now = now

    def book(
        self, matter: Matter, tier: Tier, model: str | None, usage: Mapping[str, Any], *, estimated: bool, outcome: str
    ) -> None:
        """See the protocol."""
        cost = self._prices.cost_of(model or "", usage) if tier is Tier.OPENAI else 0
        if cost:
            self._budget.spend(cost, self._now())
            self._metrics.cost.labels(tier).inc(cost / MICROS_PER_DOLLAR)
        row = Usage.of(
            at=self._now(),
            tenant=matter.tenant,
            request_id=matter.request_id,
            endpoint="chat",
            route=matter.route_name,
            tier=tier,
            model=model,
            usage=usage,
            cost_micros=cost,
            estimated=estimated,
            outcome=outcome,
            duration_s=matter.entry.passed_s,
        )
        self._background.start(self._write(row))

    async def _write(self, row: Usage) -> None:
        try:
            await self._store.record(row)
        except StoreFailed as error:
            self._log.error("store", what="a row of the usage ledger could not be written", why=str(error))
