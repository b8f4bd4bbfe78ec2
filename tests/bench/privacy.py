"""How long the privacy detector takes, and that it grows with the length of a text and no faster.

    python -m tests.bench.privacy

Prints microseconds for ordinary messages of 1 KiB, and for each hostile text what 1, 16 and 64 KiB take: linear time is
16 and 64 times the first.
"""

import json
import statistics
import sys
import time
from pathlib import Path

from gateway.privacy.detector import find
from tests.bench.facts import machine_facts
from tests.bench.figures import table

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests" / "data" / "privacy" / "corpus.jsonl"
HOSTILE = (
    "a@",
    "1 ",
    "1",
    "my name is ",
    "DE89 ",
    "password is ",
    "12 a ",
    "0-",
    "five ",
    "I'm A ",
    "born ",
    "licence ",
)
KIB = 1024
ROUNDS = 5


def micros(text: str, rounds: int = ROUNDS) -> float:
    """The median of so many looks."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        find(text)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e6


def ordinary() -> list[str]:
    """The corpus's messages, one after the other, in pieces of 1 KiB."""
    said = " ".join(json.loads(line)["message"] for line in CORPUS.read_text("utf-8").splitlines())
    return [said[at : at + KIB] for at in range(0, len(said) - KIB, KIB)]


def main() -> int:
    """Prints both tables."""
    print(", ".join(f"{name} {value}" for name, value in machine_facts(ROOT).items()))
    taken = sorted(micros(text) for text in ordinary())
    print(f"1 KiB of the corpus: median {statistics.median(taken):.0f} us, slowest {taken[-1]:.0f} us\n")
    rows = []
    for piece in HOSTILE:
        first, *rest = (micros((piece * (KIB * factor))[: KIB * factor]) for factor in (1, 16, 64))
        rows.append([repr(piece), f"{first:,.0f}", *(f"{each / first:.1f}" for each in rest)])
    print(table(["repeated", "1 KiB, us", "16 KiB, times", "64 KiB, times"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
