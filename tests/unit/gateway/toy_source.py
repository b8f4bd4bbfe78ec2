"""A tier's answer that plays what a test wrote down, behind the protocol `gateway.tiers.source.Source`."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from typing import Any

from gateway.errors import GatewayError
from gateway.ports import ONLY_FIRST, Chunk
from gateway.routes import Tier
from shared import sse

Read = list[Chunk] | Exception | None


def said(text: str) -> list[Chunk]:
    return [Chunk(b"", ONLY_FIRST, True, text)]


def called(name: str, arguments: str, id_: str = "call_0", index: int = 0) -> list[Chunk]:
    """A tool call, whole, in one chunk."""
    function = {"name": name, "arguments": arguments}
    delta = {"tool_calls": [{"index": index, "id": id_, "type": "function", "function": function}]}
    raw = sse.encode(json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode())
    return [Chunk(raw, ONLY_FIRST, True, "", tools=True)]


class ToySource:
    """Each read is a batch, an exception, or None for the end; STALL waits until it is stopped."""

    def __init__(
        self,
        *reads: Read | str,
        tier: Tier = Tier.ON_PREM,
        reason: str | None = "stop",
        usage: Mapping[str, Any] | None = None,
        resumed: int = 0,
    ) -> None:
        self.tier = tier
        self.model: str | None = "toy"
        self.replica: str | None = "replica-0" if tier is Tier.ON_PREM else None
        self.cache: str | None = None
        self.usage: Mapping[str, Any] = usage or {}
        self.finish_reason = reason
        self.resumed = resumed
        self.closed = 0
        self.stalled = asyncio.Event()
        self._reads = deque(said(read) if isinstance(read, str) and read != STALL else read for read in reads)
        self._stopped: GatewayError | None = None
        self._woken = asyncio.Event()

    async def read(self) -> list[Chunk] | None:
        assert not self.closed, "a closed source was read"
        if self._stopped is None and self._reads and self._reads[0] == STALL:
            self.stalled.set()
            await self._woken.wait()
        if self._stopped is not None:
            raise self._stopped
        read = self._reads.popleft() if self._reads else None
        if isinstance(read, Exception):
            raise read
        assert not isinstance(read, str)
        return read

    def stop(self, error: GatewayError) -> None:
        self._stopped = error
        self._woken.set()

    def close(self) -> None:
        self.closed += 1


STALL = "(nothing comes any more)"
