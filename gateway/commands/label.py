"""`python -m gateway label`: what the privacy step finds in a message, and how well in a labelled corpus."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from gateway.privacy.detector import find
from gateway.privacy.kinds import STRUCTURED
from gateway.privacy.label import Label, label_of

HELP = "label messages as clear or sensitive, and say which kinds of personal data are in them"


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("message", nargs="?", help="one message")
    parser.add_argument("--jsonl", action="store_true", help='read {"message": ...} lines from standard input')
    parser.add_argument("--evaluate", metavar="FILE", help="score against a labelled corpus")
    parser.add_argument("--show", action="store_true", help="with --evaluate: show the messages that were got wrong")


def run(args: argparse.Namespace, environ: Mapping[str, str], stdin: TextIO, stdout: TextIO) -> int:
    """0; 1 if a line could not be read; 2 for bad use."""
    if sum((args.message is not None, args.jsonl, args.evaluate is not None)) != 1:
        sys.stderr.write("Give a message, or --jsonl, or --evaluate FILE.\n")
        return 2
    if args.message is not None:
        stdout.write(json.dumps(labelled(args.message)) + "\n")
        return 0
    if args.jsonl:
        return _lines(stdin, stdout)
    try:
        scored = score(Path(args.evaluate).read_text("utf-8").splitlines())
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"{args.evaluate}: {error!r}\n")
        return 2
    stdout.write(scored.told(show=args.show))
    return 0


def labelled(message: str) -> dict[str, Any]:
    """The label of a message, and the kinds found in it, sorted."""
    return {"label": label_of([message]), "kinds": sorted({finding.kind for finding in find(message)})}


def _lines(stdin: TextIO, stdout: TextIO) -> int:
    code = 0
    for number, line in enumerate(stdin, 1):
        if not line.strip():
            continue
        try:
            message = json.loads(line)["message"]
            if not isinstance(message, str):
                raise TypeError("message is no text")
            answer = labelled(message)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            answer, code = {"error": f'line {number}: not {{"message": text}} ({type(error).__name__})'}, 1
        stdout.write(json.dumps(answer) + "\n")
    return code


@dataclass
class Score:
    """Counts over a corpus; `missed` and `alarms` are line numbers with their messages."""

    expected: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    clear: int = 0
    missed: list[tuple[int, str]] = field(default_factory=list)
    alarms: list[tuple[int, str]] = field(default_factory=list)

    @property
    def structured_recall(self) -> float:
        """Share of the structured identifiers that were found."""
        expected = sum(self.expected[kind] for kind in STRUCTURED)
        return sum(self.right[kind] for kind in STRUCTURED) / expected if expected else 1.0

    @property
    def false_alarms(self) -> float:
        """Share of the clear messages that were taken for sensitive."""
        return len(self.alarms) / self.clear if self.clear else 0.0

    def told(self, *, show: bool) -> str:
        """As a table. Messages only where they are asked for: a corpus may hold real ones."""
        lines = [f"{'kind':<16} {'recall':>7} {'precision':>9} {'of':>4}"]
        for kind in sorted(self.expected):
            precision = self.right[kind] / self.found[kind] if self.found[kind] else 0.0
            recall = self.right[kind] / self.expected[kind]
            lines.append(f"{kind:<16} {recall:>7.3f} {precision:>9.3f} {self.expected[kind]:>4}")
        lines.append(f"structured identifiers: recall {self.structured_recall:.3f}")
        lines.append(f"false alarms: {self.false_alarms:.1%} of {self.clear} clear messages")
        for name, wrong in (("missed", self.missed), ("false alarm", self.alarms)):
            lines += [f"{name}: line {number}{': ' + message if show else ''}" for number, message in wrong]
        return "\n".join(lines) + "\n"


def score(lines: Iterable[str]) -> Score:
    """Over `{"message", "label", "kinds"}` lines. Raises ValueError, KeyError."""
    scored = Score()
    for number, line in enumerate(lines, 1):
        row = json.loads(line)
        expected, found = set(row["kinds"]), {str(finding.kind) for finding in find(row["message"])}
        scored.expected.update(expected)
        scored.found.update(found)
        scored.right.update(expected & found)
        if row["label"] == Label.CLEAR:
            scored.clear += 1
            if found:
                scored.alarms.append((number, row["message"]))
        elif expected - found:
            scored.missed.append((number, row["message"]))
    return scored
