"""A client that leaves takes its request with it, through every layer: the engine stops and is free for others.

The requests ask for so many tokens that they could not have ended by themselves, and the engine's own count of tokens
shows that they did not.
"""

import anyio
import pytest
from anyio import to_thread

from tests.contract.engines import GENERATED
from tests.contract.targets import Feature
from tests.contract.wire import CHAT

pytestmark = pytest.mark.needs(Feature.ENGINE_COUNTERS)

TOKENS = 3500
ENDLESS = {"max_tokens": TOKENS, "ignore_eos": True}
# Freed in 0.2 s on an idle machine. That it was not freed by the answer's end is seen from the tokens, not the time.
FREED_WITHIN_S = 30


def test_leaving_a_stream_frees_the_engine(wire, engines):
    before = engines.total(GENERATED)
    with wire.open(**ENDLESS) as response:
        arriving = response.iter_raw()  # kept: dropping it would close the connection before its time
        next(arriving)
        engines.wait_until_generating(before)
    engines.wait_until_idle(FREED_WITHIN_S)
    assert engines.total(GENERATED) - before < TOKENS
    assert wire.chat(max_tokens=1)["choices"]


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="stream")])
async def test_leaving_before_the_answer_begins_frees_the_engine(wire, engines, stream):
    # A whole answer sends no byte before its end. A stream's headers may be out already: the client leaves unread.
    before = await to_thread.run_sync(engines.total, GENERATED)
    async with wire.concurrently(1) as http, anyio.create_task_group() as group:
        group.start_soon(lambda: http.post(CHAT, json=wire.body(**ENDLESS, stream=stream)))
        await to_thread.run_sync(engines.wait_until_generating, before)
        group.cancel_scope.cancel()
    await to_thread.run_sync(engines.wait_until_idle, FREED_WITHIN_S)
    assert await to_thread.run_sync(engines.total, GENERATED) - before < TOKENS
    assert wire.chat(max_tokens=1)["choices"]


@pytest.mark.anyio
async def test_one_client_leaving_does_not_disturb_another(wire, engines):
    alone = wire.stream(max_tokens=200, ignore_eos=True).text()
    stayed = []

    async def stay(http):
        body = wire.body(max_tokens=200, ignore_eos=True)
        stayed.append((await http.post(CHAT, json=body)).json()["choices"][0]["message"]["content"])

    async with wire.concurrently(2) as http, anyio.create_task_group() as group:
        group.start_soon(stay, http)
        async with http.stream("POST", CHAT, json=wire.body(**ENDLESS, stream=True)) as response:
            arriving = response.aiter_raw()
            await anext(arriving)
    assert stayed == [alone]
    await to_thread.run_sync(engines.wait_until_idle, FREED_WITHIN_S)
