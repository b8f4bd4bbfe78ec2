"""The compose files as Compose itself reads them: interpolated, merged and checked by its reference loader."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BINARY = Path(sys.executable).parent / "docker-compose"  # reads files without Docker


def example_env(side: str) -> Path:
    """The documented values of `onprem` or `cloud`."""
    return ROOT / "infra/env" / f"{side}.env.example"


def config(side: str, env_file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `docker-compose config` on one of the two files, seeing no variable but those of `env_file`."""
    command = [str(BINARY), "-f", str(ROOT / f"docker-compose.{side}.yml"), "--env-file", str(env_file), "config"]
    return subprocess.run(
        [*command, *options], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )


def load(side: str, env_file: Path) -> dict[str, Any]:
    """One file as data, with every variable replaced."""
    done = config(side, env_file, "--format", "json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def read_env(path: Path) -> dict[str, str]:
    """The values that an environment file sets; what is commented out is not one."""
    lines = (line.partition("=") for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in lines}
