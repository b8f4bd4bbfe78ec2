"""The state directory: who runs, who holds it, and the files that scripts read.

    env  stack.json  supervisor.pid  <service>.pid  lock  keys/  logs/  nginx/

One stack at a time holds a state directory: its supervisor and its guard hold the lock, which the kernel gives back
when both are gone, so that no stale file can pretend that a stack is up. Files are replaced whole, never half written.
"""

import fcntl
import os
import time
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.local.plan import KeyFiles, key_files
from infra.local.processes import Identity
from infra.local.settings import StackSettings

LOCK_POLL_S = 0.1


class Phase(StrEnum):
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    FAILED = "failed"


class Stage(StrEnum):
    """Where one service is."""

    LOADING = "loading"
    READY = "ready"
    RESTARTING = "restarting"
    DEAD = "dead"


class ServiceStatus(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    stage: Stage
    url: str
    process: Identity | None = None
    # Seconds from the start of this process to its readiness.
    ready_after_s: float | None = None
    restarts: int = 0


class StackStatus(BaseModel):
    """What the supervisor says of the stack; `message` explains a failure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: StackSettings
    phase: Phase
    supervisor: Identity
    services: tuple[ServiceStatus, ...]
    message: str = ""


class StateDir:
    """The files of one stack, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = path / "logs"
        self.env = path / "env"

    @property
    def keys(self) -> KeyFiles:
        return key_files(self.path)

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def prepare(self) -> None:
        """Make the directories. The keys' directory is for the owner alone."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self.keys.clients.parent.mkdir(mode=0o700, exist_ok=True)

    def write_status(self, status: StackStatus) -> None:
        write_whole(self.path / "stack.json", status.model_dump_json(indent=1) + "\n")

    def read_status(self) -> StackStatus | None:
        """The last word of the last supervisor, which may be dead; None when there is none to be understood."""
        try:
            return StackStatus.model_validate_json((self.path / "stack.json").read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write_pid(self, name: str, pid: int) -> None:
        write_whole(self.path / f"{name}.pid", f"{pid}\n")

    def remove_pid(self, name: str) -> None:
        (self.path / f"{name}.pid").unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove what only a running stack has. Keys, logs and the last status stay."""
        for path in [self.env, *self.path.glob("*.pid")]:
            path.unlink(missing_ok=True)

    def hold(self, wait_s: float = 0.0) -> int | None:
        """Take the lock within `wait_s`; the open descriptor holds it. None when somebody else has it."""
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    return None
                time.sleep(LOCK_POLL_S)
            else:
                return descriptor

    def is_held(self) -> bool:
        """Whether a supervisor or a guard is at work here."""
        descriptor = self.hold() if self.path.exists() else None
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is None and self.path.exists()

    def wait_until_free(self, wait_s: float) -> bool:
        descriptor = self.hold(wait_s)
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is not None


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file in one step; a reader sees the old or the new text, and never with wider rights than `mode`."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
