"""What the overload's answers add up to, and the rows of its tables: no I/O.

A request counts once: it got a first token, was refused with a 429, met another error, or left without a token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.figures import percentile
from tests.bench.open_loop import Answer


@dataclass(frozen=True)
class Figures:
    """One load on one target. Latencies in seconds, of the requests that got a first token."""

    asked: int
    first: tuple[float, ...]
    whole: int
    refused: int
    errors: int
    left: int
    goodput: float
    """Tokens a second, of whole answers only: what a client got that could use it."""

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> "Figures":
        """`errors` are refusals other than 429, as a status or in the stream; `left` waited in vain for a token."""
        seconds = max((answer.ended_at for answer in answers), default=0.0)
        first = sorted(answer.first_content_s for answer in answers if answer.first_content_s is not None)
        refused = sum(answer.status == 429 for answer in answers)
        whole = [answer for answer in answers if answer.whole]
        goodput = sum(answer.tokens for answer in whole) / seconds if seconds else 0.0
        errors = sum(answer.broken or answer.status not in (None, 200, 429) for answer in answers)
        left = sum(
            answer.first_content_s is None and not answer.broken and answer.status in (None, 200) for answer in answers
        )
        return cls(len(answers), tuple(first), len(whole), refused, errors, left, goodput)

    def ms(self, share: float) -> str:
        """A percentile of the first-token times, as text."""
        return f"{1000 * percentile(self.first, share):,.0f}" if self.first else "-"

    def times(self, unloaded: "Figures", share: float) -> str:
        """The same percentile by the unloaded one."""
        if not self.first or not unloaded.first:
            return "-"
        return f"{percentile(self.first, share) / percentile(unloaded.first, share):.2f}"


@dataclass(frozen=True)
class Honesty:
    """What refused clients were told, and what became of those that believed it."""

    told: tuple[int, ...]
    back: int
    let_in: int

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> "Honesty":
        """`let_in` are those of `back` that got a first token."""
        told = tuple(sorted(answer.retry_after_s for answer in answers if answer.retry_after_s is not None))
        back = [answer for answer in answers if answer.came_back]
        return cls(told, len(back), sum(answer.first_content_s is not None for answer in back))

    def row(self, name: str) -> list[str]:
        """For the table."""
        spread = [str(percentile(self.told, share)) for share in (0.0, 0.5, 1.0)] if self.told else ["-"] * 3
        share = f"{self.let_in / self.back:.0%}" if self.back else "-"
        return [name, str(len(self.told)), *spread, str(self.back), str(self.let_in), share]


def row(name: str, arrivals: str, figures: Figures, unloaded: Figures) -> list[str]:
    """One load for the table."""
    admitted = f"{len(figures.first) / figures.asked:.0%}" if figures.asked else "-"
    latencies = [figures.ms(share) for share in (0.5, 0.95, 0.99)]
    ratios = [figures.times(unloaded, share) for share in (0.5, 0.95)]
    counts = [
        str(figures.asked),
        admitted,
        str(figures.whole),
        str(figures.refused),
        str(figures.errors),
        str(figures.left),
    ]
    return [name, arrivals, *counts, *latencies, *ratios, f"{figures.goodput:.0f}"]


HEAD = (
    "load",
    "arrivals",
    "asked",
    "got a token",
    "whole",
    "429",
    "other errors",
    "left",
    "TTFT p50 ms",
    "p95",
    "p99",
    "p50 x unloaded",
    "p95 x unloaded",
    "tokens/s",
)
HONESTY = ("refused by the gateway", "refusals", "Retry-After min s", "p50", "max", "came back", "let in", "share")
