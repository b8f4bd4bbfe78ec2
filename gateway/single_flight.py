"""Questions that are the same, asked at the same time, are answered once: all who ask follow one flight.

One task a flight reads the source and keeps what came; each follower reads that from the beginning, at its own pace.
Promises: whoever comes late misses nothing; that one leaves does not concern the others, be it the first; when the last
one has left, the source is closed, and the GPU is free; a flight that has ended is forgotten, so that the next question
meets the cache.
"""

import asyncio
from asyncio import TaskGroup
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, Protocol, TypeVar

from gateway.errors import ClientGone, Draining, GatewayError, InternalError

Event = TypeVar("Event")
Made = TypeVar("Made", covariant=True)

AHEAD = 64
"""A judgment, in events: so far the source is read ahead of the fastest follower. More would be made for nobody."""

MAX_REPLAYED = 4096
"""A judgment, in events, of which a token makes one: the longest beginning that is kept for who may come late."""

FAULT = "Something went wrong on our side. The operator finds it in the log by the request id."
STOPPING = "This server is stopping, and the answer was not complete. Ask again."
LEFT = "Nobody waits for this answer any more."


class Source(Protocol[Made]):
    """What a flight reads: lists of events, StopAsyncIteration at the end, GatewayError when it breaks.

    `head` is what is known of the answer once it has opened. Closing is synchronous, and done once, by the flight.
    """

    @property
    def head(self) -> object: ...
    async def __anext__(self) -> Sequence[Made]: ...
    def close(self) -> None: ...


class Flights(Generic[Event]):
    """All that may be joined. Their tasks run in `tasks`, which must live longer than any request.

    `on_fault` is told of what no source may raise, for the log: the followers only hear that there was a fault.
    """

    def __init__(
        self, tasks: TaskGroup, on_fault: Callable[[Exception], None], max_replayed: int = MAX_REPLAYED
    ) -> None:
        self._tasks = tasks
        self._on_fault = on_fault
        self._max_replayed = max_replayed
        self._flights: dict[Hashable, _Flight[Event]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def join(self, key: Hashable, start: Callable[[], Awaitable[Source[Event]]]) -> tuple["Follower[Event]", bool]:
        """A follower of the flight with this key, and whether the flight has begun with it: there was none, or none
        whose beginning is still there.

        `start` opens the source; it runs in the flight's own task and must give back what it has when cancelled. The
        flight outlives the request that it was begun for, so neither may lean on anything of that request.
        """
        flight = self._flights.get(key)
        if flight is not None:
            return Follower(flight), False
        flight = _Flight(self._max_replayed, lambda: self._flights.pop(key), self._on_fault)
        flight.task = self._tasks.create_task(flight.run(start))
        self._flights[key] = flight
        return Follower(flight), True


class _Flight(Generic[Event]):
    """Its events are numbered from 0; `_gone` of them have been let go. Nobody may join once it has called `forget`."""

    def __init__(self, max_replayed: int, forget: Callable[[], object], on_fault: Callable[[Exception], None]) -> None:
        self.task: asyncio.Task[None] | None = None
        self.opened = False
        self.head: object = None
        self.over = False
        self.error: GatewayError | None = None
        self.news = asyncio.Event()
        self._room = asyncio.Event()
        self._followers: set[Follower[Event]] = set()
        self._events: list[Event] = []
        self._gone = 0
        self._max_replayed = max_replayed
        self._joinable = True
        self._forget = forget
        self._on_fault = on_fault

    async def run(self, start: Callable[[], Awaitable[Source[Event]]]) -> None:
        """Reads the source to its end, or until nobody follows."""
        source: Source[Event] | None = None
        try:
            source = await start()
            self.head, self.opened = source.head, True
            self.tell()
            await self._read(source)
        except GatewayError as error:
            self.error = error
        except asyncio.CancelledError:
            self.error = Draining(STOPPING)  # for those who follow, if any do: then it is the gateway that ends
            raise
        except Exception as error:  # noqa: BLE001  # a fault of ours ends this answer, and not the whole group of tasks
            self._on_fault(error)
            # Only its type: what it says may quote a customer.
            self.error = InternalError(FAULT, detail=type(error).__name__)
        finally:
            if source is not None:
                source.close()
            self.over = True
            self._close_to_others()
            self.tell()

    def follow(self, follower: "Follower[Event]") -> None:
        """One more wants it."""
        self._followers.add(follower)

    def leave(self, follower: "Follower[Event]") -> None:
        """One less does. With the last one it ends."""
        self._followers.discard(follower)
        if self._followers:
            self.read_on()
        elif self.task is not None and not self.over:
            self._close_to_others()  # at once: who comes now must not join what is being ended
            self.task.cancel()

    def since(self, number: int) -> list[Event]:
        """The events from this one on."""
        return self._events[number - self._gone :]

    def read_on(self) -> None:
        """A follower has read something, or is no longer waited for."""
        self._room.set()
        if not self._joinable:
            read_by_all = min(follower.at for follower in self._followers)
            del self._events[: read_by_all - self._gone]
            self._gone = read_by_all

    def tell(self) -> None:
        """Wakes all who wait for news."""
        told, self.news = self.news, asyncio.Event()
        told.set()

    async def _read(self, source: Source[Event]) -> None:
        while self._followers:  # whoever leaves last cancels this, but not every source heeds it
            await self._until_wanted()
            try:
                self._events.extend(await anext(source))
            except StopAsyncIteration:
                return
            if len(self._events) > self._max_replayed:
                self._close_to_others()
            self.tell()

    def _close_to_others(self) -> None:
        """From here on the beginning is needed only by those who follow already."""
        if self._joinable:
            self._joinable = False
            self._forget()

    async def _until_wanted(self) -> None:
        """Waits while nobody is near what has been read already."""
        while self._gone + len(self._events) - max(each.at for each in self._followers) >= AHEAD:
            self._room.clear()
            await self._room.wait()


class Follower(Generic[Event]):
    """One reader of a flight, from its beginning. Whoever has it closes it; closing is synchronous and idempotent."""

    def __init__(self, flight: _Flight[Event]) -> None:
        self.at = 0
        self._flight = flight
        self._closed = False
        flight.follow(self)

    async def opened(self) -> object:
        """The source's head, once it is there. Raises its GatewayError, ClientGone once closed. Safe to cancel."""
        flight = self._flight
        while not (flight.opened or flight.over or self._closed):
            await flight.news.wait()
        if self._closed:
            raise ClientGone(LEFT)
        if flight.error is not None and not flight.opened:
            raise flight.error
        return flight.head

    def __aiter__(self) -> "Follower[Event]":
        return self

    async def __anext__(self) -> list[Event]:
        """What has come since, at least one event. Safe to cancel.

        Raises StopAsyncIteration at the end and once closed, and GatewayError where the source broke.
        """
        flight = self._flight
        while not self._closed:
            if events := flight.since(self.at):
                self.at += len(events)
                flight.read_on()
                return events
            if flight.over:
                break
            await flight.news.wait()
        if flight.error is not None and not self._closed:
            raise flight.error
        raise StopAsyncIteration

    def close(self) -> None:
        """Wants no more. An `anext` under way ends."""
        if not self._closed:
            self._closed = True
            self._flight.leave(self)
            self._flight.tell()
