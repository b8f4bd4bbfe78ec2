"""What a report says of the machine it was measured on, and the processes that a measurement starts beside itself."""

import contextlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "?")


def commit_of(checkout: Path) -> str:
    """The commit of a checkout, with `+` behind it when the files differ from it; `?` if it has none."""
    git = ["git", "-C", str(checkout)]
    commit = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=False)
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True, check=False).returncode == 1
    return (commit.stdout.strip() or "?") + ("+" if changed else "")


def machine_facts(checkout: Path) -> dict[str, object]:
    """Date, commit, machine, Python, priority, and the load average before anything is measured."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit_of(checkout),
        "machine": f"{_cpu_model()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "load_before": os.getloadavg()[0],
    }


@contextlib.contextmanager
def started(module: str, core: int) -> Iterator[str]:
    """The first line that `python -m MODULE --core CORE` prints; it ends when its input does, so also with us."""
    command = [sys.executable, "-m", module, "--core", str(core)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline()
        finally:
            process.terminate()
