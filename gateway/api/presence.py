"""The watch for a client that leaves: whatever is done for it is cancelled at once, and the GPU is free again."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from gateway.api.client_end import ClientEnd
from gateway.errors import ClientGone

T = TypeVar("T")


class Presence:
    """Cancels the work that is done for a client who has left."""

    __slots__ = ("_end", "_scope")

    def __init__(self, end: ClientEnd) -> None:
        self._end = end
        # A time-out without a time, used for its cancellation alone. Unlike an anyio scope it also cancels a task that
        # never rests because its next data is always there already.
        self._scope = asyncio.timeout(None)

    async def needed_for(self, work: Awaitable[T]) -> T:
        """Awaits `work`. Raises ClientGone when the client leaves first. One call per presence."""
        try:
            async with self._scope:
                self._end.on_left = self.expire
                if self._end.left:
                    self.expire()
                return await work
        except TimeoutError:
            if self._scope.expired():
                raise ClientGone("The client left.") from None
            raise
        finally:
            self._end.on_left = None

    def expire(self) -> None:
        """Cancels the work; also when the client is there, and does not take what it is sent."""
        self._scope.reschedule(0)
