"""One message of a customer being answered, as its client gets it: what is sent, and what is kept once it is over.

It iterates over the events of an agent, or of an answer that several clients share, and owns all that the message
holds. Promises: the turn is written down before its client is told that the answer is whole, so that the next message
finds it; a client that leaves has what it has seen written down too; `close` is synchronous and gives everything back.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

from gateway.errors import ClientGone, GatewayError, UpstreamLost
from gateway.events import Event, Finished, Seam, Served, Text
from gateway.ledger import OK, Entry
from shared import headers

Message = dict[str, Any]


TOO_LONG = "The answer took too long, and was ended before it was complete. Ask again, or ask for less."

NOTICE_S = 1.0
"""A client whose time is up has so long to take what there is and the error after it."""


class Answering(Protocol):
    """Where the events come from: an agent, or a follower of one."""

    async def __anext__(self) -> list[Event]: ...
    def messages(self, text: str) -> list[Message]:
        """What there is to remember; `text` is all that was shown."""

    def stop(self, error: GatewayError) -> None: ...
    def close(self) -> None: ...


class Remember(Protocol):
    """Writes a turn down, and lets the next message of its conversation in."""

    async def now(self, turn: "Turn") -> None:
        """Before the client is told that the answer is whole. Raises nothing: what could not be written is logged."""

    def later(self, turn: "Turn") -> None:
        """Beside, after the client has left or the answer has broken. Called in any case; after `now` for nothing."""


class Turn:
    """Iterate over it for lists of events. Raises GatewayError when the answer breaks for good."""

    def __init__(
        self,
        events: Answering,
        entry: Entry,
        held: ExitStack,
        *,
        session_id: str,
        route: str,
        remember: Remember,
        lasts_s: float,
    ) -> None:
        self.on_overdue: Callable[[], None] | None = None
        """Called when the time is up and the client does not take even that."""
        self.sink: object = None
        """Not used: the events of a turn pass through the task that sends them, which writes them down."""
        self.session_id = session_id
        self.route = route
        self.served: Served | None = None
        self.tiers: list[str] = []
        self.seams: list[Seam] = []
        self.text = ""
        self.finished_with: Finished | None = None
        self._events = events
        self._entry = entry
        self._held = held
        self._remember = remember
        self._lasts_s = lasts_s
        self._timer: asyncio.TimerHandle | None = None
        self._head: list[Event] = []
        self._started = False
        self._remembered = False
        self._closed = False

    async def begin(self) -> None:
        """Waits for who is going to speak, so that the answer's headers can say so. Raises GatewayError."""
        self._timer = asyncio.get_running_loop().call_later(self._lasts_s, self._overdue)
        self._head = await self._next()

    def __aiter__(self) -> "Turn":
        return self

    async def __anext__(self) -> list[Event]:
        """The events since, at least one."""
        if self._closed:
            raise StopAsyncIteration
        events, self._head = self._head, []
        if not events:
            events = await self._next()
        if self.finished_with is not None and not self._remembered:
            self._remembered = True
            await self._remember.now(self)
        if not self._started and any(isinstance(event, Text) for event in events):
            self._started = True
            self._entry.first_content()
        return events

    def messages(self) -> list[Message]:
        """What there is to remember of the answer."""
        return self._events.messages(self.text)

    def finished(self) -> bool:
        """Whether all has been told; everything is then given back."""
        if self.finished_with is None or self._head or self._closed:
            return False
        self._entry.outcome = OK
        self.close()
        return True

    def headers(self) -> list[tuple[str, str]]:
        """What the answer's headers say of it, as it stands when they are sent."""
        told = {headers.SESSION: self.session_id, headers.ROUTE: self.route}
        if self.served is not None:
            named = {headers.SERVED_BY: self.served.tier, headers.REPLICA: self.served.replica}
            told |= {name: value for name, value in {**named, headers.CACHE: self.served.cache}.items() if value}
        return list(told.items())

    def stop(self, error: GatewayError) -> None:
        """Ends the answer with this error."""
        self._events.stop(error)

    def on_close(self, forget: Callable[[], None]) -> None:
        """Has `forget` called when the turn is closed."""
        self._held.callback(forget)

    def close(self) -> None:
        """Gives everything back. An answer that is not whole is cut, and what was seen of it is written down later."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._events.close()
        self._remember.later(self)
        self._entry.outcome = self._entry.outcome or ClientGone.code
        self._entry.facts |= {"route": self.route, "tiers": self.tiers, "seams": len(self.seams)}
        if self.finished_with is not None:
            self._entry.finish_reason, self._entry.usage = self.finished_with.reason, self.finished_with.usage
        self._held.close()

    async def _next(self) -> list[Event]:
        try:
            events = await anext(self._events)
        except GatewayError as error:
            self._entry.fail(error)
            raise
        self._note(events)
        return events

    def _overdue(self) -> None:
        self.stop(UpstreamLost(TOO_LONG, detail=f"not done after {self._lasts_s:g} s"))
        self._timer = asyncio.get_running_loop().call_later(NOTICE_S, self._cut_off)

    def _cut_off(self) -> None:
        if self.on_overdue is not None:
            self.on_overdue()

    def _note(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Text):
                self.text += event.text
            elif isinstance(event, Served):
                self.served = event
                self.tiers.append(event.tier)
            elif isinstance(event, Seam):
                self.seams.append(event)
            elif isinstance(event, Finished):
                self.finished_with = event
