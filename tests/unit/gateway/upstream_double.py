"""An upstream in memory, behind the protocols of `gateway.ports`: it plays what a test wrote down for each replica.

It replaces the edge, not our own code, and holds callers to the protocol: a stream that was closed is not read again,
and a replica that nothing was written down for is not asked. Nothing here takes time: what is to come later comes when
the test says so.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from gateway.errors import GatewayError
from gateway.ports import ONLY_FIRST, Answer, AttemptFailed, Chunk, Fault, PassOn
from shared import sse


class Stall(Enum):
    """Stands where nothing comes any more."""

    FOREVER = "forever"


STALL = Stall.FOREVER

Read = list[Chunk] | None | Exception | Stall


class ScriptedStream:
    """Satisfies `gateway.ports.UpstreamStream`. Each read: a batch, None for [DONE], a failure, STALL."""

    def __init__(self, *reads: Read) -> None:
        self._reads = deque(reads)
        self._interruption: Exception | None = None
        self._interrupted = asyncio.Event()
        self.closed = False
        self.stalled = asyncio.Event()
        """Set once somebody waits for what never comes."""

    @property
    def left(self) -> int:
        """Reads that nobody asked for."""
        return len(self._reads)

    async def read(self, pass_on: PassOn | None = None) -> list[Chunk] | None:
        assert not self.closed, "a closed stream was read"
        if self._interruption is None and (read := self._reads.popleft()) is STALL:
            self.stalled.set()
            await self._interrupted.wait()
        if self._interruption is not None:
            raise self._interruption
        if isinstance(read, Exception):
            raise read
        assert not isinstance(read, Stall)
        return read

    @property
    def over(self) -> bool:
        """Never known before the end is read, as when it comes in a piece of its own."""
        return False

    def interrupt(self, failure: Exception) -> None:
        self._interruption = self._interruption or failure
        self._interrupted.set()

    def close(self) -> None:
        self.closed = True


class FlowingStream(ScriptedStream):
    """One whose batches come while somebody waits for them: those before the last are passed on to who wants them."""

    async def read(self, pass_on: PassOn | None = None) -> list[Chunk] | None:
        while pass_on is not None and self.left > 1 and isinstance(batch := self._reads[0], list):
            self._reads.popleft()
            if (left := pass_on(batch)) is not None:
                return left
        return await super().read()


@dataclass
class Later:
    """A step that is played once the test sets `go`; `asked` is set when somebody waits for it."""

    step: "ScriptedStream | Answer | Exception"
    go: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)


Step = ScriptedStream | Answer | Exception | Later | Stall


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

    def last_step(self, base_url: str) -> Later:
        """The step that comes last for this base URL, which is one that waits to be told."""
        step = self._script[base_url][-1]
        assert isinstance(step, Later)
        return step

    async def open(self, base_url: str, body: Mapping[str, Any], request_id: str) -> ScriptedStream:
        step = await self._step("open", base_url, body, request_id)
        assert isinstance(step, ScriptedStream), "a stream was asked for, and the script has none"
        return step

    async def ask(self, base_url: str, body: Mapping[str, Any], request_id: str) -> Answer:
        step = await self._step("ask", base_url, body, request_id)
        assert isinstance(step, Answer), "a whole answer was asked for, and the script has none"
        return step

    async def _step(self, how: str, base_url: str, body: Mapping[str, Any], request_id: str) -> ScriptedStream | Answer:
        self.calls.append((how, base_url, body, request_id))
        self._on_call(base_url)
        steps = self._script.get(base_url)
        assert steps, f"{base_url} was asked, and the script has nothing for it"
        step = steps.popleft()
        if step is STALL:
            self.stalled.set()
            await asyncio.Event().wait()
        if isinstance(step, Later):
            step.asked.set()
            await step.go.wait()
            step = step.step
        if isinstance(step, Exception):
            raise step
        assert not isinstance(step, Stall | Later)
        return step


def failed(error: GatewayError, fault: Fault, *, cut: bool = False, reached: bool = True) -> AttemptFailed:
    return AttemptFailed(error, fault, cut=cut, reached=reached)


def role() -> Chunk:
    """vLLM's first chunk: it says who speaks, and is no content."""
    return Chunk(_event({"role": "assistant", "content": ""}), ONLY_FIRST, prompt_token_ids=(1, 2, 3))


def text(content: str, *token_ids: int) -> Chunk:
    """A piece of the answer, of one token unless told otherwise."""
    return Chunk(_event({"content": content}), ONLY_FIRST, True, content, token_ids or (7,))


def finish(reason: str = "stop") -> Chunk:
    return Chunk(_event({}, reason), ONLY_FIRST, True, finished=((0, reason),))


def usage(prompt: int, completion: int) -> Chunk:
    counted = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return Chunk(sse.encode(json.dumps({"choices": [], "usage": counted}).encode()), usage=counted)


def comment() -> Chunk:
    """A keep-alive."""
    return Chunk(b": ping\n\n")


def streaming(*reads: Read) -> ScriptedStream:
    """A stream; of a role and a word unless told otherwise."""
    return ScriptedStream(*(reads or ([role()], [text("Hello")])))


def _event(delta: dict[str, Any], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return sse.encode(json.dumps({"id": "chatcmpl-1", "created": 7, "model": "m", "choices": [choice]}).encode())
