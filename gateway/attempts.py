"""From a question to the first content, over as many replicas as the budget allows.

Until content has come nothing has been sent to the client, so a try that fails may be made again on another replica.
All tries share one deadline. What a try holds (its lease, its connection) is given back before the next one starts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.errors import GatewayError, UpstreamProtocolError, UpstreamTimeout, UpstreamUnavailable
from gateway.ledger import OK, Entry
from gateway.ports import Answer, AttemptFailed, Chunk, Fault, Upstream, UpstreamStream
from gateway.routing import Pool, Replica
from gateway.settings import OnPrem

Got = TypeVar("Got")

MAX_CHUNKS_BEFORE_CONTENT = 64  # vLLM sends one, with the role; more than some is no chat completion


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream whose first content has come; `chunks` is all that came so far, comments left out."""

    replica: Replica
    stream: UpstreamStream
    chunks: list[Chunk]


@dataclass(frozen=True, slots=True)
class Attempts:
    """Tries a question on the pool's replicas."""

    pool: Pool
    upstream: Upstream
    settings: OnPrem

    async def first_content(self, body: Mapping[str, Any], entry: Entry, held: ExitStack) -> Opened:
        """A stream at its first content. What it holds goes to `held`. Raises GatewayError."""

        async def once(replica: Replica, attempt: ExitStack) -> Opened:
            stream = await self.upstream.open(replica.url, body, entry.request_id)
            attempt.callback(stream.close)
            return Opened(replica, stream, await _chunks_up_to_content(stream))

        return await self._until_one_works(once, entry, held)

    async def whole_answer(self, body: Mapping[str, Any], entry: Entry, held: ExitStack) -> Answer:
        """The whole answer, not streamed. Raises GatewayError."""

        async def once(replica: Replica, attempt: ExitStack) -> Answer:
            return await self.upstream.ask(replica.url, body, entry.request_id)

        return await self._until_one_works(once, entry, held)

    async def _until_one_works(
        self, once: Callable[[Replica, ExitStack], Awaitable[Got]], entry: Entry, held: ExitStack
    ) -> Got:
        tried: list[Replica] = []
        failure: GatewayError | None = None
        time_is_up = False
        try:
            async with asyncio.timeout(self.settings.first_content_timeout_s):
                while len(tried) < self.settings.attempts:
                    lease = self.pool.lease([replica.name for replica in tried])
                    if lease is None:
                        break
                    with ExitStack() as attempt:
                        tried.append(attempt.enter_context(lease).replica)
                        entry.attempt(lease.replica.name)
                        try:
                            got = await once(lease.replica, attempt)
                        except AttemptFailed as failed:
                            failure = self._book(failed, lease.replica, entry)
                            continue
                        entry.attempt_ended(OK)
                        held.push(attempt.pop_all())
                        return got
        except TimeoutError:
            failure = self._book(self._too_slow(), tried[-1], entry)
            time_is_up = True
        if failure is None:
            raise self._nobody_ready()
        failure.spent = time_is_up or len(tried) == self.settings.attempts
        raise failure

    def _book(self, failed: AttemptFailed, replica: Replica, entry: Entry) -> GatewayError:
        """Counts a failed try; returns its error where another replica may do better, and raises it where none can."""
        entry.attempt_ended(failed.error.code)
        self.pool.report(replica, failed.fault, failed.error.detail or failed.error.message)
        if not failed.error.retryable:
            raise failed.error from failed
        return failed.error

    def _too_slow(self) -> AttemptFailed:
        limit = self.settings.first_content_timeout_s
        return AttemptFailed(
            UpstreamTimeout(f"The model has not begun to answer within {limit:g} seconds. Try again later."),
            Fault.SUSPECT,
        )

    def _nobody_ready(self) -> GatewayError:
        states = ", ".join(f"{r.name} {r.belief.state}: {r.belief.reason}" for r in self.pool.replicas)
        return UpstreamUnavailable(
            "No model server is ready at the moment. Try again in a few seconds.", retry_after_s=2, detail=states
        )


async def _chunks_up_to_content(stream: UpstreamStream) -> list[Chunk]:
    chunks: list[Chunk] = []
    while len(chunks) <= MAX_CHUNKS_BEFORE_CONTENT:
        batch = await stream.read()
        if batch is None:
            raise AttemptFailed(UpstreamProtocolError("The model server ended its answer without one."), Fault.SUSPECT)
        chunks += [chunk for chunk in batch if chunk.body]
        if any(chunk.content for chunk in batch):
            return chunks
    raise AttemptFailed(UpstreamProtocolError("The model server sent chunks without content."), Fault.SUSPECT)
