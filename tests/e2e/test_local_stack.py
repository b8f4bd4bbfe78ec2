"""What the README promises of `./scout up`, in the order a user meets it. One stack of three replicas serves the first
part of the file; it is killed in the second, and the third starts a small one in the foreground."""

import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from infra.local.environment_file import parse
from tests.e2e.conftest import Scout

pytestmark = pytest.mark.timeout(1000)

QUESTION = "Which SUVs under 30k do you have?"
REPLICAS = ("replica-0", "replica-1", "replica-2")


@pytest.fixture(scope="module")
def announced(scout: Scout) -> str:
    """What `up --detach` printed."""
    done = scout("up", "--detach", within_s=900)
    assert done.returncode == 0, done.stdout
    return done.stdout


def until(look: Callable[[], object], what: str, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.1)


def test_taken_port_is_one_message_and_nothing_is_started(scout: Scout) -> None:
    port = int(scout.place["SCOUT_ONPREM_PORT"])
    with socket.create_server(("127.0.0.1", port)):
        done = scout("up", "--detach")
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"scout: port {port}, meant for nginx (balanced), is taken by ")
    assert f"(pid {os.getpid()}): stop it, or choose another with SCOUT_ONPREM_PORT=" in line
    assert scout.sessions() == []


def test_commands_without_a_stack_say_so(scout: Scout) -> None:
    for arguments, code in [(("status",), 1), (("chat", "hello"), 1), (("down",), 0), (("nonsense",), 2)]:
        done = scout(*arguments)
        assert done.returncode == code, arguments
    assert "./scout up" in scout("chat", "hello").stdout


def test_up_shows_every_process_becoming_ready(announced: str) -> None:
    for name in (*REPLICAS, "nginx", "gateway"):
        assert re.search(rf"^{name} +loading$", announced, re.M), announced
        assert re.search(rf"^{name} +ready after [\d.]+ s$", announced, re.M), announced
    assert re.search(r"^Scout is up after \d+ s\.$", announced, re.M)


def test_pasted_curl_line_streams_an_answer(announced: str) -> None:
    (line,) = (line.strip() for line in announced.splitlines() if line.strip().startswith("curl"))
    assert QUESTION in line
    done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=60)
    assert done.returncode == 0
    assert len(done.stdout.decode()) > 20


def test_chat_answers_in_pieces(scout: Scout, announced: str) -> None:
    with scout.popen("chat", QUESTION) as process:
        assert process.stdout
        first = os.read(process.stdout.fileno(), 10_000)
        assert process.poll() is None, "the first piece came while the answer was still being written"
        rest = process.stdout.read()
    assert process.returncode == 0
    answer = first.decode() + rest
    assert len(answer.split()) >= 5 and answer.endswith("\n")


def test_environment_file_leads_scripts_to_every_port(scout: Scout, announced: str) -> None:
    script = f". {shlex.quote(str(scout.state_dir / 'env'))} && env -0"
    shell = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    env = dict(line.split("=", 1) for line in shell.split("\0") if "=" in line)
    doors = [(env["SCOUT_URL"], env["SCOUT_KEY"]), (env["ONPREM_URL"], env["ONPREM_KEY"])]
    doors += [(url, env["ONPREM_KEY"]) for url in env["REPLICA_URLS"].split(",")]
    doors += [(url, env["ENGINE_KEY"]) for url in env["ENGINE_URLS"].split(",")]
    assert len(doors) == 8
    for url, key in doors:
        models = httpx.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"}).raise_for_status().json()
        assert [model["id"] for model in models["data"]] == [env["SCOUT_MODEL"]], url


def test_second_up_says_that_it_is_up(scout: Scout, announced: str) -> None:
    before = scout.pid("supervisor")
    began = time.monotonic()
    done = scout("up", "--detach")
    assert done.returncode == 0
    assert "Scout is up already." in done.stdout
    assert scout.place["SCOUT_PORT"] in done.stdout
    assert scout.pid("supervisor") == before
    assert time.monotonic() - began < 10


def test_status_and_logs_show_every_process(scout: Scout, announced: str) -> None:
    status = scout("status")
    assert status.returncode == 0, status.stdout
    for name in (*REPLICAS, "nginx", "gateway"):
        assert re.search(rf"^{name} +{scout.pid(name)} +ready +yes ", status.stdout, re.M), status.stdout
    logs = scout("logs")
    assert {line.split(" ", 1)[0] for line in logs.stdout.splitlines()} >= {*REPLICAS, "nginx", "gateway", "supervisor"}
    assert "the stack is ready" in scout("logs", "supervisor").stdout
    assert scout("logs", "nonsense").returncode == 1


