"""Streams that are not to go on: the gateway stops, or the client leaves, and nothing of them stays behind."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.ending import Ending
from gateway.errors import ClientGone, Draining
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.chunks import finish, text, usage
from tests.unit.gateway.pool_bench import URLS
from tests.unit.gateway.relay_bench import END, FIRST, REST, SeenClock, Start, benches, cut
from tests.unit.gateway.upstream_double import STALL, Later, ScriptedStream

pytestmark = pytest.mark.anyio


@pytest.fixture
async def start(accounts: Accounts) -> AsyncIterator[Start]:
    async with benches(accounts, SeenClock()) as start:
        yield start


@pytest.fixture
def ending() -> Ending:
    return Ending()


def test_it_begins_when_it_is_told_to(ending: Ending) -> None:
    assert not ending.begun
    ending.begin()
    assert ending.begun


async def test_a_stream_is_under_way_until_it_is_closed(start: Start, ending: Ending) -> None:
    bench = await start([[finish()], [usage(3, 1)], None])
    ending.watch(bench.relay)
    assert ending.streams == 1
    await bench.drain()
    assert ending.streams == 0
    ending.stop_streams()


async def test_a_silent_stream_that_is_stopped_ends_with_an_error_that_says_why(start: Start, ending: Ending) -> None:
    bench = await start([STALL])
    ending.watch(bench.relay)
    reading = asyncio.create_task(bench.error())
    await bench.streams[0].stalled.wait()
    ending.stop_streams()
    error = await reading
    bench.relay.close()
    assert isinstance(error, Draining)
    assert "stopping" in error.message
    assert bench.accounts.line["outcome"] == "draining"
    assert ending.streams == 0


async def test_what_had_come_before_the_stop_is_told_and_nothing_is_asked_anew(start: Start, ending: Ending) -> None:
    bench = await start([[text("lo", 11)], STALL], [REST, *END])
    ending.watch(bench.relay)
    ending.stop_streams()
    assert await anext(bench.relay) == FIRST
    assert isinstance(await bench.error(), Draining)
    assert bench.upstream.asked == URLS[:1]
    assert bench.resumes() == {}


async def test_a_stream_that_begins_after_the_others_were_stopped_is_stopped_too(start: Start, ending: Ending) -> None:
    ending.stop_streams()
    bench = await start([STALL])
    ending.watch(bench.relay)
    assert isinstance(await bench.error(), Draining)


async def test_a_stop_is_not_held_against_the_replica(start: Start, ending: Ending) -> None:
    bench = await start([STALL])
    before = bench.pool.replicas[0].belief
    ending.watch(bench.relay)
    ending.stop_streams()
    await bench.error()
    assert bench.pool.replicas[0].belief == before


async def test_an_answer_that_was_whole_when_it_was_stopped_ends_well(start: Start, ending: Ending) -> None:
    bench = await start([[finish("stop", 4)], STALL])
    ending.watch(bench.relay)
    await anext(bench.relay)
    await anext(bench.relay)
    ending.stop_streams()
    (counted,) = await bench.drain()
    assert counted.usage == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert bench.accounts.line["outcome"] == "ok"


async def test_the_first_reason_to_stop_is_the_one_that_is_told(start: Start, ending: Ending) -> None:
    bench = await start([STALL])
    ending.watch(bench.relay)
    ending.stop_streams()
    bench.relay.stop(ClientGone("Too late."))
    assert isinstance(await bench.error(), Draining)


@pytest.mark.parametrize("leg_comes", [False, True])
async def test_a_stream_that_is_stopped_during_a_resume_does_not_wait_for_it(
    start: Start, ending: Ending, leg_comes: bool
) -> None:
    later = Later(ScriptedStream(REST, STALL))
    bench = await start([cut()], later)
    ending.watch(bench.relay)
    reading = asyncio.create_task(bench.error())
    await later.asked.wait()
    if leg_comes:
        later.go.set()
    ending.stop_streams()
    assert isinstance(await reading, Draining)
    assert [replica.in_flight for replica in bench.pool.replicas] == [0, 0]
    assert bench.resumes() == {"resumed" if leg_comes else "failed": 1}


@pytest.mark.parametrize("how", ["cancelled", "closed", "closed just as the next leg has come"])
async def test_a_client_that_leaves_during_a_resume_leaves_nothing_behind(
    start: Start, ending: Ending, how: str
) -> None:
    later = Later(ScriptedStream(REST, STALL))
    bench = await start([cut()], later)
    ending.watch(bench.relay)
    reading = asyncio.create_task(bench.drain())
    await later.asked.wait()
    if how == "cancelled":
        reading.cancel()
    elif how == "closed":
        bench.relay.close()
    else:
        later.go.set()
        bench.relay.close()
    (told,) = await asyncio.gather(reading, return_exceptions=True)
    bench.relay.close()
    assert not isinstance(told, Exception) or isinstance(told, ClientGone)
    assert [replica.in_flight for replica in bench.pool.replicas] == [0, 0]
    assert bench.accounts.line["outcome"] == "client_gone"
    assert ending.streams == 0


async def test_a_break_that_closing_brings_about_is_nobodys_failure(start: Start) -> None:
    bench = await start([STALL], [REST, *END])
    reading = asyncio.create_task(bench.heard())
    await bench.streams[0].stalled.wait()
    bench.relay.close()
    bench.streams[0].interrupt(cut())
    assert await reading == "Hel"
    assert bench.upstream.asked == URLS[:1]
