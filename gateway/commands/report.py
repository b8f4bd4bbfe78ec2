"""`python -m gateway report`: what a month's traffic has cost, and what it would have cost in the cloud."""

import argparse
import json
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TextIO

from gateway.configuration import database_url, dealership_dir
from gateway.costs import month_of
from gateway.dealership import prices
from gateway.ports import StoreFailed
from gateway.savings import hours_passed, render, report
from gateway.stores.database import Database
from gateway.stores.usage import UsageStore, bounds

HELP = "what a month has cost, and what the same traffic would have cost in the cloud"


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--month", metavar="YYYY-MM", help="in UTC; this one if not given")
    parser.add_argument("--json", action="store_true", help="as JSON, money in micro-dollars")


def run(args: argparse.Namespace, environ: Mapping[str, str], stdin: TextIO, stdout: TextIO) -> int:
    """0, or 2 where there is no such month, or the database or the price table cannot be read."""
    now = datetime.now(UTC).timestamp()
    month = args.month or month_of(now)
    try:
        first, after = bounds(month)
        table = prices.load(dealership_dir(environ))
        with closing(Database(database_url(environ))) as database:
            found = UsageStore(database).month_now(month)
    except (ValueError, StoreFailed) as error:
        sys.stderr.write(f"There is no report: {error}\n")
        return 2
    made = report(found, table, hours=hours_passed(first, after, found.began_at, now))
    stdout.write(json.dumps(asdict(made), indent=2) + "\n" if args.json else render(made))
    return 0
