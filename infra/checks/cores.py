"""`./scout test cores`: the modules that decide are covered by their own unit tests, each line and each branch.

Which modules: those that the layers' contract in pyproject.toml holds to deciding without I/O, clocks or chance, except
for what only declares. A module's own tests are its `test_<name>.py`; what others happen to run of it does not count.
"""

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = "the core decides without I/O, clocks or chance"
DECLARE_ONLY = frozenset({"gateway.ports", "gateway.work"})


def cores(pyproject: Mapping[str, Any]) -> list[str]:
    """Their names. Raises KeyError where there is no such contract."""
    for contract in pyproject["tool"]["importlinter"]["contracts"]:
        if contract["name"] == CONTRACT:
            return sorted(set(contract["source_modules"]) - DECLARE_ONLY)
    raise KeyError(CONTRACT)


def source(module: str) -> str:
    """The file of a module, relative to the root."""
    return module.replace(".", "/") + ".py"


def own_tests(module: str) -> str:
    """The file of its tests, relative to the root."""
    package, _, name = module.rpartition(".")
    return f"tests/unit/{package.replace('.', '/')}/test_{name}.py"


def main() -> int:
    """Runs the tests and prints what is not covered; 1 where there is any, or a test fails."""
    modules = cores(tomllib.loads((ROOT / "pyproject.toml").read_text()))
    with tempfile.TemporaryDirectory() as directory:
        coverage = (sys.executable, "-m", "coverage")
        data = f"--data-file={directory}/coverage"
        tests = subprocess.run(
            [*coverage, "run", "--branch", data, "--source=gateway", "-m", "pytest", "-q", *map(own_tests, modules)],
            cwd=ROOT,
        )
        if tests.returncode:
            return 1
        files = ",".join(map(source, modules))
        report = [
            *coverage,
            "report",
            data,
            f"--include={files}",
            "--fail-under=100",
            "--show-missing",
            "--skip-covered",
        ]
        return 1 if subprocess.run(report, cwd=ROOT).returncode else 0


if __name__ == "__main__":
    sys.exit(main())
