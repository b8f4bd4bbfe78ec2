"""From a question to its first content: which replicas are tried, for how long, and what is given back."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from gateway.admission import NobodyServes
from gateway.attempts import MAX_CHUNKS_BEFORE_CONTENT
from gateway.errors import (
    DeadlineExceeded,
    InvalidRequest,
    Overloaded,
    QueueFull,
    UpstreamProtocolError,
    UpstreamUnavailable,
)
from gateway.health import State
from gateway.line import Priority
from gateway.ports import Answer, Fault
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.attempts_bench import Bench, attempts_bench
from tests.unit.gateway.manual_clock import ManualClock
from tests.unit.gateway.pool_bench import BODY, NO_PREFIX, PROVEN, URLS, lose
from tests.unit.gateway.upstream_double import (
    STALL,
    Later,
    Read,
    comment,
    failed,
    role,
    streaming,
    text,
)

pytestmark = pytest.mark.anyio

GONE = failed(UpstreamUnavailable("Cannot be reached.", detail="refused"), Fault.UNREACHABLE, reached=False)
CUT = failed(UpstreamUnavailable("Broken off.", detail="reset"), Fault.SUSPECT, cut=True)
BUSY = failed(Overloaded("Busy.", retry_after_s=7), Fault.BUSY)
REFUSED = failed(InvalidRequest("Your request is wrong."), Fault.NONE)
WHOLE = Answer(b"{}", "stop", {})


@pytest.fixture
def bench(accounts: Accounts, clock: ManualClock) -> Callable[..., Bench]:
    return partial(attempts_bench, accounts, clock)


# ---- what works


async def test_the_question_goes_to_the_replica_as_it_is(bench) -> None:
    asked = bench([streaming()], [])
    await asked.stream()
    assert asked.upstream.calls == [("open", URLS[0], BODY, "req_1")]


async def test_a_stream_is_handed_over_at_its_first_content_with_all_that_came(bench) -> None:
    stream = streaming([role()], [comment(), text("Hel"), text("lo")], [text("!")])
    opened = await bench([stream]).stream()
    assert (opened.lease.replica.name, opened.stream) == ("replica-0", stream)
    assert opened.chunks == [role(), text("Hel"), text("lo")]
    assert stream.left == 1


async def test_a_stream_and_its_place_are_held_until_they_are_given_back(bench) -> None:
    stream = streaming()
    asked = bench([stream])
    opened = await asked.stream()
    assert (asked.in_flight, stream.closed) == ([1], False)
    opened.held.close()
    assert (asked.in_flight, stream.closed) == ([0], True)


async def test_a_whole_answer_holds_its_place_until_it_is_there(bench) -> None:
    asked = bench([Later(WHOLE)])
    waiting = asyncio.create_task(asked.whole())
    later = asked.upstream.last_step(URLS[0])
    await later.asked.wait()
    assert asked.in_flight == [1]
    later.go.set()
    assert await waiting is WHOLE
    assert asked.upstream.calls == [("ask", URLS[0], BODY, "req_1")]
    assert asked.in_flight == [0]


async def test_what_was_tried_is_booked(bench) -> None:
    asked = bench([GONE], [streaming()])
    await asked.stream()
    assert (asked.work.entry.replica, asked.work.entry.attempts) == ("replica-1", 2)
    assert asked.outcomes == {("upstream_unavailable", "replica-0"): 1, ("ok", "replica-1"): 1}
    assert asked.accounts.counted("scout_routed_total") == {("load",): 1}


async def test_content_proves_the_replica_and_teaches_what_it_holds(bench, clock: ManualClock) -> None:
    asked = bench([streaming()])
    clock.advance(5)
    await asked.stream()
    assert asked.pool.replicas[0].belief.proven_at == clock()


# ---- what is tried again


@pytest.mark.parametrize("failure", [GONE, BUSY, CUT], ids=["gone", "busy", "cut"])
async def test_a_failure_that_another_replica_may_not_have_is_tried_there(bench, failure: Exception) -> None:
    assert (await bench([failure], [streaming()]).stream()).lease.replica.name == "replica-1"
    assert await bench([failure], [WHOLE]).whole() is WHOLE


async def test_a_try_gives_back_what_it_holds_before_the_next_one_starts(bench) -> None:
    broken = streaming([role()], GONE)
    seen = []
    asked = bench([broken], [streaming()], on_call=lambda url: seen.append((url, asked.in_flight, broken.closed)))
    await asked.stream()
    assert seen == [(URLS[0], [1, 0], False), (URLS[1], [0, 1], True)]


async def test_a_stream_that_breaks_before_content_is_tried_again_and_its_chunks_are_forgotten(bench) -> None:
    asked = bench([streaming([role()], GONE)], [streaming([role(), text("Hello")])])
    assert (await asked.stream()).chunks == [role(), text("Hello")]


async def test_no_replica_is_tried_twice(bench) -> None:
    asked = bench([CUT], [BUSY])
    await asked.fails(asked.stream)
    assert asked.upstream.asked == URLS[:2]


async def test_a_replica_that_was_lost_with_its_site_and_is_back_may_be_tried_again(bench) -> None:
    asked = bench([GONE, streaming()], [GONE])
    waiting = asyncio.create_task(asked.stream())
    while not asked.admission.line.waiting():  # noqa: ASYNC110  # a line has no event to wait for
        await asyncio.sleep(0)
    asked.pool.probed(asked.pool.replicas[0], PROVEN)
    assert (await waiting).lease.visit == ("replica-0", 1)
    assert asked.upstream.asked == [URLS[0], URLS[1], URLS[0]]


@pytest.mark.parametrize("attempts", [1, 2, 3])
async def test_no_more_replicas_are_tried_than_the_budget_allows(bench, attempts: int) -> None:
    asked = bench([BUSY], [BUSY], [BUSY], attempts={"max_attempts": attempts})
    error = await asked.fails(asked.stream)
    assert asked.upstream.asked == URLS[:attempts]
    assert error is BUSY.error
    assert error.spent


async def test_when_no_other_replica_is_left_for_another_try_the_client_may_try(bench) -> None:
    asked = bench([failed(Overloaded("Busy."), Fault.BUSY)])
    assert not (await asked.fails(asked.stream)).spent


async def test_a_request_that_is_at_fault_is_not_tried_again(bench) -> None:
    asked = bench([REFUSED], [streaming()])
    error = await asked.fails(asked.stream)
    assert error is REFUSED.error
    assert error.__cause__ is REFUSED
    assert not error.spent
    assert asked.upstream.asked == URLS[:1]
    assert asked.outcomes == {("invalid_request", "replica-0"): 1}


async def test_a_fault_of_our_own_is_not_hidden_and_gives_everything_back(bench) -> None:
    stream = streaming([role()], ZeroDivisionError())
    asked = bench([stream], [streaming()])
    with pytest.raises(ZeroDivisionError):
        await asked.stream()
    assert (asked.in_flight, stream.closed) == ([0, 0], True)


# ---- the budget that all requests share


async def test_each_further_try_is_paid_from_the_pool_s_budget_and_a_busy_replica_costs_nothing(bench) -> None:
    asked = bench([BUSY], [CUT], [streaming()])
    before = asked.retries.left
    await asked.stream()
    assert asked.upstream.asked == URLS
    assert asked.retries.left == before - 1


async def test_a_replica_that_was_not_there_costs_neither_an_attempt_nor_one_of_the_pool_s(bench) -> None:
    asked = bench([GONE], [streaming()], attempts={"max_attempts": 1, "retry_reserve": 0})
    assert (await asked.stream()).lease.replica.name == "replica-1"
    assert asked.work.budget.attempts_left == 0


async def test_when_that_budget_is_spent_the_client_is_told_and_need_not_try(bench) -> None:
    asked = bench([CUT], [streaming()], attempts={"retry_reserve": 0})
    error = await asked.fails(asked.stream)
    assert error is CUT.error
    assert error.spent
    assert asked.upstream.asked == URLS[:1]


# ---- requests that kill


async def test_a_request_that_has_taken_two_replicas_down_is_not_sent_to_a_third(bench) -> None:
    asked = bench([CUT], [streaming([role()], CUT)], [streaming()])
    error = await asked.fails(asked.stream)
    assert isinstance(error, UpstreamUnavailable)
    assert "Change the request" in error.message
    assert (error.spent, error.detail) == (True, "reset")
    assert asked.upstream.asked == URLS[:2]


async def test_who_streamed_beside_others_when_its_replica_died_is_not_to_blame(bench) -> None:
    asked = bench([streaming()])
    opened, bystander = await asked.stream(), asked.pool.lease(NO_PREFIX, 1, ())
    assert bystander is not None
    asked.attempts.failed(asked.work, opened.lease, CUT, produced=True)
    assert asked.work.budget.strikes == 0
    asked.attempts.failed(asked.work, opened.lease, CUT, produced=False)
    assert asked.work.budget.strikes == 1


async def test_who_streamed_alone_is(bench, clock: ManualClock) -> None:
    asked = bench([streaming()])
    opened = await asked.stream()
    asked.attempts.failed(asked.work, opened.lease, CUT, produced=True)
    assert asked.work.budget.strikes == 1


# ---- what is no answer


@pytest.mark.parametrize(
    "reads",
    [
        pytest.param([None], id="the end at once"),
        pytest.param([[role()], None], id="the end after the role"),
        pytest.param([[role()] * (MAX_CHUNKS_BEFORE_CONTENT + 1)], id="chunks without content in one go"),
        pytest.param([[role()]] * (MAX_CHUNKS_BEFORE_CONTENT + 1), id="chunks without content one by one"),
    ],
)
async def test_a_stream_that_never_says_anything_is_tried_elsewhere_and_makes_suspect(bench, reads: list[Read]) -> None:
    silent = streaming(*reads)
    asked = bench([silent], [streaming()])
    assert (await asked.stream()).lease.replica.name == "replica-1"
    assert silent.closed
    assert asked.outcomes[("upstream_protocol_error", "replica-0")] == 1
    assert asked.pool.seconds_until_probe(asked.pool.replicas[0]) == 0


async def test_content_just_within_the_bound_counts(bench) -> None:
    asked = bench([streaming(*[[role()]] * MAX_CHUNKS_BEFORE_CONTENT, [text("Hello")])])
    assert len((await asked.stream()).chunks) == MAX_CHUNKS_BEFORE_CONTENT + 1


async def test_keep_alive_comments_are_neither_kept_nor_counted(bench) -> None:
    asked = bench([streaming(*[[comment()]] * (2 * MAX_CHUNKS_BEFORE_CONTENT), [text("Hello")])])
    assert (await asked.stream()).chunks == [text("Hello")]


async def test_if_no_replica_does_better_the_client_is_told_so(bench) -> None:
    asked = bench([streaming(None)])
    assert isinstance(await asked.fails(asked.stream), UpstreamProtocolError)


# ---- what it says of the replica


@pytest.mark.parametrize(
    ("fault", "state", "probe_in_s"),
    [
        (Fault.NONE, State.READY, 10),
        (Fault.BUSY, State.OVERLOADED, 10),
        (Fault.SUSPECT, State.READY, 0),
        (Fault.UNREACHABLE, State.FAILED, 1),
    ],
    ids=lambda value: str(value),
)
async def test_a_failed_try_is_reported_of_its_replica(bench, fault: Fault, state: State, probe_in_s: float) -> None:
    asked = bench([failed(UpstreamUnavailable("No.", detail="why"), fault)], [streaming()])
    (await asked.stream()).held.close()
    tried, other = asked.pool.replicas
    assert (asked.pool.state(tried)[0], asked.pool.seconds_until_probe(tried)) == (state, probe_in_s)
    assert (asked.pool.state(tried)[1] == "why") is (state is State.FAILED)
    assert (asked.pool.state(other)[0], asked.pool.seconds_until_probe(other)) == (State.READY, 10)


async def test_a_busy_replica_is_left_alone_for_as_long_as_it_says(bench, clock: ManualClock) -> None:
    asked = bench([BUSY], [streaming()])
    await asked.stream()
    clock.advance(6.9)
    assert asked.pool.state(asked.pool.replicas[0])[0] is State.OVERLOADED
    clock.advance(0.1)
    assert asked.pool.state(asked.pool.replicas[0])[0] is State.READY


async def test_the_next_request_passes_over_a_replica_that_was_found_gone(bench) -> None:
    asked = bench([GONE], [streaming(), streaming()])
    await asked.stream()
    await asked.attempts.first_content(asked.another())
    assert asked.upstream.asked == [URLS[0], URLS[1], URLS[1]]


async def test_when_not_one_can_be_connected_to_the_site_is_down(bench) -> None:
    asked = bench([GONE], [GONE], attempts={"unavailable_wait_s": 0.0})
    assert await asked.fails(asked.stream) is GONE.error
    assert asked.pool.site.down


# ---- before the first try


async def test_when_nobody_is_ready_the_client_is_told_to_come_again(bench, clock: ManualClock) -> None:
    asked = bench([], [], attempts={"unavailable_wait_s": 0.0})
    lose(asked.pool, *asked.pool.replicas)
    error = await asked.fails(asked.stream)
    assert isinstance(error, NobodyServes)
    assert (error.spent, asked.upstream.asked, asked.work.entry.attempts) == (False, [], 0)


async def test_a_full_queue_is_told_as_it_is_and_nobody_is_asked(bench) -> None:
    asked = bench([], admission={"max_concurrent_per_replica": 1, "max_queued": 0})
    held = asked.pool.lease(NO_PREFIX, 1, ())
    with pytest.raises(QueueFull):
        await asked.stream()
    assert (asked.upstream.asked, asked.in_flight, held is not None) == ([], [1], True)


async def test_a_deadline_that_passes_in_the_queue_sends_nothing(bench, clock: ManualClock) -> None:
    asked = bench([], admission={"max_concurrent_per_replica": 1}, deadline_s=2.0)
    held = asked.pool.lease(NO_PREFIX, 1, ())
    waiting = asyncio.create_task(asked.stream())
    await asyncio.sleep(0)
    clock.advance(2)
    held.release()
    with pytest.raises(DeadlineExceeded):
        await waiting
    assert (asked.upstream.asked, asked.in_flight) == ([], [0])


# ---- the next leg of a broken stream


async def test_a_next_leg_is_an_attempt_before_all_who_wait_and_costs_one_of_the_pool_s(bench) -> None:
    asked = bench([streaming()])
    before = asked.retries.left
    opened = await asked.attempts.next_leg(asked.work)
    assert asked.work.priority is Priority.RESUME
    assert (opened.lease.replica.name, asked.work.budget.attempts_left) == ("replica-0", 3)
    assert asked.retries.left == before - 1


async def test_without_an_extra_attempt_in_the_pool_s_budget_there_is_no_next_leg(bench) -> None:
    asked = bench([streaming()], attempts={"retry_reserve": 0})
    error = await asked.fails(lambda: asked.attempts.next_leg(asked.work))
    assert isinstance(error, UpstreamUnavailable)
    assert asked.upstream.asked == []


async def test_a_next_leg_that_fails_is_tried_elsewhere_although_the_first_content_s_time_is_long_over(
    bench, clock: ManualClock
) -> None:
    asked = bench([CUT], [streaming()])
    clock.advance(100)
    assert (await asked.attempts.next_leg(asked.work)).lease.replica.name == "replica-1"


async def test_a_next_leg_is_not_tried_again_once_the_whole_time_is_over(bench, clock: ManualClock) -> None:
    asked = bench([CUT], [streaming()], on_call=lambda url: clock.advance(300))
    assert (await asked.fails(lambda: asked.attempts.next_leg(asked.work))).spent


# ---- the client leaves


@pytest.mark.parametrize("read", [[STALL], [[role()], STALL]], ids=["before a chunk", "before content"])
async def test_a_client_that_leaves_ends_the_try_and_is_nobodys_failure(bench, read: list[Read]) -> None:
    stream = streaming(*read)
    asked = bench([stream], [streaming()])
    believed = [replica.belief for replica in asked.pool.replicas]
    waiting = asyncio.create_task(asked.stream())
    await stream.stalled.wait()
    assert asked.in_flight == [1, 0]
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (asked.in_flight, stream.closed, asked.upstream.asked) == ([0, 0], True, URLS[:1])
    assert [replica.belief for replica in asked.pool.replicas] == believed
    assert asked.outcomes == {}
