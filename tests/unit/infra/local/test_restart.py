"""Restarts of small services under a real supervisor, with a gateway's admin API that the test plays."""

import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from inference.marks import write_servers
from infra.local.processes import Identity, members
from infra.local.restart import restart
from infra.local.state import Phase, StateDir
from tests.unit.inference.admin_double import ADMIN_KEY, AdminDouble, serving
from tests.unit.infra.local.supervised import ROOT
from tests.unit.infra.local.waiting import until

pytestmark = pytest.mark.processes


class Stack:
    """A stack that is up, in a process of its own; and what a restart of it says."""

    def __init__(self, path: Path, double: AdminDouble, *services: str) -> None:
        self.state, self.double, self._out = StateDir(path), double, StringIO()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.infra.local.supervised", str(path), *services],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(self.is_up, "a ready stack")
        write_servers(path / "nginx", [f"127.0.0.1:{port}" for port, _ in enumerate(services, 1)])
        # In place of what the supervisor wrote: the gateway is the double, and so are the engines' metrics.
        self.state.env.write_text(
            f"export SCOUT_URL={double.url}\nexport SCOUT_ADMIN_KEY={ADMIN_KEY}\nexport ONPREM_KEY=sk\n"
            f"export REPLICA_URLS={','.join([double.url] * len(services))}\n"
        )

    def is_up(self) -> bool:
        status = self.state.read_status()
        return status is not None and status.phase is Phase.READY and self.state.env.exists()

    def restart(self, *names: str, rolling: bool = True, within_s: float = 30.0) -> int:
        return restart(self.state, Console(file=self._out, width=200), names, rolling=rolling, within_s=within_s)

    def said(self) -> str:
        return self._out.getvalue()

    def running(self) -> dict[str, Identity]:
        status = self.state.read_status()
        assert status
        return {service.name: service.process for service in status.services if service.process}

    def is_marked(self) -> bool:
        return " down;" in (self.state.path / "nginx/marks/balanced.conf").read_text()


@pytest.fixture
def double() -> Iterator[AdminDouble]:
    with serving(AdminDouble()) as double:
        yield double


@pytest.fixture
def stacks(tmp_path: Path, double: AdminDouble) -> Iterator[list[Stack]]:
    """For the stack of a test, of which nothing stays."""
    opened: list[Stack] = []
    yield opened
    for stack in opened:
        stack.process.terminate()
        stack.process.wait(30)
        if stack.process.stdin:
            stack.process.stdin.close()
    for process in members([], marker=str(tmp_path)):
        process.kill()


@pytest.fixture
def stack(tmp_path: Path, double: AdminDouble, stacks: list[Stack]) -> Stack:
    stacks.append(Stack(tmp_path, double, "replica-0=serves", "replica-1=serves", "gateway=serves"))
    return stacks[0]


def test_rolling_restarts_every_replica_after_it_is_drained_and_nothing_else(stack: Stack) -> None:
    before = stack.running()
    assert stack.restart() == 0
    after = stack.running()
    assert [name for name in before if before[name] != after[name]] == ["replica-0", "replica-1"]
    said = stack.said()
    steps = ["gets no new requests", "is drained", "SIGTERM sent", "is ready again", "no longer marked", "in use again"]
    places = [said.index(step) for step in steps]
    assert places == sorted(places)
    # One at a time: the second is marked when the first is in use.
    assert said.index("replica-0 is in use again") < said.index("replica-1 gets no new requests")
    assert stack.double.draining == set() and not stack.is_marked()


def test_rolling_takes_one_replica_by_its_name(stack: Stack) -> None:
    before = stack.running()
    assert stack.restart("replica-1") == 0
    assert [name for name, process in stack.running().items() if process != before[name]] == ["replica-1"]


def test_without_rolling_nobody_is_marked(stack: Stack) -> None:
    before = stack.running()
    assert stack.restart("gateway", "replica-0", rolling=False) == 0
    assert [name for name, process in stack.running().items() if process != before[name]] == ["replica-0", "gateway"]
    assert stack.double.asked == []


def test_a_replica_that_does_not_come_back_ends_the_round_and_stays_unmarked(
    tmp_path: Path, double: AdminDouble, stacks: list[Stack], capsys: pytest.CaptureFixture[str]
) -> None:
    stacks.append(Stack(tmp_path, double, "replica-0=once", "replica-1=serves"))
    (stack,) = stacks
    other = stack.running()["replica-1"]
    assert stack.restart(within_s=6) == 1
    complaint = capsys.readouterr().err
    assert "replica-0 was not ready within 6 s" in complaint
    assert "the second start hangs" in complaint
    assert stack.running()["replica-1"] == other
    assert double.draining == set() and not stack.is_marked()


def test_a_gateway_that_does_not_use_it_again_ends_the_round(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    stack.double.states["replica-0"] = "failed"
    assert stack.restart("replica-0", within_s=6) == 1
    assert "replica-0 was not used by the gateway within 6 s" in capsys.readouterr().err


def test_a_drain_that_is_refused_stops_nothing(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    before = stack.running()
    stack.double.states["replica-1"] = "failed"
    assert stack.restart("replica-0") == 1
    assert "no other replica that serves" in capsys.readouterr().err
    assert stack.running() == before and not stack.is_marked()


@pytest.mark.parametrize(
    ("names", "rolling", "said"),
    [
        (["gateway"], True, "there is no replica gateway; there are: replica-0, replica-1"),
        (["replica-7"], False, "there is no service replica-7; there are: replica-0, replica-1, gateway"),
    ],
)
def test_a_name_that_is_not_there_is_refused_with_those_that_are(
    stack: Stack, capsys: pytest.CaptureFixture[str], names: list[str], rolling: bool, said: str
) -> None:
    assert stack.restart(*names, rolling=rolling) == 1
    assert said in capsys.readouterr().err


def test_one_replica_has_nobody_to_take_over(
    tmp_path: Path, double: AdminDouble, stacks: list[Stack], capsys: pytest.CaptureFixture[str]
) -> None:
    stacks.append(Stack(tmp_path, double, "replica-0=serves"))
    assert stacks[0].restart() == 1
    assert "without --rolling" in capsys.readouterr().err


def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert restart(StateDir(tmp_path), Console(), [], rolling=True, within_s=1) == 1
    assert "./scout up" in capsys.readouterr().err
