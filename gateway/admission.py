"""The queue in front of the replicas: a request gets a place, waits its turn for one, or is told when to come again.

Who is next is `gateway.line`'s business, which replica serves it `gateway.routing`'s. Here is the waiting: bounded in
number and in time, and given up when the client leaves.
"""

import asyncio
import math

from gateway.drain_rate import DrainRate
from gateway.errors import DeadlineExceeded, GatewayError, QueueFull, UpstreamUnavailable
from gateway.line import Line, Priority, Ticket
from gateway.metrics import Metrics
from gateway.pool import Lease, Pool
from gateway.ports import Clock
from gateway.settings import Settings
from gateway.work import Work

LOOK_AGAIN_S = 0.05
"""While somebody waits: a replica that grows back, or stops being overloaded, does so by the clock and tells nobody."""


SHORTEST_LOOK_S = 0.005
"""A timer may fire a little early; it must not fire again and again until the time has come."""


class NobodyServes(UpstreamUnavailable):
    """No replica that the request has not been to takes requests."""


class Admission:
    """Gives out the pool's places."""

    def __init__(self, pool: Pool, settings: Settings, metrics: Metrics, clock: Clock) -> None:
        self.pool = pool
        self.line = Line(settings.admission)
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._rate = DrainRate()
        self._timer: asyncio.TimerHandle | None = None
        pool.on_place = self._place_free

    async def place(self, work: Work) -> Lease:
        """A place for the request. Raises QueueFull, DeadlineExceeded, UpstreamUnavailable. Safe to cancel."""
        began = self._clock()
        if _clients_time_is_up(work, began):
            raise self._too_late(work, 0, began)
        if not self.line.waiting() and (lease := self._try(work)) is not None:
            return lease
        ticket = self._join(work, began)
        waiter: asyncio.Future[Lease] = ticket.payload[1]
        try:
            self._serve()
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().release()
            raise
        finally:
            self.line.leave(ticket)
            waited_s = self._clock() - began
            work.entry.queued_s += waited_s
            self._metrics.queue_wait.labels(work.priority.name.lower()).observe(waited_s)

    def close(self) -> None:
        """Stops looking. Waiters are cancelled by whoever waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _try(self, work: Work) -> Lease | None:
        return self.pool.lease(work.keys, work.tokens, work.visited)

    def _join(self, work: Work, now: float) -> Ticket:
        attempts, resuming = self._settings.attempts, work.priority is Priority.RESUME
        patience_s = attempts.resume_wait_s if resuming else self._settings.admission.max_wait_s
        if not self.pool.usable(work.visited):
            # A site that comes back in a moment is waited for; one that has been gone for longer is not, and neither
            # is another answer from replicas that serve and have failed this very request.
            if not resuming and self.pool.usable():
                raise self._nobody()
            since = now if resuming else max(self.pool.usable_at, work.arrived_at)
            patience_s = attempts.resume_wait_s if resuming else since + attempts.unavailable_wait_s - now
            if patience_s <= 0:
                raise self._nobody()
        over = work.budget.ends_at if resuming else work.budget.first_content_by
        waiter: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        ticket = self.line.join(
            work.priority,
            now,
            give_up_at=min(now + patience_s, over),
            excluded=frozenset(name for name, _ in work.visited),
            payload=(work, waiter),
        )
        if ticket is None:
            raise self._full(self.line.waiting())
        return ticket

    def _place_free(self, ended: bool) -> None:
        if ended:
            self._rate.ended(self._clock())
        if self.line.waiting():
            self._serve()

    def _serve(self) -> None:
        """Gives the free places to those who wait, in their order, and sends away those who have waited too long."""
        now = self._clock()
        for ticket in self.line.expired(now):
            self._give_up(ticket, now)
        for ticket in list(self.line):
            work, waiter = ticket.payload
            if waiter.done():
                continue
            if (lease := self._try(work)) is not None:
                self.line.leave(ticket)
                waiter.set_result(lease)
        self.close()  # this was a look; the next one is due from now
        if (gives_up_at := self.line.next_expiry()) is not None:
            wait_s = min(LOOK_AGAIN_S, max(SHORTEST_LOOK_S, gives_up_at - now))
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        if self.line.waiting():
            self._serve()

    def _give_up(self, ticket: Ticket, now: float) -> None:
        position = self.line.position(ticket)
        self.line.leave(ticket)
        work, waiter = ticket.payload
        if not waiter.done():
            waiter.set_exception(self._too_late(work, position, now))

    def _too_late(self, work: Work, position: int, now: float) -> GatewayError:
        if _clients_time_is_up(work, now):
            return DeadlineExceeded(
                "Your deadline passed while the request waited for a free place; nothing was sent to the model. "
                "Set a longer x-scout-deadline-ms, or try again later.",
                detail="in the queue",
            )
        if not self.pool.usable(work.visited):
            return self._nobody()
        return self._full(position)

    def _full(self, ahead: int) -> QueueFull:
        retry_after_s = self._rate.send_away(ahead, max(1, self.pool.places()), self._clock())
        return QueueFull(
            f"Too many requests are waiting for the model. Try again in {retry_after_s} seconds.",
            retry_after_s=retry_after_s,
            detail=f"{ahead} waiting",
        )

    def _nobody(self) -> NobodyServes:
        told = []
        for replica in self.pool.replicas:
            state, reason = self.pool.state(replica)
            told.append(f"{replica.name} {state}: {reason}")
        retry_after_s = max(1, math.ceil(self._settings.attempts.unavailable_wait_s))
        return NobodyServes(
            "No model server is ready at the moment. Try again in a few seconds.",
            retry_after_s=retry_after_s,
            detail=", ".join(told),
        )


def _clients_time_is_up(work: Work, now: float) -> bool:
    budget = work.budget
    if work.priority is Priority.RESUME:
        return budget.client_deadline and budget.ends_at <= now
    return budget.client_bounds_first_content and budget.first_content_by <= now
