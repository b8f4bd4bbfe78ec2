"""`python -m gateway serve` runs the gateway; `check` says whether its settings can be used, and names the bad key.

`inventory`, `label`, `report` and `verify-egress` are the operator's tools: they need the database at most.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType

from gateway.app import build_app
from gateway.commands import inventory, label, report, verify_egress
from gateway.configuration import ENVIRONMENT, SettingsError, describe, load
from gateway.ending import Ending
from gateway.logs import make_log
from gateway.server import serve
from gateway.settings import Settings

COMMANDS: Mapping[str, ModuleType] = {
    "inventory": inventory,
    "label": label,
    "report": report,
    "verify-egress": verify_egress,
}


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """The exit code: 0, or 2 where the settings cannot be used."""
    args = _parser().parse_args(argv)
    if args.command in COMMANDS:
        code: int = COMMANDS[args.command].run(args, environ, sys.stdin, sys.stdout)
        return code
    try:
        settings = load(environ)
    except SettingsError as error:
        print(f"The gateway's settings cannot be used:\n{error}", file=sys.stderr)
        return 2
    if args.command == "check":
        print(json.dumps(describe(settings), indent=2))
        print(f"The settings are good: {len(settings.replica_urls)} replicas, model {settings.on_prem.model}.")
        return 0
    _serve(settings)
    return 0


def _parser() -> argparse.ArgumentParser:
    width = max(len(name) for name in ENVIRONMENT)
    variables = "\n".join(f"  {name:<{width}}  {meaning}" for name, meaning in ENVIRONMENT.items())
    parser = argparse.ArgumentParser(
        prog="python -m gateway",
        description=__doc__,
        epilog=f"environment:\n{variables}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the gateway until SIGTERM or SIGINT")
    commands.add_parser("check", help="read the settings, print them with the secrets masked, and exit")
    for name, module in COMMANDS.items():
        module.configure(commands.add_parser(name, help=module.HELP, description=module.__doc__))
    return parser


def _serve(settings: Settings) -> None:
    log, ending = make_log(), Ending()
    serve(build_app(settings, log=log, ending=ending), settings, log, ending)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
