"""Carries a committed stream from the replica to the client, watching for silence, cuts and silent endings.

A relay owns what the request holds and gives all of it back in `close`, which is synchronous and may be called at any
time, any number of times: whoever sends the relay to a client closes it.
"""

import asyncio
from contextlib import ExitStack

from gateway.errors import GatewayError, UpstreamLost
from gateway.ledger import OK, Entry
from gateway.ports import AttemptFailed, Chunk, Clock, Fault, UpstreamStream
from gateway.routing import Pool, Replica
from gateway.settings import OnPrem


class Relay:
    """Iterates over the chunks of an answer, in the batches in which they come; raises UpstreamLost when it breaks."""

    def __init__(
        self,
        replica: Replica,
        stream: UpstreamStream,
        chunks: list[Chunk],
        *,
        pool: Pool,
        settings: OnPrem,
        entry: Entry,
        held: ExitStack,
        clock: Clock,
    ) -> None:
        self.replica = replica.name
        self._replica = replica
        self._stream = stream
        self._first = chunks
        self._pool = pool
        self._settings = settings
        self._entry = entry
        self._held = held
        self._clock = clock
        self._open_choices: set[int] = set()
        now = clock()
        self._silent_at = now + settings.idle_timeout_s
        self._ends_at = now + settings.total_timeout_s

    def __aiter__(self) -> "Relay":
        return self

    async def __anext__(self) -> list[Chunk]:
        if self._first:
            chunks, self._first = self._first, []
            self._entry.first_content()
        else:
            chunks = await self._next()
        for chunk in chunks:
            self._note(chunk)
        return chunks

    def close(self) -> None:
        """Gives everything back. A stream that has not ended is cut, and booked as left by the client."""
        self._held.close()

    async def _next(self) -> list[Chunk]:
        try:
            async with asyncio.timeout(max(0.0, min(self._silent_at, self._ends_at) - self._clock())):
                chunks = await self._stream.read()
        except TimeoutError:
            raise self._lost(self._why_too_long(), Fault.SUSPECT) from None
        except AttemptFailed as failed:
            raise self._lost(failed.error.detail or failed.error.code, failed.fault) from failed
        if chunks is None:
            if self._open_choices:
                raise self._lost("[DONE] without a finish_reason", Fault.SUSPECT)
            self._entry.outcome = OK
            self.close()
            raise StopAsyncIteration
        return chunks

    def _note(self, chunk: Chunk) -> None:
        if not chunk.body:
            return  # a keep-alive comment is no progress
        self._silent_at = self._clock() + self._settings.idle_timeout_s
        self._open_choices.update(choice["index"] for choice in chunk.body.get("choices", ()))
        for index, reason in chunk.finished:
            self._open_choices.discard(index)
            self._entry.finish_reason = reason
        if chunk.usage is not None:
            self._entry.usage = chunk.usage

    def _why_too_long(self) -> str:
        if self._silent_at <= self._ends_at:
            return f"silent for {self._settings.idle_timeout_s:g} s"
        return f"not done after {self._settings.total_timeout_s:g} s"

    def _lost(self, detail: str, fault: Fault) -> GatewayError:
        self._pool.report(self._replica, fault, detail)
        error = UpstreamLost(
            "The connection to the model broke before the answer was complete. What came so far is not the whole "
            "answer; ask again.",
            detail=detail,
        )
        self._entry.fail(error)
        return error
