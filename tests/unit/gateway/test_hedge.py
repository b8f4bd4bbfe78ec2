"""The race of two replicas for one request's first content: who is kept, and that the other leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import pytest

from gateway.errors import UpstreamProtocolError, UpstreamUnavailable
from gateway.hedge import Race, race
from gateway.line import Priority
from gateway.pool import Lease, Pool
from gateway.ports import AttemptFailed, Fault
from gateway.work import Opened
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.attempts_bench import Bench, attempts_bench
from tests.unit.gateway.manual_clock import ManualClock
from tests.unit.gateway.pool_bench import NO_PREFIX, URLS, ready_pool, settings_for
from tests.unit.gateway.upstream_double import Later, ScriptedStream, Step, failed, streaming

pytestmark = pytest.mark.anyio

DOWN = failed(UpstreamUnavailable("Down."), Fault.SUSPECT)
ODD = failed(UpstreamProtocolError("Odd."), Fault.SUSPECT)
CUT = failed(UpstreamUnavailable("Broken off."), Fault.SUSPECT, cut=True)


class Runner:
    """One replica's try, which ends as the test says and when it says so."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.stream = ScriptedStream()
        self.running = asyncio.Event()
        self.leaving = asyncio.Event()
        self.may_leave = asyncio.Event()
        self.may_leave.set()
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def opens(self) -> None:
        self._end.set_result(None)

    def fails(self, error: Exception) -> None:
        self._end.set_exception(error)

    async def run(self) -> Opened:
        with ExitStack() as held:
            held.callback(self.stream.close)
            self.running.set()
            try:
                await self._end
            except asyncio.CancelledError:
                self.leaving.set()
                await self.may_leave.wait()
                raise
            held.enter_context(self.lease)
            return Opened(self.lease, self.stream, [], held.pop_all())


