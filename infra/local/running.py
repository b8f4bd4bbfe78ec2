"""One service at work: its process, its stage, and how to start, ask and end it."""

import json
import subprocess
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from infra.local.keys import first_key
from infra.local.lifecycle import restart_delay_s
from infra.local.plan import Service
from infra.local.processes import Identity, end, environment, members, spawn
from infra.local.state import ServiceStatus, Stage, StateDir

PROBE_TIMEOUT_S = 2.0
PROBE_INTERVAL_S = 0.5
# What is left of a service whose first process has died gets this long to end by itself.
LEFTOVER_GRACE_S = 2.0


class Running:
    """A service from its first start to its end, through any number of processes."""

    def __init__(self, service: Service, state: StateDir, root: Path) -> None:
        self.service = service
        self.stage = Stage.LOADING
        self.restarts = 0
        self.leader: Identity | None = None
        self._state = state
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = self._next_probe = self._next_start = 0.0
        self._ready_after_s: float | None = None
        self._deaths_in_a_row = 0

    @property
    def name(self) -> str:
        return self.service.name

    def start(self) -> Identity:
        """Start the process. Raises OSError when it cannot be started."""
        secrets = {name: first_key(path) for name, path in self.service.secrets.items()}
        env = environment({**self.service.env, **secrets})
        self._process = spawn(self.service.argv, env, self._root, self._state.log(self.name))
        self.leader = Identity.of(self._process.pid)
        self._state.write_pid(self.name, self._process.pid)
        self.stage, self._ready_after_s, self._started_at = Stage.LOADING, None, time.monotonic()
        return self.leader

    def died(self) -> int | None:
        """The exit code, once, when the process has ended by itself."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        self._process = None
        return code

    def sweep(self) -> None:
        """The first process has died: end what it left, such as vLLM's engine when its API server was killed."""
        if self.leader and members([self.leader]):
            end([self.leader], LEFTOVER_GRACE_S)
        self._state.remove_pid(self.name)
        self.leader = None

    def schedule_restart(self) -> float:
        """Returns the seconds until the next start."""
        self._deaths_in_a_row = 1 if self.stage is Stage.READY else self._deaths_in_a_row + 1
        self.stage = Stage.RESTARTING
        self.restarts += 1
        delay = restart_delay_s(self._deaths_in_a_row)
        self._next_start = time.monotonic() + delay
        return delay

    def leave(self) -> None:
        """Dead, and so it stays."""
        self.stage = Stage.DEAD

    @property
    def is_ready(self) -> bool:
        return self.stage is Stage.READY

    def restart_is_due(self) -> bool:
        return self.stage is Stage.RESTARTING and time.monotonic() >= self._next_start

    def probe(self, *, whole: bool) -> bool:
        """Ask a loading service whether it is ready, at most twice a second. Returns whether it became ready now.

        While the stack starts, `whole` asks the gateway for all replicas; later one that is back serves with any.
        """
        now = time.monotonic()
        if self.stage is not Stage.LOADING or now < self._next_probe:
            return False
        self._next_probe = now + PROBE_INTERVAL_S
        if not is_ready(self.service, whole=whole):
            return False
        self.stage, self._ready_after_s = Stage.READY, time.monotonic() - self._started_at
        return True

    def status(self) -> ServiceStatus:
        return ServiceStatus(
            name=self.name,
            stage=self.stage,
            url=self.service.url,
            process=self.leader,
            ready_after_s=self._ready_after_s,
            restarts=self.restarts,
        )


def is_ready(service: Service, *, whole: bool = False) -> bool:
    """One question to the service, as a client of it would ask; `whole` is as in `Running.probe`."""
    place = urlsplit(service.ready_url)
    connection = HTTPConnection(place.netloc, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", place.path, headers={"Authorization": f"Bearer {first_key(service.ready_key)}"})
        response = connection.getresponse()
        ready = response.status == service.ready_status
        return ready and (not (whole and service.lists_replicas) or _all_replicas_ready(response.read()))
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _all_replicas_ready(body: bytes) -> bool:
    return all(replica["state"] == "ready" for replica in json.loads(body)["replicas"])
