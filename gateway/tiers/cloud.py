"""The cloud as a tier: what the privacy step has cleared is sent, within the month's budget, while the cloud is well.

Its price is booked however the answer ends: one that breaks, or loses the race, is charged by the cloud too.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Protocol

from gateway.errors import GatewayError, UpstreamLost, UpstreamTimeout, UpstreamUnavailable
from gateway.ports import AttemptFailed, Chunk, Clock, Fault, UpstreamStream
from gateway.privacy.clearance import Cleared
from gateway.privacy.redaction import Restorer
from gateway.routes import Tier
from gateway.settings import Cloud

BROKEN = "The connection to the model broke before the answer was complete. What came so far is not all of it."
NOT_NOW = "The cloud's model cannot be asked at the moment."

BYTES_PER_TOKEN = 4
"""Of English text, a rule of thumb: for what is charged and never counted, because the answer broke off before."""

MAX_CHUNKS_BEFORE_CONTENT = 64


class CloudUpstream(Protocol):
    """Who speaks to the cloud; takes nothing but what was cleared."""

    async def open(self, cleared: Cleared, request_id: str) -> UpstreamStream:
        """A stream whose headers have come. Raises AttemptFailed. Safe to cancel."""


class CloudHealth(Protocol):
    """Whether the cloud is worth asking."""

    def admits(self, now: float) -> bool: ...
    def succeeded(self, now: float) -> None: ...
    def failed(self, fault: Fault, now: float) -> None: ...


class Spending(Protocol):
    """The month's budget: a hard stop."""

    def may_spend(self) -> bool: ...


Charge = Callable[[Mapping[str, Any], bool, str], None]
"""Books the usage of one answer, whether it is estimated, and its outcome."""


class CloudTier:
    """Opens answers of the cloud."""

    def __init__(
        self, upstream: CloudUpstream, health: CloudHealth, spending: Spending, settings: Cloud, clock: Clock
    ) -> None:
        self._upstream = upstream
        self._health = health
        self._spending = spending
        self._settings = settings
        self._clock = clock

    async def open(self, cleared: Cleared, request_id: str, charge: Charge) -> "CloudSource":
        """The answer at its first content. Raises GatewayError. Safe to cancel."""
        now = self._clock()
        if not self._spending.may_spend():
            raise UpstreamUnavailable(NOT_NOW, detail="the month's budget for the cloud is spent")
        if not self._health.admits(now):
            raise UpstreamUnavailable(NOT_NOW, detail="the cloud has failed lately")
        # Whatever becomes of it: the prompt has been sent, and is charged.
        prompt = {"prompt_tokens": sum(len(str(m.get("content") or "")) for m in cleared.body["messages"]) // BYTES_PER_TOKEN}
        with ExitStack() as held:
            sent = False
            try:
                async with asyncio.timeout(self._settings.first_content_timeout_s):
                    stream = await self._upstream.open(cleared, request_id)
                    sent = True
                    held.callback(stream.close)
                    chunks = await _chunks_up_to_content(stream)
            except (AttemptFailed, TimeoutError) as failed:
                error, fault = _told(failed, self._settings)
                self._health.failed(fault, self._clock())
                if sent:
                    charge(prompt, True, error.code)
                raise error from failed
            except asyncio.CancelledError:
                if sent:
                    charge(prompt, True, "cancelled")
                raise
            self._health.succeeded(self._clock())
            source = CloudSource(stream, chunks, cleared.restorer(), self._settings.model, prompt, charge)
            held.pop_all()
            return source


class CloudSource:
    """An answer of the cloud under way. Satisfies `gateway.tiers.source.Source`."""

    tier = Tier.OPENAI
    replica: str | None = None
    cache: str | None = None
    resumed = 0

    def __init__(
        self,
        stream: UpstreamStream,
        chunks: list[Chunk],
        restorer: Restorer | None,
        model: str,
        prompt: Mapping[str, int],
        charge: Charge,
    ) -> None:
        self.model: str | None = model
        self.usage: Mapping[str, Any] = {}
        self.finish_reason: str | None = None
        self._stream = stream
        self._chunks: list[Chunk] | None = chunks
        self._restorer = restorer
        self._prompt = prompt
        self._charge: Charge | None = charge
        self._said = 0

    async def read(self) -> list[Chunk] | None:
        """See the protocol."""
        try:
            chunks, self._chunks = self._chunks or await self._stream.read(), None
        except AttemptFailed as failed:
            if failed.fault is Fault.NONE:
                raise failed.error from failed  # we were stopped
            raise UpstreamLost(BROKEN, detail=failed.error.detail or failed.error.code) from failed
        if chunks is None:
            return self._end()
        for chunk in chunks:
            self._note(chunk)
        return chunks

    def stop(self, error: GatewayError) -> None:
        """See the protocol."""
        self._stream.interrupt(AttemptFailed(error, Fault.NONE))

    def close(self) -> None:
        """See the protocol."""
        self._stream.close()
        charge, self._charge = self._charge, None
        if charge is None:
            return
        if self.usage:
            charge(self.usage, False, "ok" if self.finish_reason else "cancelled")
        else:
            self.usage = {**self._prompt, "completion_tokens": self._said // BYTES_PER_TOKEN}
            charge(self.usage, True, "cancelled")

    def _end(self) -> list[Chunk] | None:
        if self.finish_reason is None:
            raise UpstreamLost(BROKEN, detail="the cloud's answer ended without a finish_reason")
        rest, self._restorer = self._restorer.flush() if self._restorer is not None else "", None
        return [Chunk(b"", (0,), True, rest)] if rest else None

    def _note(self, chunk: Chunk) -> None:
        self._said += len(chunk.text.encode("utf-8", "replace"))
        if self._restorer is not None and chunk.text:
            chunk.text = self._restorer.feed(chunk.text)
        if chunk.finished:
            self.finish_reason = chunk.finished[0][1]
        if chunk.usage is not None:
            self.usage = chunk.usage


async def _chunks_up_to_content(stream: UpstreamStream) -> list[Chunk]:
    chunks: list[Chunk] = []
    while len(chunks) <= MAX_CHUNKS_BEFORE_CONTENT:
        batch = await stream.read()
        if batch is None:
            raise AttemptFailed(UpstreamUnavailable(NOT_NOW, detail="an answer without content"), Fault.SUSPECT)
        chunks += batch
        if any(chunk.content for chunk in batch):
            return chunks
    raise AttemptFailed(UpstreamUnavailable(NOT_NOW, detail="chunks without content"), Fault.SUSPECT)


def _told(failed: AttemptFailed | TimeoutError, settings: Cloud) -> tuple[GatewayError, Fault]:
    if isinstance(failed, AttemptFailed):
        return failed.error, failed.fault
    limit = f"{settings.first_content_timeout_s:g}"
    return UpstreamTimeout(f"The cloud's model has not begun to answer within {limit} seconds."), Fault.SUSPECT
