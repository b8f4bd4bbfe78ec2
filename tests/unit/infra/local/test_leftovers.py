import os
import sys
from pathlib import Path

from rich.console import Console

from infra.local.leftovers import end_leftovers
from infra.local.plan import MARKER
from infra.local.processes import Identity, spawn
from infra.local.settings import StackSettings
from infra.local.state import Phase, ServiceStatus, StackStatus, Stage, StateDir
from tests.unit.infra.local.waiting import until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def prepared(path: Path, *services: Identity) -> StateDir:
    state = StateDir(path)
    state.prepare()
    statuses = [ServiceStatus(name=f"s{i}", stage=Stage.READY, url="", process=who) for i, who in enumerate(services)]
    state.write_status(
        StackStatus(
            settings=StackSettings(root=path, state_dir=path, engine_python=path),
            phase=Phase.READY,
            supervisor=Identity(pid=os.getpid(), started=0),
            services=tuple(statuses),
        )
    )
    return state


def test_processes_of_a_stack_whose_supervisor_and_guard_died_are_ended(tmp_path: Path) -> None:
    marked = spawn(SLEEPER, {**os.environ, MARKER: str(tmp_path)}, tmp_path, tmp_path / "log")
    remembered = spawn(SLEEPER, os.environ, tmp_path, tmp_path / "log")
    state = prepared(tmp_path, Identity.of(remembered.pid))
    state.write_pid("s0", remembered.pid)
    # The marker can be read only after exec.
    until(lambda: MARKER.encode() in Path(f"/proc/{marked.pid}/environ").read_bytes(), "the marked process")
    console = Console(record=True)
    assert end_leftovers(state, console)
    assert "Ending 2 processes" in console.export_text()
    assert marked.wait() and remembered.wait()
    assert not list(tmp_path.glob("*.pid"))


def test_pid_that_means_somebody_else_now_is_left_alone(tmp_path: Path) -> None:
    stranger = spawn(SLEEPER, os.environ, tmp_path, tmp_path / "log")
    former = Identity(pid=stranger.pid, started=Identity.of(stranger.pid).started - 100)
    state = prepared(tmp_path, former)
    state.write_pid("s0", stranger.pid)
    assert not end_leftovers(state, Console())
    assert stranger.poll() is None
    assert not list(tmp_path.glob("*.pid"))
    stranger.kill()
    stranger.wait()


def test_nothing_is_found_where_nothing_was(tmp_path: Path) -> None:
    assert not end_leftovers(StateDir(tmp_path / "nowhere"), Console())
