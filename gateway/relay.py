"""Carries a committed stream from the replica to the client, and on to another replica when that one breaks.

It watches for silence, cuts and silent endings. A break is carried on token-exactly where that can be (`resume`), and
ends in a typed error where it cannot: never as a whole answer that is none. A relay owns what the request holds and
gives all of it back in `close`, which is synchronous and may be called at any time, any number of times.
"""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

from gateway.errors import DeadlineExceeded, GatewayError, UpstreamLost, UpstreamProtocolError, UpstreamTimeout
from gateway.ledger import OK
from gateway.narrator import Narrator
from gateway.pool import Lease, Pool
from gateway.ports import AttemptFailed, Chunk, Clock, Fault
from gateway.work import Opened, Work

LOST_PATIENCE_S = 1.0
"""A stream that was silent for so long when its replica is found to have failed is broken; one that is not, goes on."""

BROKEN = (
    "The connection to the model broke before the answer was complete. What came so far is not all of it. Ask again."
)


class Resumer(Protocol):
    """What a relay asks of `gateway.attempts`."""

    def failed(self, work: Work, lease: Lease, failed: AttemptFailed, *, produced: bool) -> None: ...
    async def next_leg(self, work: Work) -> Opened: ...


class Relay:
    """Iterates over an answer's chunks as the client is to see them. Raises GatewayError when it breaks for good."""

    def __init__(
        self,
        opened: Opened,
        work: Work,
        narrator: Narrator,
        *,
        pool: Pool,
        attempts: Resumer,
        held: ExitStack,
        clock: Clock,
    ) -> None:
        self.replica = opened.lease.replica.name
        self.on_overdue: Callable[[], None] | None = None
        """Called when the total time is up while the client, not the replica, is waited for."""
        self._work = work
        self._entry = work.entry
        self._narrator = narrator
        self._pool = pool
        self._attempts = attempts
        self._held = held
        self._clock = clock
        self._started = False
        self._ended = False
        self._stopped: GatewayError | None = None
        self._waiting = False
        self._watch: asyncio.TimerHandle | None = None
        self._silent_at = self._heard_at = clock()
        self._leg = opened
        self._chunks: list[Chunk] = []
        self._begin_leg(opened)

    def __aiter__(self) -> "Relay":
        return self

    async def __anext__(self) -> list[Chunk]:
        while True:
            if self._chunks:
                chunks, self._chunks = self._chunks, []
            elif self._ended:
                self._entry.outcome = OK
                self._entry.usage = self._narrator.usage
                self.close()
                raise StopAsyncIteration
            else:
                try:
                    chunks = await self._read()
                except AttemptFailed as failed:
                    await self._carry_on(failed)
                    continue
            if told := self._narrator.tell(chunks):
                if self._narrator.complete:
                    self._ended = True
                if not self._started:
                    self._started = True
                    self._entry.first_content()
                return told

    def stop(self, error: GatewayError) -> None:
        """Ends the stream with this error, as soon as the client takes what has come so far."""
        self._stopped = error
        self._leg.stream.interrupt(AttemptFailed(error, Fault.NONE))

    def on_close(self, forget: Callable[[], None]) -> None:
        """Has `forget` called when the relay is closed."""
        self._held.callback(forget)

    def close(self) -> None:
        """Gives everything back. A stream that has not ended is cut, and booked as left by the client."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if not self._entry.usage:
            self._entry.usage = self._narrator.usage
        self._entry.finish_reason = self._narrator.finish_reason
        self._leg.lease.on_lost = None
        self._leg.held.close()
        self._held.close()

    # ---- one leg

    def _begin_leg(self, opened: Opened) -> None:
        self._leg = opened
        self._chunks = opened.chunks
        self.replica = opened.lease.replica.name
        opened.lease.on_lost = self._replica_lost
        self._heard_at = self._clock()
        if self._watch is None:
            self._look_later(self._work.clocks.idle_s)

    async def _read(self) -> list[Chunk]:
        now = self._clock()
        self._silent_at = now + self._work.clocks.idle_s
        self._waiting = True
        try:
            chunks = await self._leg.stream.read()
        finally:
            self._waiting = False
        if self._stopped is not None:
            raise AttemptFailed(self._stopped, Fault.NONE)
        if chunks is None:
            if self._narrator.unfinished:
                nothing = UpstreamProtocolError("", detail="[DONE] without a finish_reason")
                raise AttemptFailed(nothing, Fault.SUSPECT)
            self._ended = True
            return self._narrator.end()
        self._heard_at = now
        self._pool.progressed(self._leg.lease.replica)
        return chunks

    # ---- the watch: one timer for the whole stream, which looks at the clock when it fires

    def _look_later(self, seconds: float) -> None:
        self._watch = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        now, budget = self._clock(), self._work.budget
        if now >= budget.ends_at:
            self._overdue()
        elif self._waiting and now >= self._silent_at:
            silent = UpstreamTimeout("", detail=f"silent for {now - self._heard_at:.1f} s")
            self._leg.stream.interrupt(AttemptFailed(silent, Fault.SUSPECT))
        due = min(self._silent_at if self._waiting else now + self._work.clocks.idle_s, budget.ends_at)
        self._look_later(max(0.02, due - now))

    def _overdue(self) -> None:
        if self._waiting:
            self.stop(self._too_long())
        elif self.on_overdue is not None:
            self._entry.fail(self._too_long())
            self.on_overdue()

    def _too_long(self) -> GatewayError:
        if self._work.budget.client_deadline:
            return DeadlineExceeded("Your deadline passed before the answer was complete.", detail="in the stream")
        return UpstreamLost(BROKEN, detail=f"not done after {self._work.clocks.total_s:g} s")

    def _replica_lost(self) -> None:
        """Its replica was found to have failed. A stream that still hears from it is left alone."""
        self._silent_at = min(self._silent_at, max(self._clock(), self._heard_at + LOST_PATIENCE_S))
        if self._watch is not None:
            self._watch.cancel()
        self._look_later(max(0.0, self._silent_at - self._clock()))

    # ---- from one leg to the next

    async def _carry_on(self, failed: AttemptFailed) -> None:
        """Makes the stream go on, on another replica; raises GatewayError where that cannot be."""
        lease = self._leg.lease
        lease.on_lost = None
        self._attempts.failed(self._work, lease, failed, produced=self._narrator.produced)
        self._leg.held.close()
        detail = failed.error.detail or failed.error.code
        if self._stopped is not None:
            raise self._give_up(self._stopped)
        if self._narrator.all_said:
            self._ended = True
            self._chunks = self._narrator.end()
            self._entry.resume("completed")
            return
        if reason := self._why_not():
            self._entry.resume("refused")
            raise self._give_up(UpstreamLost(BROKEN, detail=f"{detail}; not resumed: {reason}"))
        leg = self._narrator.next_leg()
        if isinstance(leg, list):
            self._ended = True
            self._chunks = leg
            self._entry.resume("completed")
            return
        self._work.body = leg
        self._work.budget.spend_resume()
        try:
            opened = await self._attempts.next_leg(self._work)
        except GatewayError as error:
            self._entry.resume("failed")
            if isinstance(error, DeadlineExceeded):
                raise self._give_up(self._too_long()) from error
            raise self._give_up(UpstreamLost(BROKEN, detail=f"{detail}; then: {error.detail or error.code}")) from error
        self._entry.resumed += 1
        self._entry.resume("resumed")
        self._begin_leg(opened)

    def _why_not(self) -> str:
        budget = self._work.budget
        if self._narrator.why_not:
            return self._narrator.why_not
        if budget.poisonous:
            return "two replicas have died of it"
        if not budget.may_resume:
            return "it has been resumed or tried too often"
        return "" if budget.remaining(self._clock()) > 0 else "its time is up"

    def _give_up(self, error: GatewayError) -> GatewayError:
        self._entry.fail(error)
        return error
