"""A committed stream on its way to the client: whole, broken and carried on, silent, too long, stopped, or left."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.errors import DeadlineExceeded, GatewayError, InvalidRequest, UpstreamLost, UpstreamUnavailable
from gateway.health import State
from gateway.ports import AttemptFailed, Fault
from shared.headers import RESUMED
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.chunks import PROMPT, comment, finish, role, text, usage
from tests.unit.gateway.pool_bench import URLS, lose
from tests.unit.gateway.relay_bench import (
    END,
    FIRST,
    NO_RESUMES,
    REST,
    SOON,
    DrippingStream,
    SeenClock,
    Start,
    benches,
    cut,
)
from tests.unit.gateway.upstream_double import STALL, Later, ScriptedStream

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> SeenClock:
    return SeenClock()


@pytest.fixture
async def start(accounts: Accounts, clock: SeenClock) -> AsyncIterator[Start]:
    async with benches(accounts, clock) as start:
        yield start


# ---- a whole answer


async def test_a_whole_answer_passes_through_chunk_by_chunk_and_is_booked_ok(start: Start) -> None:
    rest = [[text("lo", 11), text("!", 12)], [finish("stop", 4)], [usage(7, 3)]]
    bench = await start([*rest, None])
    assert await bench.drain() == FIRST + [chunk for chunks in rest for chunk in chunks]
    line = bench.accounts.line
    assert [line[name] for name in ("outcome", "finish_reason", "prompt_tokens", "completion_tokens", "resumed")] == [
        *("ok", "stop", 7, 3, 0)
    ]
    assert bench.resumes() == {}


async def test_everything_is_given_back_as_soon_as_the_answer_is_whole(start: Start) -> None:
    bench = await start([[finish()], [usage(3, 1)], None])
    for _ in range(3):
        await anext(bench.relay)
    assert bench.holds
    with pytest.raises(StopAsyncIteration):
        await anext(bench.relay)
    assert not bench.holds


async def test_the_first_content_is_there_before_anything_more_is_read(start: Start, clock: SeenClock) -> None:
    bench = await start([STALL])
    clock.advance(0.5)
    assert await anext(bench.relay) == FIRST
    assert bench.streams[0].left == 1
    assert bench.accounts.count("scout_time_to_first_token_seconds_sum", endpoint="chat") == 0.5


async def test_a_stop_string_that_only_we_see_ends_the_stream_and_the_replicas_work(start: Start) -> None:
    bench = await start([[text("lo!", 11)], STALL], body={"stop": ["llo"], "n": 1})
    await anext(bench.relay)
    told = await bench.drain()
    assert (told[-2].finished, bench.accounts.line["outcome"]) == (((0, "stop"),), "ok")
    assert bench.streams[0].closed


async def test_what_had_come_in_time_is_delivered_to_a_client_that_reads_late(start: Start, clock: SeenClock) -> None:
    bench = await start([[text("lo", 11)], [finish()], [usage(3, 3)], None])
    await anext(bench.relay)
    clock.advance(31)
    assert await anext(bench.relay) == [text("lo", 11)]
    clock.advance(60)
    assert await bench.drain() == [finish(), usage(3, 3)]


# ---- a broken answer goes on elsewhere


async def test_a_broken_answer_goes_on_on_another_replica_as_one(start: Start) -> None:
    bench = await start([[text("l", 12)], cut()], [REST, *END])
    told = await bench.drain()
    assert "".join(chunk.text for chunk in told) == "Helllo"
    last = json.loads(told[-1].raw[6:])
    assert (last["id"], last[RESUMED], last["usage"]["total_tokens"]) == ("chatcmpl-0", 1, 6)
    assert bench.upstream.asked == URLS[:2]
    assert bench.upstream.calls[1][2]["kv_transfer_params"] == {"prompt_token_ids": [*PROMPT, 10, 12]}
    line = bench.accounts.line
    assert [line[name] for name in ("outcome", "resumed", "attempts", "replica", "completion_tokens")] == [
        *("ok", 1, 2, "replica-1", 4)
    ]
    assert bench.resumes() == {"resumed": 1}
    counted = bench.accounts.counted
    assert counted("scout_streams_broken_total") == {("upstream_unavailable", "replica-0"): 1}
    assert counted("scout_upstream_attempts_total") == {("ok", "replica-0"): 1, ("ok", "replica-1"): 1}
    assert bench.relay.replica == "replica-1"


async def test_the_broken_legs_place_is_given_back_before_the_next_one_is_asked(start: Start) -> None:
    later = Later(ScriptedStream(REST, *END))
    bench = await start([cut()], later)
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(bench.heard())
        await later.asked.wait()
        assert bench.streams[0].closed
        assert [replica.in_flight for replica in bench.pool.replicas] == [0, 1]
        later.go.set()
    assert reading.result() == "Hello"


async def test_an_answer_that_breaks_again_goes_on_again(start: Start) -> None:
    last = [[role(leg=2), text("!", 13, leg=2)], [finish("stop", 4, leg=2)], [usage(5, 2, leg=2)], None]
    bench = await start([cut()], [REST, cut()], last)
    assert await bench.heard() == "Hello!"
    assert (bench.accounts.line["resumed"], bench.resumes()) == (2, {"resumed": 2})
    assert bench.accounts.line["completion_tokens"] == 4


async def test_done_without_a_finish_reason_is_a_break(start: Start) -> None:
    bench = await start([None], [REST, *END])
    assert await bench.heard() == "Hello"
    assert bench.pool.seconds_until_probe(bench.pool.replicas[0]) == 0


@pytest.mark.parametrize("legs", [1, 2])
async def test_an_answer_of_which_only_the_count_was_lost_is_whole(start: Start, legs: int) -> None:
    ends = [[finish("stop", 4)], cut()]
    bench = await start(*([ends] if legs == 1 else [[cut()], [REST, *ends]]))
    *_, counted = await bench.drain()
    assert counted.usage == {"prompt_tokens": 3, "completion_tokens": legs + 1, "total_tokens": legs + 4}
    assert json.loads(counted.raw[6:])["usage"] == counted.usage
    assert (bench.accounts.line["outcome"], bench.resumes()["completed"]) == ("ok", 1)
    assert len(bench.upstream.asked) == legs


@pytest.mark.parametrize("legs", [1, 2])
async def test_a_limit_reached_at_the_break_needs_no_other_replica(start: Start, legs: int) -> None:
    bench = await start(*([[cut()]] if legs == 1 else [[cut()], [REST, cut()]]), body={"max_tokens": legs})
    told = await bench.drain()
    assert told[-2].finished == ((0, "length"),)
    assert json.loads(told[-1].raw[6:])["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": legs,
        "total_tokens": legs + 3,
    }
    assert len(bench.upstream.asked) == legs


# ---- and where it cannot, it says so


async def test_a_broken_answer_that_cannot_go_on_is_told_as_lost_with_the_reason_in_the_log(start: Start) -> None:
    bench = await start([[text("lo", 11)], cut()], body=NO_RESUMES)
    error = await bench.error()
    bench.relay.close()
    assert isinstance(error, UpstreamLost)
    assert error.retryable
    assert "not all of it" in error.message
    line = bench.accounts.line
    assert (line["outcome"], line["detail"]) == (
        "upstream_lost",
        "the body ended; not resumed: n: several answers share one stream",
    )
    assert bench.resumes() == {"refused": 1}
    assert bench.upstream.asked == URLS[:1]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        pytest.param({"attempts": {"max_resumes": 0}}, "it has been resumed or tried too often", id="resumes"),
        pytest.param({"attempts": {"max_attempts": 1}}, "it has been resumed or tried too often", id="attempts"),
    ],
)
async def test_an_answer_is_not_carried_on_beyond_its_budget(start: Start, how: dict[str, Any], reason: str) -> None:
    bench = await start([cut()], [REST, *END], **how)
    assert (await bench.error()).detail == f"the body ended; not resumed: {reason}"


async def test_an_answer_that_two_replicas_died_of_is_not_given_to_a_third(start: Start, clock: SeenClock) -> None:
    death = AttemptFailed(UpstreamUnavailable("Broken off.", detail="the body ended"), Fault.SUSPECT, cut=True)
    bench = await start([death], [REST, *END])
    bench.work.budget.strikes = 1
    assert (await bench.error()).detail == "the body ended; not resumed: two replicas have died of it"
    assert bench.upstream.asked == URLS[:1]


async def test_an_answer_whose_time_is_up_at_the_break_is_not_carried_on(start: Start, clock: SeenClock) -> None:
    bench = await start([cut()], [REST, *END], deadline_s=60)
    await anext(bench.relay)
    clock.advance(60)
    assert (await bench.error()).detail == "the body ended; not resumed: its time is up"


@pytest.mark.parametrize(
    ("failure", "detail"),
    [
        (UpstreamUnavailable("Gone.", detail="refused"), "the body ended; then: refused"),
        (InvalidRequest("cannot parse 'my card is 4111'"), "the body ended; then: invalid_request"),
    ],
    ids=["gone", "refused"],
)
async def test_a_resume_that_fails_ends_the_answer(start: Start, failure: GatewayError, detail: str) -> None:
    bench = await start([cut()], AttemptFailed(failure, Fault.NONE), attempts={"max_attempts": 2})
    error = await bench.error()
    bench.relay.close()
    assert (error.code, error.detail) == ("upstream_lost", detail)
    assert "4111" not in str(bench.accounts.line) + error.message
    assert bench.resumes() == {"failed": 1}


async def test_each_of_several_answers_must_finish(start: Start) -> None:
    choices = [text("a"), text("b", index=1)]
    whole = await start([[finish(index=1)], [finish()], None], first=choices, body=NO_RESUMES)
    assert len(await whole.drain()) == 4
    half = await start([[finish(index=1)], None], first=choices, body=NO_RESUMES)
    assert (await half.error()).detail.startswith("[DONE] without a finish_reason")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fault", "state", "probe_in_s"),
    [(Fault.NONE, State.READY, 1), (Fault.SUSPECT, State.READY, 0), (Fault.UNREACHABLE, State.FAILED, 1)],
    ids=lambda value: str(value),
)
async def test_what_broke_the_stream_is_reported_of_the_replica(
    start: Start, fault: Fault, state: State, probe_in_s: float
) -> None:
    bench = await start([AttemptFailed(UpstreamUnavailable("Broken off."), fault)], body=NO_RESUMES)
    await bench.error()
    bench.relay.close()
    replica = bench.pool.replicas[0]
    assert bench.pool.state(replica)[0] == state
    assert min(bench.pool.seconds_until_probe(replica), 1) == probe_in_s


# ---- silence


async def test_silence_breaks_a_stream(start: Start) -> None:
    bench = await start([[text("lo", 11)], STALL], [REST, *END], on_prem=SOON)
    assert await bench.after_silence(2.0, bench.heard()) == "Hellolo"
    assert bench.resumes() == {"resumed": 1}
    assert bench.pool.seconds_until_probe(bench.pool.replicas[0]) == 0


async def test_every_chunk_starts_the_silence_anew(start: Start, clock: SeenClock) -> None:
    bench = await start([[text("lo", 11)], [text("!", 12)], [finish()], [usage(3, 3)], None])
    await anext(bench.relay)
    for _ in range(4):
        clock.advance(29)
        await anext(bench.relay)
    with pytest.raises(StopAsyncIteration):
        await anext(bench.relay)


async def test_keep_alive_comments_do_not_hide_a_silence(start: Start, clock: SeenClock) -> None:
    # Each comes after half the time that a silence may last.
    bench = await start(DrippingStream(clock, 15, FIRST, *[[comment()]] * 3), body=NO_RESUMES)
    await anext(bench.relay)
    assert await anext(bench.relay) == [comment()]
    assert ((await bench.error()).detail or "").startswith("silent for 30.0 s")


async def test_a_client_that_is_slow_to_read_is_not_the_replicas_silence(start: Start, clock: SeenClock) -> None:
    bench = await start([[text("lo", 11)], [finish()], [usage(3, 3)], None], on_prem=SOON)
    await anext(bench.relay)
    clock.advance(1)
    await clock.looked_at(2)
    assert "".join(chunk.text for chunk in await bench.drain()) == "lo"
    assert bench.resumes() == {}


async def test_a_stream_that_was_silent_when_its_replica_failed_is_broken_at_once(start: Start) -> None:
    bench = await start([STALL], body=NO_RESUMES)
    reading = asyncio.create_task(bench.error())
    await bench.streams[0].stalled.wait()
    bench.clock.advance(2)
    lose(bench.pool, bench.pool.replicas[0])
    assert ((await reading).detail or "").startswith("silent for 2.0 s")


async def test_a_stream_that_is_fed_when_its_replica_fails_goes_on(start: Start, clock: SeenClock) -> None:
    bench = await start([[text("lo", 11)], [text("!", 12)], [finish()], [usage(3, 4)], None], on_prem=SOON)
    await anext(bench.relay)
    lose(bench.pool, bench.pool.replicas[0])
    await anext(bench.relay)
    clock.advance(20)
    await clock.looked_at(1)
    assert await bench.heard() == "!"
    assert bench.upstream.asked == URLS[:1]


async def test_a_stream_whose_replica_failed_while_its_client_was_slow_is_not_waited_for_long(start: Start) -> None:
    bench = await start([STALL], body=NO_RESUMES, on_prem={"idle_timeout_s": 20})
    await anext(bench.relay)
    lose(bench.pool, bench.pool.replicas[0])
    assert ((await bench.after_silence(1, bench.error())).detail or "").startswith("silent for 1.0 s")


# ---- too long


@pytest.mark.parametrize(("deadline_s", "error"), [(None, "upstream_lost"), (60, "deadline_exceeded")])
async def test_a_stream_that_goes_on_too_long_ends_with_the_name_of_whose_clock_it_was(
    start: Start, clock: SeenClock, deadline_s: float | None, error: str
) -> None:
    bench = await start([[text("lo", 11)], STALL], deadline_s=deadline_s, on_prem=SOON)
    bench.relay.on_overdue = pytest.fail
    ended = await bench.after_silence(300, bench.error())
    bench.relay.close()
    detail = "not done after 300 s" if deadline_s is None else "in the stream"
    assert (ended.code, ended.detail, bench.accounts.line["outcome"]) == (error, detail, error)
    assert bench.resumes() == {}
    assert bench.accounts.count("scout_upstream_attempts_total", replica="replica-0", outcome=error) == 0


async def test_a_short_deadline_is_looked_at_in_its_time(start: Start) -> None:
    bench = await start([STALL], deadline_s=0.03)  # silence would be looked at after 30 s
    assert isinstance(await bench.after_silence(1, bench.error()), DeadlineExceeded)


async def test_a_client_that_does_not_take_what_it_is_sent_is_left_when_the_time_is_up(
    start: Start, clock: SeenClock
) -> None:
    bench = await start([[text("lo", 11)], STALL], on_prem=SOON)
    overdue = asyncio.Event()
    bench.relay.on_overdue = overdue.set
    await anext(bench.relay)
    clock.advance(300)
    await overdue.wait()
    bench.relay.close()
    assert bench.accounts.line["outcome"] == "client_gone"


async def test_a_time_that_is_up_while_a_place_is_waited_for_is_told_as_such(start: Start, clock: SeenClock) -> None:
    later = Later(ScriptedStream())
    bench = await start([cut()], later, deadline_s=60, on_prem=SOON)
    bench.relay.on_overdue = pytest.fail
    reading = asyncio.create_task(bench.error())
    await later.asked.wait()
    clock.advance(60)
    assert isinstance(await reading, DeadlineExceeded)
    assert bench.resumes() == {"failed": 1}


async def test_a_deadline_that_attempts_notice_first_is_told_as_the_streams(start: Start) -> None:
    passed = AttemptFailed(DeadlineExceeded("Too late."), Fault.NONE)
    bench = await start([cut()], passed, deadline_s=60)
    assert (await bench.error()).detail == "in the stream"


# ---- left


async def test_a_stream_closed_before_its_end_is_cut_and_booked_as_left_by_the_client(start: Start) -> None:
    bench = await start([[text("lo", 11)], STALL])
    await anext(bench.relay)
    assert bench.holds
    bench.relay.close()
    assert not bench.holds
    assert (bench.accounts.line["outcome"], bench.accounts.line["completion_tokens"]) == ("client_gone", 1)
    with pytest.raises(StopAsyncIteration):
        await anext(bench.relay)


async def test_a_relay_that_nobody_read_gives_everything_back_too(start: Start) -> None:
    bench = await start([STALL])
    bench.relay.close()
    assert not bench.holds
    assert bench.accounts.line["first_content_s"] is None


async def test_a_client_that_leaves_is_no_fault_of_the_replica(start: Start) -> None:
    bench = await start([STALL])
    before = bench.pool.replicas[0].belief
    reading = asyncio.create_task(bench.drain())
    await bench.streams[0].stalled.wait()
    reading.cancel()
    await asyncio.wait({reading})
    bench.relay.close()
    assert reading.cancelled()
    assert bench.pool.replicas[0].belief == before
    assert bench.accounts.line["outcome"] == "client_gone"