def test_no_secret_is_in_a_command_line(scout: Scout, announced: str) -> None:
    env = parse((scout.state_dir / "env").read_text())
    secrets = [env[name] for name in ("SCOUT_KEY", "SCOUT_ADMIN_KEY", "ONPREM_KEY", "ENGINE_KEY")]
    commands = [" ".join(process.cmdline()) for process in scout.sessions()]
    assert len(commands) >= 10
    assert not [command for command in commands if any(secret in command for secret in secrets)]


def test_rolling_restart_brings_every_replica_back(scout: Scout, announced: str) -> None:
    before = [scout.pid(name) for name in REPLICAS]
    done = scout("restart", "--rolling", within_s=900)
    assert done.returncode == 0, done.stdout
    assert re.findall(r"^(replica-\d) is in use again$", done.stdout, re.M) == list(REPLICAS)
    assert not set(before) & {scout.pid(name) for name in REPLICAS}
    assert scout("status").returncode == 0


def test_killed_replica_takes_its_engine_with_it_and_comes_back(scout: Scout, announced: str) -> None:
    restarts = restarts_of(scout, "replica-2")
    server = psutil.Process(scout.pid("replica-2"))
    engine = server.children(recursive=True)
    assert len(engine) >= 2, "the engine is a process of its own"
    server.kill()
    until(lambda: not any(alive(process) for process in engine), "its engine is gone", 20)
    until(lambda: pid_of(scout, "replica-2") not in (None, server.pid), "a new process", 20)
    assert scout("chat", "hello").returncode == 0, "the others serve meanwhile"
    assert restarts_of(scout, "replica-2") == restarts + 1


def test_kill_nine_of_the_supervisor_leaves_nothing(scout: Scout, announced: str) -> None:
    processes = scout.sessions()
    assert len(processes) >= 12
    os.kill(scout.pid("supervisor"), signal.SIGKILL)
    until(lambda: not any(alive(process) for process in processes), "everything is gone", 30)
    until(lambda: scout.sessions() == [], "nothing new either", 10)
    assert leftover_files(scout) == []
    assert scout("status").returncode == 1


def test_ctrl_c_ends_a_stack_in_the_foreground_and_leaves_nothing(scout: Scout) -> None:
    with scout.popen("up", "--replicas", "1") as process:
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        assert any("Ctrl-C ends it." in line for line in lines)
        assert scout("status").returncode == 0
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert "Nothing is left." in process.stdout.read()
    assert scout.sessions() == []
    assert leftover_files(scout) == []


def test_replica_that_dies_while_loading_ends_everything_with_the_end_of_its_log(scout: Scout) -> None:
    with scout.popen("up", "--detach", "--replicas", "1") as process:
        until(lambda: pid_of(scout, "replica-0"), "a replica", 30)
        os.kill(scout.pid("replica-0"), signal.SIGKILL)
        assert process.wait(60) == 1
        assert process.stdout
        output = process.stdout.read()
    assert "scout: replica-0 was killed by signal 9 while the stack started. The last lines of " in output
    assert str(Path("logs") / "replica-0.log") in output
    assert scout.sessions() == []


def test_down_leaves_nothing_while_loading_or_not_up(scout: Scout) -> None:
    with scout.popen("up", "--detach", "--replicas", "1") as process:
        until(lambda: pid_of(scout, "gateway"), "a gateway", 30)
        done = scout("down")
        assert (done.returncode, done.stdout) == (0, "Scout is down; nothing is left.\n")
        assert process.wait(30) == 1
    assert scout.sessions() == []
    assert leftover_files(scout) == []
    assert scout("down").stdout == "Scout is not up.\n"


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pid_of(scout: Scout, name: str) -> int | None:
    try:
        return scout.pid(name)
    except FileNotFoundError:
        return None


def restarts_of(scout: Scout, name: str) -> int:
    """As `status` counts them."""
    found = re.search(rf"^{name} .* (\d+)  http", scout("status").stdout, re.M)
    assert found, "a line of the process, which ends with its restarts and its address"
    return int(found[1])


def leftover_files(scout: Scout) -> list[str]:
    return [path.name for path in scout.state_dir.iterdir() if path.suffix == ".pid" or path.name == "env"]
