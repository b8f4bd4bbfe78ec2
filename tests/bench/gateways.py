"""Measures the gateway against direct access and against other gateways."""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import uvloop

from tests.bench.gateway_load import Target
from tests.bench.gateway_measure import EngineControl, Measurer, Plan, Row
from tests.bench.peers.catalog import CONTENDERS, ROOT, Place
from tests.bench.peers.environments import Unavailable
from tests.bench.peers.running import Gateway, running


@contextlib.contextmanager
def _engine(core: int) -> Iterator[list[int]]:
    command = [sys.executable, "-m", "tests.bench.engine_source", "--core", str(core)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield list(json.loads(process.stdout.readline()))
        process.terminate()


def _turn(gateway: Gateway, engine: EngineControl, plan: Plan) -> dict[str, Row]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Measurer(gateway, engine, plan).turn())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--checkout", type=Path, default=ROOT)
    parser.add_argument("--scout-config", type=Path)
    parser.add_argument("--nice", type=int)
    args = parser.parse_args()
    if args.nice is not None:
        os.setpriority(os.PRIO_PROCESS, 0, args.nice)
        Path("/proc/self/autogroup").write_text(str(args.nice))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    plan = Plan(users=(1, 100), closed_s=1.5, paced_s=3.0) if args.quick else Plan()
    place = Place(ROOT / ".scout/bench", args.checkout, args.scout_config)
    place.folder.mkdir(parents=True, exist_ok=True)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    with _engine(cores[-1]) as ports:
        engine = EngineControl(ports[0])
        only = args.only.split(",") if args.only else []
        if not only or "direct" in only:
            for k, v in _turn(Gateway(Target(ports[0]), None), engine, plan).items():
                print("direct", k, json.dumps(v), flush=True)
        for contender in CONTENDERS:
            if only and contender.name not in only:
                continue
            try:
                version, command = contender.prepare(place, ports)
                with running(command, cores[0], place.folder / f"{contender.name.replace('/', '-')}.out") as gateway:
                    for k, v in _turn(gateway, engine, plan).items():
                        print(contender.name, version, k, json.dumps(v), flush=True)
            except Unavailable as error:
                print(contender.name, "unavailable", error, flush=True)


if __name__ == "__main__":
    main()
