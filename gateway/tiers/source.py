"""One answer under way, whichever tier it comes from: chunks to iterate over, and what is known of it at the end.

A source stands at its first content when it is opened. Whoever opened it closes it; closing is synchronous and may
be done at any time, any number of times.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from gateway.errors import GatewayError
from gateway.ports import ONLY_FIRST, Chunk
from gateway.routes import Tier


class Source(Protocol):
    """What every tier opens. `model` and `replica` say who speaks, where that is somebody; `cache` how it was found."""

    @property
    def tier(self) -> Tier: ...
    @property
    def model(self) -> str | None: ...
    @property
    def replica(self) -> str | None: ...
    @property
    def cache(self) -> str | None: ...
    @property
    def usage(self) -> Mapping[str, Any]:
        """The tokens so far, as the tier counts them; {} where there are none."""

    @property
    def finish_reason(self) -> str | None: ...
    @property
    def resumed(self) -> int: ...

    async def read(self) -> list[Chunk] | None:
        """The chunks that have come since; None once the answer is whole. Raises GatewayError when it breaks."""

    def stop(self, error: GatewayError) -> None:
        """`read` raises this, at the latest when what has come is read."""

    def close(self) -> None:
        """Gives everything back; the answer is cut if it is not whole."""


class Canned:
    """An answer that is there already, told in one piece. Satisfies `Source`."""

    model: str | None = None
    replica: str | None = None
    usage: Mapping[str, Any] = {}
    finish_reason: str | None = "stop"
    resumed = 0

    def __init__(self, tier: Tier, text: str, cache: str | None = None) -> None:
        self.tier = tier
        self.cache = cache
        self._text: str | None = text
        self._stopped: GatewayError | None = None

    async def read(self) -> list[Chunk] | None:
        """See the protocol."""
        if self._stopped is not None:
            raise self._stopped
        if self._text is None:
            return None
        text, self._text = self._text, None
        return [Chunk(b"", ONLY_FIRST, True, text, finished=((0, "stop"),))]

    def stop(self, error: GatewayError) -> None:
        """See the protocol."""
        self._stopped = error

    def close(self) -> None:
        """See the protocol."""
        self._text = None
