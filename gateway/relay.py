"""Carries a committed stream from the replica to the client, and on to another replica when that one breaks.

It watches for silence, cuts and silent endings. A break is carried on token-exactly where that can be (`resume`), and
ends in a typed error where it cannot: never as a whole answer that is none. A relay owns what the request holds and
gives all of it back in `close`, which is synchronous and may be called at any time, any number of times.
"""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

from gateway.errors import (
    ClientGone,
    DeadlineExceeded,
    GatewayError,
    UpstreamLost,
    UpstreamProtocolError,
    UpstreamTimeout,
)
from gateway.ledger import OK
from gateway.narrator import Narrator
from gateway.pool import Lease, Pool
from gateway.ports import AttemptFailed, Chunk, Clock, Fault
from gateway.watch import Watch
from gateway.work import Opened, Work
from shared import headers

BROKEN = (
    "The connection to the model broke before the answer was complete. What came so far is not all of it. Ask again."
)


SERVED_BY = "on-prem"


class Resumer(Protocol):
    """What a relay asks of `gateway.attempts`."""

    def failed(self, work: Work, lease: Lease, failed: AttemptFailed, *, produced: bool) -> None: ...
    async def guilty(self, work: Work) -> bool: ...
    async def next_leg(self, work: Work) -> Opened: ...


