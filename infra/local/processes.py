"""Starting and ending whole process trees.

Every service leads a session of its own, and what it forks stays in that session unless it leaves on purpose. Two
signs together find all of a service: the session id, and the marker in the environment (a process may overwrite its
own environment, as nginx does for its title, but then it still has its session).
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

from infra.local.plan import MARKER

POLL_S = 0.05
# After SIGKILL only a process in uninterruptible sleep stays; waiting longer than this does not help.
KILL_WAIT_S = 5.0
# What outlives its leader, vLLM's engine mostly, is idle by then.
ORPHAN_GRACE_S = 2.0
# Secrets of the user's own shell must not compete with those the plan gives.
NOT_INHERITED = (
    *("SCOUT_API_KEYS", "SCOUT_API_KEYS_FILE", "SCOUT_ADMIN_KEYS", "SCOUT_ADMIN_KEYS_FILE"),
    *("SCOUT_ONPREM_KEY", "SCOUT_ONPREM_KEY_FILE", "VLLM_API_KEY"),
)
ENDED = ("Z", "X")  # zombie, dead: see proc(5)


class Identity(BaseModel):
    """A process and not merely a number: pids are used again, a pid with its time of creation is not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int
    # Clock ticks since boot: unlike a time of day, not moved by a clock that is being set.
    started: int

    @classmethod
    def of(cls, pid: int) -> "Identity":
        """Raises ProcessLookupError."""
        return cls(pid=pid, started=_stat(pid)[1])

    def is_alive(self) -> bool:
        try:
            state, started = _stat(self.pid)
        except ProcessLookupError:
            return False
        return started == self.started and state not in ENDED

    def holds_its_number(self) -> bool:
        """Whether the pid, and so the session id, still means this process, dead or alive."""
        try:
            return _stat(self.pid)[1] == self.started
        except ProcessLookupError:
            # A session id stays reserved while the session has a member.
            return True


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """The environment of a service: the user's, without rival secrets, then the plan's."""
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    return {**inherited, **own}


def spawn(argv: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a process as the leader of its own session, with its output appended to `log`. Raises OSError."""
    with log.open("ab") as output:
        return subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )


def members(leaders: Iterable[Identity], marker: str | None = None) -> list[psutil.Process]:
    """Every living process of the leaders' sessions and, where `marker` is given, every one that carries it."""
    sessions = {leader.pid for leader in leaders if leader.holds_its_number()}
    return [process for process in psutil.process_iter() if _belongs(process, sessions, marker)]


def end(leaders: Sequence[Identity], grace_s: float, marker: str | None = None) -> list[psutil.Process]:
    """End whole sessions: ask, then kill what is left after `grace_s`. Returns what would not die.

    A leader is asked first, for it ends its children in its own order; those who outlive it are asked themselves.
    """
    for leader in leaders:
        if leader.is_alive():
            _send(leader.pid, signal.SIGTERM)
    deadline, asked_all = time.monotonic() + grace_s, False
    while left := members(leaders, marker):
        if not asked_all and not any(leader.is_alive() for leader in leaders):
            asked_all, deadline = True, min(deadline, time.monotonic() + ORPHAN_GRACE_S)
            for process in left:
                _send(process.pid, signal.SIGTERM)
        if time.monotonic() >= deadline:
            return _kill(leaders, marker)
        time.sleep(POLL_S)
    return []


def _kill(leaders: Sequence[Identity], marker: str | None) -> list[psutil.Process]:
    deadline = time.monotonic() + KILL_WAIT_S
    # Again and again: a process that was forking while we looked may have slipped through.
    while (left := members(leaders, marker)) and time.monotonic() < deadline:
        for process in left:
            _send(process.pid, signal.SIGKILL)
        time.sleep(POLL_S)
    return left


def _belongs(process: psutil.Process, sessions: set[int], marker: str | None) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if os.getsid(process.pid) in sessions:
            return True
        return marker is not None and process.environ().get(MARKER) == marker
    except (psutil.Error, OSError):
        return False


def _stat(pid: int) -> tuple[str, int]:
    """State letter and start of a process, in ticks since boot. Raises ProcessLookupError."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except FileNotFoundError as error:
        raise ProcessLookupError(pid) from error
    # The name in brackets may hold anything; what follows the last bracket is the third field and on.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
