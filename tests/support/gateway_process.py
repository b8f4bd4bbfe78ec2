"""A gateway as it is deployed: a process of its own, whose memory, sockets and log lines are nobody else's.

Standard output is its log, standard error what Python itself has to say: warnings, exceptions that nobody caught.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
LIVE_WITHIN_S = 30.0
ENDS_WITHIN_S = 30.0


@dataclass(frozen=True)
class Upstream:
    """The replicas that a gateway is put before, and the key that lets it in."""

    urls: Sequence[str]
    key: str


@dataclass(frozen=True)
class Running:
    """A gateway that runs, and where it writes."""

    process: "subprocess.Popen[bytes]"
    url: str
    key: str
    log: Path
    stderr: Path

    def end(self) -> int:
        """Asks it to stop, as an operator does, and waits; the exit code. TimeoutExpired when it does not."""
        self.process.terminate()
        return self.process.wait(ENDS_WITHIN_S)


@contextmanager
def gateway_process(upstream: Upstream, toml: str, directory: Path, flags: Sequence[str] = ()) -> Iterator[Running]:
    """Starts one with these settings and Python's own `flags`. It has ended when the context is left.

    Raises RuntimeError when it does not come up.
    """
    directory.mkdir(parents=True, exist_ok=True)
    config, log, stderr = directory / "gateway.toml", directory / "gateway.log", directory / "gateway.stderr"
    config.write_text(toml)
    port, key = free_port(), "a-key-for-one-measurement"
    env = {
        **os.environ,
        "SCOUT_CONFIG": str(config),
        "SCOUT_HOST": "127.0.0.1",
        "SCOUT_PORT": str(port),
        "SCOUT_REPLICA_URLS": ",".join(upstream.urls),
        "SCOUT_API_KEYS": key,
        "SCOUT_ONPREM_KEY": upstream.key,
    }
    command = [sys.executable, *flags, "-m", "gateway", "serve"]
    with log.open("wb") as out, stderr.open("wb") as err:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        running = Running(process, f"http://127.0.0.1:{port}", key, log, stderr)
        try:
            _wait_until_ready(running)
            yield running
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(ENDS_WITHIN_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _wait_until_ready(running: Running) -> None:
    """Until every replica takes traffic: else a measurement would begin with part of them."""
    give_up_at = time.monotonic() + LIVE_WITHIN_S
    while time.monotonic() < give_up_at:
        if running.process.poll() is not None:
            break
        try:
            replicas = httpx.get(f"{running.url}/readyz", trust_env=False).json()["replicas"]
            if all(replica["state"] == "ready" for replica in replicas):
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the gateway did not come up: {running.stderr.read_text()}{running.log.read_text()[-2000:]}")
