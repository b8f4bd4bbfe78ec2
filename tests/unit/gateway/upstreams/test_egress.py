"""The last step before the cloud's socket: what is recorded, when it is sent, and what cannot be sent at all."""

import ast
import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

import gateway
from gateway.ports import StoreFailed
from gateway.privacy.clearance import Cleared
from gateway.upstreams.egress import NotRecorded, OneRequest
from gateway.upstreams.http1 import Client
from tests.support.cleared import BODY, Entry, Recorder, cleared
from tests.support.cloud import KEY, Cloud, goes_silent, hang, refuses, running_cloud
from tests.unit.gateway.upstreams.scripted_server import until

pytestmark = pytest.mark.anyio

SOURCES = sorted(Path(gateway.__file__).parent.rglob("*.py"))
SENT = b'{"messages":[],"stream":true}'


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with running_cloud() as cloud:
        yield cloud


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client(connect_timeout_s=10, max_connections_per_origin=2, keepalive_s=0.0)
    yield client
    client.close()


@pytest.fixture
def ledger() -> Recorder:
    return Recorder()


def sending(client: Client, ledger: Recorder) -> OneRequest:
    return OneRequest(client, ledger, cleared(), request_id="req_1", model="gpt")


def request(cloud: Cloud) -> httpx2.Request:
    headers = {
        "authorization": f"Bearer {KEY}",
        "content-type": "application/json",
        "x-stainless-os": "Linux",
        "openai-organization": "org-of-the-environment",
    }
    return httpx2.Request("POST", f"{cloud.base_url}/chat/completions?a=1", headers=headers, content=SENT)


async def test_the_very_bytes_that_are_sent_are_recorded_before_any_is(
    cloud: Cloud, client: Client, ledger: Recorder
) -> None:
    before: list[int] = []
    ledger.on_append = lambda: before.append(cloud.bytes_received)
    transport = sending(client, ledger)
    response = await transport.handle_async_request(request(cloud))
    assert response.status_code == 200
    assert before == [0]
    assert ledger.entries == [Entry("summit", "c0ffee", "clear", "req_1", "gpt", SENT)]
    assert cloud.received == [SENT]
    transport.close()


async def test_the_request_goes_where_it_was_addressed_with_few_headers(
    cloud: Cloud, client: Client, ledger: Recorder
) -> None:
    transport = sending(client, ledger)
    await transport.handle_async_request(request(cloud))
    (exchange,) = cloud.exchanges
    assert (exchange.method, exchange.path) == ("POST", "/v1/chat/completions?a=1")
    assert exchange.headers == {
        "host": cloud.url.removeprefix("http://"),
        "authorization": f"Bearer {KEY}",
        "content-type": "application/json",
        "accept": "text/event-stream",
        "accept-encoding": "identity",
        "connection": "close",
        "content-length": str(len(SENT)),
    }
    transport.close()


@pytest.mark.parametrize("error", [StoreFailed("disk full"), OSError("gone"), TypeError("a fault of ours")])
async def test_what_cannot_be_recorded_is_not_sent(
    cloud: Cloud, client: Client, ledger: Recorder, error: Exception
) -> None:
    def fail() -> None:
        raise error

    ledger.on_append = fail
    with pytest.raises(NotRecorded, match=type(error).__name__):
        await sending(client, ledger).handle_async_request(request(cloud))
    assert cloud.bytes_received == 0
    assert client.open_connections(cloud.url) == 0


async def test_a_second_request_under_one_clearance_is_not_sent(cloud: Cloud, client: Client, ledger: Recorder) -> None:
    transport = sending(client, ledger)
    await transport.handle_async_request(request(cloud))
    received = cloud.bytes_received
    with pytest.raises(RuntimeError, match="one request was cleared"):
        await transport.handle_async_request(request(cloud))
    assert (cloud.bytes_received, len(ledger.entries)) == (received, 1)
    transport.close()


async def test_a_redirect_leads_nowhere(cloud: Cloud, client: Client, ledger: Recorder) -> None:
    cloud.script(refuses(307))
    async with httpx2.AsyncClient(transport=sending(client, ledger), trust_env=False) as http:
        assert (await http.send(request(cloud))).status_code == 307
    assert len(cloud.received) == len(ledger.entries) == 1


def importers(*packages: str) -> set[str]:
    """The names of the gateway's modules that import one of these."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] in packages for name in names):
                found.add(path.name)
    return found


LOOKALIKE = SimpleNamespace(body=BODY, label="clear", tenant="summit", conversation="c0ffee")


@pytest.mark.parametrize("other", [None, BODY, LOOKALIKE], ids=["nothing", "a body", "a lookalike"])
def test_nothing_is_carried_that_the_privacy_step_has_not_made(client: Client, ledger: Recorder, other: Any) -> None:
    with pytest.raises(TypeError, match="only what the privacy step has cleared"):
        OneRequest(client, ledger, other, request_id="req_1", model="gpt")


async def test_an_empty_shell_of_a_clearance_sends_nothing(cloud: Cloud, client: Client, ledger: Recorder) -> None:
    transport = OneRequest(client, ledger, object.__new__(Cleared), request_id="req_1", model="gpt")
    with pytest.raises(NotRecorded):
        await transport.handle_async_request(request(cloud))
    assert cloud.bytes_received == 0


def test_nothing_else_in_the_gateway_can_speak_to_the_cloud() -> None:
    assert importers("openai", "httpx2") == {"cloud_failures.py", "egress.py", "openai.py"}
    assert {path.name for path in SOURCES if "OneRequest(" in path.read_text()} == {"egress.py", "openai.py"}


async def test_an_error_can_be_read_and_its_connection_is_gone_afterwards(
    cloud: Cloud, client: Client, ledger: Recorder
) -> None:
    cloud.script(refuses(429, "slow_down", retry_after="3"))
    transport = sending(client, ledger)
    response = await transport.handle_async_request(request(cloud))
    assert response.headers["retry-after"] == "3"
    await response.aread()
    assert response.json()["error"]["code"] == "slow_down"
    await response.aclose()
    await until(lambda: client.open_connections(cloud.url) == 0)


async def test_closing_cuts_the_answer_off_at_once_and_may_be_done_again(
    cloud: Cloud, client: Client, ledger: Recorder
) -> None:
    cloud.script(goes_silent("Hi"))
    transport = sending(client, ledger)
    transport.close()
    await transport.handle_async_request(request(cloud))
    transport.close()
    transport.close()
    assert client.open_connections(cloud.url) == 0
    await until(cloud.exchanges[0].client_left.is_set)


async def test_a_request_that_is_cancelled_leaves_no_connection(cloud: Cloud, client: Client, ledger: Recorder) -> None:
    cloud.script(hang)
    asking = asyncio.create_task(sending(client, ledger).handle_async_request(request(cloud)))
    exchange = await cloud.exchange(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert client.open_connections(cloud.url) == 0
    await until(exchange.client_left.is_set)
