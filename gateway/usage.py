"""One row of the usage ledger: an answer of a tier, its tokens and its price. No text, and nobody's conversation. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.costs import count


@dataclass(frozen=True, slots=True)
class Usage:
    """`at` is in epoch seconds. A request has a row for each answer that it caused: rounds of tools, a race's losers.

    `estimated` says that the tier has not counted the tokens itself: it was left, or broke, before it had.
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
    cost_micros: int
    estimated: bool
    duration_s: float

    @classmethod
    def of(cls, usage: Mapping[str, Any], **known: Any) -> "Usage":
        """A row with the counts of a usage as OpenAI writes it."""
        return cls(
            prompt_tokens=count(usage, "prompt_tokens"), completion_tokens=count(usage, "completion_tokens"), **known
        )
