"""The replicas as a tier: a question becomes work for the pool, and its stream a relay.

Both doors ask the replicas through here. What a question holds in the pool is the relay's from the first content on.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from gateway.affinity import estimate_tokens, keys_of
from gateway.attempts import Attempts
from gateway.budget import Budget, Clocks
from gateway.errors import GatewayError
from gateway.ledger import Booking
from gateway.line import Priority
from gateway.narrator import Narrator
from gateway.pool import Pool
from gateway.ports import Chunk, Clock
from gateway.relay import Relay
from gateway.routes import Tier
from gateway.settings import Attempts as AttemptSettings
from gateway.work import Work

EXPECTED_ANSWER_TOKENS = 256
"""A judgment: what an answer is taken to occupy while it is not known, unless its request allows less."""

ENGINE_PRIORITY = {Priority.INTERACTIVE: 0, Priority.BATCH: 1}
"""Lower is earlier, in the engine's own queue too."""


class OnPrem:
    """Opens relays."""

    def __init__(self, pool: Pool, attempts: Attempts, settings: AttemptSettings, clock: Clock) -> None:
        self._pool = pool
        self._attempts = attempts
        self._settings = settings
        self._clock = clock
        self._whole_tokens: set[int] = set()

    def work(
        self,
        body: Mapping[str, Any],
        tenant: str,
        clocks: Clocks,
        *,
        arrived_at: float,
        deadline_s: float | None,
        priority: Priority,
        booking: Booking,
    ) -> Work:
        """What the pool has to know of a request. `deadline_s` counts from `arrived_at`."""
        keys = keys_of(tenant, body["messages"], body.get("tools"))
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or EXPECTED_ANSWER_TOKENS
        return Work(
            body=body,
            keys=keys,
            tokens=estimate_tokens(keys.total_bytes) + min(limit, EXPECTED_ANSWER_TOKENS),
            clocks=clocks,
            budget=Budget.start(arrived_at, clocks, deadline_s, self._settings),
            priority=priority,
            entry=booking,
            arrived_at=arrived_at,
        )

    async def open(self, work: Work, held: ExitStack) -> Relay:
        """The answer at its first content. Once it is there `held` is the relay's to close. Raises GatewayError."""
        narrator = Narrator(work.body, self._whole_tokens)
        work.body = narrator.first_leg()
        opened = await self._attempts.first_content(work)
        return Relay(
            opened,
            work,
            narrator,
            pool=self._pool,
            attempts=self._attempts,
            held=held.pop_all(),
            clock=self._clock,
        )


class OnPremSource:
    """A relay as a source of the conversation door. Satisfies `gateway.tiers.source.Source`."""

    tier = Tier.ON_PREM
    cache: str | None = None

    def __init__(self, relay: Relay, booking: Booking, model: str) -> None:
        self.model: str | None = model
        self.relay = relay
        self._booking = booking

    @property
    def replica(self) -> str | None:
        """Who speaks now; after a resume it is another one."""
        return self.relay.replica

    @property
    def usage(self) -> Mapping[str, Any]:
        """See the protocol."""
        return self._booking.usage

    @property
    def finish_reason(self) -> str | None:
        """See the protocol."""
        return self._booking.finish_reason

    @property
    def resumed(self) -> int:
        """How often the answer was carried on by another replica."""
        return self._booking.resumed

    async def read(self) -> list[Chunk] | None:
        """See the protocol."""
        try:
            return await anext(self.relay)
        except StopAsyncIteration:
            self.relay.close()
            return None

    def stop(self, error: GatewayError) -> None:
        """See the protocol."""
        self.relay.stop(error)

    def close(self) -> None:
        """See the protocol."""
        self.relay.close()
