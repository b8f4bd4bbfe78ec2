"""A gateway as a running process: pinned to one core, with its output in a file, and what it uses of CPU and memory."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.bench.gateway_load import Target
from tests.bench.peers.environments import Unavailable, clean_environment

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Command:
    """How a gateway is started, and how it is reached then. `ready`: a path that answers 200 once it can serve."""

    argv: tuple[str, ...]
    target: Target
    ready: str = "/health"
    env: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None


@dataclass(frozen=True)
class Gateway:
    """A gateway under test. A gateway that is no process (direct access) has none."""

    target: Target
    process: psutil.Process | None

    def _tree(self) -> list[psutil.Process]:
        return [] if self.process is None else [self.process, *self.process.children(recursive=True)]

    def cpu_s(self) -> float:
        """User and system time so far, of all processes of the gateway."""
        total = 0.0
        for process in self._tree():
            times = process.cpu_times()
            total += times.user + times.system
        return float(total)

    def waited_s(self) -> float:
        """How long its threads were ready to run and did not get the core: by their own number, or others' work."""
        total = 0
        for process in self._tree():
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                with contextlib.suppress(OSError):  # a thread may end meanwhile
                    total += int((task / "schedstat").read_text().split()[1])
        return total / 1e9

    def rss_bytes(self) -> int:
        """Resident memory of all processes of the gateway."""
        return int(sum(process.memory_info().rss for process in self._tree()))


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " / ".join(lines[-3:])[:400]


@contextlib.contextmanager
def running(command: Command, core: int, log: Path) -> Iterator[Gateway]:
    """The gateway, ready. Raises Unavailable when it ends by itself or is not ready in time."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**clean_environment(), **command.env},
            cwd=command.folder,
            process_group=0,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        try:
            begun = time.monotonic()
            while not _answers(command.target.port, command.ready):
                if process.poll() is not None:
                    raise Unavailable(f"ended at its start: {_last_words(log)}")
                if time.monotonic() - begun > START_TIMEOUT_S:
                    raise Unavailable(f"not ready within {START_TIMEOUT_S:.0f} s: {_last_words(log)}")
                time.sleep(0.2)
            yield Gateway(command.target, psutil.Process(process.pid))
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """The whole process group, the hard way after a while; it was started for this alone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