class Track:
    """Two runners, and the race between them."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.first, self.second = (Runner(self._place()) for _ in range(2))
        self.second_asked_for = 0

    def _place(self) -> Lease:
        lease = self.pool.lease(NO_PREFIX, 1, ())
        assert lease is not None
        return lease

    def second_place(self) -> Lease | None:
        self.second_asked_for += 1
        return self.second.lease

    async def once(self, lease: Lease) -> Opened:
        return await (self.first if lease is self.first.lease else self.second).run()

    def start(self, delay_s: float = 0.0, second_place: Callable[[], Lease | None] | None = None) -> asyncio.Task[Race]:
        place = second_place or self.second_place
        return asyncio.create_task(race(self.once, self.first.lease, delay_s=delay_s, second_place=place))

    async def start_both(self) -> asyncio.Task[Race]:
        task = self.start()
        await self.second.running.wait()
        return task

    @property
    def in_flight(self) -> list[int]:
        return [replica.in_flight for replica in self.pool.replicas]

    @property
    def closed(self) -> list[bool]:
        return [self.first.stream.closed, self.second.stream.closed]


@pytest.fixture
async def track(clock: ManualClock) -> AsyncIterator[Track]:
    yield Track(ready_pool(settings_for(2), clock))


async def test_a_first_replica_that_is_in_time_runs_alone(track: Track) -> None:
    task = track.start(delay_s=60)
    await track.first.running.wait()
    track.first.opens()
    ended = await task
    assert (ended.result.lease, ended.failed, ended.second) == (track.first.lease, [], None)
    assert (track.second_asked_for, track.first.stream.closed, ended.second_won) == (0, False, False)


async def test_without_a_second_place_the_first_is_waited_for(track: Track) -> None:
    asked = asyncio.Event()
    task = track.start(second_place=asked.set)
    await asked.wait()
    track.first.fails(DOWN)
    ended = await task
    assert (ended.result, ended.failed, ended.second) == (DOWN, [], None)
    assert track.in_flight[0] == 0


async def test_the_first_stream_is_kept_and_the_other_try_is_broken_off(track: Track) -> None:
    task = await track.start_both()
    track.second.opens()
    ended = await task
    assert ended.result.lease is ended.second is track.second.lease
    assert ended.second_won
    assert track.first.leaving.is_set()
    assert (track.in_flight, track.closed) == ([0, 1], [True, False])


async def test_the_late_one_may_win_too(track: Track) -> None:
    task = await track.start_both()
    track.first.opens()
    ended = await task
    assert (ended.result.lease, ended.second, ended.second_won) == (track.first.lease, track.second.lease, False)
    assert (track.in_flight, track.closed) == ([1, 0], [False, True])


async def test_of_two_streams_at_the_same_moment_the_first_is_kept_and_the_other_closed(track: Track) -> None:
    task = await track.start_both()
    track.second.opens()
    track.first.opens()
    ended = await task
    assert ended.result.lease is track.first.lease
    assert (track.in_flight, track.closed) == ([1, 0], [False, True])


@pytest.mark.parametrize("order", ["first", "second"])
async def test_one_that_fails_does_not_end_the_race_and_is_told(track: Track, order: str) -> None:
    loser, winner = (track.first, track.second) if order == "first" else (track.second, track.first)
    task = await track.start_both()
    loser.fails(DOWN)
    while not loser.stream.closed:  # noqa: ASYNC110  # closing is no event
        await asyncio.sleep(0)
    winner.opens()
    ended = await task
    assert (ended.result.lease, ended.failed) == (winner.lease, [(loser.lease, DOWN)])
    assert winner.lease.replica.in_flight == 1
    assert loser.lease.replica.in_flight == 0


@pytest.mark.parametrize("order", ["first", "second"])
async def test_when_both_fail_the_first_ones_failure_is_the_result(track: Track, order: str) -> None:
    runners = [track.first, track.second]
    task = await track.start_both()
    for runner in runners if order == "first" else reversed(runners):
        runner.fails(DOWN if runner is track.first else ODD)
    ended = await task
    assert (ended.result, ended.failed) == (DOWN, [(track.second.lease, ODD)])
    assert (track.in_flight, track.closed, ended.second_won) == ([0, 0], [True, True], False)


async def test_a_fault_of_our_own_comes_out_as_it_is_and_leaves_nothing(track: Track) -> None:
    task = await track.start_both()
    track.second.fails(ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError, match="ours"):
        await task
    assert (track.in_flight, track.closed) == ([0, 0], [True, True])


async def test_a_fault_beside_a_stream_closes_the_stream_too(track: Track) -> None:
    task = await track.start_both()
    track.first.opens()
    track.second.fails(ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError, match="ours"):
        await task
    assert (track.in_flight, track.closed) == ([0, 0], [True, True])


# ---- the client leaves


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("event", ["nothing", "first opens", "second opens", "both open", "second fails"])
async def test_at_whatever_moment_it_is_cancelled_it_leaves_nothing(track: Track, event: str, turns: int) -> None:
    task = await track.start_both()
    if event in ("first opens", "both open"):
        track.first.opens()
    if event in ("second opens", "both open"):
        track.second.opens()
    if event == "second fails":
        track.second.fails(DOWN)
    for _ in range(turns):
        await asyncio.sleep(0)
    if not task.cancel():
        (await task).result.held.close()  # it was over before: what it gives is the caller's
    else:
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (track.in_flight, track.closed) == ([0, 0], [True, True])


async def test_cancelled_while_the_loser_takes_its_time_to_leave_the_winner_is_closed(track: Track) -> None:
    task = await track.start_both()
    track.first.may_leave.clear()
    track.second.opens()
    await track.first.leaving.wait()
    task.cancel()
    await asyncio.sleep(0)
    track.first.may_leave.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (track.in_flight, track.closed) == ([0, 0], [True, True])


async def test_cancelled_before_the_second_one_is_asked_it_is_not_asked(track: Track) -> None:
    task = track.start(delay_s=60)
    await track.first.running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (track.second_asked_for, track.in_flight[0], track.first.stream.closed) == (0, 0, True)


async def test_a_failure_is_not_raised_but_given(track: Track) -> None:
    task = track.start(delay_s=60)
    await track.first.running.wait()
    track.first.fails(DOWN)
    assert isinstance((await task).result, AttemptFailed)


# ---- as `gateway.attempts` hedges


@pytest.fixture
def hedged(accounts: Accounts, clock: ManualClock) -> Callable[..., Awaitable[Bench]]:
    """After 20 requests that were answered at once, on two replicas."""

    async def warm(*scripts: list[Step], took_s: tuple[float, ...] = (0.0,) * 20, **slices: Any) -> Bench:
        warmups = [[streaming() for _ in range(10)] for _ in range(2)]
        attempts = {"hedge": True, "hedge_min_delay_s": 0.001, **slices.pop("attempts", {})}
        left = list(took_s)
        asked = attempts_bench(
            accounts,
            clock,
            *([*warmup, *script] for warmup, script in zip(warmups, scripts, strict=True)),
            on_call=lambda url: asked.clock.advance(left.pop() if left else 0),
            attempts=attempts,
            **slices,
        )
        for _ in took_s:
            (await asked.attempts.first_content(asked.another())).held.close()
        asked.upstream.calls.clear()
        asked.work = asked.another()
        return asked

    return warm


async def late(asked: Bench) -> tuple[asyncio.Task[object], Later]:
    """The request under way, its first replica being late, and nobody else asked yet."""
    step = asked.upstream.last_step(URLS[0])
    task = asyncio.create_task(asked.stream())
    await step.asked.wait()
    return task, step


async def test_by_default_a_late_replica_is_waited_for(hedged) -> None:
    asked = await hedged([Later(streaming())], [], attempts={"hedge": False})
    task, step = await late(asked)
    await asyncio.sleep(0.02)
    step.go.set()
    assert (await task).lease.replica.name == "replica-0"
    assert asked.upstream.asked == URLS[:1]


async def test_when_the_first_replica_is_later_than_nearly_all_were_a_second_one_is_asked(hedged) -> None:
    asked = await hedged([Later(streaming())], [streaming()], took_s=(1000.0, *(0.0,) * 19))
    before = asked.retries.left
    task, _ = await late(asked)
    opened = await task
    assert (opened.lease.replica.name, asked.work.entry.replica) == ("replica-1", "replica-1")
    assert (asked.work.entry.attempts, asked.work.budget.attempts_left) == (2, 2)
    assert asked.retries.left == before - 1
    assert asked.in_flight == [0, 1]
    assert asked.accounts.counted("scout_hedges_total") == {("won",): 1}


async def test_a_replica_that_is_no_later_than_some_were_is_waited_for(hedged) -> None:
    asked = await hedged([Later(streaming())], [], took_s=(1000.0, 1000.0, *(0.0,) * 18))
    task, step = await late(asked)
    await asyncio.sleep(0.02)
    step.go.set()
    assert (await task).lease.replica.name == "replica-0"
    assert asked.accounts.counted("scout_hedges_total") == {}


async def test_when_the_first_one_comes_after_all_it_is_kept_and_the_other_is_nobodys_failure(hedged) -> None:
    asked = await hedged([Later(streaming())], [Later(streaming())])
    second = asked.upstream.last_step(URLS[1])
    task, step = await late(asked)
    await second.asked.wait()
    step.go.set()
    assert (await task).lease.replica.name == asked.work.entry.replica == "replica-0"
    assert (asked.in_flight, asked.work.visited) == ([1, 0], set())
    assert asked.accounts.counted("scout_hedges_total") == {("lost",): 1}


async def test_when_both_come_at_the_same_moment_the_request_is_booked_to_the_one_that_is_kept(hedged) -> None:
    asked = await hedged([Later(streaming())], [Later(streaming())])
    second = asked.upstream.last_step(URLS[1])
    task, step = await late(asked)
    await second.asked.wait()
    step.go.set()
    second.go.set()
    assert (await task).lease.replica.name == asked.work.entry.replica == "replica-0"
    assert asked.in_flight == [1, 0]


async def test_the_failure_of_one_is_booked_and_the_other_goes_on(hedged) -> None:
    asked = await hedged([Later(CUT)], [Later(streaming())])
    second = asked.upstream.last_step(URLS[1])
    task, step = await late(asked)
    await second.asked.wait()
    step.go.set()
    while asked.in_flight != [0, 1]:  # noqa: ASYNC110  # a place that is given back has no event to wait for
        await asyncio.sleep(0)
    second.go.set()
    assert (await task).lease.replica.name == "replica-1"
    assert asked.work.budget.strikes == 1
    assert asked.work.visited == {asked.pool.replicas[0].visit}
    assert asked.outcomes[("upstream_unavailable", "replica-0")] == 1


async def test_when_both_fail_both_are_booked_and_the_client_is_told_of_the_first(hedged) -> None:
    asked = await hedged([Later(CUT)], [Later(ODD)])
    second = asked.upstream.last_step(URLS[1])
    task, step = await late(asked)
    await second.asked.wait()
    second.go.set()
    step.go.set()
    with pytest.raises(UpstreamUnavailable) as raised:
        await task
    assert raised.value is CUT.error
    assert asked.in_flight == [0, 0]
    assert asked.work.visited == {replica.visit for replica in asked.pool.replicas}
    assert asked.outcomes[("upstream_protocol_error", "replica-1")] == 1


@pytest.mark.parametrize("reason", ["somebody waits", "no extra attempt", "no attempt left", "nobody else"])
async def test_there_is_no_hedge_when(hedged, reason: str) -> None:
    spent = {"no extra attempt": {"retry_reserve": 0}, "no attempt left": {"max_attempts": 1}}
    asked = await hedged([Later(streaming())], [], attempts=spent.get(reason, {}))
    if reason == "nobody else":
        asked.pool.drain(asked.pool.replicas[1], True)
    if reason == "somebody waits":
        work = asked.another()
        asked.admission.line.join(
            Priority.BATCH, asked.clock(), give_up_at=1e9, excluded=frozenset(), payload=(work, asyncio.Future())
        )
        work.visited |= {replica.visit for replica in asked.pool.replicas}
        asked.work.priority = Priority.RESUME
    task, step = await late(asked)
    await asyncio.sleep(0.02)
    assert asked.in_flight == [1, 0]
    step.go.set()
    await task
    assert asked.accounts.counted("scout_hedges_total") == {}
