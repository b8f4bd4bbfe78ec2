"""What ten times too many clients do to those that are let in, and the same load straight on nginx.

    ./scout up
    python -m tests.bench.overload [--env .scout/env] [--gateway URL --key K] [--seconds 40]

Starts a gateway of its own over the stack's replicas unless it is given one. First a few streams at a time (unloaded)
and as many as there are places (capacity), then ten times the capacity by the clock, then a burst of ten times the
places in which everybody who is refused comes back once, when told to. Prints the report as Markdown.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.facts import machine_facts
from tests.bench.figures import percentile, table
from tests.bench.open_loop import Answer, Load, Target, evenly_at_random
from tests.bench.overload_report import HEAD, HONESTY, Figures, Honesty, row
from tests.bench.prefix_cache import read_env
from tests.support.gateway_process import ROOT, Upstream, gateway_process

SETTLES_S = 3.0
"""Between two loads: whoever was still there has been cut off, and the engines have let go of it."""

OVERLOAD = 10
RETURNING = 0.1
"""Of those that are refused during the long overload. In a burst it is all of them."""


@dataclass(frozen=True)
class Plan:
    """The load's measures, and the gateway's settings where we start it."""

    replicas: int
    per_replica: int
    max_queued: int
    max_wait_s: float
    few: int
    tokens: int
    seconds: float
    patience_s: float

    @property
    def places(self) -> int:
        """Requests that the pool serves at once."""
        return self.replicas * self.per_replica

    @property
    def toml(self) -> str:
        """The settings an operator would tune for this."""
        return (
            f"[admission]\nmax_concurrent_per_replica = {self.per_replica}\n"
            f"max_queued = {self.max_queued}\nmax_wait_s = {self.max_wait_s}\n"
        )


def first_tries(answers: Sequence[Answer]) -> list[Answer]:
    """Without those of clients that came back: they make a load of their own."""
    return [answer for answer in answers if not answer.came_back]


async def closed(plan: Plan, target: Target, users: int, seed: int) -> tuple[Figures, float]:
    """So many users at a time, and whole answers a second. Raises RuntimeError when there are none."""
    load = Load(target, plan.tokens, plan.patience_s, seed)
    await load.users(users, plan.seconds / 2)
    figures, took_s = Figures.of(load.answers), load.now()
    await asyncio.sleep(SETTLES_S)
    if not figures.whole:
        raise RuntimeError(f"no answer came whole from {target.url} with {users} users: {figures}")
    return figures, figures.whole / took_s


async def overload(plan: Plan, target: Target, rate: float, seed: int) -> list[Answer]:
    """So many arrivals a second, and some of the refused come back."""
    load = Load(target, plan.tokens, plan.patience_s, seed)
    await load.arrive(list(evenly_at_random(rate, plan.seconds, seed)), RETURNING)
    await asyncio.sleep(SETTLES_S)
    return load.answers


async def burst(plan: Plan, target: Target, seed: int) -> list[Answer]:
    """Ten times the places at once; who is refused comes back once."""
    load = Load(target, plan.tokens, plan.patience_s, seed)
    await load.arrive([0.0] * (OVERLOAD * plan.places), 1.0)
    return load.answers


@contextlib.contextmanager
def apart(state: Path, wanted: bool) -> Iterator[str]:
    """Holds the stack's engines to the first core, and us, and the gateway that we start, to the others.

    So neither the clients nor the gateway take time from the engines whose speed is measured. Says what was done.
    """
    cores = sorted(os.sched_getaffinity(0))
    if not wanted or len(cores) < 2:
        yield "engines, gateway and clients share all cores"
        return
    services = json.loads((state / "stack.json").read_text())["services"]
    engines = [service["process"]["pid"] for service in services if service["name"].startswith("replica-")]
    try:
        _hold(engines, cores[:1])
        os.sched_setaffinity(0, cores[1:])
        yield f"{len(engines)} engines on core {cores[0]}, everything else on {cores[1:]}"
    finally:
        _hold(engines, cores)
        os.sched_setaffinity(0, cores)


def _hold(roots: Sequence[int], cores: Sequence[int]) -> None:
    """All threads of these processes and of what they have forked."""
    for root in map(psutil.Process, roots):
        for process in (root, *root.children(recursive=True)):
            for thread in process.threads():
                with contextlib.suppress(ProcessLookupError):  # it may have ended meanwhile
                    os.sched_setaffinity(thread.id, cores)


def queue_waits(log: Path) -> tuple[float, ...]:
    """Seconds in the queue of each request that was served, in order of length, as the gateway's log has them."""
    lines = (json.loads(line) for line in log.read_text().splitlines())
    return tuple(sorted(line["queued_s"] for line in lines if line["event"] == "request" and line["outcome"] == "ok"))


