"""From a request to its first content, over as many replicas as its budget allows; and on to the next leg of a stream.

Until content has come nothing has been sent to the client, so a try that fails may be made again on another replica.
All tries of a request share one budget and one deadline, and all extra tries of all requests a budget of their own.
What a try holds (its place, its connection) is given back before the next one starts.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import TypeVar

from gateway.admission import Admission, NobodyServes
from gateway.budget import FirstContentTimes, RetryBudget
from gateway.deadline import BROKEN_OFF, UnlessLost, in_time
from gateway.errors import (
    GatewayError,
    UpstreamProtocolError,
    UpstreamUnavailable,
)
from gateway.hedge import race
from gateway.ledger import OK
from gateway.line import Priority
from gateway.metrics import Metrics
from gateway.pool import Lease, Replica
from gateway.ports import Answer, AttemptFailed, Chunk, Clock, Fault, Upstream, UpstreamStream
from gateway.settings import Attempts as AttemptSettings
from gateway.work import Opened, Work

Got = TypeVar("Got")

MAX_CHUNKS_BEFORE_CONTENT = 64  # vLLM sends one, with the role; more than some is no chat completion

VERDICT_S = 0.5
"""For the probes of all replicas to say whether they or their site are gone: a refused connection is quick."""

KILLER = (
    "Two model servers broke off while they worked on this request, so it is not tried on another. Change the request."
)


class Attempts:
    """Tries a request on the pool's replicas."""

    def __init__(
        self,
        admission: Admission,
        upstream: Upstream,
        settings: AttemptSettings,
        retries: RetryBudget,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._admission = admission
        self._pool = admission.pool
        self._upstream = upstream
        self._settings = settings
        self._retries = retries
        self._times = FirstContentTimes()
        self._metrics = metrics
        self._clock = clock

    async def first_content(self, work: Work) -> Opened:
        """A stream at its first content; whoever gets it closes `held`. Raises GatewayError. Safe to cancel."""
        once = self._open_hedged if self._settings.hedge else self._open
        return await self._until_one_works(work, once)

    async def whole_answer(self, work: Work) -> tuple[Answer, Replica]:
        """The whole answer, not streamed, and who gave it. Raises GatewayError. Safe to cancel."""
        return await self._until_one_works(work, self._ask)

    async def next_leg(self, work: Work) -> Opened:
        """The stream that goes on where the last leg broke: an attempt like any other, before all who wait."""
        work.priority = Priority.RESUME
        if not self._retries.take(self._clock()):
            raise UpstreamUnavailable(BROKEN_OFF, detail="the pool's budget for extra attempts is spent")
        return await self._until_one_works(work, self._open)

    def failed(self, work: Work, lease: Lease, failed: AttemptFailed, *, produced: bool) -> None:
        """Books that a replica failed a request: with the breaker, the poison guard and the request's own list."""
        replica, error = lease.replica, failed.error
        if failed.cut:
            work.budget.struck(produced, self._pool.cut(replica, self._clock()))
        work.visited.add(lease.visit)
        detail = error.detail or error.message
        self._pool.report(replica, failed.fault, detail, float(error.retry_after_s or 1), reached=failed.reached)

    def _try_failed(self, work: Work, lease: Lease, failed: AttemptFailed) -> None:
        work.entry.attempt_ended(lease.replica.name, failed.error.code)
        self.failed(work, lease, failed, produced=False)

    async def _until_one_works(self, work: Work, once: Callable[[Work, Lease], Awaitable[Got]]) -> Got:
        failure: GatewayError | None = None
        free = False
        while failure is None or await self._may_try_again(work, failure, free=free):
            try:
                lease = await self._admission.place(work)
            except NobodyServes:
                if failure is None:
                    raise
                break
            work.budget.spend_attempt()
            work.entry.attempt(lease.replica.name)
            try:
                return await in_time(work, self._clock, once(work, lease))
            except AttemptFailed as failed:
                self._try_failed(work, lease, failed)
                failure, free = failed.error, failed.fault is Fault.BUSY or not failed.reached
                if not failed.reached:
                    # Nobody was there. While nginx restarts, every replica refuses: a stream would have no try left.
                    work.budget.attempts_left += 1
                if not failure.retryable:
                    raise failure from failed
        assert failure is not None  # noqa: S101  # the loop ends without one only by a raise
        raise failure

    async def guilty(self, work: Work) -> bool:
        """Whether two replicas have died of this request, as far as one can tell after a moment's look at all of them.

        When nginx ends, it still accepts connections for some milliseconds and resets them: to a request that looks
        like one replica's death after the other. But then none of them can be reached, and nothing can be killed.
        """
        if not work.budget.poisonous:
            return False
        self._pool.look_at_all()
        await asyncio.sleep(VERDICT_S)
        if self._pool.site.down:
            work.budget.absolve()
        return work.budget.poisonous

    async def _may_try_again(self, work: Work, failure: GatewayError, *, free: bool) -> bool:
        if await self.guilty(work):
            raise self._poison(failure)
        now = self._clock()
        over = work.budget.ends_at if work.priority is Priority.RESUME else work.budget.first_content_by
        # An engine that refuses at once has done no work, so asking the next one is no extra load.
        failure.spent = not work.budget.may_attempt or now >= over or not (free or self._retries.take(now))
        return not failure.spent

    def _poison(self, failure: GatewayError) -> GatewayError:
        error = UpstreamUnavailable(KILLER, detail=failure.detail)
        error.spent = True
        return error

    async def _ask(self, work: Work, lease: Lease) -> tuple[Answer, Replica]:
        with lease:
            async with UnlessLost(lease):
                answer = await self._upstream.ask(lease.replica.url, work.body, work.entry.request_id)
            self._worked(work, lease)
            return answer, lease.replica

    async def _open(self, work: Work, lease: Lease) -> Opened:
        began = self._clock()
        with ExitStack() as held:
            held.enter_context(lease)
            async with UnlessLost(lease):
                stream = await self._upstream.open(lease.replica.url, work.body, work.entry.request_id)
                held.callback(stream.close)
                chunks = await _chunks_up_to_content(stream)
            self._times.observe(self._clock() - began)
            self._worked(work, lease)
            return Opened(lease, stream, chunks, held.pop_all())

    def _worked(self, work: Work, lease: Lease) -> None:
        work.entry.replica = lease.replica.name
        work.entry.attempt_ended(lease.replica.name, OK)
        self._metrics.routed.labels(lease.why).inc()
        self._pool.answered(lease.replica, work.keys)

    # ---- the hedge: a second replica is asked when the first one is late; who answers first is kept

    async def _open_hedged(self, work: Work, lease: Lease) -> Opened:
        delay_s = self._times.p95()
        if delay_s is None:
            return await self._open(work, lease)
        ended = await race(
            lambda place: self._open(work, place),
            lease,
            delay_s=max(delay_s, self._settings.hedge_min_delay_s),
            second_place=lambda: self._hedge_place(work, lease),
        )
        if ended.second is not None:
            self._metrics.hedges.labels("won" if ended.second_won else "lost").inc()
        for place, failed in ended.failed:
            self._try_failed(work, place, failed)
        if isinstance(ended.result, AttemptFailed):
            raise ended.result
        work.entry.replica = ended.result.lease.replica.name  # both may have come to content
        return ended.result

    def _hedge_place(self, work: Work, lease: Lease) -> Lease | None:
        """A place that is free now, on another replica; nobody who waits is passed for a hedge."""
        if not work.budget.may_attempt or self._admission.line.waiting():
            return None
        place = self._pool.lease(work.keys, work.tokens, {*work.visited, lease.visit})
        if place is not None and not self._retries.take(self._clock()):
            place.release()
            return None
        if place is not None:
            work.budget.spend_attempt()
            work.entry.attempt(place.replica.name)
        return place


async def _chunks_up_to_content(stream: UpstreamStream) -> list[Chunk]:
    chunks: list[Chunk] = []
    while len(chunks) <= MAX_CHUNKS_BEFORE_CONTENT:
        batch = await stream.read()
        if batch is None:
            raise AttemptFailed(UpstreamProtocolError("The model server ended its answer without one."), Fault.SUSPECT)
        chunks += [chunk for chunk in batch if chunk.choices or chunk.usage is not None]
        if any(chunk.content for chunk in batch):
            return chunks
    raise AttemptFailed(UpstreamProtocolError("The model server sent chunks without content."), Fault.SUSPECT)
