"""How a gateway stops: it says so first, finishes what it has, and ends with an error what takes too long.

A process of its own, since what is looked at is what its signals do.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.contract.gateway.conftest import KEY, ONPREM_KEY, QUESTION
from tests.support.servers import free_port
from tests.support.upstream import DONE, ROLE, STOP, USAGE, Exchange, ScriptedUpstream, event, then_hang, words

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
BEGUN = [ROLE, *words("Hel")]


@dataclass
class Running:
    """A gateway's process, and a client of it that opens a connection for each request."""

    process: asyncio.subprocess.Process
    client: httpx.AsyncClient

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    async def readyz(self) -> tuple[int, str]:
        async with httpx.AsyncClient(base_url=self.client.base_url, trust_env=False) as client:
            answer = await client.get("/readyz")
            return answer.status_code, answer.json()["status"]

    async def until(self, status: int) -> str:
        """What /readyz says once it answers so."""
        while (told := await self.readyz())[0] != status:  # noqa: ASYNC110  # another process has no event of ours
            await asyncio.sleep(0.02)
        return told[1]

    async def ended(self) -> int:
        async with asyncio.timeout(40):
            return await self.process.wait()


Gateway = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def gateway(upstreams: list[ScriptedUpstream], tmp_path: Path) -> Gateway:
    @asynccontextmanager
    async def start(**shutdown: float) -> AsyncIterator[Running]:
        config = tmp_path / "gateway.toml"
        config.write_text("[shutdown]\n" + "".join(f"{name} = {value}\n" for name, value in shutdown.items()))
        port = free_port()
        environ = {
            **os.environ,
            "SCOUT_CONFIG": str(config),
            "SCOUT_PORT": str(port),
            "SCOUT_REPLICA_URLS": upstreams[0].url,
            "SCOUT_API_KEYS": KEY,
            "SCOUT_ONPREM_KEY": ONPREM_KEY,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "serve"),
            env=environ,
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            url, headers = f"http://127.0.0.1:{port}", {"authorization": f"Bearer {KEY}"}
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=40, trust_env=False) as client:
                running = Running(process, client)
                await _until_up(running)
                yield running
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    return start


async def _until_up(running: Running) -> None:
    while running.process.returncode is None:
        try:
            await running.until(200)
        except httpx.ConnectError:
            await asyncio.sleep(0.02)
        else:
            return
    pytest.fail("the gateway has not started")


@asynccontextmanager
async def streaming(running: Running) -> AsyncIterator[AsyncIterator[str]]:
    """The data of a stream's events, one by one."""
    async with running.client.stream("POST", "/v1/chat/completions", json={**QUESTION, "stream": True}) as answer:
        assert answer.status_code == 200
        yield (line[6:] async for line in answer.aiter_lines() if line.startswith("data: "))


async def test_it_is_not_ready_while_it_still_listens_and_finishes_what_it_has(
    upstreams: list[ScriptedUpstream], gateway: Gateway
) -> None:
    go_on = asyncio.Event()

    async def act(exchange: Exchange) -> None:
        await then_end(exchange, go_on)

    upstreams[0].script(act)
    async with gateway(notice_s=3.0, grace_s=30.0) as running, streaming(running) as data:
        assert json.loads(await anext(data)) == ROLE
        running.signal()
        assert await running.until(503) == "draining"
        answer = await running.client.post("/v1/chat/completions", json=QUESTION)
        assert answer.status_code == 200  # whoever comes in the meantime is served
        go_on.set()
        rest = [told async for told in data]
        assert rest[-1] == DONE
        assert json.loads(rest[-2]) == STOP
        assert await running.ended() in (0, -signal.SIGTERM)
        with pytest.raises(httpx.ConnectError):
            await running.readyz()


async def then_end(exchange: Exchange, go_on: asyncio.Event) -> None:
    await exchange.start_stream()
    for body in BEGUN:
        await exchange.send_chunk(event(body))
    await go_on.wait()
    for end in (STOP, USAGE, DONE):
        await exchange.send_chunk(event(end))
    await exchange.end_body()


async def test_a_stream_that_outlives_the_grace_ends_with_an_error_and_done(
    upstreams: list[ScriptedUpstream], gateway: Gateway
) -> None:
    upstreams[0].script(then_hang(*BEGUN))
    async with gateway(notice_s=0.0, grace_s=0.3) as running, streaming(running) as data:
        assert json.loads(await anext(data)) == ROLE
        running.signal(signal.SIGINT)
        *_, error, done = [told async for told in data]
        assert done == DONE
        told = json.loads(error)["error"]
        assert (told["code"], told["retryable"]) == ("draining", True)
        await asyncio.wait_for(upstreams[0].exchanges[0].client_left.wait(), 10)
        assert await running.ended() in (0, -signal.SIGINT)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_it_at_once(
    upstreams: list[ScriptedUpstream], gateway: Gateway, second: signal.Signals
) -> None:
    upstreams[0].script(then_hang(*BEGUN))
    async with gateway(notice_s=60.0, grace_s=60.0) as running, streaming(running) as data:
        assert json.loads(await anext(data)) == ROLE
        running.signal()
        await running.until(503)
        running.signal(second)
        assert await running.ended() in (-signal.SIGTERM, -signal.SIGINT)
