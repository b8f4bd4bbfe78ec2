"""Answers one message with a model that may use tools: rounds of asking, running what it asks for, and asking again.

Above the chain of tiers, which it asks anew in each round, and below the conversation, which remembers what came of it.
An agent is iterated over for events. Promises: at most MAX_ROUNDS rounds; a tool runs only once its call is complete
and valid; a tool that fails is told to the model and to the client; what a tool says is data in a message of its own.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from gateway.desk import ToolResult
from gateway.errors import GatewayError, UpstreamLost
from gateway.events import Event, Finished, Seam, Served, Text, ToolAnswered, ToolCalled
from gateway.ports import Chunk
from gateway.tiers.source import Source
from gateway.tool_calls import ToolCall, ToolCalls

Message = dict[str, Any]

MAX_ROUNDS = 4
"""Calls of a model for one message of a customer; in the last one it gets no tools, so that it has to answer."""

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


RunTool = Callable[[ToolCall], Awaitable[ToolResult]]


class Ask(Protocol):
    """Opens the answer to these messages; a `final` one has no tools. `done` is what has come of the message so far."""

    async def __call__(self, messages: Sequence[Message], done: "Done", *, final: bool) -> Source: ...


CarryOn = Callable[[Sequence[Message], str], Awaitable[Source | None]]
"""Another tier that goes on with a text that has broken off; None where none may."""


class Done:
    """What has come of the message so far."""

    def __init__(self) -> None:
        self.text = ""
        self.messages: list[Message] = []
        """What there is to remember, in OpenAI's shape: calls, results, and the answer at the end."""
        self.summaries: list[str] = []
        self.changed = False
        """Whether a tool has changed something: such an answer is for one person."""
        self.tools_failed = False
        self.resumed = 0
        self.tiers: list[str] = []
        self.usage: dict[str, int] = {}
        self.finish_reason: str | None = None
        self.whole = False

    def add_usage(self, usage: Mapping[str, Any]) -> None:
        """The tokens of a round."""
        for name in _COUNTS:
            count = usage.get(name)
            if isinstance(count, int) and count > 0:
                self.usage[name] = self.usage.get(name, 0) + count


class Agent:
    """The answer to one message, under way. Whoever has it closes it; closing is synchronous and idempotent."""

    def __init__(self, source: Source, messages: Sequence[Message], ask: Ask, run: RunTool, carry_on: CarryOn) -> None:
        self.done = Done()
        self._source: Source | None = None
        self._messages = list(messages)
        self._ask = ask
        self._run = run
        self._carry_on = carry_on
        self._round = 1
        self._restarted = False
        self._calls = ToolCalls()
        self._to_run: list[ToolCall] = []
        self._said = ""
        self._stopped: GatewayError | None = None
        self._closed = False
        self._head: list[Event] = [self._hear(source)]

    @classmethod
    async def open(cls, messages: Sequence[Message], ask: Ask, run: RunTool, carry_on: CarryOn) -> "Agent":
        """At the first content of its first round. Raises GatewayError. Safe to cancel."""
        return cls(await ask(messages, Done(), final=False), messages, ask, run, carry_on)

    def __aiter__(self) -> "Agent":
        return self

    async def __anext__(self) -> list[Event]:
        """The events since, at least one. Raises GatewayError when the answer breaks for good."""
        if self._head:
            events, self._head = self._head, []
            return events
        while not self._closed:
            if self._stopped is not None:
                raise self._stopped
            if self._to_run:
                return [await self._use(self._to_run.pop(0))]
            if self._source is None:
                return [await self._next_round()]
            try:
                chunks = await self._source.read()
            except UpstreamLost as lost:
                return await self._cross_over(lost)
            if chunks is None:
                return self._end_round()
            if text := self._note(chunks):
                return [Text(text)]
        raise StopAsyncIteration

    def messages(self, text: str) -> list[Message]:
        """What there is to remember: calls, results and all that was said."""
        return self.done.messages

    def stop(self, error: GatewayError) -> None:
        """The answer ends with this error as soon as may be."""
        self._stopped = self._stopped or error
        if self._source is not None:
            self._source.stop(error)

    def close(self) -> None:
        """Gives everything back; an answer that is not whole is cut."""
        if not self._closed:
            self._closed = True
            self._leave_source()
            self._remember_text()

    def _note(self, chunks: Sequence[Chunk]) -> str:
        text = ""
        for chunk in chunks:
            text += chunk.text
            if chunk.tools:
                self._calls.note(chunk.raw)
        self._said += text
        self.done.text += text
        return text

    def _hear(self, source: Source) -> Served:
        self._source = source
        self.done.tiers.append(source.tier)
        return Served(source.tier, source.model, source.replica, source.cache)

    def _leave_source(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()
            self.done.add_usage(source.usage)
            self.done.resumed += source.resumed

    def _remember_text(self) -> None:
        if self._said:
            self.done.messages.append({"role": "assistant", "content": self._said})
            self._said = ""

    # ---- from one round to the next

    def _end_round(self) -> list[Event]:
        assert self._source is not None  # noqa: S101  # it has just ended
        reason = self._source.finish_reason or "stop"
        self._leave_source()
        calls = self._calls.calls
        if not calls or self._round >= MAX_ROUNDS:
            self._remember_text()
            self.done.finish_reason, self.done.whole, self._closed = reason, True, True
            return [Finished(reason, dict(self.done.usage), self.done.resumed)]
        self.done.messages.append(
            {
                "role": "assistant",
                "content": self._said or None,
                "tool_calls": [call.as_message_part() for call in calls],
            }
        )
        self._said = ""
        self._to_run = calls
        return [ToolCalled(call.id, call.name, call.parsed()) for call in calls]

    async def _use(self, call: ToolCall) -> Event:
        result = await self._run(call)
        self.done.messages.append({"role": "tool", "tool_call_id": call.id, "content": result.content})
        self.done.changed |= result.changed
        self.done.tools_failed |= not result.ok
        self.done.summaries.append(result.summary)
        return ToolAnswered(call.id, call.name, result.ok, result.summary)

    async def _next_round(self) -> Event:
        self._round += 1
        return await self._ask_again()

    async def _ask_again(self) -> Event:
        self._calls = ToolCalls()
        final = self._round >= MAX_ROUNDS
        return self._take(await self._ask([*self._messages, *self.done.messages], self.done, final=final))

    def _take(self, source: Source) -> Event:
        if self._closed:
            source.close()
            raise StopAsyncIteration
        return self._hear(source)

    async def _cross_over(self, lost: UpstreamLost) -> list[Event]:
        """The answer has broken off beyond resuming. What was not shown is asked anew, once; what was shown may be
        carried on by another tier, and the seam is told."""
        assert self._source is not None  # noqa: S101  # it has just broken
        before = self._source.tier
        self._leave_source()
        if self._stopped is not None:
            raise lost
        if not self._said and not self._restarted:
            self._restarted = True
            return [await self._ask_again()]
        # Half a call cannot be carried on, and a whole one has not been run.
        source = None if self._calls.calls else await self._carry_on([*self._messages, *self.done.messages], self._said)
        if source is None:
            raise lost
        return [Seam(before, source.tier), self._take(source)]


def carried_on(messages: Sequence[Message], said: str) -> list[Message]:
    """The messages that ask another model to go on with an answer that has broken off."""
    going_on = (
        "Your last answer broke off in the middle. Continue it exactly where it stops. "
        "Do not repeat any of it, do not greet, and do not mention the interruption."
    )
    return [*messages, {"role": "assistant", "content": said}, {"role": "system", "content": going_on}]
