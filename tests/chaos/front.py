"""A gateway of the suite's own over the stack's replicas, as its clients and its operator see it.

It runs with the shipped settings but for what a test says, so that what holds here holds for what is deployed.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from tests.chaos.stack import ROOT, Stack
from tests.contract.engines import parse
from tests.support.servers import free_port

SETTLED_S = 10.0
POLL_S = 0.02


class Front:
    """What a client can ask of a gateway. Entering waits for `replicas` of them to take traffic.

    On leaving, whatever was stopped goes on, and the gateway must hold nothing any more.
    """

    def __init__(self, stack: Stack, url: str, replicas: int = 2) -> None:
        # No pool limits: a load generator that queues measures itself. No retries: what fails is to be seen.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        headers = {"authorization": f"Bearer {stack.variables['SCOUT_KEY']}", "accept-encoding": "identity"}
        self.client = httpx.AsyncClient(base_url=url, headers=headers, timeout=120, limits=limits, trust_env=False)
        self._stack = stack
        self._wanted = replicas

    async def __aenter__(self) -> "Front":
        await self.until_ready(self._wanted)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._stack.go_on()
        if error is None:
            await self.settled()
        await self.client.aclose()

    async def replicas(self) -> list[dict[str, Any]]:
        """The replicas as /readyz lists them."""
        listed: list[dict[str, Any]] = (await self.client.get("/readyz")).json()["replicas"]
        return listed

    async def ready(self) -> list[int]:
        """The numbers of the replicas that take traffic."""
        return [number for number, replica in enumerate(await self.replicas()) if replica["state"] == "ready"]

    async def busy(self) -> list[int]:
        """The numbers of the replicas that take traffic and hold requests."""
        listed = enumerate(await self.replicas())
        return [number for number, one in listed if one["state"] == "ready" and one["in_flight"]]

    async def until_ready(self, count: int) -> list[int]:
        """Waits until so many replicas take traffic. Bounded by the test's own time-out."""
        while len(ready := await self.ready()) < count:  # noqa: ASYNC110  # another process: no event to wait for
            await asyncio.sleep(0.2)
        return ready

    async def until_failed(self, replica: int) -> None:
        """Waits until the gateway has seen that this one is gone, or hangs: one that is overloaded is neither."""
        while (await self.replicas())[replica]["state"] != "failed":  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)

    async def metric(self, name: str) -> float:
        """The sample, summed over its labels: 0 while it has none. KeyError for one that the gateway does not have."""
        exposition = (await self.client.get("/metrics")).text
        if f"# TYPE {name} " not in exposition:
            raise KeyError(name)
        return parse(exposition).get(name, 0.0)

    async def until_metric(self, name: str, value: float, within_s: float = SETTLED_S) -> float:
        """How many seconds it took until the sample had this value."""
        began = time.monotonic()
        while (seen := await self.metric(name)) != value:
            assert time.monotonic() - began < within_s, f"{name} is {seen:g}, not {value:g}, after {within_s:g} s"
            await asyncio.sleep(POLL_S)
        return time.monotonic() - began

    async def settled(self) -> None:
        """Nothing is held once nobody asks: no place on a replica, none in the queue, no open request."""
        for name in ("scout_replica_in_flight", "scout_queue_waiting", "scout_open_requests"):
            await self.until_metric(name, 0)


@contextmanager
def gateway_over(stack: Stack, toml: str, directory: Path) -> Iterator[str]:
    """Runs a gateway with these settings; yields its URL. A fault of its own in its log is an AssertionError."""
    config, log = directory / "gateway.toml", directory / "gateway.log"
    config.write_text(toml)
    port = free_port()
    env = {
        **os.environ,
        "SCOUT_CONFIG": str(config),
        "SCOUT_PORT": str(port),
        "SCOUT_REPLICA_URLS": stack.variables["REPLICA_URLS"],
        "SCOUT_API_KEYS": stack.variables["SCOUT_KEY"],
        "SCOUT_ADMIN_KEYS": stack.variables["SCOUT_ADMIN_KEY"],
        "SCOUT_ONPREM_KEY": stack.variables["ONPREM_KEY"],
    }
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve"], cwd=ROOT, env=env, stdout=output, stderr=output
        )
        try:
            _wait_until_live(url, process, log)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=90)
    said = log.read_text()
    assert "Traceback" not in said, said[said.index("Traceback") - 500 :][:3000]


def _wait_until_live(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    while True:
        assert process.poll() is None, f"the gateway ended: {log.read_text()}"
        try:
            httpx.get(f"{url}/livez", trust_env=False).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.1)
