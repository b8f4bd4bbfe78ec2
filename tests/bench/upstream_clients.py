"""Compares the streaming HTTP clients that the gateway could have used towards its replicas.

    python -m tests.bench.upstream_clients [--rounds 5] [--seconds 5] [--json FILE]

One process is the source of the streams, on one core; each measurement is a process of its own, on another. The
clients take turns, round after round, so that a disturbance of the machine meets all of them. Prints the report as
Markdown.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.bench.facts import machine_facts, started
from tests.bench.figures import Spread, ratios, table

CLIENTS = ("raw", "own", "aiohttp", "httpx-aiohttp", "httpx2", "httpx")
BASE = "aiohttp"
MODES = ("closed", "paced", "memory", "leave")
WAYS = {"cancel": "cancelled", "raise": "sink raised", "before-headers": "cancelled before headers"}
MODULES = ("aiohttp", "httptools", "httpx", "httpx2", "httpx_aiohttp", "psutil", "uvloop")
PACKAGES = (
    "aiohttp",
    "httpx-aiohttp",
    "httpx2",
    "httpcore2",
    "httpx",
    "httpcore",
    "h11",
    "httptools",
    "anyio",
    "sniffio",
    "uvloop",
)
AT_ONCE_TURNS = 1
"""By turns, not by time: on a busy machine the time is that of the source's process waiting for its core."""

Results = dict[str, dict[str, list[dict[str, object]]]]
"""By mode and client, one result a round."""


def _facts() -> dict[str, object]:
    """The machine, the commit, the versions."""
    parser = "C" if importlib.util.find_spec("aiohttp._http_parser") else "Python"
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {**machine_facts(Path.cwd()), "packages": packages, "aiohttp_parser": parser}


def _measure(client: str, mode: str, port: int, core: int, seconds: float) -> dict[str, object]:
    command = [sys.executable, "-m", "tests.bench.client_load", client, mode]
    command += ["--port", str(port), "--core", str(core), "--seconds", str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=60 + 2 * seconds)
    result: dict[str, object] = json.loads(done.stdout)
    return result


def run(clients: tuple[str, ...], rounds: int, seconds: float) -> Results:
    """All measurements, a line on standard error for each."""
    cores = sorted(os.sched_getaffinity(0))
    results: Results = {mode: {client: [] for client in clients} for mode in MODES}
    with started("tests.bench.sse_source", cores[0]) as line:
        port = int(line)
        for number in range(rounds):
            for mode in MODES:
                for client in clients:
                    result = _measure(client, mode, port, cores[-1], seconds)
                    results[mode][client].append(result)
                    print(f"round {number + 1}/{rounds} {mode} {client}: {json.dumps(result)}", file=sys.stderr)
    return results


def _column(results: list[dict[str, object]], name: str) -> list[float]:
    return [float(str(result[name])) for result in results]


def load_table(by_client: dict[str, list[dict[str, object]]], columns: dict[str, tuple[str, int]]) -> str:
    """A row a client: CPU per chunk, its ratio to the base, then `columns`: result name -> (head, digits)."""
    rows = []
    for client, results in by_client.items():
        cpu = _column(results, "cpu_us_per_chunk")
        times = ratios(cpu, _column(by_client[BASE], "cpu_us_per_chunk")) if BASE in by_client else None
        row = [client, Spread.of(cpu).text(1), times.text(2) if times else "-"]
        rows.append(row + [Spread.of(_column(results, name)).text(digits) for name, (_, digits) in columns.items()])
    return table(["client", "CPU us/chunk", f"x {BASE}", *(head for head, _ in columns.values())], rows)


def leave_table(by_client: dict[str, list[dict[str, object]]]) -> str:
    """A row a client. A cell: closed at once? The most turns of all tries; of the rounds' slowest tries, the median."""
    rows = []
    for client, results in by_client.items():
        row = [client]
        for way in WAYS:
            tries = [result[way] for result in results]
            assert all(isinstance(entry, dict) for entry in tries)
            turns = max(_column(tries, "turns"))  # type: ignore[arg-type]
            slowest = Spread.of(_column(tries, "milliseconds"))  # type: ignore[arg-type]
            row.append(f"{'yes' if turns <= AT_ONCE_TURNS else 'NO'} ({turns:.0f}; {slowest.median:.1f})")
        rows.append([*row, "yes" if all(result["pool_is_whole"] for result in results) else "NO"])
    return table(["client", *(f"{head} (turns; ms)" for head in WAYS.values()), "pool whole after"], rows)


def report(results: Results, facts: dict[str, object]) -> str:
    """The whole report in Markdown."""
    packages = facts["packages"]
    assert isinstance(packages, dict)
    closed = {
        "streams_per_s": ("streams/s", 0),
        "pieces_per_chunk": ("pieces/chunk", 2),
        "source_cpu_share": ("source busy", 2),
    }
    paced = {"delay_p50_ms": ("delay p50 ms", 2), "delay_p99_ms": ("delay p99 ms", 2), "cpu_share": ("core used", 2)}
    memory = [[c, Spread.of(_column(r, "kib_per_stream")).text(1)] for c, r in results["memory"].items()]
    return "\n\n".join(
        [
            f"{facts['date']}, commit {facts['commit']}, {facts['machine']}, Python {facts['python']}, load average "
            f"{facts['load_before']:.1f} before and {facts['load_after']:.1f} after, nice {facts['nice']}. "
            f"aiohttp's parser: {facts['aiohttp_parser']}. "
            + ", ".join(f"{name} {version}" for name, version in packages.items())
            + ".",
            "32 closed-loop streams\n\n" + load_table(results["closed"], closed),
            "100 paced streams\n\n" + load_table(results["paced"], paced),
            "500 open streams\n\n" + table(["client", "KiB/stream"], memory),
            "Leaving: is the connection closed at once?\n\n" + leave_table(results["leave"]),
        ]
    )


def main() -> None:
    """Compare, print the report, and write everything measured to `--json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of counting, a measurement under load (default 5)")
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=CLIENTS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="all results and the facts of the machine")
    args = parser.parse_args()
    if missing := [name for name in MODULES if importlib.util.find_spec(name) is None]:
        sys.exit(
            f"missing: {', '.join(missing)}. Install what the benchmark needs: pip install -r requirements/bench.txt"
        )
    facts = _facts()
    results = run(tuple(args.clients), args.rounds, args.seconds)
    facts["load_after"] = os.getloadavg()[0]
    print(report(results, facts))
    if args.json:
        args.json.write_text(json.dumps({"facts": facts, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
