"""A stack for a suite to test: the one that is up, or one started for it, on its own ports, and ended afterwards."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from rich.console import Console

from infra.local.environment_file import parse
from infra.local.settings import VARIABLES, from_environment
from infra.local.state import Phase, StateDir

REPLICAS = 3


class StackUnavailable(Exception):
    """No stack is up and none could be started; what `up` said has been printed."""


class BorrowedStack:
    """A context that gives the variables of a running stack (see `.scout/env`)."""

    def __init__(self, root: Path, console: Console) -> None:
        self._root = root
        self._console = console
        self._own: dict[str, str] | None = None

    def __enter__(self) -> Mapping[str, str]:
        """Raises `StackUnavailable`."""
        running = StateDir(from_environment(os.environ, self._root).state_dir)
        if (status := running.read_status()) and status.supervisor.is_alive() and status.phase is Phase.READY:
            self._console.print(f"on the stack that is up in {running.path}", highlight=False)
            return parse(running.env.read_text())
        self._own = {**os.environ, **own_place(self._root / ".scout" / "test")}
        if self._local("up", "--detach", "--replicas", str(REPLICAS)):
            raise StackUnavailable("the stack for the tests did not come up")
        return parse(StateDir(Path(self._own["SCOUT_STATE_DIR"])).env.read_text())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._own is not None:
            self._local("down")

    def _local(self, *arguments: str) -> int:
        command = [sys.executable, "-m", "infra.local", *arguments]
        return subprocess.run(command, cwd=self._root, env=self._own, stdin=subprocess.DEVNULL).returncode


def own_place(state_dir: Path, replicas: int = REPLICAS) -> dict[str, str]:
    """Variables that put a stack where it is in nobody's way."""
    gateway, balanced, replica, engine = free_ports(1, 1, replicas, replicas)
    return {
        VARIABLES["state_dir"]: str(state_dir),
        VARIABLES["gateway_port"]: str(gateway),
        VARIABLES["balanced_port"]: str(balanced),
        VARIABLES["replica_port"]: str(replica),
        VARIABLES["engine_port"]: str(engine),
    }


def free_ports(*lengths: int) -> list[int]:
    """The first port of a free range for each length; no two ranges meet."""
    with ExitStack() as held:
        return [_hold_range(length, held) for length in lengths]


def _hold_range(length: int, held: ExitStack) -> int:
    while True:
        with ExitStack() as trial:
            first = trial.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            try:
                for port in range(first + 1, first + length):
                    trial.enter_context(socket.create_server(("127.0.0.1", port)))
            except (OSError, OverflowError):
                continue
            held.push(trial.pop_all())
            return int(first)
