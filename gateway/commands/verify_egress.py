"""`python -m gateway verify-egress`: proves that the egress ledger is whole, and counts what should not have left."""

import argparse
import json
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import TextIO

from gateway.commands.places import database_url
from gateway.ports import StoreFailed
from gateway.stores.database import Database
from gateway.stores.egress import EgressLedger, Verdict

HELP = "prove that the egress ledger is unbroken, and that no sensitive conversation has left"
NO_TIME = 0.0  # nothing is written here


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--head", metavar="HASH", help="a head that was noted earlier: it must still be in the chain")
    parser.add_argument("--jsonl", action="store_true", help="print the entries too, one JSON object a line")


def run(args: argparse.Namespace, environ: Mapping[str, str], stdin: TextIO, stdout: TextIO) -> int:
    """0 if all is well, 1 if the chain is broken or something sensitive has left, 2 if the ledger cannot be read."""
    try:
        with closing(Database(database_url(environ))) as database:
            ledger = EgressLedger(database, lambda: NO_TIME)
            if args.jsonl:
                for entry in ledger.entries_now():
                    stdout.write(json.dumps(entry) + "\n")
            verdict = ledger.verify_now(args.head)
    except StoreFailed as error:
        sys.stderr.write(f"The egress ledger cannot be read: {error}\n")
        return 2
    stdout.write(told(verdict))
    return 0 if verdict.good else 1


def told(verdict: Verdict) -> str:
    """The verdict in words."""
    chain = (
        "chain unbroken" if verdict.broken_at is None else f"chain BROKEN at entry {verdict.broken_at}: {verdict.why}"
    )
    first = "" if verdict.left_at is None else f"entry {verdict.left_at} is of a sensitive conversation, not redacted\n"
    return (
        f"egress ledger: {verdict.entries} entries, {chain}, head {verdict.head_hash}\n{first}"
        f"{verdict.left} of {verdict.sensitive} sensitive conversations left\n"
    )
