"""`./scout test [suite...]`: run the suites one after the other, all of them even when one fails, and sum up."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from rich.console import Console

from infra.checks.stack import BorrowedStack, StackUnavailable
from infra.local.complaint import complain
from infra.local.settings import VARIABLES, from_environment

ROOT = Path(__file__).resolve().parents[2]
ENGINE_CASES = "tests/contract/test_engine_arguments.py"
DEALERSHIP_TESTS = "tests/unit/gateway/dealership"
PYTHON = str(ROOT / ".venv" / "bin" / "python")


class Suite(BaseModel):
    """A named command; one that `needs_stack` is told where by the variables of `.scout/env`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    command: tuple[str, ...]
    needs_stack: bool = False


class Outcome(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str
    passed: bool
    seconds: float


def suites() -> dict[str, Suite]:
    """Every suite by name, in the order they run."""
    pytest = (PYTHON, "-m", "pytest", "-q")
    every = [
        Suite(name="check", command=(PYTHON, "-m", "infra.checks")),
        Suite(
            name="unit",
            command=(*pytest, "-m", "not engine and not processes", "tests/unit", f"--ignore={DEALERSHIP_TESTS}"),
        ),
        Suite(name="processes", command=(*pytest, "-m", "processes", "tests/unit")),
        # Pure modules only, each under its own tests.
        Suite(name="cores", command=(PYTHON, "-m", "infra.checks.cores")),
        # The stock, the appointments and the tools, over real databases; and what a hostile customer may try on them.
        Suite(name="dealership", command=(*pytest, DEALERSHIP_TESTS, "tests/redteam")),
        # What asks vLLM itself without starting it, such as whether its parser takes our arguments.
        Suite(
            name="engine", command=(*pytest, "tests/unit", "tests/contract/test_engine_arguments.py", "-m", "engine")
        ),
        Suite(name="contract", command=(*pytest, "-m", "not engine", "tests/contract"), needs_stack=True),
        # Over scripted replicas, so that it needs neither a stack nor the engine.
        Suite(name="soak", command=(*pytest, "tests/soak")),
        # Starts a stack of its own: nobody else's may be broken.
        Suite(name="chaos", command=(*pytest, "tests/chaos")),
        Suite(name="e2e", command=(*pytest, "tests/e2e")),
    ]
    return {suite.name: suite for suite in every}


def main(names: list[str]) -> int:
    known = suites()
    console = Console(soft_wrap=True, emoji=False)
    unknown = [name for name in names if name not in known]
    if unknown:
        complain(f"there is no suite {', '.join(unknown)}; there are: {', '.join(known)}")
        return 2
    outcomes = [_run(known[name], console) for name in names or known]
    console.rule("suites")
    for outcome in outcomes:
        verdict = "[green]passed[/]" if outcome.passed else "[red]FAILED[/]"
        console.print(f"{outcome.suite:<10} {verdict}  {outcome.seconds:6.1f} s", highlight=False)
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def _run(suite: Suite, console: Console) -> Outcome:
    console.rule(suite.name)
    began = time.monotonic()
    try:
        passed = _run_on_stack(suite, console) if suite.needs_stack else _call(suite, {})
    except StackUnavailable as error:
        complain(str(error))
        passed = False
    return Outcome(suite=suite.name, passed=passed, seconds=time.monotonic() - began)


def _run_on_stack(suite: Suite, console: Console) -> bool:
    with BorrowedStack(ROOT, console) as variables:
        return _call(suite, variables)


def _call(suite: Suite, variables: Mapping[str, str]) -> bool:
    engine = {VARIABLES["engine_python"]: str(from_environment(os.environ, ROOT).engine_python)}
    env = {**os.environ, **engine, **variables}
    return subprocess.run(suite.command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
