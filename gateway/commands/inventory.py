"""`inventory`: takes a stock file in, shows what is in stock, tells the stock's version.

A file is taken in whole or not at all. With `--update`, the default, its vehicles are added or take the place of those
with their stock numbers; with `--replace` it is the whole stock, and what is not in it is removed. Exit codes: 0 done,
1 the database could not be used, 2 the file or the command is wrong and nothing was changed.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from gateway.configuration import database_url
from gateway.dealership import facts, stock_import, wishes
from gateway.dealership.inventory import Inventory
from gateway.dealership.stock_change import Change, StockConflict
from gateway.dealership.vehicle import MAX_LIMIT, SearchQuery, Vehicle
from gateway.ports import StoreFailed
from gateway.stores.database import Database

HELP = "take a stock file in, show the stock, or tell its version"

TIMEOUT_S = 120.0
"""An import of tens of thousands of vehicles is one transaction, and nobody waits for an answer."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    actions = parser.add_subparsers(dest="action", required=True)
    importing = actions.add_parser("import", help="take a CSV file in, all of it or nothing")
    importing.add_argument("file", metavar="FILE", help="CSV: one vehicle a row, the columns named in the first")
    kind = importing.add_mutually_exclusive_group()
    kind.add_argument("--update", action="store_true", help="add or change what the file lists; the default")
    kind.add_argument("--replace", action="store_true", help="the file is the whole stock: remove the rest")
    importing.add_argument("--strict", action="store_true", help="refuse unknown columns and wrong VIN check digits")
    importing.add_argument("--dry-run", action="store_true", help="change nothing, tell what would be changed")
    showing = actions.add_parser("show", help="show the stock, or what a customer's question would find in it")
    showing.add_argument("--query", metavar="WORDS", help='such as "hybrid SUV under 30k"')
    showing.add_argument("--limit", type=int, default=SearchQuery().limit, help=f"vehicles to list, 1 to {MAX_LIMIT}")
    actions.add_parser("version", help="tell how often the stock has changed")


def run(args: argparse.Namespace, environ: Mapping[str, str], stdin: TextIO, stdout: TextIO) -> int:
    """The exit code."""
    try:
        if args.action == "import":
            return _import(args, environ, stdout)
        if args.action == "show":
            return _show(args, environ, stdout)
        return _tell_version(environ, stdout)
    except StoreFailed as failed:
        return _refuse(f"the database could not be used: {failed}", code=1)


def _import(args: argparse.Namespace, environ: Mapping[str, str], stdout: TextIO) -> int:
    try:
        data = Path(args.file).read_bytes()
    except OSError as error:
        return _refuse(f"{args.file} cannot be read: {error.strerror}")
    reading = stock_import.read(data, strict=args.strict)
    for warning in reading.warnings.lines():
        sys.stderr.write(f"warning: {warning}\n")
    if reading.problems.count:
        sys.stderr.writelines(f"{problem}\n" for problem in reading.problems.lines())
        return _refuse(f"{args.file}: {_counted(reading.problems.count, 'problem')}, nothing was imported")
    try:
        change = asyncio.run(_take_in(reading.vehicles, environ, replace=args.replace, dry_run=args.dry_run))
    except StockConflict as conflict:
        return _refuse(f"{conflict}; nothing was imported")
    stdout.write(_told(change, len(reading.vehicles), dry_run=args.dry_run))
    return 0


async def _take_in(
    vehicles: tuple[Vehicle, ...], environ: Mapping[str, str], *, replace: bool, dry_run: bool
) -> Change:
    database = Database(database_url(environ), timeout_s=TIMEOUT_S)
    try:
        inventory = Inventory(database)
        take_in = inventory.replace_all if replace else inventory.upsert
        return await take_in(vehicles, dry_run=dry_run)
    finally:
        database.close()


def _told(change: Change, listed: int, *, dry_run: bool) -> str:
    counts = f"{change.added} added, {change.changed} changed, {change.removed} removed"
    heading = f"{_counted(listed, 'vehicle')} read: {counts}"
    if dry_run:
        return f"{heading}; a dry run, so nothing was changed\n"
    return f"{heading}; version {change.version}\n"


def _show(args: argparse.Namespace, environ: Mapping[str, str], stdout: TextIO) -> int:
    if not 1 <= args.limit <= MAX_LIMIT:
        return _refuse(f"--limit is {args.limit}; 1 to {MAX_LIMIT} are possible")
    return asyncio.run(_look_up(args.query, args.limit, environ, stdout))


async def _look_up(words: str | None, limit: int, environ: Mapping[str, str], stdout: TextIO) -> int:
    database = Database(database_url(environ))
    try:
        inventory = Inventory(database)
        query = SearchQuery() if words is None else wishes.query_from(words, (), await inventory.vocabulary())
        if query is None:
            return _refuse(f"{words!r} names nothing that can be searched for, such as a make, a colour or a price")
        found = await inventory.search(query.model_copy(update={"limit": limit}))
    finally:
        database.close()
    asked = facts.describe(query) or "everything that is available"
    stdout.write(f"{_counted(found.count, 'vehicle')}: {asked}\n")
    stdout.writelines(f"  {facts.line(vehicle)}\n" for vehicle in found.vehicles)
    return 0


def _tell_version(environ: Mapping[str, str], stdout: TextIO) -> int:
    database = Database(database_url(environ))
    try:
        stdout.write(f"{Inventory(database).version()}\n")
    finally:
        database.close()
    return 0


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _refuse(message: str, code: int = 2) -> int:
    sys.stderr.write(f"{message}\n")
    return code
