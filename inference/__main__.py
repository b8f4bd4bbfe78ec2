"""python -m inference: serve a profile, show the command it stands for, list the profiles, set up nginx, drain.

Each subcommand is one line in COMMANDS and a function from its arguments to an exit code. A mistake of the operator
is one message on standard error and exit code 2, as argparse does it.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from inference import drain_command, launcher, site
from inference.command import KEY_VARIABLE, Placement, build_command, model_folder, render
from inference.errors import InferenceError
from inference.profile import Profile, load_profile, profile_names


def serve(argv: Sequence[str]) -> int:
    """Check the surroundings, then become vLLM; returns only by raising."""
    parser = _parser("serve", "Check the profile and its surroundings, then become vLLM.")
    parser.add_argument(
        "--no-key", action="store_true", help=f"start without {KEY_VARIABLE}: an engine open to everybody"
    )
    args = parser.parse_args(argv)
    profile, placement = _chosen(args)
    command = build_command(profile, placement)
    environ = launcher.key_from_file(os.environ)
    if not args.no_key:
        launcher.require_key(environ)
    launcher.require_model(profile, model_folder(profile, placement))
    launcher.require_engine(placement.interpreter)
    launcher.become(command, environ)


def command(argv: Sequence[str]) -> int:
    """Print what serve would execute."""
    parser = _parser("command", f"Print the exact command of `serve`, for a shell that has {KEY_VARIABLE} set.")
    print(render(build_command(*_chosen(parser.parse_args(argv)))))
    return 0


def profiles(argv: Sequence[str]) -> int:
    """List the profiles."""
    argparse.ArgumentParser(prog="python -m inference profiles", description="List the profiles.").parse_args(argv)
    names = profile_names()
    for name in names:
        print(f"{name:<{max(map(len, names))}}  {load_profile(name).description}")
    return 0


COMMANDS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "serve": (serve, "become vLLM, serving a profile"),
    "command": (command, "print the command that serve executes"),
    "profiles": (profiles, "list the profiles"),
    "nginx": (site.main, "write the configuration of the nginx in front of the replicas"),
    "drain": (drain_command.main, "take a replica out of service without losing a request"),
}


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m inference {name}", description=description, allow_abbrev=False)
    parser.add_argument("--profile", required=True, help="a name from `python -m inference profiles`, or a TOML file")
    parser.add_argument("--replica", type=int, default=0, help="number of the replica, from 0 (default: 0)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, behind nginx)")
    parser.add_argument(
        "--port-base", type=int, default=8091, help="port of replica 0; replica N is N above (default: 8091)"
    )
    parser.add_argument("--port", type=int, help="exact port, instead of --port-base plus --replica")
    parser.add_argument(
        "--model-dir", type=Path, help="folder with the weights, instead of SCOUT_MODEL_DIR or the profile's"
    )
    return parser


def _chosen(args: argparse.Namespace) -> tuple[Profile, Placement]:
    model_dir = args.model_dir or os.environ.get("SCOUT_MODEL_DIR")
    port = args.port_base + args.replica if args.port is None else args.port
    if args.replica < 0 or not 0 < port < 65536:
        raise InferenceError(f"replica {args.replica} on port {port}: replicas count from 0, ports go from 1 to 65535")
    interpreter = launcher.engine_interpreter(os.environ)
    return load_profile(args.profile), Placement(interpreter, args.host, port, Path(model_dir) if model_dir else None)


def main(argv: Sequence[str]) -> int:
    """Run one subcommand and return the exit code."""
    listing = "\n".join(f"  {name:<10}{text}" for name, (_, text) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m inference",
        epilog=f"commands:\n{listing}\n\nEach has its own --help.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="command", help="one of the below")
    args = parser.parse_args(argv[:1])
    run, _ = COMMANDS[args.command]
    try:
        return run(argv[1:])
    except InferenceError as exc:
        print(f"python -m inference {args.command}: {exc}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
