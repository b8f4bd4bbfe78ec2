"""What happens in an answer of the conversation door, whichever tier gives it: the encoders in `gateway.wire` write it.

Between the agent, which makes them, and the sender. Frozen values, fit for any client protocol.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Served:
    """From here on this tier speaks. `replica` and `model` where there is one; `cache` says how it was found there."""

    tier: str
    model: str | None = None
    replica: str | None = None
    cache: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """The next piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model asks for a tool, which is being run. `arguments` as the model wrote them, if they are JSON."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """The tool has answered, or said why it cannot. `summary` is one line for people, without personal data."""

    id: str
    name: str
    ok: bool
    summary: str


@dataclass(frozen=True, slots=True)
class Seam:
    """The tier that spoke has broken off; what follows was written by another one, to go on where it stopped."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is whole. `usage` is that of all rounds together."""

    reason: str
    usage: Mapping[str, int] = field(default_factory=dict)
    resumed: int = 0


Event = Served | Text | ToolCalled | ToolAnswered | Seam | Finished
