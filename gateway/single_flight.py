"""Questions that are the same, asked at the same time, are answered once: all who ask follow one flight.

One task a flight reads the source and keeps what came; each follower reads that from the beginning, at its own pace.
Promises: whoever comes late misses nothing; that one leaves does not concern the others, be it the first; when the last
one has left, the source is closed, and the GPU is free; a flight that has ended is forgotten, so that the next question
meets the cache.
"""

import asyncio
from asyncio import Task, TaskGroup
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, Protocol, TypeVar

from gateway.errors import GatewayError, InternalError

Item = TypeVar("Item")
Made = TypeVar("Made", covariant=True)

FAULT = "Something went wrong on our side. The operator finds it in the log by the request id."

AHEAD = 64
"""Batches that the source may be read ahead of the fastest follower: more is kept for nobody."""


class Source(Protocol[Made]):
    """What a flight reads; raises StopAsyncIteration at its end, GatewayError when it breaks."""

    async def __anext__(self) -> Made: ...
    def close(self) -> None: ...


class Flights(Generic[Item]):
    """All that are under way. Their tasks run in `tasks`."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._flights: dict[Hashable, _Flight[Item]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def join(self, key: Hashable, start: Callable[[], Awaitable[Source[Item]]]) -> tuple["Follower[Item]", bool]:
        """A follower of the flight with this key, which begins if there is none; whether it has begun with this one."""
        flight = self._flights.get(key)
        leads = flight is None
        if flight is None:
            flight = _Flight(self._forget, key)
            self._flights[key] = flight
            flight.task = self._tasks.create_task(flight.run(start))
        return Follower(flight), leads

    def _forget(self, key: Hashable, flight: "_Flight[Item]") -> None:
        if self._flights.get(key) is flight:  # and not its successor's
            del self._flights[key]


class _Flight(Generic[Item]):
    def __init__(self, forget: "Callable[[Hashable, _Flight[Item]], None]", key: Hashable) -> None:
        self.items: list[Item] = []
        self.opened = False
        self.over = False
        self.error: GatewayError | None = None
        self.task: Task[None] | None = None
        self._followers: set[Follower[Item]] = set()
        self._forget = forget
        self._key = key
        self._news: set[asyncio.Future[None]] = set()
        self._room: asyncio.Event = asyncio.Event()

    async def run(self, start: Callable[[], Awaitable[Source[Item]]]) -> None:
        """Reads the source to its end, or until nobody follows."""
        source: Source[Item] | None = None
        try:
            source = await start()
            self.opened = True
            self.tell()
            while True:
                await self._until_wanted()
                self.items.append(await anext(source))
                self.tell()
        except StopAsyncIteration:
            pass
        except GatewayError as error:
            self.error = error
        except asyncio.CancelledError:
            if self._followers:  # the gateway ends, and not the followers' interest
                raise
        except Exception as error:  # noqa: BLE001  # a fault of ours ends this answer, and not the whole group of tasks
            self.error = InternalError(FAULT, detail=type(error).__name__)
        finally:
            if source is not None:
                source.close()
            self.over = True
            self._forget(self._key, self)
            self.tell()

    def follow(self, follower: "Follower[Item]") -> None:
        """One more wants it."""
        self._followers.add(follower)

    def leave(self, follower: "Follower[Item]") -> None:
        """One less does. With the last one it ends."""
        self._followers.discard(follower)
        self._room.set()
        if not self._followers and self.task is not None and not self.over:
            self._forget(self._key, self)  # at once: who comes now must not join what is being ended
            self.task.cancel()

    def read_on(self) -> None:
        """A follower has read something."""
        self._room.set()

    async def news(self) -> None:
        """Waits until there is more, or the end. Safe to cancel."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._news.add(waiter)
        try:
            await waiter
        finally:
            self._news.discard(waiter)

    async def _until_wanted(self) -> None:
        while len(self.items) - max((follower.at for follower in self._followers), default=0) >= AHEAD:
            self._room.clear()
            await self._room.wait()

    def tell(self) -> None:
        """Wakes all who wait for news."""
        for waiter in self._news:
            if not waiter.done():
                waiter.set_result(None)


class Follower(Generic[Item]):
    """One reader of a flight, from its beginning. Whoever has it closes it; closing is synchronous and idempotent."""

    def __init__(self, flight: _Flight[Item]) -> None:
        self.at = 0
        self._flight = flight
        self._closed = False
        flight.follow(self)

    async def opened(self) -> None:
        """Waits until the source is there. Raises its GatewayError. Safe to cancel."""
        while not self._flight.opened and not self._flight.over:
            await self._flight.news()
        if not self._flight.opened and self._flight.error is not None:
            raise self._flight.error

    def __aiter__(self) -> "Follower[Item]":
        return self

    async def __anext__(self) -> Item:
        """The next item. Raises StopAsyncIteration at the end and once closed, GatewayError where the source broke."""
        flight = self._flight
        while not self._closed:
            if self.at < len(flight.items):
                item = flight.items[self.at]
                self.at += 1
                flight.read_on()
                return item
            if flight.over:
                if flight.error is not None:
                    raise flight.error
                break
            await flight.news()
        raise StopAsyncIteration

    def close(self) -> None:
        """Wants no more. An `anext` under way ends."""
        if not self._closed:
            self._closed = True
            self._flight.leave(self)
            self._flight.tell()
