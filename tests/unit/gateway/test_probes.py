"""What cannot be tried over a real connection: a probe that fails in a way nobody foresaw."""

import asyncio
import io
import time

import httpx
import pytest

from gateway.health import State
from gateway.logs import make_log
from gateway.probes import Prober
from gateway.routing import Pool
from gateway.settings import Health

pytestmark = pytest.mark.anyio

MODEL = "llama-70b-scout"


async def test_a_watch_survives_what_nobody_foresaw() -> None:
    broken = True

    def answer(request: httpx.Request) -> httpx.Response:
        if broken:
            raise RuntimeError("unforeseen")
        return httpx.Response(200, json={"data": [{"id": MODEL}]})

    settings = Health(failed_interval_s=0.01)
    pool = Pool(["http://site:8081"], settings, time.monotonic)
    (replica,) = pool.replicas
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        prober = Prober(client, "a-key-of-ours-0123", MODEL, settings, pool, make_log(io.StringIO()))
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(prober.watch(replica))
            while replica.belief.state is not State.FAILED:  # noqa: ASYNC110  # a belief has no event to wait for
                await asyncio.sleep(0)
            assert replica.belief.reason == "RuntimeError in a probe"
            broken = False
            while replica.belief.state is not State.READY:  # noqa: ASYNC110
                await asyncio.sleep(0)
            watch.cancel()
