"""`./scout contract`: holds any OpenAI-compatible server to the contract and prints a report.

Exit codes: 0 all promises kept, 1 some broken, 2 the server cannot be tested.
"""

import argparse
import os
import sys
from pathlib import Path

import pytest

from tests.contract.foreign import Address, CannotTest, explore
from tests.contract.report import Report
from tests.contract.targets import ALL

SUITE = Path(__file__).parent
NOT_REWRITTEN = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"


def main(arguments: list[str]) -> int:
    """Runs the suite against the server that the arguments name."""
    asked = _parser().parse_args(arguments)
    metrics = tuple(url for url in asked.metrics.split(",") if url)
    try:
        target = explore(Address(asked.url, asked.key, asked.model, asked.kind, metrics))
    except CannotTest as error:
        print(f"scout contract: {error}", file=sys.stderr)
        return 2
    print(f"{target.url}, model {target.model}, held to the promises of: {target.name}")
    report = Report(target)
    # pytest's own terminal output is off, and with it the options for it in pyproject.toml: the report is the output.
    # That anyio is imported before pytest could rewrite it is of no interest, and warnings are errors.
    options = ["-p", "no:terminal", "-p", "no:cacheprovider", "-o", "addopts=--strict-markers", "-W", NOT_REWRITTEN]
    ended = pytest.main([*options, *map(str, sorted(SUITE.glob("test_*.py")))], plugins=[report])
    print(report.summary())
    if asked.json:
        report.write(asked.json)
    if ended not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        print(f"scout contract: the suite did not run to its end ({ended!r})", file=sys.stderr)
        return 2
    return int(ended)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scout contract", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", required=True, help="the server, with or without /v1 at the end")
    parser.add_argument(
        "--key", default=os.environ.get("SCOUT_CONTRACT_KEY", ""), help="its bearer key (default: $SCOUT_CONTRACT_KEY)"
    )
    parser.add_argument("--model", help="default: the first that the server lists")
    parser.add_argument(
        "--as", dest="kind", choices=("any", *ALL), default="any", help="hold it to the promises of a layer of Scout"
    )
    parser.add_argument("--metrics", default="", help="URLs of its engines' metrics, comma-separated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON too")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
