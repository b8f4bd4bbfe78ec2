"""The targets of the speed bench, held against what was measured. Pure: no I/O.

A comparison is made within a round and the median of the rounds decides, so that what slowed a whole round cancels
out. Where a peer was not measured its target is not met and not missed: it says so.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.bench.figures import Spread

OURS = "ours"
DIRECT = "direct"
SMG = "smg"
VLLM_ROUTERS = ("vllm-router", "vllm-router/p2c")
LITELLM = "litellm"

Rounds = Sequence[Mapping[str, Mapping[str, float]]]
"""Of one gateway: a round's results by load, and by what was measured under it. A round it sat out is empty."""
Results = Mapping[str, Rounds]


@dataclass(frozen=True)
class Verdict:
    """One target: what is wanted, what was measured, and whether that meets it; None where it was not measured."""

    wanted: str
    measured: str
    met: bool | None

    @property
    def word(self) -> str:
        """For the table."""
        return "not measured" if self.met is None else "met" if self.met else "MISSED"


def values(rounds: Rounds, load: str, name: str) -> list[float]:
    """What was measured in the rounds that have it; nan counts as not measured."""
    found = (round_.get(load, {}).get(name, math.nan) for round_ in rounds)
    return [value for value in found if not math.isnan(value)]


def compare(results: Results, load: str, name: str, peer: str, how: Callable[[float, float], float]) -> Spread | None:
    """`how(ours, the peer's)` of each round that has both; None without such a round."""
    pairs = zip(results.get(OURS, ()), results.get(peer, ()), strict=False)
    both = [
        (ours.get(load, {}).get(name, math.nan), theirs.get(load, {}).get(name, math.nan)) for ours, theirs in pairs
    ]
    found = [how(a, b) for a, b in both if not (math.isnan(a) or math.isnan(b))]
    return Spread.of(found) if found else None


def _ratio(ours: float, theirs: float) -> float:
    return ours / theirs if theirs else math.nan


def _against(results: Results, load: str, name: str, peers: Sequence[str]) -> dict[str, Spread]:
    found = {peer: compare(results, load, name, peer, _ratio) for peer in peers}
    return {peer: spread for peer, spread in found.items() if spread is not None}


def _ratio_verdict(wanted: str, spreads: Mapping[str, Spread], peers: int, good: Callable[[float], bool]) -> Verdict:
    """Met when it is good against every peer; a miss is certain without the others, a success is not."""
    text = ", ".join(f"{spread.text(2)} x {peer}" for peer, spread in spreads.items())
    all_good = all(good(spread.median) for spread in spreads.values())
    if not spreads or (all_good and len(spreads) < peers):
        return Verdict(wanted, text or "-", None)
    return Verdict(wanted, text, all_good)


def verdicts(results: Results) -> list[Verdict]:
    """All targets, in the order of the report."""
    routers = (SMG, *VLLM_ROUTERS)
    added = compare(results, "paced-100", "first_p99_ms", DIRECT, lambda ours, direct: ours - direct)
    memory = values(results.get(OURS, ()), "memory", "kib_per_stream_1000")
    return [
        _ratio_verdict(
            "streams a second per core, 100 at once: above each Rust router's (ratio > 1)",
            _against(results, "stream-100", "answers_per_cpu_s", routers),
            len(routers),
            lambda ratio: ratio > 1.0,
        ),
        _ratio_verdict(
            "CPU per chunk of 100 paced streams: below vllm-router's (ratio < 1)",
            _against(results, "paced-100", "cpu_us_per_chunk", VLLM_ROUTERS),
            len(VLLM_ROUTERS),
            lambda ratio: ratio < 1.0,
        ),
        _ratio_verdict(
            "CPU per chunk of 100 paced streams: at most 1.5 times SMG's",
            _against(results, "paced-100", "cpu_us_per_chunk", [SMG]),
            1,
            lambda ratio: ratio <= 1.5,
        ),
        _ratio_verdict(
            "JSON answers a second per core: at least 20 times LiteLLM's, 100 at once",
            _against(results, "json-100", "answers_per_cpu_s", [LITELLM]),
            1,
            lambda ratio: ratio >= 20.0,
        ),
        _limit_verdict("first content of 100 paced streams, p99: less than 5 ms later than direct", added, 5.0, "ms"),
        _limit_verdict(
            "memory of an open stream, at 1,000: below 50 KiB", Spread.of(memory) if memory else None, 50.0, "KiB"
        ),
    ]


def _limit_verdict(wanted: str, spread: Spread | None, limit: float, unit: str) -> Verdict:
    if spread is None:
        return Verdict(wanted, "-", None)
    return Verdict(wanted, f"{spread.text(1)} {unit}", spread.median < limit)
