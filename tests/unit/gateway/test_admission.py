"""The queue in front of the replicas: whose turn it is, how long one waits, and that who leaves keeps no place."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest

from gateway.admission import NobodyServes
from gateway.errors import DeadlineExceeded, QueueFull
from gateway.line import Priority
from gateway.pool import Lease
from gateway.ports import Fault
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.manual_clock import ManualClock
from tests.unit.gateway.pool_bench import PROVEN, come_back, lose
from tests.unit.gateway.queue_bench import Bench, queue_bench

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench(accounts: Accounts, clock: ManualClock) -> Callable[..., AbstractAsyncContextManager[Bench]]:
    return partial(queue_bench, accounts, clock)


# ---- without a queue


async def test_a_free_place_is_given_at_once_and_is_no_wait(bench) -> None:
    async with bench() as queue:
        work = queue.work()
        lease = await queue.admission.place(work)
        assert (lease.replica.name, lease.tokens, work.entry.queued_s) == ("replica-0", 100, 0)
        assert queue.accounts.counted("scout_queue_wait_seconds_count") == {}


async def test_a_request_is_not_given_a_replica_that_has_failed_it(bench) -> None:
    async with bench(replicas=2) as queue:
        lease = await queue.admission.place(queue.work(visited={queue.pool.replicas[0].visit}))
        assert lease.replica.name == "replica-1"


# ---- whose turn it is


async def test_first_come_first_served_and_nobody_new_passes_those_who_wait(bench) -> None:
    async with bench() as queue:
        (held,) = queue.fill()
        served = []
        first, second = await queue.queue(), await queue.queue()
        held.release()
        third = await queue.queue()
        for task in (first, second, third):
            lease = await task
            served.append([task.done() for task in (first, second, third)])
            lease.release()
        assert served == [[True, False, False], [True, True, False], [True, True, True]]


async def test_a_resume_is_served_before_all_and_batch_after_those_who_talk(bench) -> None:
    async with bench() as queue:
        (held,) = queue.fill()
        order = []

        async def serve(priority: Priority) -> None:
            lease = await queue.admission.place(queue.work(priority=priority))
            order.append(priority.name)
            lease.release()

        for priority in (Priority.BATCH, Priority.INTERACTIVE, Priority.RESUME):
            queue.tasks.append(asyncio.create_task(serve(priority)))
            await asyncio.sleep(0)
        assert queue.admission.line.waiting() == 3
        held.release()
        await asyncio.gather(*queue.tasks)
    assert order == ["RESUME", "INTERACTIVE", "BATCH"]


async def test_a_place_that_the_first_may_not_take_goes_to_the_next(bench) -> None:
    async with bench(replicas=2) as queue:
        first, second = queue.fill()
        picky = await queue.queue(visited={first.replica.visit})
        other = await queue.queue()
        first.release()
        assert (await other).replica is first.replica
        assert not picky.done()
        second.release()
        assert (await picky).replica is second.replica


async def test_a_place_that_comes_free_by_the_clock_is_noticed_without_being_told(bench) -> None:
    async with bench(places=10) as queue:
        queue.pool.report(queue.pool.replicas[0], Fault.BUSY, "HTTP 503", 5)
        waiting = await queue.queue()
        queue.clock.advance(5)
        assert (await waiting).replica.name == "replica-0"


async def test_a_place_that_nobody_has_noticed_yet_is_not_for_whoever_comes_first_now(bench) -> None:
    async with bench() as queue:
        queue.pool.report(queue.pool.replicas[0], Fault.BUSY, "HTTP 503", 5)
        waiting = await queue.queue()
        queue.clock.advance(5)
        late = await queue.queue()
        assert (await waiting).replica.name == "replica-0"
        assert not late.done()


async def test_the_timer_looks_again_for_as_long_as_somebody_waits(bench) -> None:
    async with bench() as queue:
        (held,) = queue.fill()
        looks = 0
        took = queue.pool.lease

        def lease(*how: object) -> Lease | None:
            nonlocal looks
            looks += 1
            if looks == 4:
                held.release()
            return took(*how)

        queue.pool.lease = lease
        assert (await queue.admission.place(queue.work())).replica is held.replica
        assert looks >= 4


async def test_a_wait_is_booked_with_its_length_and_priority(bench) -> None:
    async with bench() as queue:
        (held,) = queue.fill()
        work = queue.work(priority=Priority.BATCH)
        waiting = await queue.queue(work)
        queue.clock.advance(1.5)
        held.release()
        await waiting
        assert work.entry.queued_s == 1.5
        assert queue.accounts.count("scout_queue_wait_seconds_sum", priority="batch") == 1.5


# ---- who is refused


async def test_a_full_queue_refuses_and_says_when_to_come_again(bench) -> None:
    async with bench(places=2, admission={"max_queued": 2}) as queue:
        held = queue.fill()
        waiting = [await queue.queue(), await queue.queue()]
        error = await queue.refused(queue.work())
        assert isinstance(error, QueueFull)
        assert error.detail == "2 waiting"
        assert error.retry_after_s == 15, "2 places, each taken to come free once in 10 s, and 2 are ahead"
        assert "15 seconds" in error.message
        held[0].release(), held[1].release()
        for task in waiting:
            (await task).release()


async def test_those_refused_together_are_told_to_come_one_after_the_other(bench) -> None:
    async with bench(places=2, admission={"max_queued": 0}) as queue:
        queue.fill()
        told = [(await queue.refused(queue.work())).retry_after_s for _ in range(14)]
        assert told == [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 60, 60]


async def test_a_resume_is_not_refused_by_a_full_queue(bench) -> None:
    async with bench(admission={"max_queued": 0}) as queue:
        (held,) = queue.fill()
        waiting = await queue.queue(priority=Priority.RESUME)
        held.release()
        assert (await waiting).replica is held.replica


async def test_one_waits_no_longer_than_the_bound(bench) -> None:
    async with bench(admission={"max_wait_s": 3}) as queue:
        queue.fill()
        waiting, work = [await queue.queue(), await queue.queue()], queue.work()
        queue.clock.advance(2.9)
        queue.look()
        assert [task.done() for task in waiting] == [False, False]
        late = await queue.queue(work)
        queue.clock.advance(0.1)
        errors = [await queue.refused(task) for task in waiting]
        assert [type(error) for error in errors] == [QueueFull, QueueFull]
        assert [error.detail for error in errors] == ["0 waiting", "0 waiting"]
        assert not late.done()


async def test_a_clients_deadline_that_passes_in_the_queue_is_told_as_such(bench) -> None:
    async with bench() as queue:
        queue.fill()
        waiting = await queue.queue(deadline_s=2)
        queue.clock.advance(2)
        error = await queue.refused(waiting)
        assert isinstance(error, DeadlineExceeded)
        assert "nothing was sent to the model" in error.message
        assert not error.retryable


async def test_our_own_clock_for_the_first_content_is_no_deadline_of_the_client(bench) -> None:
    async with bench(on_prem={"first_content_timeout_s": 2.0}) as queue:
        queue.fill()
        waiting = await queue.queue(deadline_s=200)
        queue.clock.advance(2)
        assert isinstance(await queue.refused(waiting), QueueFull)


async def test_a_deadline_that_passed_before_the_queue_gets_no_place_even_if_one_is_free(bench) -> None:
    async with bench() as queue:
        work = queue.work(deadline_s=2)
        queue.clock.advance(2)
        assert isinstance(await queue.refused(work), DeadlineExceeded)
        assert queue.pool.replicas[0].in_flight == 0


async def test_a_resume_whose_deadline_passes_in_the_queue_is_told_so(bench) -> None:
    async with bench() as queue:
        queue.fill()
        bounded = await queue.queue(priority=Priority.RESUME, deadline_s=4)
        free = await queue.queue(priority=Priority.RESUME)
        queue.clock.advance(4)
        assert isinstance(await queue.refused(bounded), DeadlineExceeded)
        queue.clock.advance(16)
        assert isinstance(await queue.refused(free), QueueFull), "resume_wait_s is over"


# ---- nobody serves


async def test_a_site_that_has_just_vanished_is_waited_for_and_may_come_back(bench) -> None:
    async with bench(replicas=2) as queue:
        queue.clock.advance(100)
        lose(queue.pool, *queue.pool.replicas)
        waiting = await queue.queue()
        queue.clock.advance(1)
        queue.pool.probed(queue.pool.replicas[1], PROVEN)
        assert (await waiting).replica.name == "replica-1"


async def test_a_site_that_stays_away_is_given_up_after_a_while(bench) -> None:
    async with bench(replicas=2) as queue:
        queue.clock.advance(100)
        lose(queue.pool, *queue.pool.replicas, reason="refused at 100.64.0.7")
        waiting = await queue.queue()
        queue.clock.advance(2)
        error = await queue.refused(waiting)
        assert isinstance(error, NobodyServes)
        assert error.retry_after_s == 2
        assert error.detail == "replica-0 failed: refused at 100.64.0.7, replica-1 failed: refused at 100.64.0.7"
        assert "100.64.0.7" not in error.message


async def test_a_site_that_has_long_been_gone_is_not_waited_for(bench) -> None:
    async with bench() as queue:
        lose(queue.pool, *queue.pool.replicas)
        queue.clock.advance(60)
        work = queue.work()
        queue.clock.advance(2)
        assert isinstance(await queue.refused(work), NobodyServes)


async def test_whoever_arrives_while_a_site_is_gone_gives_it_a_moment(bench) -> None:
    async with bench() as queue:
        lose(queue.pool, *queue.pool.replicas)
        queue.clock.advance(60)
        waiting = await queue.queue()
        assert not waiting.done()
        queue.clock.advance(2)
        assert isinstance(await queue.refused(waiting), NobodyServes)


async def test_a_request_that_every_serving_replica_has_failed_does_not_wait(bench) -> None:
    async with bench(replicas=2) as queue:
        visited = {replica.visit for replica in queue.pool.replicas}
        assert isinstance(await queue.refused(queue.work(visited=visited)), NobodyServes)


async def test_a_resume_waits_longer_for_a_replica_to_come_back(bench) -> None:
    async with bench() as queue:
        replica = queue.pool.replicas[0]
        visit = replica.visit
        waiting = await queue.queue(priority=Priority.RESUME, visited={visit})
        lose(queue.pool, replica)
        queue.clock.advance(17)
        queue.look()
        assert not waiting.done()
        come_back(queue.pool, replica, queue.clock)
        assert (await waiting).visit == ("replica-0", 1)


# ---- leaving


async def test_whoever_leaves_the_queue_leaves_nothing_behind(bench) -> None:
    async with bench() as queue:
        (held,) = queue.fill()
        leaving, staying = await queue.queue(), await queue.queue()
        leaving.cancel()
        held.release()
        lease = await staying
        assert leaving.cancelled()
        assert queue.pool.replicas[0].leases == {lease}


async def test_a_place_granted_to_somebody_who_leaves_at_that_moment_goes_to_the_next(bench) -> None:
    async with bench() as queue:
        (held,) = queue.fill()
        leaving, staying = await queue.queue(), await queue.queue()
        held.release()
        leaving.cancel()
        lease = await staying
        assert leaving.cancelled()
        assert queue.pool.replicas[0].leases == {lease}


async def test_whoever_is_refused_at_the_moment_of_leaving_has_left(bench) -> None:
    async with bench() as queue:
        queue.fill()
        leaving = await queue.queue()
        queue.clock.advance(60)
        queue.look()
        leaving.cancel()
        await asyncio.wait({leaving})
        assert leaving.cancelled()


async def test_whoever_leaves_at_the_moment_of_being_given_up_has_left(bench) -> None:
    async with bench() as queue:
        queue.fill()
        leaving = await queue.queue()
        queue.clock.advance(60)
        leaving.cancel()
        queue.look()
        await asyncio.wait({leaving})
        assert leaving.cancelled()


async def test_once_nobody_waits_the_timer_rests(bench) -> None:
    async with bench() as queue:
        queue.fill()
        leaving = await queue.queue()
        assert len(timers()) == 1
        leaving.cancel()
        while timers():  # noqa: ASYNC110  # a timer that has fired has no event to wait for
            await asyncio.sleep(0.01)


async def test_a_closed_queue_has_no_timer(bench) -> None:
    async with bench() as queue:
        queue.fill()
        await queue.queue()
        queue.admission.close()
        queue.admission.close()
        assert timers() == []


def timers() -> list[asyncio.TimerHandle]:
    """The queue's timers that have not fired."""
    scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return [timer for timer in scheduled if "_look_again" in repr(timer) and not timer.cancelled()]
