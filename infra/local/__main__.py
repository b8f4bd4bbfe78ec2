"""Command line of the local stack: `./scout up`, `down`, `restart`, `status`, `logs` and `chat` end here."""

import argparse
import os
import signal
import sys
from pathlib import Path

from rich.console import Console

from infra.local.chat import chat
from infra.local.complaint import complain
from infra.local.down import down
from infra.local.logs import show
from infra.local.plan import plan
from infra.local.restart import restart
from infra.local.settings import BadSettings, StackSettings, from_environment
from infra.local.state import StateDir
from infra.local.status import status
from infra.local.supervisor import supervise
from infra.local.up import up

ROOT = Path(__file__).resolve().parents[2]


def main(argv: list[str]) -> int:
    # Into a pipe or a file, lines are as long as they are.
    console = Console(soft_wrap=True, emoji=False, width=None if sys.stdout.isatty() else 200)
    arguments = _parser().parse_args(argv)
    if arguments.command == "supervise":
        settings = StackSettings.model_validate_json(arguments.settings)
        return supervise(settings, plan(settings), StateDir(settings.state_dir))
    try:
        given = {name: getattr(arguments, name, None) for name in ("replicas", "restart")}
        settings = from_environment(os.environ, ROOT, **given)
    except BadSettings as error:
        complain(str(error))
        return 2
    try:
        return _run(arguments, settings, StateDir(settings.state_dir), console)
    except KeyboardInterrupt:
        console.print()
        return 130


def _run(arguments: argparse.Namespace, settings: StackSettings, state: StateDir, console: Console) -> int:
    match arguments.command:
        case "up":
            return up(settings, state, console, detach=arguments.detach)
        case "down":
            return down(state, console)
        case "restart":
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: a mark is taken away again
            within_s = settings.start_timeout_s
            return restart(state, console, arguments.names, rolling=arguments.rolling, within_s=within_s)
        case "status":
            return status(state, console)
        case "chat":
            return chat(state, console, " ".join(arguments.message) or None)
        case _:
            return _logs(arguments, state, console)


def _logs(arguments: argparse.Namespace, state: StateDir, console: Console) -> int:
    paths = sorted(state.logs.glob("*.log"))
    if arguments.name:
        known = ", ".join(path.stem for path in paths) or "none yet"
        paths = [path for path in paths if path.stem == arguments.name]
        if not paths:
            complain(f"there is no log {arguments.name!r}; there are: {known}")
            return 1
    show(paths, arguments.lines or (100 if arguments.name else 20), follow=arguments.follow)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scout", description="The local stack.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    start = commands.add_parser("up", help="start the stack and stay with it")
    start.add_argument("--detach", action="store_true", help="return when it is ready and leave it running")
    start.add_argument("--replicas", type=int, metavar="N", help="replicas of the model (default 3)")
    start.add_argument(
        "--no-restart", dest="restart", action="store_false", default=None, help="leave a service dead that dies"
    )
    commands.add_parser("down", help="end the stack")
    again = commands.add_parser("restart", help="restart all replicas, or what is named")
    again.add_argument("--rolling", action="store_true", help="replicas one at a time, each drained first")
    again.add_argument("names", nargs="*", metavar="NAME", help="replica-0, nginx, gateway")
    commands.add_parser("status", help="show each process; exit code 0 only when the stack is up")
    logs = commands.add_parser("logs", help="show the last lines of all logs, or of one")
    logs.add_argument("name", nargs="?", help="replica-0, nginx, gateway, supervisor, guard, setup")
    logs.add_argument("-f", "--follow", action="store_true")
    logs.add_argument("-n", "--lines", type=int)
    talk = commands.add_parser("chat", help="ask Scout through the gateway")
    talk.add_argument("message", nargs="*")
    commands.add_parser("supervise").add_argument("settings")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
