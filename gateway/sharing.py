"""Answers that are anybody's: one that is replayed from the cache, and one that several clients share while it comes.

Satisfies `gateway.turn.Answering`. Shared ones are generated once, by `gateway.single_flight`, and put into the cache
when they are whole.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gateway.agent import Agent, Done
from gateway.errors import GatewayError
from gateway.events import Event, Finished, Served, Text
from gateway.routes import Tier
from gateway.single_flight import Follower

Message = dict[str, Any]


def as_message(text: str) -> list[Message]:
    """What there is to remember of an answer of which only the text is known."""
    return [{"role": "assistant", "content": text}] if text else []


class Replay:
    """An answer from the cache, in the shape of one that is generated."""

    def __init__(self, text: str, how: str) -> None:
        self._events: list[list[Event]] = [[Served(Tier.CACHED, cache=how)], [Text(text), Finished("stop")]]
        self._stopped: GatewayError | None = None

    async def __anext__(self) -> list[Event]:
        """See the protocol."""
        if self._stopped is not None:
            raise self._stopped
        if not self._events:
            raise StopAsyncIteration
        return self._events.pop(0)

    def messages(self, text: str) -> list[Message]:
        """See the protocol."""
        return as_message(text)

    def stop(self, error: GatewayError) -> None:
        """See the protocol."""
        self._stopped = error

    def close(self) -> None:
        """See the protocol."""
        self._events.clear()


class Shared:
    """An agent as the source of a flight: when it has said all, `keep` is told what came of it."""

    head = None

    def __init__(self, agent: Agent, keep: Callable[[Done], None]) -> None:
        self._agent = agent
        self._keep = keep

    async def __anext__(self) -> list[Event]:
        events = await anext(self._agent)
        if self._agent.done.whole:
            self._keep(self._agent.done)
        return events

    def close(self) -> None:
        """Cuts the generation."""
        self._agent.close()


class Following:
    """One client's view of a shared answer. `leads`: it is the one for whom it is generated."""

    def __init__(self, follower: Follower[list[Event]], *, leads: bool) -> None:
        self._follower = follower
        self._leads = leads
        self._stopped: GatewayError | None = None

    async def __anext__(self) -> list[Event]:
        """See the protocol."""
        try:
            events = await anext(self._follower)
        except StopAsyncIteration:
            if self._stopped is not None:
                raise self._stopped from None
            raise
        if self._leads:
            return events
        return [replace(event, cache="shared") if isinstance(event, Served) else event for event in events]

    def messages(self, text: str) -> list[Message]:
        """See the protocol."""
        return as_message(text)

    def stop(self, error: GatewayError) -> None:
        """See the protocol."""
        self._stopped = self._stopped or error
        self._follower.close()

    def close(self) -> None:
        """See the protocol. The others are served on."""
        self._follower.close()
