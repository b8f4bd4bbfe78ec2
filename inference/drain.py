"""Drain one replica: mark it, wait until nothing is in flight on it, then stop it. The order of steps, no more.

No new request goes to a marked replica: a gateway leaves it out by its admin API, nginx by a `down` on the balanced
port. What is in flight finishes, or is cut when the deadline has passed, and then a gateway resumes it elsewhere. The
marks stay until `undo`, because the replica that comes back is not ready at once. Whatever goes wrong before the stop,
and Ctrl-C too, takes the marks away again and stops nothing.
"""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.errors import InferenceError
from inference.marks import MarksInvalid, NginxEdge
from inference.peers import Engine, Gateway, GatewayRefused, GatewayUnreachable
from inference.settling import Reading, Settling, Verdict

Say = Callable[[str], None]
Stop = Callable[[], str]
"""Ends the replica and returns what it did; raises StopFailed."""


class DrainRefused(InferenceError):
    """The drain would do harm: no other replica could take the work."""


class StopFailed(InferenceError):
    """The replica is drained and runs on, because it could not be stopped."""


@dataclass(frozen=True)
class Order:
    """Which replica is to be drained, where it is marked and who counts what is in flight on it. Times in seconds."""

    replica: int
    gateways: tuple[Gateway, ...] = ()
    nginx: NginxEdge | None = None
    engine: Engine | None = None
    deadline_s: float = 120.0
    settle_s: float = 3.0
    """A judgment: the engine's gauges are a step or two old, and a reload of nginx takes a moment."""
    poll_s: float = 0.5
    force: bool = False
    """Go on without gateways that cannot be reached or say no, and when no other replica serves."""

    @property
    def name(self) -> str:
        """The replica as gateways call it."""
        return f"replica-{self.replica}"


def drain(
    order: Order,
    stop: Stop | None,
    say: Say,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Mark, wait, and `stop` if given. Returns how many requests were left at the deadline; 0 when it is drained.

    Raises DrainRefused, GatewayUnreachable, GatewayRefused or MarksInvalid before anything is stopped, with no mark
    left; StopFailed when the replica is marked and still runs.
    """
    gateways = _willing(order, say)
    try:
        _mark(order, gateways, say)
        left = _wait(order, gateways, say, clock, pause)
        if stop is not None:
            _look_again(order, gateways)
    except BaseException:
        # Ctrl-C too: a replica that nobody stops must not stay out of service.
        undo(order, say)
        raise
    if stop is not None:
        try:
            say(stop())
        except KeyboardInterrupt as exc:
            raise StopFailed("interrupted while it was being stopped") from exc
    return left


def undo(order: Order, say: Say) -> bool:
    """Take every mark away, as far as that is possible. Returns whether all of them are gone; says which are not."""
    gone = True
    for gateway in order.gateways:
        try:
            gateway.unmark(order.name)
            say(f"gateway {gateway.url}: {order.name} is no longer marked")
        except (GatewayUnreachable, GatewayRefused) as exc:
            gone = False
            say(f"still marked: {exc}")
    if order.nginx is not None:
        try:
            say(f"nginx: {order.name} is {order.nginx.unmark(order.replica)}")
        except MarksInvalid as exc:
            gone = False
            say(f"still marked: {exc}")
    return gone


def stop_by_pid_file(file: Path) -> str:
    """SIGTERM to the process of a pid file. Raises StopFailed."""
    try:
        pid = int(file.read_text())
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError) as exc:
        raise StopFailed(f"cannot stop the process of {file}: {exc}") from exc
    return f"SIGTERM sent to process {pid}"


def stop_by_command(words: Sequence[str]) -> str:
    """Run a command, without a shell, and wait for it. Raises StopFailed."""
    try:
        code = subprocess.run(words, stdin=subprocess.DEVNULL).returncode
    except OSError as exc:
        raise StopFailed(f"cannot run {words[0]}: {exc.strerror}") from exc
    if code:
        raise StopFailed(f"{shlex.join(words)} ended with exit code {code}")
    return f"done: {shlex.join(words)}"


def _willing(order: Order, say: Say) -> list[Gateway]:
    """The gateways that know the replica and have another one to send its work to. Changes nothing."""
    willing = []
    for gateway in order.gateways:
        try:
            replicas = gateway.replicas()
        except (GatewayUnreachable, GatewayRefused) as exc:
            if not order.force:
                raise
            say(f"going on without a gateway: {exc}")
            continue
        if order.name not in replicas:
            raise DrainRefused(f"gateway {gateway.url} has no {order.name}, only {', '.join(replicas) or 'none'}")
        if not any(view.serves for name, view in replicas.items() if name != order.name):
            problem = f"gateway {gateway.url} has no other replica that serves"
            if not order.force:
                raise DrainRefused(f"{problem}: nobody would be left (--force drains {order.name} all the same)")
            say(problem)
        willing.append(gateway)
    return willing


def _look_again(order: Order, gateways: Sequence[Gateway]) -> None:
    """Draining takes minutes, and the others may have failed meanwhile. Raises DrainRefused; silence is no reason."""
    for gateway in gateways:
        try:
            replicas = gateway.replicas()
        except (GatewayUnreachable, GatewayRefused):
            continue
        if not order.force and not any(view.serves for name, view in replicas.items() if name != order.name):
            raise DrainRefused(f"gateway {gateway.url} has lost its other replicas meanwhile: {order.name} is needed")


def _mark(order: Order, gateways: Sequence[Gateway], say: Say) -> None:
    for gateway in gateways:
        gateway.mark(order.name)
        say(f"gateway {gateway.url}: {order.name} gets no new requests")
    if order.nginx is not None:
        say(f"nginx: {order.name} is {order.nginx.mark(order.replica)}")


def _wait(
    order: Order, gateways: Sequence[Gateway], say: Say, clock: Callable[[], float], pause: Callable[[float], None]
) -> int:
    """Until it is drained, or the deadline has passed; how many requests are left."""
    began = clock()
    settling = Settling(began, order.deadline_s, order.settle_s)
    told: Reading | None = None
    while True:
        reading = Reading(_in_flight(gateways, order.name), order.engine.in_flight() if order.engine else None)
        if reading != told:
            say(f"{order.name}: {reading}")
            told = reading
        match settling.judge(clock(), reading.left):
            case Verdict.DRAINED:
                say(f"{order.name} is drained after {clock() - began:.1f} s")
                return 0
            case Verdict.DEADLINE:
                left = "an unknown number" if reading.left is None else str(reading.left)
                say(f"{order.name}: {left} in flight at the deadline of {order.deadline_s:g} s; gateways resume theirs")
                return reading.left or 0
            case Verdict.WAIT:
                pause(order.poll_s)


def _in_flight(gateways: Sequence[Gateway], name: str) -> int | None:
    """What all gateways have on the replica together; None when one of them cannot say.

    Asked by marking it once more: a gateway that was restarted meanwhile has forgotten the mark.
    """
    try:
        return sum(gateway.mark(name).in_flight for gateway in gateways) if gateways else None
    except (GatewayUnreachable, GatewayRefused):
        return None
