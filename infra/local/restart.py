"""`restart`: replicas anew while the stack is up, all at once or one at a time without losing a request.

The supervisor starts again what ends, so a restart is a SIGTERM and a wait. `--rolling` drains each replica before
that, as `python -m inference drain` does, waits until it is ready, takes its marks away and waits until the gateway
uses it. A replica that does not come back ends the round: the others stay as they are.
"""

import time
from collections.abc import Callable, Sequence

from rich.console import Console

from inference.drain import Order, drain, stop_by_pid_file, undo
from inference.drain_command import order_beside, pid_file_beside
from inference.errors import InferenceError
from inference.peers import GatewayRefused, GatewayUnreachable
from infra.local.complaint import complain
from infra.local.logs import last_lines
from infra.local.plan import REPLICA_PREFIX
from infra.local.processes import Identity
from infra.local.state import Phase, ServiceStatus, StackStatus, Stage, StateDir

POLL_S = 0.2
TOLD_LINES = 15


class RestartFailed(Exception):
    """Something did not come back, or cannot; the message says what and why."""


def restart(state: StateDir, console: Console, names: Sequence[str], *, rolling: bool, within_s: float) -> int:
    """Restart the services named, or all replicas; each may take `within_s` to be ready. Returns the exit code."""
    try:
        wanted = _wanted(_up(state), names, rolling=rolling)
        round_ = _Round(state, console, within_s)
        if rolling:
            for name in wanted:
                round_.roll(name)
        else:
            round_.at_once(wanted)
    except (RestartFailed, InferenceError) as error:
        complain(str(error))
        return 1
    return 0


def _up(state: StateDir) -> StackStatus:
    status = state.read_status()
    if status is None or not status.supervisor.is_alive() or status.phase is not Phase.READY:
        raise RestartFailed("Scout is not up: start it with ./scout up")
    if not status.settings.restart:
        raise RestartFailed("this stack was started with --no-restart: what ends stays dead")
    return status


def _wanted(status: StackStatus, names: Sequence[str], *, rolling: bool) -> list[str]:
    known = [service.name for service in status.services]
    replicas = [name for name in known if name.startswith(REPLICA_PREFIX)]
    possible = replicas if rolling else known
    if unknown := [name for name in names if name not in possible]:
        what = "replica" if rolling else "service"
        raise RestartFailed(f"there is no {what} {', '.join(unknown)}; there are: {', '.join(possible)}")
    if rolling and len(replicas) < 2:
        raise RestartFailed("there is no other replica to take over: restart it without --rolling")
    return list(dict.fromkeys(names)) or replicas


class _Round:
    """One call of `restart`: where it happens, and how long each service may take."""

    def __init__(self, state: StateDir, console: Console, within_s: float) -> None:
        self._state = state
        self._console = console
        self._within_s = within_s

    def at_once(self, names: Sequence[str]) -> None:
        """End all of them, then wait for each."""
        before = {name: self._alive(name) for name in names}
        for name in names:
            self._say(f"{name}: {stop_by_pid_file(self._state.path / f'{name}.pid')}")
        for name in names:
            self._wait_until_back(name, before[name])

    def roll(self, name: str) -> None:
        """Drain one replica, end it, see it ready and in use again."""
        before = self._alive(name)
        index = int(name.removeprefix(REPLICA_PREFIX))
        order = order_beside(self._state.env, index)
        drain(order, None, self._say)
        try:
            self._say(f"{name}: {stop_by_pid_file(pid_file_beside(self._state.env, index))}")
            self._wait_until_back(name, before)
        finally:
            # Also when it did not come back: its health keeps it out, and no forgotten mark keeps it out later.
            undo(order, self._say)
        self._wait(lambda: _in_use(order), name, "used by the gateway")
        self._say(f"{name} is in use again")

    def _alive(self, name: str) -> Identity:
        service = self._service(name)
        if service.process is None or service.stage is not Stage.READY:
            raise RestartFailed(f"{name} is {service.stage} just now: see ./scout logs {name}")
        return service.process

    def _wait_until_back(self, name: str, before: Identity) -> None:
        def back() -> bool:
            service = self._service(name)
            if service.stage is Stage.DEAD:
                raise RestartFailed(f"{name} ended and was not started again: see ./scout logs {name}")
            return service.stage is Stage.READY and service.process != before

        began = time.monotonic()
        self._wait(back, name, "ready")
        self._say(f"{name} is ready again after {time.monotonic() - began:.0f} s")

    def _wait(self, come: Callable[[], bool], name: str, what: str) -> None:
        deadline = time.monotonic() + self._within_s
        while not come():
            if time.monotonic() >= deadline:
                log = self._state.log(name)
                lines = "\n".join(f"    {line}" for line in last_lines(log, TOLD_LINES))
                raise RestartFailed(
                    f"{name} was not {what} within {self._within_s:.0f} s. The last lines of {log}:\n{lines}"
                )
            time.sleep(POLL_S)

    def _service(self, name: str) -> ServiceStatus:
        """What the supervisor says of a service. Raises RestartFailed when there is no supervisor any more."""
        return next(service for service in _up(self._state).services if service.name == name)

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)


def _in_use(order: Order) -> bool:
    """Whether the gateway, asked as an operator would, calls the replica ready."""
    try:
        return all(gateway.replicas()[order.name].state == "ready" for gateway in order.gateways)
    except (GatewayUnreachable, GatewayRefused, KeyError):
        return False
