"""A committed stream on its way to the client: whole, cut, silent, too long, or left."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from gateway.errors import InvalidRequest, UpstreamLost, UpstreamUnavailable
from gateway.health import State
from gateway.ports import AttemptFailed, Chunk, Fault
from gateway.relay import Relay
from gateway.routing import Pool
from gateway.settings import Health, OnPrem
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.manual_clock import ManualClock
from tests.unit.gateway.upstream_double import STALL, Read, ScriptedStream, comment, finish, role, text, usage

pytestmark = pytest.mark.anyio

SETTINGS = OnPrem(idle_timeout_s=30, total_timeout_s=100)
FIRST = [role(), text("Hel")]


@dataclass
class Bench:
    """A relay that is under way, and what it holds."""

    relay: Relay
    stream: ScriptedStream
    pool: Pool
    accounts: Accounts

    @property
    def holds(self) -> bool:
        """Whether anything is still held; all or nothing, else the test fails."""
        in_flight, opened = self.pool.replicas[0].in_flight, self.accounts.count("scout_open_requests")
        assert (in_flight, opened, self.stream.closed) in [(1, 1, False), (0, 0, True)]
        return not self.stream.closed

    async def drain(self) -> list[Chunk]:
        return [chunk for chunks in [chunks async for chunks in self.relay] for chunk in chunks]

    async def lost(self) -> UpstreamLost:
        with pytest.raises(UpstreamLost) as lost:
            await self.drain()
        return lost.value


@pytest.fixture
def start(accounts: Accounts, clock: ManualClock):
    def start(*reads: Read, first: list[Chunk] = FIRST) -> Bench:
        pool = Pool(["http://site:8081"], Health(), clock)
        pool.report_probe(pool.replicas[0], Fault.NONE, "")
        stream = ScriptedStream(*reads)
        with ExitStack() as held:
            entry = held.enter_context(accounts.ledger.open("chat", "req_1"))
            lease = pool.lease()
            assert lease is not None
            held.enter_context(lease)
            held.callback(stream.close)
            relay = Relay(
                lease.replica,
                stream,
                first,
                pool=pool,
                settings=SETTINGS,
                entry=entry,
                held=held.pop_all(),
                clock=clock,
            )
        return Bench(relay, stream, pool, accounts)

    return start


async def test_a_whole_answer_passes_through_chunk_by_chunk_and_is_booked_ok(start) -> None:
    rest = [[text("lo"), text("!")], [finish("stop")], [usage(7, 3)]]
    bench = start(*rest, None)
    assert await bench.drain() == FIRST + [chunk for chunks in rest for chunk in chunks]
    line = bench.accounts.line
    assert [line[name] for name in ("outcome", "finish_reason", "prompt_tokens", "completion_tokens")] == [
        *("ok", "stop", 7, 3)
    ]


async def test_everything_is_given_back_as_soon_as_the_answer_is_whole(start) -> None:
    bench = start([finish()], None)
    await anext(bench.relay)
    await anext(bench.relay)
    assert bench.holds
    with pytest.raises(StopAsyncIteration):
        await anext(bench.relay)
    assert not bench.holds


async def test_the_first_content_is_there_before_anything_more_is_read(start, clock: ManualClock) -> None:
    bench = start(STALL)
    clock.advance(0.5)
    assert await anext(bench.relay) == FIRST
    assert bench.stream.left == 1
    assert bench.accounts.count("scout_time_to_first_token_seconds_sum", endpoint="chat") == 0.5


async def test_an_answer_that_was_whole_with_its_first_chunks_is_whole(start) -> None:
    bench = start(None, first=[role(), finish("tool_calls")])
    assert len(await bench.drain()) == 2
    assert (bench.accounts.line["outcome"], bench.accounts.line["finish_reason"]) == ("ok", "tool_calls")


async def test_done_without_a_finish_reason_is_no_end(start) -> None:
    bench = start([text("lo")], None)
    error = await bench.lost()
    assert error.detail == "[DONE] without a finish_reason"
    assert bench.pool.seconds_until_probe(bench.pool.replicas[0]) == 0


async def test_each_of_several_choices_must_finish(start) -> None:
    choices = [text("a", 0), text("b", 1)]
    whole = start([finish(index=1)], [finish(index=0)], None, first=choices)
    assert len(await whole.drain()) == 4
    half = start([finish(index=1)], None, first=choices)
    assert (await half.lost()).detail == "[DONE] without a finish_reason"


async def test_a_broken_stream_is_told_as_lost_and_booked_with_the_reason(start) -> None:
    cut = AttemptFailed(UpstreamUnavailable("Broken off.", detail="the body ended"), Fault.SUSPECT)
    bench = start([text("lo")], cut)
    error = await bench.lost()
    assert error.__cause__ is cut
    assert error.retryable
    assert "not the whole answer" in error.message
    bench.relay.close()
    assert (bench.accounts.line["outcome"], bench.accounts.line["detail"]) == ("upstream_lost", "the body ended")


@pytest.mark.parametrize(
    ("fault", "state", "probe_in_s"),
    [(Fault.NONE, State.READY, 30), (Fault.SUSPECT, State.READY, 0), (Fault.UNREACHABLE, State.FAILED, 1)],
    ids=lambda value: str(value),
)
async def test_what_broke_the_stream_is_reported_of_the_replica(
    start, fault: Fault, state: State, probe_in_s: float
) -> None:
    bench = start(AttemptFailed(UpstreamUnavailable("Broken off."), fault))
    await bench.lost()
    replica = bench.pool.replicas[0]
    assert (replica.belief.state, bench.pool.seconds_until_probe(replica)) == (state, probe_in_s)


async def test_what_an_engine_says_of_the_request_reaches_neither_the_log_nor_the_client(start) -> None:
    bench = start(AttemptFailed(InvalidRequest("cannot parse 'my card is 4111'"), Fault.NONE))
    error = await bench.lost()
    bench.relay.close()
    assert "4111" not in str(bench.accounts.line) + error.message
    assert bench.accounts.line["detail"] == "invalid_request"


async def test_silence_ends_a_stream(start, clock: ManualClock) -> None:
    bench = start([text("lo")], STALL)
    await anext(bench.relay)
    await anext(bench.relay)
    clock.advance(30)
    with pytest.raises(UpstreamLost) as lost:
        await anext(bench.relay)
    assert lost.value.detail == "silent for 30 s"
    assert bench.pool.seconds_until_probe(bench.pool.replicas[0]) == 0


async def test_every_chunk_starts_the_silence_anew(start, clock: ManualClock) -> None:
    bench = start([text("lo")], [text("!")], [finish()], None)
    await anext(bench.relay)
    for _ in range(3):
        clock.advance(29)
        await anext(bench.relay)
    with pytest.raises(StopAsyncIteration):
        await anext(bench.relay)


async def test_keep_alive_comments_do_not_hide_a_silence(start, clock: ManualClock) -> None:
    bench = start([comment()], STALL)
    await anext(bench.relay)
    clock.advance(29)
    assert await anext(bench.relay) == [comment()]
    clock.advance(1)
    with pytest.raises(UpstreamLost) as lost:
        await anext(bench.relay)
    assert lost.value.detail == "silent for 30 s"


async def test_a_stream_that_goes_on_too_long_is_ended(start, clock: ManualClock) -> None:
    bench = start(*[[text("on ")]] * 4, STALL)
    await anext(bench.relay)
    for _ in range(4):
        clock.advance(24)
        await anext(bench.relay)
    clock.advance(4)
    with pytest.raises(UpstreamLost) as lost:
        await anext(bench.relay)
    assert lost.value.detail == "not done after 100 s"


async def test_what_had_come_in_time_is_delivered_to_a_client_that_reads_late(start, clock: ManualClock) -> None:
    bench = start([finish()], None)
    await anext(bench.relay)
    clock.advance(31)
    assert await anext(bench.relay) == [finish()]


async def test_a_stream_closed_before_its_end_is_cut_and_booked_as_left_by_the_client(start) -> None:
    bench = start([text("lo")], STALL)
    await anext(bench.relay)
    assert bench.holds
    bench.relay.close()
    assert not bench.holds
    assert bench.accounts.line["outcome"] == "client_gone"


async def test_a_relay_that_nobody_read_gives_everything_back_too(start) -> None:
    bench = start(STALL)
    bench.relay.close()
    assert not bench.holds
    assert bench.accounts.line["first_content_s"] is None


async def test_closing_again_changes_nothing(start) -> None:
    bench = start(None, first=[finish()])
    await bench.drain()
    bench.relay.close()
    bench.relay.close()
    assert bench.accounts.line["outcome"] == "ok"
    assert bench.pool.replicas[0].in_flight == 0


async def test_a_client_that_leaves_is_no_fault_of_the_replica(start) -> None:
    bench = start(STALL)
    before = bench.pool.replicas[0].belief
    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(bench.drain())
        await bench.stream.stalled.wait()
        reader.cancel()
    assert reader.cancelled()
    bench.relay.close()
    assert bench.pool.replicas[0].belief == before
    assert bench.accounts.line["outcome"] == "client_gone"


async def test_it_names_the_replica_that_answers(start) -> None:
    assert start().relay.replica == "replica-0"
