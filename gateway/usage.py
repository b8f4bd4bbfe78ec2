"""One row of the usage ledger: an answer of a tier, its tokens and its price. No text of anybody's. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.costs import cached_count, count


@dataclass(frozen=True, slots=True)
class Usage:
    """`at` is in epoch seconds. A request has a row for each answer that it caused: rounds of tools, a race's losers.

    `cached_tokens` are among `prompt_tokens`. `estimated` says that the tier has not counted the tokens itself: it was
    left, or broke, before it had. Then they are counted by who read the stream, from the token ids where it carries
    them, else from the bytes sent and received.
    """

    at: float
    tenant: str
    request_id: str
    endpoint: str
    route: str
    tier: str
    model: str | None
    outcome: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost_micros: int
    estimated: bool
    duration_s: float

    @classmethod
    def of(cls, usage: Mapping[str, Any], **known: Any) -> "Usage":
        """A row with the counts of a usage as OpenAI writes it."""
        return cls(
            prompt_tokens=count(usage, "prompt_tokens"),
            completion_tokens=count(usage, "completion_tokens"),
            cached_tokens=cached_count(usage),
            **known,
        )
