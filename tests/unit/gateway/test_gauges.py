"""Gauges that are read off their sources: whatever changes there shows at the next scrape, and nothing else."""

from types import SimpleNamespace

import pytest

from gateway import gauges
from gateway.admission import Admission
from gateway.budget import RetryBudget
from gateway.line import Priority
from gateway.link import Path
from gateway.ports import Fault
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.manual_clock import ManualClock
from tests.unit.gateway.pool_bench import NO_PREFIX, lose, ready_pool, settings_for


@pytest.fixture
def queue(accounts: Accounts, clock: ManualClock) -> Admission:
    settings = settings_for(2)
    return Admission(ready_pool(settings, clock), settings, accounts.metrics, clock)


@pytest.fixture
def retries(accounts: Accounts, queue: Admission) -> RetryBudget:
    budget = RetryBudget(0.1, 60)
    gauges.watch(accounts.metrics, queue.pool, queue, budget)
    return budget


@pytest.mark.usefixtures("retries")
def test_places_that_are_held_show_at_their_replica(accounts: Accounts, queue: Admission) -> None:
    lease = queue.pool.lease(NO_PREFIX, 1, ())
    assert lease is not None
    assert accounts.counted("scout_replica_in_flight") == {("replica-0",): 1, ("replica-1",): 0}
    lease.release()
    assert accounts.counted("scout_replica_in_flight") == {("replica-0",): 0, ("replica-1",): 0}


@pytest.mark.usefixtures("retries")
def test_each_replica_is_in_one_state_which_may_change_by_the_clock_alone(
    accounts: Accounts, queue: Admission, clock: ManualClock
) -> None:
    first, second = queue.pool.replicas
    queue.pool.report(first, Fault.BUSY, "HTTP 503", 5)
    queue.pool.drain(second, True)
    shown = accounts.counted("scout_replica_state")
    assert {labels for labels, value in shown.items() if value} == {
        ("replica-0", "overloaded"),
        ("replica-1", "draining"),
    }
    assert len(shown) == 8, "every replica shows every state"
    assert accounts.counted("scout_replica_ready") == {("replica-0",): 1, ("replica-1",): 0}
    clock.advance(5)
    assert accounts.count("scout_replica_state", replica="replica-0", state="ready") == 1
    assert accounts.count("scout_replica_state", replica="replica-0", state="overloaded") == 0


@pytest.mark.usefixtures("retries")
def test_a_site_that_is_down_shows(accounts: Accounts, queue: Admission) -> None:
    assert accounts.count("scout_site_down") == 0
    lose(queue.pool, *queue.pool.replicas)
    assert accounts.count("scout_site_down") == 1
    assert accounts.counted("scout_replica_ready") == {("replica-0",): 0, ("replica-1",): 0}


@pytest.mark.usefixtures("retries")
def test_those_who_wait_show_by_priority(accounts: Accounts, queue: Admission) -> None:
    for priority in (Priority.BATCH, Priority.BATCH, Priority.RESUME):
        queue.line.join(priority, 0, give_up_at=1, excluded=frozenset(), payload=None)
    assert accounts.counted("scout_queue_waiting") == {("batch",): 2, ("interactive",): 0, ("resume",): 1}


def test_the_budget_of_extra_attempts_shows(accounts: Accounts, retries: RetryBudget, clock: ManualClock) -> None:
    assert accounts.count("scout_retry_budget") == 60
    retries.take(clock())
    assert accounts.count("scout_retry_budget") == 59


def test_the_hosts_of_each_path_are_counted(accounts: Accounts) -> None:
    source = SimpleNamespace(paths={"a": Path.DIRECT, "b": Path.DIRECT, "c": Path.RELAYED})
    gauges.watch_link(accounts.metrics, source)
    shown = accounts.counted("scout_link_path")
    assert {path: shown[path.value,] for path in Path} == {
        **dict.fromkeys(Path, 0),
        Path.DIRECT: 2,
        Path.RELAYED: 1,
    }
    source.paths = {}
    assert not any(accounts.counted("scout_link_path").values())
