import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from infra.local.environment_file import parse
from infra.local.plan import MARKER
from infra.local.processes import Identity, members
from infra.local.state import Phase, StackStatus, Stage, StateDir
from tests.unit.infra.local.supervised import ROOT
from tests.unit.infra.local.waiting import until

pytestmark = pytest.mark.processes

Start = Callable[..., "Stack"]


class Stack:
    """A supervisor in a process of its own, as `up` starts it."""

    def __init__(self, path: Path, *kinds: str) -> None:
        self.state = StateDir(path)
        self.state.prepare()
        with self.state.log("supervisor").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.unit.infra.local.supervised", str(path), *kinds],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def status(self) -> StackStatus | None:
        return self.state.read_status()

    def in_phase(self, phase: Phase) -> StackStatus | None:
        status = self.status()
        return status if status and status.phase is phase else None

    def ready(self) -> StackStatus:
        status = until(lambda: self.in_phase(Phase.READY), "a ready stack")
        until(lambda: len(self.processes()) == 2 * len(status.services), "every service with its child")
        return status

    def processes(self) -> list[psutil.Process]:
        return members([], marker=str(self.state.path))

    def nothing_is_left(self) -> bool:
        return not self.processes() and not self.state.is_held() and not list(self.state.path.glob("*.pid"))

    def said(self) -> str:
        return self.state.log("supervisor").read_text()

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Starts stacks, of which nothing stays, however the test ends."""
    started: list[Stack] = []

    def start(*kinds: str) -> Stack:
        started.append(Stack(tmp_path, *kinds))
        return started[-1]

    yield start
    for stack in started:
        stack.process.kill()
        stack.process.wait()
        if stack.process.stdin:
            stack.process.stdin.close()
    for process in members([], marker=str(tmp_path)):
        process.kill()


def test_ready_stack_leaves_its_pids_and_its_environment(start: Start) -> None:
    stack = start("serves", "serves")
    status = stack.ready()
    for service in status.services:
        assert service.process
        assert (stack.state.path / f"{service.name}.pid").read_text() == f"{service.process.pid}\n"
        assert psutil.Process(service.process.pid).environ()[MARKER] == str(stack.state.path)
    assert (stack.state.path / "supervisor.pid").read_text() == f"{stack.process.pid}\n"
    assert stack.state.env.stat().st_mode & 0o777 == 0o600
    assert parse(stack.state.env.read_text())["SCOUT_URL"] == "http://127.0.0.1:8000"
    stack.end()
    assert stack.process.returncode == 0
    assert stack.nothing_is_left()
    assert not stack.state.env.exists()


def test_kill_nine_of_the_supervisor_leaves_nothing(start: Start) -> None:
    stack = start("serves", "stubborn")
    stack.ready()
    stack.process.kill()
    stack.process.wait()
    until(stack.nothing_is_left, "the guard has ended everything")
    assert not stack.state.env.exists()


def test_kill_nine_while_loading_leaves_nothing(start: Start) -> None:
    stack = start("loads", "serves")
    until(stack.processes, "a first process")
    stack.process.kill()
    stack.process.wait()
    until(stack.nothing_is_left, "the guard has ended everything")


def test_dead_guard_gets_a_successor_that_does_its_work(start: Start) -> None:
    stack = start("serves")
    stack.ready()
    (guard,) = psutil.Process(stack.process.pid).children()[:1]
    assert "infra.local.guard" in guard.cmdline()
    guard.kill()
    until(lambda: "the guard had died" in stack.said(), "a successor")
    stack.process.kill()
    stack.process.wait()
    until(stack.nothing_is_left, "the second guard has ended everything")


def test_end_of_the_starting_command_ends_the_stack(start: Start) -> None:
    stack = start("serves")
    stack.ready()
    assert stack.process.stdin
    stack.process.stdin.close()
    assert stack.process.wait(20) == 0
    assert stack.nothing_is_left()


def test_released_stack_outlives_the_starting_command(start: Start) -> None:
    stack = start("serves")
    stack.ready()
    assert stack.process.stdin
    stack.process.stdin.write(b"!")
    stack.process.stdin.close()
    victim = stack.processes()[0]
    os.kill(victim.pid, signal.SIGKILL)
    # It goes on working, which a stack that was ending would not.
    until(lambda: "starts again" in stack.said(), "the loop turns on")
    assert stack.process.poll() is None
    stack.end()
    assert stack.nothing_is_left()


def test_service_that_dies_comes_back_and_its_child_does_not_stay(start: Start) -> None:
    stack = start("serves")
    before = stack.ready().services[0]
    assert before.process
    (child,) = (Identity.of(child.pid) for child in psutil.Process(before.process.pid).children())
    os.kill(before.process.pid, signal.SIGKILL)
    after = until(lambda: _restarted(stack), "the service is ready again")
    assert after.restarts == 1
    assert after.process != before.process
    assert not child.is_alive()
    assert stack.in_phase(Phase.READY)
    stack.end()
    assert stack.nothing_is_left()


def test_death_while_loading_ends_everything_and_says_why(start: Start) -> None:
    stack = start("serves", "dies")
    assert stack.process.wait(20) == 1
    status = stack.in_phase(Phase.FAILED)
    assert status
    assert "dies-1 ended with exit code 7 while the stack started" in status.message
    assert "the model file is broken" in status.message
    assert stack.nothing_is_left()


def test_second_supervisor_does_not_start_in_the_same_directory(start: Start) -> None:
    stack = start("serves")
    stack.ready()
    second = start("serves")
    assert second.process.wait(20) == 3
    assert stack.process.poll() is None
    stack.end()


def _restarted(stack: Stack):
    status = stack.status()
    service = status.services[0] if status else None
    return service if service and service.restarts and service.stage is Stage.READY else None
