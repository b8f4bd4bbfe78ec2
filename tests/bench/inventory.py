"""How long a search of the stock takes, by kind of search, in a stock of 10,000 vehicles.

    python -m tests.bench.inventory [--vehicles 10000] [--searches 200]

The stock is the seed over and over, with years, prices, mileages and colours moved about, in a SQLite file. Every time
is that of `await inventory.search(...)`, so the thread's turn is in it. Kinds take turns, so that none has the warm
cache to itself. Prints a table in milliseconds.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from gateway.dealership import stock_import
from gateway.dealership.inventory import Inventory
from gateway.dealership.vehicle import SearchQuery, Vehicle
from gateway.stores.database import Database
from tests.bench.facts import machine_facts
from tests.bench.figures import percentile, table

ROOT = Path(__file__).parents[2]
SEED = ROOT / "gateway" / "dealership" / "seed.csv"
TARGET_MS = 5.0
COLORS = ("white", "black", "silver", "gray", "blue", "red", "green", "orange")
KINDS = {
    "everything": SearchQuery(),
    "make and model": SearchQuery(make="Honda", model="CR-V"),
    "body, fuel, price range": SearchQuery(body_style="SUV", fuel_type="hybrid", min_price=20_000, max_price=35_000),
    "range only, by price": SearchQuery(max_price=30_000, max_mileage=60_000, min_year=2020, sort="price"),
    "range only, nothing": SearchQuery(max_price=1_000),
    "colour and seats": SearchQuery(color="blue", min_seats=7),
    "two features": SearchQuery(features=("heated seats", "awd")),
    "full text, rare": SearchQuery(text="flower shop"),
    "full text, common": SearchQuery(text="backup camera"),
    "full text and range": SearchQuery(text="winter tires", max_price=25_000, body_style="SUV"),
}


def stock(count: int, seed: list[Vehicle], rng: Random) -> Iterator[Vehicle]:
    """`count` vehicles, each like one of the seed."""
    for number in range(count):
        like = seed[number % len(seed)]
        moved = {
            "stock_number": f"B{number:05d}",
            "vin": None,
            "year": rng.randint(2016, 2026),
            "price": max(5_000, like.price + rng.randint(-8_000, 8_000)),
            "mileage": rng.randint(5, 120_000),
            "exterior_color": rng.choice(COLORS),
        }
        yield like.model_copy(update=moved)


async def measure(inventory: Inventory, searches: int) -> dict[str, tuple[int, list[float]]]:
    """Of each kind: how many vehicles match, and the times in milliseconds."""
    counts = {kind: (await inventory.search(query)).count for kind, query in KINDS.items()}
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(searches):
        for kind, query in KINDS.items():
            started = time.perf_counter()
            await inventory.search(query)
            times[kind].append((time.perf_counter() - started) * 1000)
    return {kind: (counts[kind], sorted(times[kind])) for kind in KINDS}


def report(found: dict[str, tuple[int, list[float]]]) -> str:
    rows = [
        (
            kind,
            f"{count:,}",
            f"{percentile(times, 0.5):.2f}",
            f"{percentile(times, 0.99):.2f}",
            "yes" if percentile(times, 0.5) < TARGET_MS else "NO",
        )
        for kind, (count, times) in found.items()
    ]
    return table(("search", "matches", "median ms", "p99 ms", f"median under {TARGET_MS:g} ms"), rows)


async def run(vehicles: int, searches: int) -> str:
    seed = list(stock_import.read(SEED.read_bytes()).vehicles)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/stock.db", timeout_s=60)
        try:
            inventory = Inventory(database)
            started = time.perf_counter()
            await inventory.replace_all(stock(vehicles, seed, Random(1)))
            imported_s = time.perf_counter() - started
            found = await measure(inventory, searches)
        finally:
            database.close()
    facts = ", ".join(f"{name} {value}" for name, value in machine_facts(ROOT).items())
    heading = f"{vehicles:,} vehicles, {searches} searches of each kind; imported in {imported_s:.1f} s"
    return "\n\n".join((facts, heading, report(found)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vehicles", type=int, default=10_000)
    parser.add_argument("--searches", type=int, default=200)
    arguments = parser.parse_args()
    print(asyncio.run(run(arguments.vehicles, arguments.searches)))


if __name__ == "__main__":
    main()
