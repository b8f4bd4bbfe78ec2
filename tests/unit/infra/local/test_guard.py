import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.guard import Guard, watch_until_end
from infra.local.plan import MARKER
from infra.local.processes import Identity, members, spawn
from infra.local.state import StateDir
from tests.unit.infra.local.supervised import ROOT
from tests.unit.infra.local.waiting import until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]

# A supervisor that tells the guard of one process and is killed before it can tell of the second.
UNTOLD = """
import os, sys, time
from pathlib import Path
from infra.local.guard import Guard
from infra.local.plan import MARKER
from infra.local.processes import Identity, spawn
from infra.local.state import StateDir

state = StateDir(Path(sys.argv[1]))
guard = Guard(state, Path.cwd(), state.hold())
env = {**os.environ, MARKER: sys.argv[1]}
sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
told, untold = (spawn(sleeper, env, Path.cwd(), state.log("x")) for _ in range(2))
guard.watch("told", Identity.of(told.pid))
print("started", flush=True)
time.sleep(600)
"""


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir(tmp_path)
    state.prepare()
    return state


def test_process_that_the_guard_was_not_told_of_ends_too(state: StateDir) -> None:
    command = [sys.executable, "-c", UNTOLD, str(state.path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout and supervisor.stdout.readline() == b"started\n"
        assert len(members([], marker=str(state.path))) == 2
        supervisor.kill()
    until(lambda: not members([], marker=str(state.path)), "both are gone")
    assert state.wait_until_free(10)
    assert "nothing is left" in state.log("guard").read_text()


def test_guard_is_deaf_to_signals_and_leaves_when_dismissed(state: StateDir) -> None:
    lock = state.hold()
    assert lock is not None
    guard = Guard(state, ROOT, lock)
    identity = Identity.of(guard.pid)
    process = spawn(SLEEPER, {**os.environ, MARKER: str(state.path)}, ROOT, state.log("x"))
    guard.watch("x", Identity.of(process.pid))
    guard.forget("x")
    process.kill()
    process.wait()
    guard.dismiss()
    assert not identity.is_alive()
    assert state.log("guard").read_text() == ""
    os.close(lock)


def test_lines_are_followed_to_their_end() -> None:
    lines = io.StringIO("watch a 10 100\nwatch b 11 101\nforget a\nwatch b 12 102\n")
    assert watch_until_end(lines) == {"b": Identity(pid=12, started=102)}
