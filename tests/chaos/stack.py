"""The stack that is broken on purpose: real vLLM replicas behind nginx, and hands on each of their processes.

Not the stack of whoever develops here: it has ports and a directory of its own. Its supervisor starts again what was
killed, as an operator's would, and that is waited for by looking at a gateway, as a client would see it.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from infra.checks.stack import own_place
from infra.local.environment_file import parse
from infra.local.settings import VARIABLES
from infra.local.state import StateDir

ROOT = Path(__file__).resolve().parents[2]
STATE_DIR = "SCOUT_CHAOS_STATE_DIR"
"""The directory of a stack that is up and may be broken, so that none has to be started for the suite."""

ENGINE = "VLLM::EngineCore"
"""What vLLM calls the process that generates; its parent is the API server, which speaks HTTP."""


class StackDown(Exception):
    """The stack did not come up; what `up` said has been printed."""


class Stack:
    """One running stack. Replicas are numbered as everywhere, from 0."""

    def __init__(self, state_dir: Path) -> None:
        self._state = StateDir(state_dir)
        self.variables: Mapping[str, str] = parse(self._state.env.read_text())
        self.replica_urls = self.variables["REPLICA_URLS"].split(",")
        self.engine_urls = self.variables["ENGINE_URLS"].split(",")
        self._stopped: set[int] = set()

    @property
    def logs(self) -> Path:
        return self._state.logs

    def command(self, *arguments: str) -> list[str]:
        """`./scout` with these arguments, for this stack: to be run with `environment`."""
        return [sys.executable, "-m", "infra.local", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, VARIABLES["state_dir"]: str(self._state.path)}

    # ---- breaking

    def kill_server(self, replica: int) -> None:
        """kill -9 of the API server: the connections break, and the engine is left alone."""
        os.kill(self._server(replica), signal.SIGKILL)

    def kill_engine(self, replica: int) -> None:
        """kill -9 of the engine: the API server is still there and has nobody to ask."""
        os.kill(self._engine(replica), signal.SIGKILL)

    def hang_server(self, replica: int) -> None:
        """SIGSTOP of the API server: the kernel still accepts connections, and nobody reads them."""
        self._stop(self._server(replica))

    def hang_engine(self, replica: int) -> None:
        """SIGSTOP of the engine: the API server still says that all is well."""
        self._stop(self._engine(replica))

    def go_on(self) -> None:
        """Whatever was stopped goes on."""
        for pid in self._stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._stopped.clear()

    def tell_nginx(self, number: signal.Signals) -> None:
        os.kill(self._pid("nginx"), number)

    def _stop(self, pid: int) -> None:
        self._stopped.add(pid)
        os.kill(pid, signal.SIGSTOP)

    def _server(self, replica: int) -> int:
        return self._pid(f"replica-{replica}")

    def _engine(self, replica: int) -> int:
        for child in psutil.Process(self._server(replica)).children(recursive=True):
            if child.cmdline()[:1] == [ENGINE]:
                return child.pid
        raise LookupError(f"replica-{replica} has no engine")

    def _pid(self, name: str) -> int:
        return int((self._state.path / f"{name}.pid").read_text())


@contextmanager
def running() -> Iterator[Stack]:
    """The stack that `SCOUT_CHAOS_STATE_DIR` names, or one that is started here and ended afterwards."""
    if given := os.environ.get(STATE_DIR):
        yield Stack(Path(given))
        return
    state_dir = ROOT / ".scout" / "chaos"
    env = {**os.environ, **own_place(state_dir)}
    try:
        if _local(env, "up", "--detach"):
            raise StackDown("the stack for the chaos suite did not come up")
        yield Stack(state_dir)
    finally:
        _local(env, "down")


def _local(env: Mapping[str, str], *arguments: str) -> int:
    command = [sys.executable, "-m", "infra.local", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL).returncode
