"""From a request to its first content, over as many replicas as its budget allows; and on to the next leg of a stream.

Until content has come nothing has been sent to the client, so a try that fails may be made again on another replica.
All tries of a request share one budget and one deadline, and all extra tries of all requests a budget of their own.
What a try holds (its place, its connection) is given back before the next one starts.
"""

import asyncio
from asyncio import Task, TaskGroup
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import TypeVar

from gateway.admission import Admission, NobodyServes
from gateway.budget import FirstContentTimes, RetryBudget
from gateway.errors import (
    DeadlineExceeded,
    GatewayError,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.ledger import OK
from gateway.line import Priority
from gateway.metrics import Metrics
from gateway.pool import Lease, Replica
from gateway.ports import Answer, AttemptFailed, Chunk, Clock, Fault, Upstream, UpstreamStream
from gateway.settings import Attempts as AttemptSettings
from gateway.work import Opened, Work

Got = TypeVar("Got")
Leg = Task[Opened | AttemptFailed]
Legs = list[tuple[Lease, Leg]]

MAX_CHUNKS_BEFORE_CONTENT = 64  # vLLM sends one, with the role; more than some is no chat completion

BLAMED_FROM = 0.5
"""A replica that had a request for this share of its time is blamed when the time is up; else the queue was slow."""

BROKEN_OFF = "The model server broke off the connection. Try again."
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
        work.entry.attempt_ended(replica.name, error.code)
        self._pool.report(replica, failed.fault, detail, float(error.retry_after_s or 1), reached=failed.reached)

    async def _until_one_works(self, work: Work, once: Callable[[Work, Lease], Awaitable[Got]]) -> Got:
        failure: GatewayError | None = None
        busy = False
        while failure is None or self._may_try_again(work, failure, busy=busy):
            try:
                lease = await self._admission.place(work)
            except NobodyServes:
                if failure is None:
                    raise
                break
            began = self._clock()
            work.budget.spend_attempt()
            work.entry.attempt(lease.replica.name)
            try:
                return await self._in_time(work, lease, once)
            except AttemptFailed as failed:
                self.failed(work, lease, self._blame(failed, work, began), produced=False)
                failure, busy = failed.error, failed.fault is Fault.BUSY
                if not failure.retryable:
                    raise failure from failed
        assert failure is not None  # noqa: S101  # the loop ends without one only by a raise
        raise failure

    def _may_try_again(self, work: Work, failure: GatewayError, *, busy: bool) -> bool:
        now = self._clock()
        if work.budget.poisonous:
            raise self._poison(failure)
        over = work.budget.ends_at if work.priority is Priority.RESUME else work.budget.first_content_by
        # An engine that refuses at once has done no work, so asking the next one is no extra load.
        failure.spent = not work.budget.may_attempt or now >= over or not (busy or self._retries.take(now))
        return not failure.spent

    async def _in_time(self, work: Work, lease: Lease, once: Callable[[Work, Lease], Awaitable[Got]]) -> Got:
        """One try, within the time that is left. Raises AttemptFailed."""
        now, budget = self._clock(), work.budget
        left_s, theirs = budget.remaining_first_content(now), budget.client_bounds_first_content
        if work.priority is Priority.RESUME:
            limit_s, rest_s = work.clocks.first_content_s, budget.remaining(now)
            left_s, theirs = min(limit_s, rest_s), budget.client_deadline and rest_s <= limit_s
        try:
            async with asyncio.timeout(left_s):
                return await once(work, lease)
        except TimeoutError:
            raise _too_slow(work, theirs=theirs) from None

    def _blame(self, failed: AttemptFailed, work: Work, began: float) -> AttemptFailed:
        """A replica that got the request when most of its time had been spent in the queue was not slow."""
        short = self._clock() - began < BLAMED_FROM * work.clocks.first_content_s
        if isinstance(failed.error, UpstreamTimeout) and failed.fault is Fault.SUSPECT and short:
            return AttemptFailed(failed.error, Fault.NONE)
        return failed

    def _poison(self, failure: GatewayError) -> GatewayError:
        error = UpstreamUnavailable(KILLER, detail=failure.detail)
        error.spent = True
        return error

    async def _ask(self, work: Work, lease: Lease) -> tuple[Answer, Replica]:
        with lease:
            async with _unless_lost(lease):
                answer = await self._upstream.ask(lease.replica.url, work.body, work.entry.request_id)
            self._worked(work, lease)
            return answer, lease.replica

    async def _open(self, work: Work, lease: Lease) -> Opened:
        began = self._clock()
        with ExitStack() as held:
            held.enter_context(lease)
            async with _unless_lost(lease):
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
        # What the legs take is given back here, not by them: a task that is cancelled before it has run does nothing
        # any more, and one that ends with a stream while we are cancelled has nobody to give it to.
        legs: Legs = []
        kept: Opened | None = None
        try:
            async with TaskGroup() as racers:
                first = racers.create_task(self._leg(work, lease))
                legs.append((lease, first))
                await asyncio.wait({first}, timeout=max(delay_s, self._settings.hedge_min_delay_s))
                if not first.done() and (second := self._hedge_place(work, lease)) is not None:
                    legs.append((second, racers.create_task(self._leg(work, second))))
                await _until_one_opens({leg for _, leg in legs})
                for _, leg in legs:
                    leg.cancel()
            kept = self._judge(work, legs)
            return kept
        except BaseExceptionGroup as faults:
            raise faults.exceptions[0] from None
        finally:
            _close_all_but(kept, legs)

    async def _leg(self, work: Work, lease: Lease) -> Opened | AttemptFailed:
        try:
            return await self._open(work, lease)
        except AttemptFailed as failed:
            return failed

    def _judge(self, work: Work, legs: Legs) -> Opened:
        """The stream to keep. Raises AttemptFailed if there is none: the first replica's, since the caller books that.

        Every other failure is booked here.
        """
        results = [(lease, leg.result()) for lease, leg in legs if not leg.cancelled()]
        failures = {lease: result for lease, result in results if isinstance(result, AttemptFailed)}
        kept = next((result for _, result in results if isinstance(result, Opened)), None)
        told = failures.pop(legs[0][0]) if kept is None else None
        for lease, failed in failures.items():
            self.failed(work, lease, failed, produced=False)
        if len(legs) > 1:
            won = kept is not None and kept.lease is legs[1][0]
            self._metrics.hedges.labels("won" if won else "lost").inc()
        if kept is None:
            assert told is not None  # noqa: S101  # without a stream every leg has failed, the first one too
            raise told
        work.entry.replica = kept.lease.replica.name  # both may have come to content
        return kept

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


@asynccontextmanager
async def _unless_lost(lease: Lease) -> AsyncIterator[None]:
    """Breaks off with AttemptFailed when the lease's replica is found to have failed; at once if it was before."""

    def lost() -> None:
        if not scope.expired():
            scope.reschedule(asyncio.get_running_loop().time())

    if lease.lost:
        raise _gone(lease)
    try:
        async with asyncio.timeout(None) as scope:
            lease.on_lost = lost
            yield
    except TimeoutError:
        raise _gone(lease) from None
    finally:
        lease.on_lost = None


def _gone(lease: Lease) -> AttemptFailed:
    # No fault: whoever found it out has booked it.
    return AttemptFailed(UpstreamUnavailable(BROKEN_OFF, detail=lease.lost), Fault.NONE)


async def _until_one_opens(legs: set[Leg]) -> None:
    """Returns at the first stream, or when there will be none."""
    while legs:
        done, legs = await asyncio.wait(legs, return_when=asyncio.FIRST_COMPLETED)
        if any(isinstance(leg.result(), Opened) for leg in done):
            return


def _close_all_but(kept: Opened | None, legs: Legs) -> None:
    for lease, leg in legs:
        opened = None if leg.cancelled() or leg.exception() is not None else leg.result()
        if not isinstance(opened, Opened):
            lease.release()
        elif opened is not kept:
            opened.held.close()


def _too_slow(work: Work, *, theirs: bool) -> AttemptFailed:
    if theirs:
        passed = "Your deadline passed before the model had begun to answer. Set a longer x-scout-deadline-ms."
        return AttemptFailed(DeadlineExceeded(passed, detail="waiting for the first content"), Fault.NONE)
    limit_s = work.clocks.first_content_s
    slow = UpstreamTimeout(f"The model has not begun to answer within {limit_s:g} seconds. Try again later.")
    return AttemptFailed(slow, Fault.SUSPECT)


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
