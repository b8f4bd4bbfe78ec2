"""The time of one try: who is told what when it is up, and which replicas are suspect then."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from gateway.errors import (
    DeadlineExceeded,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.ports import Answer, Fault
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.attempts_bench import Bench, attempts_bench
from tests.unit.gateway.manual_clock import ManualClock
from tests.unit.gateway.pool_bench import NO_PREFIX, URLS, lose
from tests.unit.gateway.upstream_double import (
    STALL,
    Step,
    failed,
    role,
    streaming,
)

pytestmark = pytest.mark.anyio

CUT = failed(UpstreamUnavailable("Broken off.", detail="reset"), Fault.SUSPECT, cut=True)
WHOLE = Answer(b"{}", "stop", {})


@pytest.fixture
def bench(accounts: Accounts, clock: ManualClock) -> Callable[..., Bench]:
    return partial(attempts_bench, accounts, clock)


# ---- its time is up. The length is the only real time here: as short as can be, and never measured.


@pytest.mark.parametrize(
    "stalling",
    [
        pytest.param(lambda: STALL, id="no headers"),
        pytest.param(lambda: streaming(STALL), id="no chunk"),
        pytest.param(lambda: streaming([role()], STALL), id="no content"),
    ],
)
async def test_a_replica_that_does_not_begin_in_time_is_given_up_and_suspect(
    bench, clock: ManualClock, stalling: Callable[[], Step]
) -> None:
    step = stalling()
    asked = bench([step], [streaming()], timeout_s=0.01, on_call=lambda url: clock.advance(0.01))
    error = await asked.fails(asked.stream)
    assert isinstance(error, UpstreamTimeout)
    assert error.spent
    assert "within 0.01 seconds" in error.message
    assert step is STALL or step.closed
    assert asked.outcomes == {("upstream_timeout", "replica-0"): 1}
    assert asked.pool.seconds_until_probe(asked.pool.replicas[0]) == 0


async def test_a_replica_that_had_little_of_the_time_is_not_to_blame(bench, clock: ManualClock) -> None:
    asked = bench([STALL], timeout_s=5.0, on_call=lambda url: clock.advance(0.01))
    clock.advance(4.99)
    before = asked.pool.replicas[0].belief
    assert isinstance(await asked.fails(asked.stream), UpstreamTimeout)
    assert asked.pool.replicas[0].belief == before


@pytest.mark.parametrize("advance", [0, 0.01], ids=["at once", "all its time"])
async def test_the_client_s_own_deadline_blames_nobody_and_is_told_as_such(
    bench, clock: ManualClock, advance: float
) -> None:
    asked = bench([STALL], [streaming()], deadline_s=0.01, on_call=lambda url: clock.advance(advance))
    before = asked.pool.replicas[0].belief
    error = await asked.fails(asked.stream)
    assert isinstance(error, DeadlineExceeded)
    assert "Your deadline" in error.message
    assert asked.pool.replicas[0].belief == before
    assert asked.upstream.asked == URLS[:1]


async def test_all_tries_share_one_deadline(bench, clock: ManualClock) -> None:
    asked = bench([CUT], [streaming()], timeout_s=10.0, on_call=lambda url: clock.advance(10))
    error = await asked.fails(asked.stream)
    assert error is CUT.error
    assert error.spent
    assert asked.upstream.asked == URLS[:1]


async def test_a_whole_answer_has_the_deadline_too(bench) -> None:
    asked = bench([STALL], timeout_s=0.01)
    assert isinstance(await asked.fails(asked.whole), UpstreamTimeout)


@pytest.mark.parametrize(
    ("deadline_s", "kind", "suspect"),
    [
        pytest.param(None, UpstreamTimeout, True, id="our own time"),
        pytest.param(200.0, UpstreamTimeout, True, id="the client's deadline is far away"),
        pytest.param(0.01, DeadlineExceeded, False, id="the client's deadline"),
    ],
)
async def test_a_next_leg_that_does_not_begin_is_blamed_unless_the_client_has_no_more_time(
    bench, clock: ManualClock, deadline_s: float | None, kind: type[Exception], suspect: bool
) -> None:
    asked = bench(
        [STALL],
        timeout_s=0.01,
        deadline_s=deadline_s,
        on_call=lambda url: clock.advance(0.01),
        attempts={"max_attempts": 1},
    )
    assert isinstance(await asked.fails(lambda: asked.attempts.next_leg(asked.work)), kind)
    assert (asked.pool.seconds_until_probe(asked.pool.replicas[0]) == 0) is suspect


# ---- the replica is found to have failed


@pytest.mark.parametrize("how", ["stream", "whole"])
async def test_a_replica_that_is_found_to_have_failed_is_not_waited_for(bench, how: str) -> None:
    asked = bench([STALL], [streaming() if how == "stream" else WHOLE])
    waiting = asyncio.create_task(getattr(asked, how)())
    await asked.upstream.stalled.wait()
    lose(asked.pool, asked.pool.replicas[0], reason="stuck")
    lose(asked.pool, asked.pool.replicas[0], reason="stuck")
    await waiting
    assert asked.upstream.asked == URLS[:2]
    assert asked.outcomes[("upstream_unavailable", "replica-0")] == 1


async def test_a_replica_that_fails_again_while_its_try_is_being_broken_off_harms_nobody(bench) -> None:
    asked = bench([STALL], [streaming()])
    waiting = asyncio.create_task(asked.stream())
    await asked.upstream.stalled.wait()
    (lease,) = asked.pool.replicas[0].leases
    asked.pool.report(asked.pool.replicas[0], Fault.UNREACHABLE, "stuck")
    while lease.on_lost is not None:
        lease.on_lost()  # at every turn of the loop, also the one between the time's end and the try's
        await asyncio.sleep(0)
    assert (await waiting).lease.replica.name == "replica-1"


async def test_a_place_whose_replica_fails_before_it_is_used_is_not_used(bench) -> None:
    asked = bench([], [streaming()], admission={"max_concurrent_per_replica": 1})
    first, second = (asked.pool.lease(NO_PREFIX, 1, ()) for _ in range(2))
    waiting = asyncio.create_task(asked.stream())
    await asyncio.sleep(0)
    first.release()
    lose(asked.pool, first.replica)
    second.release()
    assert (await waiting).lease.replica is second.replica
    assert asked.upstream.asked == [URLS[1]]


async def test_once_there_is_content_the_loss_is_the_relay_s_to_handle(bench) -> None:
    asked = bench([streaming()])
    opened = await asked.stream()
    assert opened.lease.on_lost is None
