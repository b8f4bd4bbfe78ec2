"""`python -m inference drain`: from options to an `Order`, and from its outcome to an exit code.

Beside a local stack it needs `--replica` alone: what the stack wrote into its state directory says the rest. Elsewhere
each place is an option, and one that is left out is refused, not guessed: a drain that marks nothing stops a replica
that is being asked. Exit codes: 0 done, also with requests left at the deadline; 1 the replica could not be stopped, or
a mark not be taken away; 2 refused, nothing was stopped; 130 Ctrl-C, nothing was stopped.
"""

import argparse
import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from inference.drain import Order, Stop, StopFailed, drain, stop_by_command, stop_by_pid_file, undo
from inference.errors import InferenceError
from inference.marks import NginxEdge
from inference.nginx_keys import parse_client_keys
from inference.peers import Engine, Gateway

INTERRUPTED = 130

# Options that say where something is. Beside a local stack none is needed, and none may be mixed with its own.
PLACES = (
    *("gateway", "no_gateway", "admin_key_file", "nginx_prefix", "no_nginx", "nginx_pid", "reload_command"),
    *("replica_url", "onprem_key_file"),
)


class DrainInvalid(InferenceError):
    """Options that leave open what is to be marked, counted or stopped."""


def main(argv: Sequence[str]) -> int:
    """Run `drain` and return its exit code. Raises InferenceError."""
    args = _parser().parse_args(argv)
    order, stop = _order(args), None if args.undo else _stop(args)
    if args.undo:
        return 0 if undo(order, _say) else 1
    interrupts = _Interrupts()
    for number in (signal.SIGINT, signal.SIGTERM):  # a container's stop is to be like Ctrl-C: the marks go
        signal.signal(number, interrupts.came)
    try:
        drain(order, stop, _say, pause=interrupts.pause)
    except KeyboardInterrupt:
        _say("interrupted: nothing was stopped")
        return INTERRUPTED
    except StopFailed as exc:
        _say(f"{exc}. {order.name} is still marked: --undo takes the marks away")
        return 1
    _say(f"{order.name} stays marked. Once it is back: the same command with --undo")
    return 0


def order_beside(env: Path, replica: int, **more: Any) -> Order:
    """The order for a replica of the local stack that wrote `env`; `more` are other fields. Raises DrainInvalid."""
    values = _read_env(env)
    urls = values["REPLICA_URLS"].split(",")
    if not 0 <= replica < len(urls):
        raise DrainInvalid(f"the stack of {env} has {len(urls)} replicas, counted from 0; there is no {replica}")
    return Order(
        replica,
        gateways=(Gateway(values["SCOUT_URL"], values["SCOUT_ADMIN_KEY"]),),
        nginx=NginxEdge(env.parent / "nginx"),
        engine=Engine(urls[replica], values["ONPREM_KEY"]),
        **more,
    )


def pid_file_beside(env: Path, replica: int) -> Path:
    """Where the supervisor of the local stack keeps the process id of a replica."""
    return env.parent / f"replica-{replica}.pid"


def _order(args: argparse.Namespace) -> Order:
    times = {"deadline_s": args.deadline, "settle_s": args.settle, "force": args.force}
    if args.replica < 0 or args.deadline < 0 or args.settle < 0:
        raise DrainInvalid("replicas, --deadline and --settle are counted from 0")
    if env := _local(args):
        return order_beside(env, args.replica, **times)
    if not args.gateway and not args.no_gateway:
        raise DrainInvalid("no local stack here: name each gateway with --gateway URL, or say --no-gateway")
    if not args.nginx_prefix and not args.no_nginx:
        raise DrainInvalid("no local stack here: name nginx's folder with --nginx-prefix DIR, or say --no-nginx")
    if not args.gateway and not args.nginx_prefix:
        raise DrainInvalid("without a gateway and without nginx nothing would be marked")
    if args.gateway and not args.admin_key_file:
        raise DrainInvalid("--gateway needs --admin-key-file")
    admin_key = _first_key(args.admin_key_file) if args.gateway else ""
    onprem_key = _first_key(args.onprem_key_file) if args.onprem_key_file else ""
    replica_url = (args.replica_url or "").replace("{replica}", str(args.replica))
    reload_command = tuple(shlex.split(args.reload_command or ""))
    return Order(
        args.replica,
        gateways=tuple(Gateway(url, admin_key) for url in args.gateway),
        nginx=NginxEdge(args.nginx_prefix, reload_command, args.nginx_pid) if args.nginx_prefix else None,
        engine=Engine(replica_url, onprem_key) if replica_url else None,
        **times,
    )


