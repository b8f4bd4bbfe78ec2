"""A stack of its own for the end-to-end tests: on free ports, in a directory that goes away, started by `./scout`."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.checks.stack import own_place
from infra.local.plan import MARKER
from infra.local.processes import members

ROOT = Path(__file__).resolve().parents[2]


class Scout:
    """`./scout` as a user calls it, from another directory than the project's."""

    def __init__(self, elsewhere: Path) -> None:
        self.state_dir = elsewhere / "state"
        self.place = own_place(self.state_dir)
        self.env = {name: value for name, value in os.environ.items() if name != MARKER} | self.place
        self.cwd = elsewhere

    def __call__(self, *arguments: str, within_s: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(ROOT / "scout"), *arguments],
            cwd=self.cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=within_s,
        )

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(ROOT / "scout"), *arguments],
            cwd=self.cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def pid(self, name: str) -> int:
        return int((self.state_dir / f"{name}.pid").read_text())

    def sessions(self) -> list[psutil.Process]:
        """Every process of the stack: by the session of each pid file, and by the marker in the environment."""
        pids = {int(path.read_text()) for path in self.state_dir.glob("*.pid")}
        mine = {process.pid: process for process in members([], marker=str(self.state_dir))}
        for process in psutil.process_iter():
            if session_of(process) in pids or str(self.state_dir) in command_of(process):
                mine[process.pid] = process
        return list(mine.values())


def session_of(process: psutil.Process) -> int:
    try:
        return os.getsid(process.pid)
    except OSError:
        return 0


def command_of(process: psutil.Process) -> str:
    """The command line; of the supervisor, the guard and nginx it names the state directory."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.fixture(scope="session")
def scout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scout]:
    scout = Scout(tmp_path_factory.mktemp("elsewhere"))
    yield scout
    scout("down")