class Sink(Protocol):
    """Who is told the chunks of a stream at once, without the task that iterates over it.

    `open`: whether it can take more now, without waiting.
    """

    @property
    def open(self) -> bool: ...
    def tell(self, chunks: list[Chunk]) -> None: ...


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
        self.sink: Sink | None = None
        """Once it is there, only what it cannot take and the stream's end come by iteration."""
        self._work = work
        self._entry = work.entry
        self._narrator = narrator
        self._pool = pool
        self._attempts = attempts
        self._held = held
        self._clock = clock
        self._started = False
        self._ended = False
        self._closed = False
        self._stopped: GatewayError | None = None
        self._resuming: asyncio.Timeout | None = None
        self._told: list[Chunk] = []
        self._watch = Watch(
            clock,
            idle_s=work.clocks.idle_s,
            ends_at=work.budget.ends_at,
            on_silence=self._silent,
            on_overdue=self._overdue,
        )
        self._begin_leg(opened)

    def __aiter__(self) -> "Relay":
        return self

    async def __anext__(self) -> list[Chunk]:
        while not (told := self._told):
            if self._closed:
                raise StopAsyncIteration
            if self.finished():
                raise StopAsyncIteration
            try:
                await self._read()
            except AttemptFailed as failed:
                await self._carry_on(failed)
        self._told = []
        if not self._started:
            self._started = True
            self._entry.first_content()
        return told

    def headers(self) -> list[tuple[str, str]]:
        """What the answer's headers say of it: who gives it."""
        return [(headers.SERVED_BY, SERVED_BY), (headers.REPLICA, self.replica)]

    def finished(self) -> bool:
        """Whether all has been told; the answer is then settled as whole. Spares a sender the last, empty round."""
        if not self._ended or self._told or self._closed:
            return False
        self._entry.outcome = OK
        self._entry.usage = self._narrator.usage
        self.close()
        return True

    def stop(self, error: GatewayError) -> None:
        """Ends the stream with this error, as soon as the client takes what has come so far. The first call counts."""
        if self._stopped is not None:
            return
        self._stopped = error
        self._leg.stream.interrupt(AttemptFailed(error, Fault.NONE))
        if self._resuming is not None:
            self._resuming.reschedule(asyncio.get_running_loop().time())

    def on_close(self, forget: Callable[[], None]) -> None:
        """Has `forget` called when the relay is closed."""
        self._held.callback(forget)

    def close(self) -> None:
        """Gives everything back. A stream that has not ended is cut, and booked as left by the client."""
        if self._closed:
            return
        self._closed = True
        self._told = []
        self._watch.close()
        if not self._entry.usage:
            self._entry.usage = self._narrator.usage
        self._entry.finish_reason = self._narrator.finish_reason
        self._leg.lease.on_lost = self.on_overdue = self.sink = None
        self._leg.held.close()
        self._held.close()
        if self._resuming is not None:
            self.stop(ClientGone("The client left."))

    # ---- one leg

    def _begin_leg(self, opened: Opened) -> None:
        self._leg = opened
        self.replica = opened.lease.replica.name
        opened.lease.on_lost = self._watch.doubted
        self._tell(opened.chunks)
        self._end_if_over()

    async def _read(self) -> None:
        if self._stopped is not None:
            raise AttemptFailed(self._stopped, Fault.NONE)
        self._watch.listen()
        try:
            chunks = await self._leg.stream.read(self._pass_on if self.sink is not None else None)
        finally:
            self._watch.rest()
        if chunks is None:
            if self._narrator.unfinished:
                nothing = UpstreamProtocolError("", detail="[DONE] without a finish_reason")
                raise AttemptFailed(nothing, Fault.SUSPECT)
            self._ended, self._told = True, self._narrator.end()
        elif not chunks:
            return  # `_pass_on` has seen to them
        elif _of_the_engine(chunks):
            self._tell(chunks)
            self._end_if_over()
        else:  # comments: the line is alive, which says nothing of the engine
            if not self._watch.heard_comment():
                raise self._silence()
            self._told = self._narrator.tell(chunks)

    def _pass_on(self, chunks: list[Chunk]) -> list[Chunk] | None:
        """What `_read` and its caller do with chunks, while nothing is out of the ordinary. See `ports.PassOn`."""
        if self.sink is None or not self.sink.open or self._stopped is not None or not _of_the_engine(chunks):
            return chunks
        self._tell(chunks)
        if self._ended:
            return []
        told, self._told = self._told, []
        self.sink.tell(told)
        return None

    def _tell(self, chunks: list[Chunk]) -> None:
        self._pool.progressed(self._leg.lease.replica, self._watch.heard())
        self._told = self._narrator.tell(chunks)
        self._ended = self._narrator.complete

    def _end_if_over(self) -> None:
        """Spares a read where the end has come along with what was just told."""
        if self._leg.stream.over and not self._narrator.unfinished:
            self._ended = True
            self._told = [*self._told, *self._narrator.end()]

    # ---- what the watch finds

    def _silent(self) -> None:
        self._leg.stream.interrupt(self._silence())

    def _silence(self) -> AttemptFailed:
        detail = f"silent for {self._watch.silent_s:.1f} s"
        return AttemptFailed(UpstreamTimeout("", detail=detail), Fault.SUSPECT)

    def _overdue(self) -> None:
        if self._watch.waiting or self.on_overdue is None:
            self.stop(self._too_long())
        else:
            self.on_overdue()

    def _too_long(self) -> GatewayError:
        if self._work.budget.client_deadline:
            return DeadlineExceeded("Your deadline passed before the answer was complete.", detail="in the stream")
        return UpstreamLost(BROKEN, detail=f"not done after {self._work.clocks.total_s:g} s")

    # ---- from one leg to the next

    async def _carry_on(self, failed: AttemptFailed) -> None:
        """Makes the stream go on, on another replica; raises GatewayError where that cannot be."""
        lease = self._leg.lease
        lease.on_lost = None
        if self._closed:
            return
        if self._stopped is None:
            self._entry.broke(lease.replica.name, failed.error.code)
            self._attempts.failed(self._work, lease, failed, produced=self._narrator.produced)
        self._leg.held.close()
        detail = failed.error.detail or failed.error.code
        if self._narrator.all_said:
            self._ended, self._told = True, self._narrator.end()
            self._entry.resume("completed")
            return
        if self._stopped is not None:
            raise self._give_up(self._stopped)
        if reason := self._why_not(guilty=await self._attempts.guilty(self._work)):
            self._entry.resume("refused")
            raise self._give_up(UpstreamLost(BROKEN, detail=f"{detail}; not resumed: {reason}"))
        leg = self._narrator.next_leg()
        if isinstance(leg, list):
            self._ended, self._told = True, leg
            self._entry.resume("completed")
            return
        self._work.body = leg
        self._work.budget.spend_resume()
        try:
            opened = await self._next_leg()
        except GatewayError as error:
            self._entry.resume("failed")
            if self._stopped is not None:
                raise self._give_up(self._stopped) from error
            if isinstance(error, DeadlineExceeded):
                raise self._give_up(self._too_long()) from error
            raise self._give_up(UpstreamLost(BROKEN, detail=f"{detail}; then: {error.detail or error.code}")) from error
        if self._closed:
            opened.held.close()
            return
        self._entry.resumed += 1
        self._entry.resume("resumed")
        self._begin_leg(opened)

    async def _next_leg(self) -> Opened:
        """The stream that goes on, unless this one is stopped meanwhile. Raises GatewayError."""
        self._watch.wait()  # for a place and first content; attempts have the clocks
        try:
            async with asyncio.timeout(None) as self._resuming:
                return await self._attempts.next_leg(self._work)
        except TimeoutError:
            assert self._stopped is not None  # noqa: S101  # nothing else lets it time out
            raise self._stopped from None
        finally:
            self._watch.rest()
            self._resuming = None

    def _why_not(self, *, guilty: bool) -> str:
        budget = self._work.budget
        if self._narrator.why_not:
            return self._narrator.why_not
        if guilty:
            return "two replicas have died of it"
        if not budget.may_resume:
            return "it has been resumed or tried too often"
        return "" if budget.remaining(self._clock()) > 0 else "its time is up"

    def _give_up(self, error: GatewayError) -> GatewayError:
        self._entry.fail(error)
        return error


def _of_the_engine(chunks: list[Chunk]) -> bool:
    """Whether any of them says more than that the line is alive."""
    return bool(chunks[-1].choices) or any([chunk.choices or chunk.usage is not None for chunk in chunks])
