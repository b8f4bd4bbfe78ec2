"""The guard: ends the stack when its supervisor is gone, also after `kill -9`.

It reads lines from a pipe whose only writer is the supervisor. The end of that pipe, for whatever reason, means that
the supervisor is no more: every session the guard was told of is ended, and every process that carries the stack's
marker, which catches one started in the instant before the supervisor died. A parent-death signal would not do:
it reaches direct children only, and vLLM and nginx have children of their own.

    python -m infra.local.guard STATE_DIR        lines:  watch NAME PID STARTED | forget NAME
"""

import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from infra.local.processes import Identity, end
from infra.local.state import StateDir

GRACE_S = 5.0


class Guard:
    """The supervisor's side: starts the guard, keeps it alive and tells it what to watch."""

    def __init__(self, state: StateDir, root: Path, lock: int) -> None:
        self._state = state
        self._root = root
        # The guard shares the lock: while it cleans up after a dead supervisor, no new stack may start.
        self._lock = lock
        self._watched: dict[str, Identity] = {}
        self._process = self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def watch(self, name: str, leader: Identity) -> None:
        self._watched[name] = leader
        self._tell(f"watch {name} {leader.pid} {leader.started}\n")

    def forget(self, name: str) -> None:
        if self._watched.pop(name, None):
            self._tell(f"forget {name}\n")

    def revive(self) -> bool:
        """Start a new guard where the old one has died. Returns whether it had."""
        if self._process.poll() is None:
            return False
        self._process = self._start()
        for name, leader in self._watched.items():
            self._tell(f"watch {name} {leader.pid} {leader.started}\n")
        return True

    def dismiss(self) -> None:
        """Everything has ended: let the guard see the end of the pipe and wait for it."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(timeout=3 * GRACE_S)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._state.log("guard").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "infra.local.guard", str(self._state.path)],
                cwd=self._root,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(self._lock,),
            )

    def _tell(self, line: str) -> None:
        try:
            stdin = self._process.stdin
            if stdin:
                stdin.write(line.encode())
                stdin.flush()
        except BrokenPipeError:
            # Dead: `revive` tells its successor everything.
            return


def watch_until_end(lines: IO[str]) -> dict[str, Identity]:
    """Read the supervisor's lines until the pipe ends. Returns what was still watched then."""
    watched: dict[str, Identity] = {}
    for line in lines:
        match line.split():
            case ["watch", name, pid, started]:
                watched[name] = Identity(pid=int(pid), started=int(started))
            case ["forget", name]:
                watched.pop(name, None)
            case _:
                _say(f"not understood: {line.strip()}")
    return watched


def main(state_dir: Path) -> None:
    # Only the end of the pipe ends the guard, neither a Ctrl-C nor a closed terminal.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watched = watch_until_end(sys.stdin)
    if watched:
        _say(f"the supervisor is gone: ending {', '.join(watched)}")
    stubborn = end(list(watched.values()), GRACE_S, marker=str(state_dir))
    for process in stubborn:
        _say(f"could not end process {process.pid}")
    StateDir(state_dir).clear()
    if watched and not stubborn:
        _say("nothing is left")


def _say(message: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {message}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
