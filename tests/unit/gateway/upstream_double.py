"""An upstream in memory, behind the protocols of `gateway.ports`: it plays what a test wrote down for each replica.

It replaces the edge, not our own code, and holds callers to the protocol: a stream that was closed is not read again,
and a replica that nothing was written down for is not asked.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from gateway.errors import GatewayError
from gateway.ports import Answer, AttemptFailed, Chunk, Fault


class Stall(Enum):
    """Stands where nothing comes any more."""

    FOREVER = "forever"


STALL = Stall.FOREVER

Read = list[Chunk] | None | Exception | Stall


class ScriptedStream:
    """Satisfies `gateway.ports.UpstreamStream`. Each read: a batch, None for [DONE], a failure, STALL."""

    def __init__(self, *reads: Read) -> None:
        self._reads = deque(reads)
        self.closed = False
        self.stalled = asyncio.Event()
        """Set once somebody waits for what never comes."""

    @property
    def left(self) -> int:
        """Reads that nobody asked for."""
        return len(self._reads)

    async def read(self) -> list[Chunk] | None:
        assert not self.closed, "a closed stream was read"
        read = self._reads.popleft()
        if read is STALL:
            self.stalled.set()
            await asyncio.Event().wait()
        if isinstance(read, Exception):
            raise read
        assert not isinstance(read, Stall)
        return read

    def close(self) -> None:
        self.closed = True


Step = ScriptedStream | Answer | Exception | Stall


class ScriptedUpstream:
    """Satisfies `gateway.ports.Upstream`. Plays the steps written down for a base URL, one a call."""

    def __init__(self, script: Mapping[str, Sequence[Step]], on_call: Callable[[str], None] = lambda url: None) -> None:
        self._script = {url: deque(steps) for url, steps in script.items()}
        self._on_call = on_call
        self.calls: list[tuple[str, str, Mapping[str, Any], str]] = []
        self.stalled = asyncio.Event()

    @property
    def asked(self) -> list[str]:
        """The base URLs that were asked, in order."""
        return [url for _, url, _, _ in self.calls]

    async def open(self, base_url: str, body: Mapping[str, Any], request_id: str) -> ScriptedStream:
        step = await self._step("open", base_url, body, request_id)
        assert isinstance(step, ScriptedStream), "a stream was asked for, and the script has none"
        return step

    async def ask(self, base_url: str, body: Mapping[str, Any], request_id: str) -> Answer:
        step = await self._step("ask", base_url, body, request_id)
        assert isinstance(step, Answer), "a whole answer was asked for, and the script has none"
        return step

    async def _step(self, how: str, base_url: str, body: Mapping[str, Any], request_id: str) -> Step:
        self.calls.append((how, base_url, body, request_id))
        self._on_call(base_url)
        steps = self._script.get(base_url)
        assert steps, f"{base_url} was asked, and the script has nothing for it"
        step = steps.popleft()
        if step is STALL:
            self.stalled.set()
            await asyncio.Event().wait()
        if isinstance(step, Exception):
            raise step
        return step


def failed(error: GatewayError, fault: Fault) -> AttemptFailed:
    return AttemptFailed(error, fault)


def role() -> Chunk:
    """vLLM's first chunk: it says who speaks, and is no content."""
    return _chunk({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None})


def text(content: str, index: int = 0) -> Chunk:
    return _chunk({"index": index, "delta": {"content": content}, "finish_reason": None}, content=True)


def finish(reason: str = "stop", index: int = 0) -> Chunk:
    choice = {"index": index, "delta": {}, "finish_reason": reason}
    return _chunk(choice, content=True, finished=((index, reason),))


def usage(prompt: int, completion: int) -> Chunk:
    counted = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return Chunk(b"data: usage\n\n", {"choices": [], "usage": counted}, usage=counted)


def comment() -> Chunk:
    """A keep-alive."""
    return Chunk(b": ping\n\n", {})


def _chunk(choice: dict[str, Any], *, content: bool = False, finished: tuple[tuple[int, str], ...] = ()) -> Chunk:
    return Chunk(b"data: chunk\n\n", {"choices": [choice]}, content, finished)