@contextlib.contextmanager
def gateway(args: argparse.Namespace, plan: Plan, env: dict[str, str]) -> Iterator[Target]:
    """The one that was given, or one over the stack's replicas."""
    if args.gateway:
        yield Target(args.gateway, args.key or env["SCOUT_KEY"], env["SCOUT_MODEL"])
        return
    upstream = Upstream(env["REPLICA_URLS"].split(","), env["ONPREM_KEY"])
    with tempfile.TemporaryDirectory() as directory:
        toml = plan.toml + f'[on_prem]\nmodel = "{env["SCOUT_MODEL"]}"\n'
        with gateway_process(upstream, toml, Path(directory)) as running:
            yield Target(running.url, running.key, env["SCOUT_MODEL"])
            if waits := queue_waits(running.log):
                shown = ", ".join(f"p{share:.0%} {1000 * percentile(waits, share):,.0f} ms" for share in (0.5, 0.95, 1))
                print(f"\nIn the gateway's queue, whoever was served in any of its loads: {shown}".replace("%", ""))


async def report(plan: Plan, ours: Target, straight: Target, say: Callable[[str], None]) -> None:
    """Measures, and says the tables.

    Full, with as many users as places and nobody refused, is the control: what is slower there than unloaded is the
    engines' work on more streams, and only what the overload adds to it is the overload's.
    """
    unloaded, _ = await closed(plan, ours, plan.few, 100)
    full, per_second = await closed(plan, ours, plan.places, 101)
    rate = OVERLOAD * per_second
    answers = await overload(plan, ours, rate, 102)
    sudden = await burst(plan, ours, 103)
    await asyncio.sleep(SETTLES_S)
    bare_unloaded, _ = await closed(plan, straight, plan.few, 200)
    bare_full, _ = await closed(plan, straight, plan.places, 201)
    bare = await overload(plan, straight, rate, 202)
    few, places, arrivals = f"{plan.few} at a time", f"{plan.places} at a time", f"{rate:.1f}/s"
    rows = [
        row("gateway, unloaded", few, unloaded, unloaded),
        row("gateway, full", places, full, unloaded),
        row("gateway, overloaded", arrivals, Figures.of(first_tries(answers)), unloaded),
        row("nginx, unloaded", few, bare_unloaded, bare_unloaded),
        row("nginx, same users", places, bare_full, bare_unloaded),
        row("nginx, overloaded", arrivals, Figures.of(first_tries(bare)), bare_unloaded),
    ]
    lasting = Honesty.of(answers).row(f"{OVERLOAD}x for {plan.seconds:.0f} s, {RETURNING:.0%} come back")
    at_once = Honesty.of(sudden).row(f"{len(first_tries(sudden))} at once, all come back")
    say(table(HEAD, rows))
    say("")
    say(table(HONESTY, [lasting, at_once]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", type=Path, default=Path(".scout/env"), help="of a running stack")
    parser.add_argument("--gateway", metavar="URL", help="another gateway before the same replicas")
    parser.add_argument("--key", help="for that gateway; else SCOUT_KEY")
    parser.add_argument("--per-replica", type=int, default=2, help="max_concurrent_per_replica")
    parser.add_argument("--max-queued", type=int, default=2)
    parser.add_argument("--max-wait-s", type=float, default=0.05)
    parser.add_argument("--few", type=int, default=3, help="streams at a time that count as no load")
    parser.add_argument("--tokens", type=int, default=64, help="of each answer")
    parser.add_argument("--seconds", type=float, default=40.0, help="of the overload")
    parser.add_argument("--share-cores", action="store_true", help="do not give the engines a core of their own")
    parser.add_argument("--patience-s", type=float, default=10.0, help="a client without a token leaves after that")
    args = parser.parse_args()
    env = read_env(args.env)
    plan = Plan(
        len(env["REPLICA_URLS"].split(",")),
        args.per_replica,
        args.max_queued,
        args.max_wait_s,
        args.few,
        args.tokens,
        args.seconds,
        args.patience_s,
    )
    print("python -m tests.bench.overload", *sys.argv[1:])
    print(", ".join(f"{name} {value}" for name, value in machine_facts(ROOT).items()))
    print(f"{plan}\n")
    with apart(args.env.parent, not args.share_cores) as told, gateway(args, plan, env) as ours:
        print(f"{told}\n")
        asyncio.run(report(plan, ours, Target(env["ONPREM_URL"], env["ONPREM_KEY"], env["SCOUT_MODEL"]), print))
    print(f"\nload average after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
