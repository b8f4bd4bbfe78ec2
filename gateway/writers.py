"""One writer a conversation: while a message of it is being answered the next one waits, or is told that it must.

In this process. Whoever takes a conversation gives it back, which is synchronous, because an answer outlives the
function that opened it. Promises: those who wait are served in the order in which they came, one who is cancelled
passes the turn on, and nothing is kept of a conversation that nobody writes.
"""

import asyncio
from collections import deque

from gateway.errors import ConversationBusy


class WriterTurn:
    """The right to write one conversation."""

    def __init__(self, writers: "Writers", session_id: str) -> None:
        self._writers = writers
        self._session_id = session_id
        self._released = False

    def release(self) -> None:
        """Lets the next one write. Idempotent."""
        if not self._released:
            self._released = True
            self._writers.pass_on(self._session_id)


class Writers:
    """Who writes which conversation. One event loop's."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        """How many conversations are being written."""
        return len(self._waiting)

    async def take(self, session_id: str, wait_s: float = 0.0) -> WriterTurn:
        """The turn, as soon as it is free. Raises ConversationBusy where that is not within `wait_s`, with 0 at once.

        Safe to cancel.
        """
        queue = self._waiting.get(session_id)
        if queue is None:
            self._waiting[session_id] = deque()
            return WriterTurn(self, session_id)
        if wait_s <= 0:
            raise _busy()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await asyncio.wait((turn,), timeout=wait_s)
        except asyncio.CancelledError:
            if turn.done():
                self.pass_on(session_id)
            else:
                queue.remove(turn)
            raise
        if not turn.done():
            queue.remove(turn)
            raise _busy()
        return WriterTurn(self, session_id)

    def pass_on(self, session_id: str) -> None:
        """Gives the turn to whoever has waited longest. For WriterTurn, which does so once."""
        queue = self._waiting[session_id]
        if queue:
            queue.popleft().set_result(None)
        else:
            del self._waiting[session_id]


def _busy() -> ConversationBusy:
    return ConversationBusy(
        "The last message of this conversation is still being answered. Wait until that answer ends, then try again."
    )
