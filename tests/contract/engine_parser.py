"""Asks vLLM itself about argument lists: run by the engine's interpreter, not by the tests'.

Standard input: {"cases": {name: [argument, ...]}, "environment": [variable, ...]}. Standard output, last line:
{"cases": {name: complaint or null}, "unknown": [variables that this vLLM does not read]}. Goes as far as vLLM does
before it loads weights: parser, argument checks, and the whole engine configuration with the checkpoint's config.json.
"""

import contextlib
import json
import sys

import vllm.envs
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.usage.usage_lib import UsageContext
from vllm.utils.argparse_utils import FlexibleArgumentParser


class Refused(Exception):
    """The parser's complaint, which argparse would print before it ends the process."""


class Parser(FlexibleArgumentParser):
    """vLLM's parser with one difference: it raises."""

    def error(self, message: str):
        raise Refused(message)


def complaint(parser: Parser, arguments: list[str]) -> str | None:
    try:
        args = parser.parse_args(arguments)
        validate_parsed_serve_args(args)
        AsyncEngineArgs.from_cli_args(args).create_engine_config(UsageContext.OPENAI_API_SERVER)
    except Exception as exc:  # noqa: BLE001  whatever vLLM objects with is the answer
        return f"{type(exc).__name__}: {exc}"
    return None


def main() -> None:
    asked = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):  # vLLM logs to standard output
        parser = make_arg_parser(Parser())
        cases = {name: complaint(parser, arguments) for name, arguments in asked["cases"].items()}
    unknown = [name for name in asked["environment"] if name not in vllm.envs.environment_variables]
    sys.stdout.write("\n" + json.dumps({"cases": cases, "unknown": unknown}) + "\n")


if __name__ == "__main__":
    main()
