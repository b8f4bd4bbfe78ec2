"""The gateway's cloud upstream against a real server in OpenAI's place: vLLM, nginx before it, and the gateway itself.

The scriptable cloud of the unit tests does what we think that OpenAI does; here a server that others wrote decides.
"""

import asyncio
import io
from collections.abc import Iterator

import pytest

from gateway.errors import GatewayError, UpstreamUnavailable
from gateway.logs import make_log
from gateway.ports import AttemptFailed, Chunk, Fault
from gateway.settings import Cloud
from gateway.tool_calls import ToolCalls
from gateway.upstreams.http1 import Client
from gateway.upstreams.openai import OpenAiStream, OpenAiUpstream, open_client
from tests.contract.targets import Feature
from tests.contract.test_tools import SEARCH, TALK
from tests.support.cleared import Recorder, cleared

pytestmark = pytest.mark.anyio

ASK = {"messages": [{"role": "user", "content": "What are your opening hours?"}], "max_tokens": 24, "temperature": 0}
SLOW = Cloud(first_content_timeout_s=60, idle_timeout_s=60, total_timeout_s=120)  # two busy cores may need it


@pytest.fixture
def client() -> Iterator[Client]:
    client = open_client(SLOW)
    yield client
    client.close()


@pytest.fixture
def ledger() -> Recorder:
    return Recorder()


@pytest.fixture
def upstream(target, client, ledger):
    def upstream(key=target.key, model=target.model):
        settings = SLOW.model_copy(update={"model": model})
        return OpenAiUpstream(client, settings, f"{target.url}/v1", key or "none", ledger, make_log(io.StringIO()))

    return upstream


async def read_all(stream: OpenAiStream) -> list[Chunk]:
    told: list[Chunk] = []
    while (chunks := await stream.read()) is not None:
        told += chunks
    stream.close()
    return told


async def test_an_answer_comes_whole_with_its_usage(upstream, ledger, wire):
    stream = await upstream().open(cleared(ASK), "req_contract")
    told = await read_all(stream)
    answer = wire.chat()
    assert "".join(chunk.text for chunk in told) == answer["choices"][0]["message"]["content"]
    assert [chunk.finished for chunk in told if chunk.finished] == [((0, answer["choices"][0]["finish_reason"]),)]
    assert told[-1].usage["completion_tokens"] == answer["usage"]["completion_tokens"]
    assert stream.over
    assert len(ledger.entries) == 1


@pytest.mark.needs(Feature.TOOLS)
async def test_a_tool_call_comes_in_pieces_that_fit_together(upstream):
    told = await read_all(
        await upstream().open(cleared({**ASK, "messages": TALK, "tools": [SEARCH], "max_tokens": 100}), "req_contract")
    )
    calls = ToolCalls()
    for chunk in told:
        calls.note(chunk.raw)
    assert [call.name for call in calls.calls] == ["search_inventory"]
    assert calls.calls[0].parsed()


async def test_closing_stops_the_engine(upstream, engines):
    long = {**ASK, "max_tokens": 2000}
    stream = await upstream().open(cleared(long), "req_contract")
    assert await stream.read()
    stream.close()
    await asyncio.to_thread(engines.wait_until_idle)


async def failure(opening) -> tuple[GatewayError, Fault]:
    with pytest.raises(AttemptFailed) as failed:
        await opening
    return failed.value.error, failed.value.fault


@pytest.mark.needs(Feature.AUTH)
async def test_a_wrong_key_takes_the_cloud_out(upstream):
    error, fault = await failure(upstream(key="sk-a-key-that-is-wrong").open(cleared(ASK), "req_contract"))
    assert (type(error), fault) == (UpstreamUnavailable, Fault.UNREACHABLE)


async def test_a_wrong_model_takes_the_cloud_out(upstream):
    error, fault = await failure(upstream(model="no-such-model").open(cleared(ASK), "req_contract"))
    assert (type(error), fault) == (UpstreamUnavailable, Fault.UNREACHABLE)


async def test_a_refused_request_says_nothing_of_the_cloud(upstream):
    error, fault = await failure(upstream().open(cleared({**ASK, "temperature": -3}), "req_contract"))
    assert (type(error), fault) == (UpstreamUnavailable, Fault.NONE)
