"""What the core asks of the edges: an upstream that streams chunks, and how it tells that an attempt failed.

The contracts are here, the implementations in `gateway.upstreams`; tests may put their own behind the same protocols.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Protocol

import msgspec

from gateway.errors import GatewayError

Clock = Callable[[], float]
"""Seconds on a clock that only goes forward. Its zero means nothing."""


class Fault(Enum):
    """What a failed attempt says about the replica that was asked."""

    NONE = "none"
    """Nothing: the request was at fault, or the client, or another stream has told it already."""
    BUSY = "busy"
    """It refuses more work for now. That is no illness."""
    SUSPECT = "suspect"
    """It may be ill: it counts towards the breaker, and it is probed now."""
    UNREACHABLE = "unreachable"
    """It is gone: nothing more is sent to it until a probe succeeds."""


class AttemptFailed(Exception):
    """One try came to nothing. `error` is what the client is told if no other try succeeds.

    `cut` says that the replica broke the connection off after it had been given the request: it may have died of it.
    `reached` is False where not even a connection could be made: then the whole site may be gone.
    """

    def __init__(self, error: GatewayError, fault: Fault, *, cut: bool = False, reached: bool = True) -> None:
        super().__init__(error.message)
        self.error = error
        self.fault = fault
        self.cut = cut
        self.reached = reached


class StoreFailed(Exception):
    """The database could not be asked. Says why, for our own log: never a value of a row."""


Headers = Sequence[tuple[str, str]]

ONLY_FIRST = (0,)
"""The choices of nearly every chunk; shared, because there is one for each token."""


class Chunk(msgspec.Struct):
    """One event of an upstream's stream, in OpenAI's dialect. A struct of msgspec's, since there is one for each token.

    `raw` is the event as it came. A comment, which says only that the line is alive, has no `choices` and no `usage`.
    `content` tells whether it carries a piece of an answer, `text` is that piece for the first choice, `token_ids` its
    tokens, `tools` whether it is of a kind that cannot be continued elsewhere (a tool call, reasoning), `finished` has
    the choices that end with it and why, and `usage` is the token count where the chunk brings one.
    """

    raw: bytes
    choices: Sequence[int] = ()
    content: bool = False
    text: str = ""
    token_ids: Sequence[int] = ()
    prompt_token_ids: Sequence[int] | None = None
    tools: bool = False
    finished: tuple[tuple[int, str], ...] = ()
    usage: Mapping[str, Any] | None = None


class Answer(msgspec.Struct):
    """An answer that was not streamed: its bytes, its finish reason and its token counts ({} if none)."""

    raw: bytes
    finish_reason: str | None
    usage: Mapping[str, Any]


PassOn = Callable[[list[Chunk]], list[Chunk] | None]
"""Takes chunks as they come, without its caller's task; None while it wants more, else what it leaves of them."""


class Reply(msgspec.Struct):
    """The whole answer to a short question."""

    status: int
    body: bytes


class NoReply(Exception):
    """There was none. `reached` is False where not even a connection could be made."""

    def __init__(self, detail: str, *, reached: bool = True) -> None:
        super().__init__(detail)
        self.reached = reached


class Asker(Protocol):
    """Asks a replica short questions, beside the traffic."""

    async def ask(self, base_url: str, path: str, headers: Headers, body: bytes | None = None) -> Reply:
        """GET, or POST where there is a body. There is no time limit to it. Raises NoReply. Safe to cancel."""


class UpstreamStream(Protocol):
    """A stream under way. Whoever opened it closes it; closing is synchronous, idempotent and always allowed."""

    async def read(self, pass_on: PassOn | None = None) -> list[Chunk] | None:
        """The chunks that have come since, at least one; None once the stream has ended with [DONE].

        Those that come while this waits are given to `pass_on`, if there is one, as long as it wants more; then what it
        has left is returned, which may be none. It is not given what comes together with the stream's end.

        Raises AttemptFailed when the connection breaks, when the upstream reports an error in-band, and when the body
        ends before [DONE]. Safe to cancel; the stream can then only be closed.
        """

    @property
    def over(self) -> bool:
        """Whether the whole stream has come, [DONE] and all: what has been read is the last of it."""

    def interrupt(self, failure: Exception) -> None:
        """The read under way, or the next one, raises this. For watchdogs; the first one counts."""

    def close(self) -> None:
        """Frees the connection. A stream that has not ended is cut, which tells the replica to stop generating."""


class Upstream(Protocol):
    """A service that answers chat completions, at one of several base URLs."""

    async def open(self, base_url: str, body: Mapping[str, Any], request_id: str) -> UpstreamStream:
        """Asks for a stream; returns once the answer's headers are there. Raises AttemptFailed. Safe to cancel."""

    async def ask(self, base_url: str, body: Mapping[str, Any], request_id: str) -> Answer:
        """The whole answer, not streamed. Raises AttemptFailed. Safe to cancel."""
