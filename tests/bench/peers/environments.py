"""Throw-away environments for the gateways under test: a venv or an npm prefix each, below one folder.

An environment that already holds the wanted version is used again; delete the folder to begin anew. What an installer
said when it failed becomes the reason in the gateway's row of the report: `Unavailable`.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

INSTALL_TIMEOUT_S = 600.0
_REASON_LINES = 3


class Unavailable(Exception):
    """Raised when a gateway cannot be installed or does not start; the message says why, in one line."""


def _run(command: list[str], log: Path) -> None:
    """Raises Unavailable with the last lines that the command printed."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        raise Unavailable(f"{command[0]} is not there") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"not installed within {INSTALL_TIMEOUT_S:.0f} s") from None
    log.write_text(done.stdout)
    if done.returncode:
        # pip warns of local folders without the package, a line each: no reason for anything.
        lines = [line for line in done.stdout.splitlines() if line.strip() and "is ignored" not in line]
        raise Unavailable("not installed: " + " / ".join(lines[-_REASON_LINES:])[:400])


def venv(folder: Path, *arguments: str) -> Path:
    """The `bin` folder of a venv in which `pip install ARGUMENTS` was done."""
    wanted = json.dumps(arguments)
    mark = folder / "installed.json"
    if not (mark.exists() and mark.read_text() == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", str(folder)], folder.with_suffix(".log"))
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, *arguments], folder.with_suffix(".log"))
        mark.write_text(wanted)
    return folder / "bin"


def npm(folder: Path, package: str) -> Path:
    """The `node_modules/.bin` folder of a prefix in which `npm install PACKAGE` was done."""
    mark = folder / "installed.json"
    if not (mark.exists() and mark.read_text() == package):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", package]
        _run(command, folder.with_suffix(".log"))
        mark.write_text(package)
    return folder / "node_modules" / ".bin"


def python_version_of(bin_folder: Path, package: str) -> str:
    """The installed version of a Python package; `?` if it is not there."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    done = subprocess.run([str(bin_folder / "python"), "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "?"


def clean_environment() -> dict[str, str]:
    """What a gateway gets of our own environment: no proxies, no settings of tools, no secrets."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
