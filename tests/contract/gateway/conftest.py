import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from gateway.app import build_app
from gateway.logs import make_log
from gateway.ports import Clock
from gateway.settings import Listen, Settings
from tests.support.servers import serving
from tests.support.upstream import MODEL, ScriptedUpstream, scripted_upstream

KEY = "sk-test-client-0123456789"
ONPREM_KEY = "sk-test-onprem-0123456789"

QUESTION: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}


@dataclass
class Front:
    """A running gateway and a client of it."""

    client: httpx.AsyncClient
    output: io.StringIO

    async def ask(self, **changes: Any) -> httpx.Response:
        return await self.client.post("/v1/chat/completions", json={**QUESTION, **changes})

    async def metric(self, name: str, **labels: str) -> float:
        """The sample's value, 0 where none has these labels. KeyError for a name that the gateway does not have."""
        exposition = (await self.client.get("/metrics")).text
        family = name.removesuffix("_total")
        if f"# TYPE {name} " not in exposition and f"# TYPE {family} " not in exposition:
            raise KeyError(name)
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        for line in exposition.splitlines():
            sample, _, value = line.rpartition(" ")
            found, _, given = sample.partition("{")
            if found == name and wanted <= set(given.rstrip("}").split(",")) | {""}:
                return float(value)
        return 0.0

    def log_lines(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.output.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def upstreams() -> AsyncIterator[list[ScriptedUpstream]]:
    async with scripted_upstream() as first, scripted_upstream() as second:
        yield [first, second]


Gate = Callable[..., AbstractAsyncContextManager[Front]]


@pytest.fixture
def gateway_over() -> Gate:
    """Starts a gateway over these upstreams; keyword arguments replace whole slices of the settings."""

    @asynccontextmanager
    async def start(
        *upstreams: ScriptedUpstream | str, wait: bool = True, clock: Clock = time.monotonic, **slices: Any
    ) -> AsyncIterator[Front]:
        urls = tuple(one if isinstance(one, str) else one.url for one in upstreams)
        settings = Settings.model_validate(
            {
                "listen": Listen(),
                "replica_urls": urls,
                "api_keys": (KEY,),
                "onprem_key": ONPREM_KEY,
                **{name: value for name, value in slices.items()},
            }
        )
        output = io.StringIO()
        async with serving(build_app(settings, clock=clock, log=make_log(output))) as url:
            headers = {"authorization": f"Bearer {KEY}"}
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20, trust_env=False) as client:
                front = Front(client, output)
                if wait:
                    await until_ready(front, len(urls))
                yield front

    return start


async def until_logged(front: Front, event: str) -> list[dict[str, Any]]:
    """The log's lines of this kind, once there is one."""
    while not (lines := front.log_lines(event)):  # noqa: ASYNC110  # a log is a text, it has no event to wait for
        await asyncio.sleep(0.01)
    return lines


async def until_ready(front: Front, count: int) -> None:
    """Waits until `count` replicas take traffic. Bounded by the test's own time-out."""
    while True:
        states = [replica["state"] for replica in (await front.client.get("/readyz")).json()["replicas"]]
        if states.count("ready") == count:
            return
