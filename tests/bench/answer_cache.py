"""How long a look into the answer cache takes, by what is asked, with 10,000 answers in it.

    python -m tests.bench.answer_cache [--entries 10000] [--looks 20000]

Each time is that of making the key, message normalised and all, and of `fresh`: what a request spends there, without
HTTP. Kinds take turns. Prints a table in microseconds.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from gateway.cache import AnswerCache, CachedAnswer, key_of
from tests.bench.facts import machine_facts
from tests.bench.figures import percentile, table

ROOT = Path(__file__).parents[2]
ROUTE, PROMPT = "inventory.search", "0123456789ab"
TENANTS = ("north", "south", "west")
ANSWER = "We have several that match; the lowest prices are shown first. Which of them would you like to see? " * 4
TTL_S = 60.0


def message(number: int) -> str:
    """As customers write: capitals, spaces, marks at the end."""
    return f"  Do you have any  used SUVs under ${10_000 + number:,}, please?! "


def filled(entries: int) -> AnswerCache:
    """Roomy enough that nothing is thrown out."""
    cache = AnswerCache(max_bytes=entries * 4096, max_entry_bytes=4096)
    for number in range(entries):
        key = key_of(TENANTS[number % len(TENANTS)], ROUTE, PROMPT, 1, message(number))
        cache.store(key, CachedAnswer(ANSWER, "on-prem", 0.0))
    return cache


def measure(cache: AnswerCache, entries: int, looks: int) -> dict[str, list[float]]:
    """The times of each kind in microseconds, ascending."""

    def look(number: int, *, inventory: int = 1, now: float = 1.0, text: str = "") -> bool:
        tenant = TENANTS[number % len(TENANTS)]
        return cache.fresh(key_of(tenant, ROUTE, PROMPT, inventory, text or message(number)), now, TTL_S) is not None

    kinds: dict[str, tuple[bool, Callable[[int], bool]]] = {
        "hit": (True, look),
        "never asked": (False, lambda number: look(number + entries)),
        "too old": (False, lambda number: look(number, now=TTL_S)),
        "of an older stock": (False, lambda number: look(number, inventory=2)),
        "never asked, 8,000 characters": (False, lambda number: look(number, text=f"{number} " + "a car, " * 1142)),
    }
    rng, times = Random(1), {kind: list[float]() for kind in kinds}
    for _ in range(looks):
        number = rng.randrange(entries)
        for kind, (found, ask) in kinds.items():
            started = time.perf_counter()
            was_found = ask(number)
            times[kind].append((time.perf_counter() - started) * 1e6)
            assert was_found is found, kind
    return {kind: sorted(values) for kind, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--looks", type=int, default=20_000)
    arguments = parser.parse_args()
    cache = filled(arguments.entries)
    times = measure(cache, arguments.entries, arguments.looks)
    rows = [
        (kind, *(f"{percentile(each, share):,.1f}" for share in (0.5, 0.99)), f"{each[-1]:,.1f}")
        for kind, each in times.items()
    ]
    print(", ".join(f"{name} {value}" for name, value in machine_facts(ROOT).items()))
    print(f"\n{len(cache):,} answers, {cache.bytes / 1e6:.1f} MB, {arguments.looks:,} looks of each kind\n")
    print(table(("asked", "median us", "p99 us", "longest us"), rows))


if __name__ == "__main__":
    main()
