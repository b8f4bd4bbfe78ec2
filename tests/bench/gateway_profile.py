"""Where a Python gateway's time goes: py-spy samples it under each load, and the samples become a table.

By hand, for a picture instead of a table, while any load runs: `.scout/bench/py-spy/bin/py-spy record --pid PID
--duration 10 --format speedscope --output profile.json`, and open the file in speedscope. The raw samples of a run
stay in .scout/bench/profile-*.txt.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import uvloop

from tests.bench.figures import table
from tests.bench.gateway_load import Crowd
from tests.bench.gateway_measure import FIRST_S, GAP_S, PACED_TOKENS, TOKENS, EngineControl, request_body
from tests.bench.peers.environments import Unavailable, venv
from tests.bench.peers.running import Command, Gateway, running

PY_SPY = "py-spy==0.4.3"
RATE = 250
SECONDS = 10
USERS = 100
ROWS = 30
_LINE = re.compile(r":\d+\)$")


@dataclass(frozen=True)
class Flame:
    """Samples by function: `own` while it ran itself, `total` while it was anywhere on the stack."""

    samples: int
    own: Counter[str]
    total: Counter[str]


def flame(lines: Iterable[str]) -> Flame:
    """From py-spy's raw format: `outer (file:line);inner (file:line) COUNT`, a line a distinct stack."""
    samples, own, total = 0, Counter[str](), Counter[str]()
    for line in lines:
        stack, _, count = line.strip().rpartition(" ")
        if not stack:
            continue
        frames = [_LINE.sub(")", frame) for frame in stack.split(";")]
        samples += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):  # recursion counts once
            total[frame] += int(count)
    return Flame(samples, own, total)


def flame_table(found: Flame, rows: int) -> str:
    """The functions with the most own time; shares of all samples in which the gateway ran."""
    if not found.samples:
        return "no samples"
    share = 100 / found.samples
    cells = [
        [name, f"{share * count:.1f}", f"{share * found.total[name]:.1f}"]
        for name, count in found.own.most_common(rows)
    ]
    return table(["function", "own %", "total %"], cells)


def ancestors_table(found: Flame, rows: int) -> str:
    """The functions below which the most time was spent, without those below which all of it was."""
    share = 100 / max(found.samples, 1)
    told = [(name, count) for name, count in found.total.most_common() if count < 0.99 * found.samples]
    cells = [[name, f"{share * count:.1f}"] for name, count in told[:rows]]
    return table(["function", "total %"], cells)


async def _sample(py_spy: Path, gateway: Gateway, streamed: bool, spread_s: float, output: Path) -> None:
    assert gateway.process is not None
    crowd = Crowd(gateway.target, request_body(streamed), streamed)
    await crowd.join(USERS, spread_s)
    await asyncio.sleep(1.0)
    command = [str(py_spy), "record", "--pid", str(gateway.process.pid), "--duration", str(SECONDS)]
    command += ["--rate", str(RATE), "--format", "raw", "--output", str(output)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, words = await process.communicate()
    await crowd.leave()
    if process.returncode:
        raise Unavailable(f"py-spy: {words.decode(errors='replace').strip()[-300:]}")


def profile(command: Command, engine: EngineControl, folder: Path, core: int) -> str:
    """Tables for JSON answers, streams as fast as they go, and paced streams, 100 users each."""
    py_spy = venv(folder / "py-spy", PY_SPY) / "py-spy"
    loads = {
        "JSON answers": (False, 0.1, (TOKENS, 0.0, 0.0)),
        "streams": (True, 0.1, (TOKENS, 0.0, 0.0)),
        "paced streams": (True, FIRST_S + GAP_S * PACED_TOKENS, (PACED_TOKENS, FIRST_S, GAP_S)),
    }
    parts = []
    with running(command, core, folder / "profiled.out") as gateway:
        for name, (streamed, spread_s, pace) in loads.items():
            engine.pace(*pace)
            output = folder / f"profile-{name.replace(' ', '-')}.txt"
            cpu = gateway.cpu_s()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_sample(py_spy, gateway, streamed, spread_s, output))
            found = flame(output.read_text().splitlines())
            head = f"### {name}, {USERS} at once: {found.samples} samples, {gateway.cpu_s() - cpu:.1f} s of CPU"
            parts += [head, flame_table(found, ROWS), ancestors_table(found, ROWS)]
    return "\n\n".join(parts)
