"""The promise to everybody else: whoever leaves, in whatever phase, occupies nothing any more after a second.

Neither a place on a replica, nor one in the queue, nor the GPU. The measured times are shown at the end of the run; the
bound of the tests is wider than the promise, since three engines and the load share a small machine's processors.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator

import pytest

from tests.chaos.conftest import Gateway, Say
from tests.chaos.front import Front
from tests.chaos.load import ask, completion
from tests.chaos.stack import Stack
from tests.chaos.tally import Result
from tests.contract.engines import Engines

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

BOUND_S = 5.0
LONG = 1500
"""Tokens: an answer that takes so long that only its client's leaving ends it soon."""

ONE_PLACE = "[admission]\nmax_concurrent_per_replica = 1\n"
PLACES, QUEUE, OPEN = "scout_replica_in_flight", "scout_queue_waiting", "scout_open_requests"


@pytest.fixture
async def narrow(stack: Stack, gateway: Gateway) -> AsyncIterator[Front]:
    """A gateway that gives each replica one request at a time."""
    async with Front(stack, gateway(ONE_PLACE)) as front:
        yield front


@pytest.fixture
async def engines(narrow: Front, stack: Stack) -> AsyncIterator[Engines]:
    """The engines that the gateway uses, idle."""
    urls = tuple(f"{stack.engine_urls[replica]}/metrics" for replica in await narrow.ready())
    watched = Engines(urls, stack.variables["ENGINE_KEY"])
    try:
        watched.wait_until_idle()
        yield watched
    finally:
        watched.close()


class Client:
    """One who asks for a long answer and leaves before it has come."""

    def __init__(self, front: Front) -> None:
        self._began = asyncio.Event()
        self._task: asyncio.Task[Result] = asyncio.get_running_loop().create_task(
            ask(
                front.client,
                completion("Tell me about financing and leasing in detail.", LONG),
                lambda size: self._began.set(),
            )
        )

    async def has_read(self) -> None:
        """Waits until the first of the answer has come."""
        await asyncio.wait_for(self._began.wait(), 60)
        self.is_waiting()

    def is_waiting(self) -> None:
        """AssertionError if the answer has ended, in whatever way."""
        assert not self._task.done(), f"it has ended: {self._task.result()}"

    async def leave(self) -> None:
        """Closes the connection."""
        self._task.cancel()
        await asyncio.wait([self._task])


def report(phase: str, place_s: float, engines: Engines, say: Say) -> None:
    """Waits until the engines are idle too, and tells how long it took since the client left."""
    began = time.monotonic()
    engines.wait_until_idle(BOUND_S)
    say(f"left {phase}: place free after {place_s:.2f} s, engine idle after {place_s + time.monotonic() - began:.2f} s")


async def test_client_that_leaves_mid_stream_frees_place_and_gpu(narrow: Front, engines: Engines, say: Say) -> None:
    client = Client(narrow)
    await client.has_read()
    await client.leave()
    report("mid-stream", await narrow.until_metric(PLACES, 0, BOUND_S), engines, say)


async def test_client_that_leaves_the_queue_frees_its_place_in_it_alone(
    narrow: Front, engines: Engines, say: Say
) -> None:
    served = [Client(narrow) for _ in await narrow.ready()]
    for client in served:
        await client.has_read()
    waiting = Client(narrow)
    await narrow.until_metric(QUEUE, 1)
    await waiting.leave()
    queue_s = await narrow.until_metric(QUEUE, 0, BOUND_S)
    assert await narrow.metric(PLACES) == len(served), "the others are still served"
    for client in served:
        await client.leave()
    say(f"left the queue: place in it free after {queue_s:.2f} s")
    report("mid-stream, all at once", await narrow.until_metric(PLACES, 0, BOUND_S), engines, say)


async def test_client_that_leaves_before_the_upstreams_headers_frees_place_and_gpu(
    narrow: Front, stack: Stack, engines: Engines, say: Say
) -> None:
    for replica in await narrow.ready():
        stack.hang_server(replica)
    client = Client(narrow)
    await narrow.until_metric(PLACES, 1)
    await client.leave()
    place_s = await narrow.until_metric(PLACES, 0, BOUND_S)
    stack.go_on()
    report("before headers", place_s, engines, say)


async def test_client_that_leaves_before_the_first_content_frees_place_and_gpu(
    narrow: Front, stack: Stack, engines: Engines, say: Say
) -> None:
    for replica in await narrow.ready():
        stack.hang_engine(replica)
    client = Client(narrow)
    await narrow.until_metric(PLACES, 1)
    await client.leave()
    place_s = await narrow.until_metric(PLACES, 0, BOUND_S)
    stack.go_on()
    report("before the first content", place_s, engines, say)


async def test_client_that_leaves_during_a_resume_frees_everything(
    narrow: Front, stack: Stack, engines: Engines, say: Say
) -> None:
    client = Client(narrow)
    await client.has_read()
    stack.tell_nginx(signal.SIGTERM)
    await narrow.until_metric(PLACES, 0)
    client.is_waiting()  # for a replica to go on with
    await client.leave()
    open_s = await narrow.until_metric(OPEN, 0, BOUND_S)
    assert await narrow.metric(QUEUE) == 0
    report("during a resume", open_s, engines, say)
    await narrow.until_ready(2)
