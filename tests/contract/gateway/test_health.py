"""Replicas that cannot serve get no traffic, and get it back by themselves."""

import pytest

from tests.contract.gateway.conftest import Front, Gate, until_ready
from tests.support.servers import free_port
from tests.support.upstream import ScriptedUpstream, reset_at_once, status

pytestmark = pytest.mark.anyio

FAST = {"ready_interval_s": 0.1, "failed_interval_s": 0.1, "timeout_s": 1.0}


async def state(front: Front, number: int) -> tuple[str, str]:
    replica = (await front.client.get("/readyz")).json()["replicas"][number]
    return replica["state"], replica["reason"]


async def until_failed(front: Front, number: int) -> str:
    while True:
        now, reason = await state(front, number)
        if now == "failed":
            return reason


async def test_no_replica_is_ready_before_a_probe_has_said_so(gateway_over: Gate) -> None:
    async with gateway_over(f"http://127.0.0.1:{free_port()}", wait=False) as front:
        await until_failed(front, 0)
        assert (await front.client.get("/readyz")).status_code == 503
        assert (await front.client.get("/livez")).status_code == 200
        answer = await front.ask()
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "upstream_unavailable")
        assert answer.headers["retry-after"] == "2"
        assert "x-should-retry" not in answer.headers  # nothing was tried, so trying again is not in vain


async def test_a_replica_that_refuses_connections_is_ejected_by_the_request_that_finds_it(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    first, second = upstreams
    async with gateway_over(first, second) as front:  # at the default 10 s no probe would notice in time
        await first.stop()
        assert (await front.ask()).headers["x-scout-replica"] == "replica-1"
        assert await front.metric("scout_replica_ready", replica="replica-0") == 0
        for _ in range(4):
            assert (await front.ask()).status_code == 200
        assert await front.metric("scout_upstream_attempts_total", replica="replica-0") == 1


@pytest.mark.parametrize("ejects", [502, 401])
async def test_nginx_saying_that_the_engine_is_gone_ejects(
    upstreams: list[ScriptedUpstream], gateway_over: Gate, ejects: int
) -> None:
    first, second = upstreams
    first.script(status(ejects))
    async with gateway_over(first, second, health={"failed_interval_s": 60}) as front:
        assert (await front.ask()).headers["x-scout-replica"] == "replica-1"
        assert (await state(front, 0))[0] == "failed"


async def test_a_torn_connection_alone_does_not_eject(upstreams: list[ScriptedUpstream], gateway_over: Gate) -> None:
    first, second = upstreams
    first.script(reset_at_once)
    async with gateway_over(first, second) as front:
        before = first.probes
        assert (await front.ask()).headers["x-scout-replica"] == "replica-1"
        while first.probes == before:  # but it is looked at now, not in 10 s
            await front.client.get("/livez")
        assert (await state(front, 0))[0] == "ready"


async def test_a_replica_that_comes_back_gets_traffic_again(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    first, second = upstreams
    port = int(first.url.rpartition(":")[2])
    async with gateway_over(first, second, health=FAST) as front:
        await first.stop()
        await until_failed(front, 0)
        await first.start(port)
        await until_ready(front, 2)
        assert {(await front.ask()).headers["x-scout-replica"] for _ in range(4)} == {"replica-0", "replica-1"}
        changes = [
            (line["was"], line["state"]) for line in front.log_lines("replica") if line["replica"] == "replica-0"
        ]
        assert changes == [("failed", "ready"), ("ready", "failed"), ("failed", "ready")]


async def test_probes_tell_what_is_wrong(upstreams: list[ScriptedUpstream], gateway_over: Gate) -> None:
    first, _ = upstreams
    async with gateway_over(first, health=FAST) as front:
        first.health = 503
        assert await until_failed(front, 0) == "/health: HTTP 503"
        first.health = 200
        await until_ready(front, 1)
        first.refuses_key = True
        assert "SCOUT_ONPREM_KEY" in await until_failed(front, 0)
        first.refuses_key = False
        await until_ready(front, 1)
        first.health = 503  # an engine changes its model only by a new start
        await until_failed(front, 0)
        first.models, first.health = ("something-else",), 200
        while "llama-70b-scout" not in (await state(front, 0))[1]:
            await front.client.get("/livez")
