"""`./scout check`: every check that needs no running stack, each with its time; the output of those that fail."""

import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".venv" / "bin"


def commands(root: Path) -> list[list[str]]:
    """The checks in order, the quick ones first."""
    ruff, python = str(TOOLS / "ruff"), str(TOOLS / "python")
    # With the example's values, so that every variable that the file needs is in the example.
    compose = [_compose(side) for side in ("cloud", "onprem") if (root / f"docker-compose.{side}.yml").exists()]
    return [
        ["bash", "-n", "scout", ".ci/run"],
        [ruff, "check", "--output-format", "concise", "."],
        [ruff, "format", "--check", "--quiet", "."],
        [python, "-m", "infra.checks.house"],
        *compose,
        [python, "-m", "infra.tailscale.check", "infra/tailscale/policy.hujson"],
        [str(TOOLS / "lint-imports")],
        [str(TOOLS / "mypy")],
    ]


def _compose(side: str) -> list[str]:
    # With the example's values: a variable that the file needs and the example lacks is found too.
    example = ["--env-file", f"infra/env/{side}.env.example"]
    return [str(TOOLS / "docker-compose"), "-f", f"docker-compose.{side}.yml", *example, "config", "-q"]


def main() -> int:
    console = Console(soft_wrap=True, emoji=False)
    failed = 0
    for command in commands(ROOT):
        began = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        shown = " ".join([Path(command[0]).name, *command[1:]])
        verdict = "[green]ok[/]" if done.returncode == 0 else "[red]FAILED[/]"
        console.print(f"{verdict:<20} {time.monotonic() - began:5.1f} s  {shown}", highlight=False)
        if done.returncode:
            failed += 1
            console.print((done.stdout + done.stderr).rstrip(), highlight=False, markup=False)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
