"""The watch for a client that leaves: whatever is done for it is cancelled at once, and the GPU is free again."""

import asyncio
from asyncio import TaskGroup
from collections.abc import Awaitable
from typing import TypeVar

from starlette.types import Receive

from gateway.errors import ClientGone

T = TypeVar("T")


class Presence:
    """Knows whether the client is still there, and cancels the work that is done for one who has left.

    All that a request's `receive` brings after its body is the news that the client has left. So `watch` may be called
    only once the body has been read.
    """

    def __init__(self, receive: Receive, tasks: TaskGroup) -> None:
        self._receive = receive
        self._tasks = tasks
        self._watcher: asyncio.Task[None] | None = None
        # A time-out without a time, used for its cancellation alone. Unlike an anyio scope it also cancels a task that
        # never rests because its next data is always there already.
        self._scope = asyncio.timeout(None)

    def watch(self) -> None:
        """From now on the work is cancelled when the client leaves. To be called from within the work."""
        self._watcher = self._tasks.create_task(self._watch())

    async def needed_for(self, work: Awaitable[T]) -> T:
        """Awaits `work`. Raises ClientGone when the client leaves first. One call per presence."""
        try:
            async with self._scope:
                return await work
        except TimeoutError:
            if self._scope.expired():
                raise ClientGone("The client left.") from None
            raise
        finally:
            if self._watcher is not None:
                self._watcher.cancel()

    def expire(self) -> None:
        """Cancels the work: the client is there, and does not take what it is sent."""
        self._scope.reschedule(0)

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._scope.reschedule(0)