def _stop(args: argparse.Namespace) -> Stop | None:
    if args.no_stop:
        return None
    if args.stop_command:
        return partial(stop_by_command, shlex.split(args.stop_command))
    env = _local(args)
    if file := args.pid_file or (env and pid_file_beside(env, args.replica)):
        return partial(stop_by_pid_file, file)
    raise DrainInvalid("say how the replica is stopped: --pid-file FILE, --stop-command COMMAND or --no-stop")


def _local(args: argparse.Namespace) -> Path | None:
    """The local stack's file: the one that was named, or ours when no other place was."""
    places = [name for name in PLACES if getattr(args, name)]
    if args.env is not None and places:
        raise DrainInvalid(f"--env says where everything is: leave out --{places[0].replace('_', '-')}")
    if args.env is not None:
        return Path(args.env)
    if places:
        return None
    env = Path(os.environ.get("SCOUT_STATE_DIR") or ".scout") / "env"
    return env if env.exists() else None


def _read_env(env: Path) -> dict[str, str]:
    """What the local stack exports for shells."""
    try:
        words = shlex.split(env.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise DrainInvalid(f"{env}: no stack's file: {exc}") from exc
    values = dict(word.partition("=")[::2] for word in words if word != "export")
    if missing := {"SCOUT_URL", "SCOUT_ADMIN_KEY", "REPLICA_URLS", "ONPREM_KEY"} - values.keys():
        raise DrainInvalid(f"{env}: no {', '.join(sorted(missing))} in it: the stack was started by an earlier version")
    return values


def _first_key(file: Path) -> str:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        return parse_client_keys(text, str(file))[0].key
    except (OSError, UnicodeDecodeError) as exc:
        raise DrainInvalid(f"{file}: cannot be read: {exc}") from exc


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference drain",
        description="Take a replica out of service: mark it at the gateways and at nginx, wait until nothing is in "
        "flight on it, stop it. Beside a local stack --replica is enough.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--replica", type=int, required=True, metavar="N", help="its number, from 0")
    add("--undo", action="store_true", help="take the marks away, once the replica is back")
    add("--deadline", type=float, default=120.0, metavar="S", help="wait no longer than that (default: 120)")
    add("--settle", type=float, default=3.0, metavar="S", help="nothing may be in flight for so long (default: 3)")
    add("--force", action="store_true", help="go on without a gateway that does not answer, or without another replica")
    add("--env", metavar="FILE", help="a local stack's file (default: .scout/env, when no other place is named)")
    add("--gateway", action="append", default=[], metavar="URL", help="where its admin API is; repeat for each gateway")
    add("--no-gateway", action="store_true", help="clients come to nginx alone")
    add("--admin-key-file", type=Path, metavar="FILE", help="the gateways' admin key; - is standard input")
    add("--nginx-prefix", type=Path, metavar="DIR", help="the folder with nginx's marks/")
    add("--no-nginx", action="store_true", help="clients come to gateways alone")
    add("--nginx-pid", type=int, metavar="PID", help="nginx's master, where DIR has no runtime/nginx.pid")
    add("--reload-command", metavar="COMMAND", help="reloads nginx, instead of SIGHUP")
    add("--replica-url", metavar="URL", help="where its metrics are; {replica} in it stands for its number")
    add("--onprem-key-file", type=Path, metavar="FILE", help="nginx's key, if the metrics want one")
    stop = parser.add_mutually_exclusive_group()
    stop.add_argument("--pid-file", type=Path, metavar="FILE", help="SIGTERM goes to this process")
    stop.add_argument("--stop-command", metavar="COMMAND", help="stops it, e.g. 'docker compose stop replica-1'")
    stop.add_argument("--no-stop", action="store_true", help="leave it running, drained")
    return parser


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  an operator watches


class _Interrupts:
    """Signals that end a drain, also one that comes while Python finalizes an object: what is raised then is lost."""

    def __init__(self) -> None:
        self._came = False

    def came(self, _number: int, _frame: FrameType | None) -> NoReturn:
        """The handler."""
        self._came = True
        raise KeyboardInterrupt

    def pause(self, seconds: float) -> None:
        """Sleeps; then raises what was lost."""
        time.sleep(seconds)
        if self._came:
            raise KeyboardInterrupt
