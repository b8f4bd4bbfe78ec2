"""`python -m inference drain` as an operator uses it: real processes before a gateway on a real port."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference import drain_command
from inference.drain_command import DrainInvalid, main, order_beside
from inference.marks import write_servers
from tests.unit.inference.admin_double import ADMIN_KEY, AdminDouble, serving

ROOT = Path(__file__).parents[3]
FAST = ("--settle", "0", "--deadline", "20")


@pytest.fixture
def double() -> Iterator[AdminDouble]:
    with serving(AdminDouble()) as double:
        yield double


@pytest.fixture
def stack(tmp_path: Path, double: AdminDouble) -> Path:
    """The state directory of a local stack of two replicas; its replica 1 is a process that sleeps."""
    state = tmp_path / "state"
    write_servers(state / "nginx", ("127.0.0.1:1", "127.0.0.1:2"))
    (state / "env").write_text(
        f"export SCOUT_URL={double.url}\nexport SCOUT_ADMIN_KEY='{ADMIN_KEY}'\n"
        f"export REPLICA_URLS={double.url},{double.url}\nexport ONPREM_KEY=sk-nginx\n"
    )
    return state


@pytest.fixture
def replica(stack: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        (stack / "replica-1.pid").write_text(f"{process.pid}\n")
        yield process
        process.kill()


def run(stack: Path | None, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "inference", "drain", *arguments],
        env={"PATH": os.environ["PATH"], **({"SCOUT_STATE_DIR": str(stack)} if stack else {})},
        cwd=ROOT,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )


def marked(stack: Path) -> bool:
    return " down;" in (stack / "nginx/marks/balanced.conf").read_text()


def test_beside_a_local_stack_the_number_is_enough(
    stack: Path, double: AdminDouble, replica: subprocess.Popen[bytes]
) -> None:
    done = run(stack, "--replica", "1", *FAST)
    assert (done.returncode, done.stderr) == (0, "")
    assert replica.wait(10) == -signal.SIGTERM
    assert marked(stack) and double.draining == {"replica-1"}
    assert "SIGTERM sent to process" in done.stdout
    undone = run(stack, "--replica", "1", "--undo")
    assert (undone.returncode, marked(stack), double.draining) == (0, False, set())


def test_what_is_left_at_the_deadline_is_told_and_the_exit_code_is_that_of_a_stopped_replica(
    stack: Path, double: AdminDouble, replica: subprocess.Popen[bytes]
) -> None:
    double.in_flight = [3]
    done = run(stack, "--replica", "1", "--deadline", "0")
    assert done.returncode == 0
    assert "replica-1: 3 in flight at the deadline of 0 s" in done.stdout
    assert replica.wait(10) == -signal.SIGTERM


def test_a_gateway_that_is_not_there_is_one_message_and_stops_nothing(
    stack: Path, replica: subprocess.Popen[bytes]
) -> None:
    env = stack / "env"
    env.write_text(env.read_text().replace("SCOUT_URL=", "SCOUT_URL=http://127.0.0.1:1 BEFORE="))
    done = run(stack, "--replica", "1", *FAST)
    assert done.returncode == 2
    assert done.stderr.startswith("python -m inference drain: gateway http://127.0.0.1:1 does not answer")
    assert replica.poll() is None and not marked(stack)


def test_a_replica_that_cannot_be_stopped_is_exit_code_one_and_stays_marked(stack: Path) -> None:
    done = run(stack, "--replica", "1", *FAST)
    assert done.returncode == 1
    assert "replica-1.pid" in done.stdout and "--undo takes the marks away" in done.stdout
    assert marked(stack)


def test_a_mark_that_stays_is_exit_code_one(stack: Path, double: AdminDouble) -> None:
    double.broken = {"DELETE"}
    done = run(stack, "--replica", "1", "--undo")
    assert done.returncode == 1
    assert "still marked: gateway" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_takes_the_marks_away_and_stops_nothing(
    stack: Path, double: AdminDouble, replica: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    double.in_flight = [1]
    with subprocess.Popen(
        [sys.executable, "-m", "inference", "drain", "--replica", "1", "--env", str(stack / "env")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        assert any("in flight: 1 by the gateways' count" in line for line in lines)
        process.send_signal(number)
        assert process.wait(20) == 130
        assert "interrupted: nothing was stopped\n" in list(lines)
    assert replica.poll() is None and not marked(stack) and double.draining == set()


def test_every_place_can_be_an_option(double: AdminDouble, tmp_path: Path) -> None:
    write_servers(tmp_path, ("a:1", "b:1"))
    (tmp_path / "client-keys").write_text("gateway sk-gateway-0123456789\n")
    places = ["--gateway", double.url, "--admin-key-file", "-", "--nginx-prefix", str(tmp_path)]
    metrics = ["--replica-url", f"{double.url}/{{replica}}", "--onprem-key-file", str(tmp_path / "client-keys")]
    stop = ["--reload-command", "true", "--stop-command", f"touch '{tmp_path / 'was stopped'}'"]
    done = run(None, "--replica", "1", *FAST, *places, *metrics, *stop, given=f"{ADMIN_KEY}\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "was stopped").exists()
    assert double.draining == {"replica-1"}
    assert "GET /1/metrics" in double.asked


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param([], "name each gateway", id="nothing"),
        pytest.param(["--no-gateway"], "name nginx's folder", id="no nginx"),
        pytest.param(["--no-gateway", "--no-nginx"], "nothing would be marked", id="nothing to mark"),
        pytest.param(["--gateway", "http://x", "--no-nginx"], "needs --admin-key-file", id="no key"),
        pytest.param(["--no-gateway", "--nginx-prefix", "x"], "say how the replica is stopped", id="no stop"),
        pytest.param(["--env", "x", "--no-nginx"], "leave out --no-nginx", id="two places"),
        pytest.param(["--env", "/no/such"], "no stack's file", id="no such stack"),
        pytest.param(["--deadline", "-1"], "counted from 0", id="negative time"),
        pytest.param(
            ["--no-nginx", "--gateway", "http://x", "--admin-key-file", "/no/such"], "cannot be read", id="no"
        ),
    ],
)
def test_what_is_left_open_is_refused_and_not_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], complaint: str
) -> None:
    monkeypatch.setenv("SCOUT_STATE_DIR", str(tmp_path))
    with pytest.raises(DrainInvalid, match=complaint):
        main(["--replica", "1", *arguments])


def test_a_stack_of_an_earlier_version_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("export SCOUT_URL=http://x\nexport REPLICA_URLS=a\nexport ONPREM_KEY=b\n")
    with pytest.raises(DrainInvalid, match="no SCOUT_ADMIN_KEY in it"):
        order_beside(tmp_path / "env", 0)


def test_a_replica_that_the_stack_does_not_have_is_refused(stack: Path) -> None:
    with pytest.raises(DrainInvalid, match="has 2 replicas, counted from 0; there is no 2"):
        order_beside(stack / "env", 2)


class Finalized:
    """Sends this process a signal in the one place where what a handler raises is printed and thrown away."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_loses_still_interrupts(
    stack: Path, double: AdminDouble, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    double.in_flight = [1]
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    say = drain_command._say
    monkeypatch.setattr(drain_command, "_say", lambda text: (say(text), "in flight: 1" in text and Finalized()))
    try:
        assert main(["--replica", "1", "--env", str(stack / "env")]) == 130
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert "interrupted: nothing was stopped" in capsys.readouterr().out
    assert not marked(stack) and double.draining == set()
