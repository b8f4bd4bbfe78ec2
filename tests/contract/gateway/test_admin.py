"""The operator's door: who is let in, what it shows, and what draining a replica does to its requests."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.contract.gateway.conftest import KEY, Front, Gate
from tests.support.upstream import DONE, ROLE, STOP, USAGE, Exchange, ScriptedUpstream, event, words

pytestmark = pytest.mark.anyio

ADMIN_KEY = "sk-test-admin-0123456789"


async def ask(front: Front, method: str, path: str = "", key: str | None = ADMIN_KEY) -> httpx.Response:
    given = {} if key is None else {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=front.client.base_url, headers=given, trust_env=False) as client:
        return await client.request(method, f"/admin/replicas{path}")


async def shown(front: Front) -> list[dict[str, Any]]:
    answer = await ask(front, "GET")
    assert answer.status_code == 200
    replicas: list[dict[str, Any]] = answer.json()["replicas"]
    return replicas


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("PUT", "/replica-0/drain"), ("DELETE", "/replica-0/drain")])
@pytest.mark.parametrize("key", [None, KEY, "sk-test-nobody-0123456789"], ids=["no key", "a client's", "unknown"])
async def test_only_an_operators_key_opens_it(
    upstreams: list[ScriptedUpstream], gateway_over: Gate, method: str, path: str, key: str | None
) -> None:
    async with gateway_over(upstreams[0], admin_keys=(ADMIN_KEY,)) as front:
        answer = await ask(front, method, path, key)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
        assert not (await shown(front))[0]["draining"]


async def test_an_operators_key_does_not_open_the_model(upstreams: list[ScriptedUpstream], gateway_over: Gate) -> None:
    async with gateway_over(upstreams[0], admin_keys=(ADMIN_KEY,)) as front:
        front.client.headers["authorization"] = f"Bearer {ADMIN_KEY}"
        assert (await front.ask()).status_code == 401


async def test_without_keys_of_its_own_the_door_does_not_exist(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    async with gateway_over(upstreams[0]) as front:
        answer = await ask(front, "GET", key=KEY)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
        assert "SCOUT_ADMIN_KEYS" in answer.json()["error"]["message"]


async def test_it_shows_what_readyz_shows(upstreams: list[ScriptedUpstream], gateway_over: Gate) -> None:
    async with gateway_over(*upstreams, admin_keys=(ADMIN_KEY,)) as front:
        replicas = await shown(front)
        assert [(one["name"], one["state"], one["draining"], one["in_flight"]) for one in replicas] == [
            ("replica-0", "ready", False, 0),
            ("replica-1", "ready", False, 0),
        ]
        told = (await front.client.get("/readyz")).json()["replicas"]
        assert [one | {"since_s": 0} for one in told] == [one | {"since_s": 0} for one in replicas]


async def test_a_replica_that_is_not_there_cannot_be_drained(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    async with gateway_over(*upstreams, admin_keys=(ADMIN_KEY,)) as front:
        answer = await ask(front, "PUT", "/replica-7/drain")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
        assert "replica-0, replica-1" in answer.json()["error"]["message"]


async def test_a_drained_replica_finishes_what_it_has_and_gets_nothing_new(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    first, second = upstreams
    go_on = asyncio.Event()

    async def act(exchange: Exchange) -> None:
        await exchange.start_stream()
        for body in (ROLE, *words("Hi")):
            await exchange.send_chunk(event(body))
        await go_on.wait()
        for end in (STOP, USAGE, DONE):
            await exchange.send_chunk(event(end))
        await exchange.end_body()

    first.script(act)
    async with gateway_over(first, second, admin_keys=(ADMIN_KEY,)) as front, asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(front.ask(stream=True))
        await first.exchange(0)
        drained = (await ask(front, "PUT", "/replica-0/drain")).json()
        assert (drained["state"], drained["draining"], drained["in_flight"]) == ("draining", True, 1)
        for _ in range(3):
            assert (await front.ask()).status_code == 200
        assert (len(first.exchanges), len(second.exchanges)) == (1, 3)
        go_on.set()
        assert (await asking).text.endswith("data: [DONE]\n\n")
        assert "error" not in (await asking).text
        assert (await shown(front))[0]["in_flight"] == 0
        back = (await ask(front, "DELETE", "/replica-0/drain")).json()
        assert (back["state"], back["draining"]) == ("ready", False)
        assert (await front.ask()).status_code == 200
        assert len(first.exchanges) == 2


async def test_a_gateway_all_of_whose_replicas_are_drained_is_not_ready(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    async with gateway_over(upstreams[0], admin_keys=(ADMIN_KEY,)) as front:
        assert (await front.client.get("/readyz")).status_code == 200
        await ask(front, "PUT", "/replica-0/drain")
        answer = await front.client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
        assert answer.json()["replicas"][0]["reason"] == "takes no new requests, on an operator's word"
