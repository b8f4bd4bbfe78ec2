"""`up`: look first, then start the supervisor, show it at work, and either leave it alone or end with it."""

import shlex
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import NoReturn

from rich.console import Console

from infra.local.complaint import complain
from infra.local.environment_file import parse
from infra.local.keys import ensure_keys
from infra.local.leftovers import end_leftovers
from infra.local.logs import keep_former, last_lines
from infra.local.nginx_prefix import PrefixFailed, account_for, prepare
from infra.local.plan import plan
from infra.local.preflight import problems
from infra.local.progress import Progress
from infra.local.settings import StackSettings
from infra.local.state import Phase, StackStatus, StateDir

POLL_S = 0.1
# The supervisor waits 8 s for the services, then kills them; its guard has 5 s after that.
STOP_WAIT_S = 30.0
INTERRUPTED = 130
QUESTION = "Which SUVs under 30k do you have?"


class Interrupted(Exception):
    """Ctrl-C, a termination signal or a closed terminal."""


def up(settings: StackSettings, state: StateDir, console: Console, *, detach: bool) -> int:
    """Returns the exit code: 0 when the stack is (or was) up."""
    if state.is_held() and _is_up_already(settings, state, console):
        return 0
    end_leftovers(state, console)
    if found := problems(settings):
        for problem in found:
            complain(problem)
        return 1
    try:
        settings = settings.model_copy(update={"nginx_account": account_for(state.path)})
        _prepare(settings, state)
    except PrefixFailed as error:
        complain(str(error))
        return 1
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    supervisor = _start_supervisor(settings, state)
    try:
        if not _watch_start(supervisor, settings, state, console):
            return 1
        if detach:
            _release(supervisor)
            return 0
        console.print("Ctrl-C ends it.")
        return _stay(supervisor, state, console)
    except Interrupted:
        return _end(supervisor, state, console)


def _is_up_already(settings: StackSettings, state: StateDir, console: Console) -> bool:
    """Wait for a start or an end that is under way. Says where the stack is when there is one."""
    if not state.env.exists():
        console.print("A stack is here already, on its way up or down: waiting for it.")
    with Progress(console) as progress:
        while state.is_held():
            status = state.read_status()
            alive = status is not None and status.supervisor.is_alive()
            if status and alive and status.phase is Phase.READY and state.env.exists():
                break
            if status and alive and status.phase is Phase.STARTING:
                progress.show(status)
            time.sleep(POLL_S)
        else:
            return False
    console.print("Scout is up already.")
    announce(settings, state, console)
    return True


def _prepare(settings: StackSettings, state: StateDir) -> None:
    state.prepare()
    for name in [service.name for service in plan(settings)] + ["supervisor", "guard"]:
        keep_former(state.log(name))
    ensure_keys(state.keys)
    prepare(settings)


def _start_supervisor(settings: StackSettings, state: StateDir) -> subprocess.Popen[bytes]:
    with state.log("supervisor").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "infra.local", "supervise", settings.model_dump_json()],
            cwd=settings.root,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _watch_start(
    supervisor: subprocess.Popen[bytes], settings: StackSettings, state: StateDir, console: Console
) -> bool:
    with Progress(console) as progress:
        while True:
            ended = supervisor.poll() is not None
            status = _status_of(supervisor.pid, state)
            if status:
                progress.show(status)
            if ended or (status and status.phase is Phase.READY):
                break
            time.sleep(POLL_S)
    if status and status.phase is Phase.READY:
        console.print(f"\nScout is up after {progress.elapsed_s():.0f} s.")
        announce(settings, state, console)
        return True
    complain(f"{_reason(status, state)}")
    state.wait_until_free(STOP_WAIT_S)
    return False


def _status_of(pid: int, state: StateDir) -> StackStatus | None:
    """The status, if this supervisor wrote it: the one of an earlier stack may still lie there."""
    status = state.read_status()
    return status if status and status.supervisor.pid == pid else None


def _reason(status: StackStatus | None, state: StateDir) -> str:
    if status and status.message:
        return status.message
    lines = "\n".join(f"    {line}" for line in last_lines(state.log("supervisor"), 15))
    return f"the supervisor has ended. The last lines of {state.log('supervisor')}:\n{lines}"


def _stay(supervisor: subprocess.Popen[bytes], state: StateDir, console: Console) -> int:
    code = supervisor.wait()
    if code == 0:
        console.print("Scout was stopped.")
        return 0
    complain(f"{_reason(_status_of(supervisor.pid, state), state)}")
    state.wait_until_free(STOP_WAIT_S)
    return 1


def _end(supervisor: subprocess.Popen[bytes], state: StateDir, console: Console) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    console.print("\nEnding the stack ...")
    started = _status_of(supervisor.pid, state)
    supervisor.terminate()
    supervisor.wait()
    free = state.wait_until_free(STOP_WAIT_S)
    if free:
        console.print("Nothing is left.")
    else:
        complain(f"the guard is still at work: see {state.log('guard')}")
    return 0 if free and started and started.phase is Phase.READY else INTERRUPTED


def _release(supervisor: subprocess.Popen[bytes]) -> None:
    """Let the supervisor live on without us: see `infra.local.supervisor`."""
    if supervisor.stdin:
        supervisor.stdin.write(b"!")
        supervisor.stdin.close()
    # Popen's destructor would warn of a child that still runs, which is what is wanted here.
    supervisor.returncode = 0


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Interrupted


def announce(settings: StackSettings, state: StateDir, console: Console) -> None:
    """Where the stack is, its key, and two ways to ask it something."""
    env = parse(state.env.read_text())
    url, key = env["SCOUT_URL"], env["SCOUT_KEY"]
    body = f'{{"message": "{QUESTION}"}}'
    # A stack of another state directory is found only by name.
    where = "" if state.path == settings.root / ".scout" else f"SCOUT_STATE_DIR={shlex.quote(str(state.path))} "
    lines = [
        "",
        f"  gateway    {url}   (API: {url}/docs)",
        f"  on-prem    {env['ONPREM_URL']}   (nginx, balanced)",
        f"  replicas   {env['REPLICA_URLS'].replace(',', '  ')}",
        f"  key        {key}",
        "",
        f'  {where}./scout chat "{QUESTION}"',
        "",
        f"  curl -N {url}/api/chat -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{body}'",
        "",
    ]
    # Not by rich: a line to be pasted must not be wrapped.
    console.file.write("\n".join(lines) + "\n")
    console.file.flush()
