"""The client's end of one request's connection: whether it is still there, and a way to write to it at once.

The server's protocol (`gateway.http_protocol`) puts it into the request's scope. ASGI has no such thing: there, a task
of its own must wait for the news that the client has left, and every piece of a body takes a coroutine.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from starlette.types import Scope

EXTENSION = "scout.client_end"


class Flow(Protocol):
    """uvicorn's: whether the client takes what it is sent."""

    write_paused: bool


class ClientEnd:
    """One request's."""

    __slots__ = ("_flow", "_transport", "left", "on_left")

    def __init__(self, transport: asyncio.WriteTransport, flow: Flow) -> None:
        self.left = False
        """Whether the client has left before its answer was complete."""
        self.on_left: Callable[[], None] | None = None
        """Called when it does."""
        self._transport = transport
        self._flow = flow

    @property
    def writable(self) -> bool:
        """Whether more may be written now: the client is there, and takes what it is sent."""
        return not self.left and not self._flow.write_paused

    def write(self, data: bytes) -> None:
        """The next piece of a body that is sent in chunks and whose head has been sent. Not to be empty."""
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def lost(self) -> None:
        """The protocol's: the connection is gone."""
        self.left = True
        on_left, self.on_left = self.on_left, None
        if on_left is not None:
            on_left()


def client_end(scope: Scope) -> ClientEnd:
    """The one of a request that came through our server's protocol. Raises KeyError for any other."""
    end: ClientEnd = scope["extensions"][EXTENSION]
    return end
