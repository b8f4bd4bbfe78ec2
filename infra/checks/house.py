"""The rules of the house that no linter has: sizes, names, imports at the top.

A file over 400 lines or a function over 60 fails; both are signs of two things in one place. `python -m
infra.checks.house` prints each breach with its line.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("shared", "gateway", "inference", "infra", "tests")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
# Names that say nothing of what is inside, and so attract everything.
GRAB_BAGS = frozenset({"utils", "util", "common", "helpers", "helper", "misc", "manager", "managers", "base", "core"})
Function = ast.FunctionDef | ast.AsyncFunctionDef


def breaches(root: Path) -> Iterator[str]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            yield from of_file(path.relative_to(root), path.read_text())


def of_file(path: Path, source: str) -> Iterator[str]:
    """Breaches within one file."""
    lines = source.count("\n")
    if lines > MAX_FILE_LINES:
        yield f"{path}: {lines} lines, {MAX_FILE_LINES} are the limit"
    if path.stem in GRAB_BAGS:
        yield f"{path}: the name says nothing of what is inside"
    for node in ast.walk(ast.parse(source, str(path))):
        if isinstance(node, Function):
            yield from _of_function(path, node)


def _of_function(path: Path, function: Function) -> Iterator[str]:
    length = (function.end_lineno or function.lineno) - function.lineno + 1
    if length > MAX_FUNCTION_LINES:
        yield f"{path}:{function.lineno}: {function.name} has {length} lines, {MAX_FUNCTION_LINES} are the limit"
    for node in ast.walk(function):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield f"{path}:{node.lineno}: an import inside {function.name}; imports stand at the top"


def main() -> int:
    console = Console(soft_wrap=True, emoji=False)
    found = list(breaches(ROOT))
    for breach in found:
        console.print(breach, highlight=False, markup=False)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
