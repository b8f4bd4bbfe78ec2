"""What the core asks of the edges: an upstream that streams chunks, and how it tells that an attempt failed.

The contracts are here, the implementations in `gateway.upstreams`; tests may put their own behind the same protocols.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from gateway.errors import GatewayError

Clock = Callable[[], float]
"""Seconds on a clock that only goes forward. Its zero means nothing."""


class Fault(Enum):
    """What a failed attempt says about the replica that was asked."""

    NONE = "none"
    """Nothing: the request was at fault, or the replica is merely busy."""
    SUSPECT = "suspect"
    """It may be ill: probe it now, keep using it until the probe tells."""
    UNREACHABLE = "unreachable"
    """It is gone: nothing more is sent to it until a probe succeeds."""


class AttemptFailed(Exception):
    """One try came to nothing. `error` is what the client is told if no other try succeeds."""

    def __init__(self, error: GatewayError, fault: Fault) -> None:
        super().__init__(error.message)
        self.error = error
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of an upstream's stream, in OpenAI's dialect.

    `raw` is the event as it came and `body` its JSON ({} for a comment, which says only that the line is alive);
    `content` tells whether it carries a piece of an answer, `finished` has the choices that end with it and why, and
    `usage` is the token count where the chunk brings one.
    """

    raw: bytes
    body: Mapping[str, Any]
    content: bool = False
    finished: tuple[tuple[int, str], ...] = ()
    usage: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was not streamed: its bytes as they came, the same parsed, and its token counts ({} if none)."""

    raw: bytes
    body: Mapping[str, Any]
    usage: Mapping[str, Any]


class UpstreamStream(Protocol):
    """A stream under way. Whoever opened it closes it; closing is synchronous, idempotent and always allowed."""

    async def read(self) -> list[Chunk] | None:
        """The chunks that have come since, at least one; None once the stream has ended with [DONE].

        Raises AttemptFailed when the connection breaks, when the upstream reports an error in-band, and when the body
        ends before [DONE]. Safe to cancel; the stream can then only be closed.
        """

    def close(self) -> None:
        """Frees the connection. A stream that has not ended is cut, which tells the replica to stop generating."""


class Upstream(Protocol):
    """A service that answers chat completions, at one of several base URLs."""

    async def open(self, base_url: str, body: Mapping[str, Any], request_id: str) -> UpstreamStream:
        """Asks for a stream; returns once the answer's headers are there. Raises AttemptFailed. Safe to cancel."""

    async def ask(self, base_url: str, body: Mapping[str, Any], request_id: str) -> Answer:
        """The whole answer, not streamed. Raises AttemptFailed. Safe to cancel."""
