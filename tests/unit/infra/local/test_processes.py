import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from infra.local.plan import MARKER
from infra.local.processes import Identity, end, environment, members, spawn
from tests.unit.infra.local.waiting import until

SLEEPER = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]).wait()"


def launch(tmp_path: Path, program: str, **env: str) -> tuple[subprocess.Popen[bytes], Identity]:
    process = spawn([sys.executable, "-c", program], {**os.environ, **env}, tmp_path, tmp_path / "log")
    return process, Identity.of(process.pid)


def test_child_that_ignores_termination_dies_with_its_session(tmp_path: Path) -> None:
    process, leader = launch(tmp_path, PARENT)
    until(lambda: "deaf" in (tmp_path / "log").read_text(), "the child")
    assert len(members([leader])) == 2
    assert end([leader], grace_s=0.3) == []
    assert members([leader]) == []
    process.wait()


def test_orphans_of_a_killed_leader_are_still_its_members(tmp_path: Path) -> None:
    process, leader = launch(tmp_path, PARENT)
    until(lambda: "deaf" in (tmp_path / "log").read_text(), "the child")
    process.kill()
    process.wait()
    (orphan,) = (Identity.of(process.pid) for process in members([leader]))
    assert end([leader], grace_s=0.1) == []
    assert not orphan.is_alive()


def test_willing_process_is_ended_without_being_killed(tmp_path: Path) -> None:
    process, leader = launch(tmp_path, SLEEPER)
    assert end([leader], grace_s=10) == []
    assert process.wait() == -signal.SIGTERM


def test_recycled_pid_is_nobody_of_ours(tmp_path: Path) -> None:
    process, leader = launch(tmp_path, SLEEPER)
    former = Identity(pid=leader.pid, started=leader.started - 1)
    assert not former.is_alive()
    assert members([former]) == []
    assert end([former], grace_s=0.1) == []
    assert process.poll() is None
    end([leader], grace_s=10)
    process.wait()


def test_marker_finds_what_has_left_the_session(tmp_path: Path) -> None:
    marked = {MARKER: str(tmp_path)}
    process, leader = launch(tmp_path, f"import os; os.fork() or os.setsid(); {SLEEPER}", **marked)
    until(lambda: len(members([], marker=str(tmp_path))) == 2, "both")
    assert end([leader], grace_s=0.2, marker=str(tmp_path)) == []
    assert members([], marker=str(tmp_path)) == []
    process.wait()


def test_zombie_counts_as_dead(tmp_path: Path) -> None:
    process, leader = launch(tmp_path, "")
    until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE, "a zombie")
    assert not leader.is_alive()
    assert members([leader]) == []
    process.wait()


def test_unknown_pid_has_no_identity() -> None:
    with pytest.raises(ProcessLookupError):
        Identity.of(2**22 + 1)


def test_rival_secrets_of_the_shell_are_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCOUT_API_KEYS", "from the shell")
    monkeypatch.setenv("VLLM_API_KEY", "from the shell")
    monkeypatch.setenv("SCOUT_LOG_LEVEL", "debug")
    env = environment({"VLLM_API_KEY": "ours"})
    assert "SCOUT_API_KEYS" not in env
    assert env["VLLM_API_KEY"] == "ours"
    assert env["SCOUT_LOG_LEVEL"] == "debug"
