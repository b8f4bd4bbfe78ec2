"""The supervisor: one loop that starts the services, sees them ready, brings back the dead and ends them all.

It runs in a session of its own. Its standard input is a pipe from the command that started it: the end of that pipe
means that the command is gone and the stack ends with it, unless the command has released it with a byte first.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from infra.local.environment_file import render
from infra.local.guard import Guard
from infra.local.keys import first_key
from infra.local.lifecycle import Remedy, after_death, ending, phase_of
from infra.local.logs import last_lines
from infra.local.plan import Service
from infra.local.processes import Identity, end
from infra.local.running import Running
from infra.local.settings import StackSettings
from infra.local.state import Phase, StackStatus, StateDir, write_whole

TURN_S = 0.2
# vLLM ends within a second of SIGTERM, the gateway as soon as its streams have ended with their replicas.
GRACE_S = 8.0
TOLD_LINES = 15


class StackFailed(Exception):
    """The stack cannot go on; the message is for the person who started it."""


class Supervisor:
    """Owns every process of one stack, and the lock of its state directory."""

    def __init__(self, settings: StackSettings, services: Sequence[Service], state: StateDir, lock: int) -> None:
        self._settings = settings
        self._state = state
        self._phase = Phase.STARTING
        self._identity = Identity.of(os.getpid())
        self._running = [Running(service, state, settings.root) for service in services]
        self._guard = Guard(state, settings.root, lock)
        self._stop_reason = ""
        self._released = False
        self._told: StackStatus | None = None
        self._began = time.monotonic()

    def run(self) -> int:
        """Until told to stop, or until the stack fails. Returns the exit code; no process is left by then."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda n, _: self._stop(signal.Signals(n).name))
        failure = ""
        try:
            self._state.write_pid("supervisor", os.getpid())
            for running in self._running:
                self._start(running)
            while not self._stop_reason:
                self._turn()
                self._wait()
        except StackFailed as error:
            failure = str(error)
        finally:
            # Also on a defect of ours: whatever happened, nothing stays behind.
            self._end_all(failure)
        return 1 if failure else 0

    def _turn(self) -> None:
        if self._guard.revive():
            say("the guard had died; it has a successor")
        for running in self._running:
            code = running.died()
            if code is not None:
                self._mourn(running, code)
            elif running.restart_is_due():
                self._start(running)
            elif running.probe(whole=self._phase is Phase.STARTING):
                say(f"{running.name} is ready")
        self._advance()
        self._tell()

    def _start(self, running: Running) -> None:
        try:
            self._guard.watch(running.name, running.start())
        except OSError as error:
            raise StackFailed(f"{running.name} cannot be started: {error}") from error
        say(f"{running.name} started")
        self._tell()

    def _mourn(self, running: Running, code: int) -> None:
        what = f"{running.name} {ending(code)}"
        say(what)
        running.sweep()
        self._guard.forget(running.name)
        match after_death(self._phase, restart=self._settings.restart):
            case Remedy.FAIL:
                raise StackFailed(self._with_log(running.name, f"{what} while the stack started"))
            case Remedy.RESTART:
                say(f"{running.name} starts again in {running.schedule_restart():.0f} s")
            case Remedy.LEAVE:
                running.leave()

    def _advance(self) -> None:
        before, self._phase = self._phase, phase_of(self._phase, [running.stage for running in self._running])
        if before is Phase.STARTING and self._phase is Phase.READY:
            keys = self._state.keys
            each = (first_key(path) for path in (keys.clients, keys.admin, keys.onprem, keys.engine))
            text = render(self._settings, *each)
            write_whole(self._state.env, text, mode=0o600)
            say("the stack is ready")
        late = time.monotonic() - self._began > self._settings.start_timeout_s
        if self._phase is Phase.STARTING and late:
            slow = next(running.name for running in self._running if not running.is_ready)
            raise StackFailed(
                self._with_log(slow, f"{slow} was not ready within {self._settings.start_timeout_s:.0f} s")
            )

    def _with_log(self, name: str, message: str) -> str:
        log = self._state.log(name)
        lines = "\n".join(f"    {line}" for line in last_lines(log, TOLD_LINES))
        return f"{message}. The last lines of {log}:\n{lines}"

    def _tell(self, message: str = "") -> None:
        services = tuple(running.status() for running in self._running)
        status = StackStatus(
            settings=self._settings,
            phase=self._phase,
            supervisor=self._identity,
            services=services,
            message=message,
        )
        if status != self._told:
            self._state.write_status(status)
            self._told = status

    def _wait(self) -> None:
        watched = [] if self._released else [sys.stdin.fileno()]
        readable, _, _ = select.select(watched, [], [], TURN_S)
        if readable:
            self._released = bool(os.read(sys.stdin.fileno(), 1))
            if not self._released:
                self._stop("the command that started the stack is gone")

    def _stop(self, reason: str) -> None:
        self._stop_reason = reason

    def _end_all(self, failure: str) -> None:
        say(failure or f"stopping: {self._stop_reason or 'a defect, see above'}")
        self._phase = Phase.FAILED if failure else Phase.STOPPING
        self._tell(failure)
        leaders = [running.leader for running in self._running if running.leader]
        for process in end(leaders, GRACE_S, marker=str(self._state.path)):
            say(f"could not end process {process.pid}")
        for running in self._running:
            self._guard.forget(running.name)
        self._state.clear()
        self._guard.dismiss()


def say(message: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {message}", flush=True)


def supervise(settings: StackSettings, services: Sequence[Service], state: StateDir) -> int:
    """Become the supervisor of the state directory. Exit code 3: another one is there already."""
    # A look at the lock by `status` holds it for an instant.
    lock = state.hold(wait_s=1.0)
    if lock is None:
        say("another supervisor holds the state directory")
        return 3
    return Supervisor(settings, services, state, lock).run()
