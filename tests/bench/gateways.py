"""Measures the gateway against direct access and against other gateways, all before the same mock of three replicas.

    ./scout bench [--quick] [--only ours,direct,smg] [--rounds 3] [--json FILE] [--profile ours]

Every gateway is installed into an environment of its own below .scout/bench, runs with one worker on the first core,
and has its turn in each round; the mock and the load share the last core. tests/bench/SPEED.md explains the figures.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import shlex
import signal
import sys
from dataclasses import asdict
from pathlib import Path

import uvloop

from tests.bench.facts import machine_facts, started
from tests.bench.gateway_load import Target
from tests.bench.gateway_measure import TOKENS, EngineControl, Measurer, Plan, request_body
from tests.bench.gateway_probe import check
from tests.bench.gateway_profile import profile
from tests.bench.peers.catalog import CONTENDERS, ROOT, Contender, Place
from tests.bench.peers.environments import Unavailable
from tests.bench.peers.running import Command, Gateway, running
from tests.bench.speed_report import Outcome, report
from tests.bench.speed_targets import DIRECT

FULL = Plan()
QUICK = Plan(users=(1, 10, 100), closed_s=1.0, paced_s=2.0, open_streams=(10, 1000))
NAMES = (DIRECT, *(contender.name for contender in CONTENDERS))


class Run:
    """One run: who takes part, where, and what was found so far."""

    def __init__(self, place: Place, ports: list[int], core: int, plan: Plan) -> None:
        self.outcome = Outcome()
        self._place = place
        self._ports = ports
        self._engine = EngineControl(ports[0])
        self._core = core
        self._plan = plan
        self._commands: dict[str, Command] = {}

    def prepare(self, contenders: list[Contender]) -> list[Contender]:
        """Those that are installed and can be measured; the others become rows with a reason."""
        good = []
        for contender in contenders:
            _say(f"{contender.name}: installing")
            try:
                version, command = contender.prepare(self._place, self._ports)
            except Unavailable as error:
                self._give_up(contender.name, error)
                continue
            self._commands[contender.name] = command
            self.outcome.versions[contender.name] = version
            self.outcome.notes[contender.name] = contender.notes
            good.append(contender)
        return good

    def direct(self) -> None:
        """A turn without a gateway."""
        self.outcome.versions[DIRECT] = "-"
        self.outcome.notes[DIRECT] = "the load straight on the mock, no gateway: the ceiling of the bench"
        self._measure(DIRECT, Gateway(Target(self._ports[0]), None))

    def turn(self, contender: Contender, number: int) -> None:
        """A gateway's turn in a round; a fresh process, checked before it is measured."""
        name = contender.name
        if number >= contender.most_rounds or name in self.outcome.reasons:
            self.outcome.results.setdefault(name, []).append({})
            return
        log = self._place.folder / f"{name.replace('/', '-')}.out"
        try:
            with running(self._commands[name], self._core, log) as gateway:
                self._engine.pace(TOKENS, 0.0, 0.0)
                checked = check(gateway.target, request_body(False), request_body(True), TOKENS)
                asks = "asks for a key" if checked.asks_for_key else "asks for no key"
                self.outcome.notes[name] = "; ".join(filter(None, (contender.notes, asks, checked.stream_fault)))
                self._measure(name, gateway, streams_work=not checked.stream_fault)
        except Unavailable as error:
            self.outcome.results.setdefault(name, []).append({})
            self._give_up(name, error)

    def _measure(self, name: str, gateway: Gateway, streams_work: bool = True) -> None:
        measurer = Measurer(gateway, self._engine, self._plan)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rows = runner.run(measurer.turn(streams_work))
        self.outcome.results.setdefault(name, []).append(rows)
        if measurer.troubles:
            self.outcome.troubles.setdefault(name, []).extend(measurer.troubles)
        _say(f"{name}: {json.dumps(rows)}")

    def _give_up(self, name: str, error: Unavailable) -> None:
        self.outcome.reasons[name] = str(error)
        _say(f"{name}: {error}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _settle(nice: int | None) -> tuple[int, int]:
    """Files, priority, cores: the core for the gateway, and the one for the rest, which is ours from now on."""
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    if nice is not None:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        with contextlib.suppress(OSError):  # where the kernel groups sessions, nice counts within one only
            Path("/proc/self/autogroup").write_text(str(nice))
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("the bench needs two cores: one for the gateway, one for the load")
    os.sched_setaffinity(0, {cores[-1]})
    return cores[0], cores[-1]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round, up to 100 users")
    parser.add_argument("--rounds", type=int, help="default 3, with --quick 1")
    parser.add_argument("--only", metavar="NAMES", help=f"comma-separated, of: {', '.join(NAMES)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all results and the facts of the machine")
    parser.add_argument("--nice", type=int, help="priority of the whole bench, for a machine that is not idle")
    parser.add_argument("--profile", choices=NAMES[1:], help="no figures: where this gateway's Python time goes")
    parser.add_argument("--checkout", type=Path, default=ROOT, help="another checkout to measure as ours")
    parser.add_argument("--scout-config", type=Path, metavar="TOML", help="its configuration, where ours does not fit")
    args = parser.parse_args()
    args.only = args.only.split(",") if args.only else list(NAMES)
    if unknown := set(args.only) - set(NAMES):
        parser.error(f"no such gateway: {', '.join(sorted(unknown))}")
    return args


def main() -> None:
    """Measure in rounds, print the report, and write everything measured to `--json`."""
    args = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    facts = machine_facts(args.checkout)
    core, own_core = _settle(args.nice)
    place = Place(ROOT / ".scout" / "bench", args.checkout, args.scout_config)
    place.folder.mkdir(parents=True, exist_ok=True)
    plan = QUICK if args.quick else FULL
    rounds = args.rounds or (1 if args.quick else 3)
    with started("tests.bench.engine_source", own_core) as line:
        run = Run(place, json.loads(line), core, plan)
        if args.profile:
            contender = next(contender for contender in CONTENDERS if contender.name == args.profile)
            ports = json.loads(line)
            print(profile(contender.prepare(place, ports)[1], EngineControl(ports[0]), place.folder, core))
            return
        contenders = run.prepare([contender for contender in CONTENDERS if contender.name in args.only])
        for number in range(rounds):
            _say(f"round {number + 1} of {rounds}")
            if DIRECT in args.only:
                run.direct()
            for contender in contenders:
                run.turn(contender, number)
    command = shlex.join(["./scout", "bench", *sys.argv[1:]])
    facts |= {"command": command, "rounds": rounds, "nice": args.nice or 0, "load_after": os.getloadavg()[0]}
    run.outcome.versions["ours"] = str(facts["commit"])
    print(report(run.outcome, facts, plan.users, plan.open_streams))
    if args.json:
        args.json.write_text(json.dumps({"facts": facts, **asdict(run.outcome)}, indent=1) + "\n")


if __name__ == "__main__":
    main()
