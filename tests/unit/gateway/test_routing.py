"""Which replica serves a request, and that its place is given back however the request ends."""

from collections.abc import Collection

import pytest

from gateway.health import State
from gateway.ports import Fault
from gateway.routing import Candidate, Pool, Replica, pick
from gateway.settings import Health
from tests.unit.gateway.manual_clock import ManualClock

URLS = ("http://site:8081", "http://site:8082", "http://site:8083")
SETTINGS = Health(ready_interval_s=30, failed_interval_s=1, failures_before_failed=2)


def candidate(name: str, in_flight: int = 0, last_leased: int = 0, *, ready: bool = True) -> Candidate:
    return Candidate(name, ready, in_flight, last_leased)


@pytest.fixture
def pool(clock: ManualClock) -> Pool:
    return Pool(URLS, SETTINGS, clock)


@pytest.fixture
def ready_pool(pool: Pool) -> Pool:
    for replica in pool.replicas:
        pool.report_probe(replica, Fault.NONE, "")
    return pool


def lease_names(pool: Pool, times: int) -> list[str]:
    """Enters leases one after the other without leaving any; the names of their replicas."""
    names = []
    for _ in range(times):
        lease = pool.lease()
        assert lease is not None
        names.append(lease.__enter__().replica.name)
    return names


@pytest.mark.parametrize(
    ("candidates", "excluded", "chosen"),
    [
        pytest.param([], [], None, id="nobody"),
        pytest.param([candidate("a", ready=False)], [], None, id="nobody ready"),
        pytest.param([candidate("a")], ["a"], None, id="nobody left"),
        pytest.param([candidate("a", 2), candidate("b", 1)], [], "b", id="least in flight"),
        pytest.param([candidate("a", 0, ready=False), candidate("b", 9)], [], "b", id="ready before idle"),
        pytest.param([candidate("a", 0), candidate("b", 9)], ["a"], "b", id="excluded, however idle"),
        pytest.param([candidate("a", 1, 7), candidate("b", 1, 3)], [], "b", id="rested longest among equals"),
        pytest.param([candidate("a", 1, 3), candidate("b", 2, 1)], [], "a", id="in flight counts before rest"),
        pytest.param([candidate("a"), candidate("b")], [], "a", id="at the start in their order"),
    ],
)
def test_pick(candidates: list[Candidate], excluded: Collection[str], chosen: str | None) -> None:
    picked = pick(iter(candidates), excluded)
    assert (picked and picked.name) == chosen


def test_replicas_are_named_by_their_place_in_the_settings(pool: Pool) -> None:
    assert [(r.name, r.url) for r in pool.replicas] == list(
        zip(["replica-0", "replica-1", "replica-2"], URLS, strict=True)
    )


def test_no_replica_gets_traffic_before_a_probe_has_succeeded(pool: Pool) -> None:
    assert not pool.ready
    assert pool.lease() is None
    pool.report_probe(pool.replicas[1], Fault.NONE, "")
    assert pool.ready
    lease = pool.lease()
    assert lease is not None
    assert lease.replica is pool.replicas[1]


def test_concurrent_requests_spread_evenly(ready_pool: Pool) -> None:
    names = lease_names(ready_pool, 7)
    assert names[:3] == names[3:6] == ["replica-0", "replica-1", "replica-2"]
    assert [replica.in_flight for replica in ready_pool.replicas] == [3, 2, 2]


def test_requests_one_at_a_time_take_turns(ready_pool: Pool) -> None:
    names = []
    for _ in range(4):
        lease = ready_pool.lease()
        assert lease is not None
        with lease:
            names.append(lease.replica.name)
    assert names == ["replica-0", "replica-1", "replica-2", "replica-0"]


def test_the_replica_that_has_become_free_is_next(ready_pool: Pool) -> None:
    leases = [ready_pool.lease() for _ in range(3)]
    for lease in leases:
        assert lease is not None
        lease.__enter__()
    middle = leases[1]
    assert middle is not None
    middle.__exit__(None, None, None)
    assert lease_names(ready_pool, 1) == ["replica-1"]


def test_excluded_replicas_are_passed_over(ready_pool: Pool) -> None:
    lease = ready_pool.lease(["replica-0", "replica-2"])
    assert lease is not None
    assert lease.replica.name == "replica-1"
    assert ready_pool.lease([replica.name for replica in ready_pool.replicas]) is None


def test_a_lease_counts_only_while_it_is_held(ready_pool: Pool) -> None:
    lease = ready_pool.lease()
    assert lease is not None
    assert lease.replica.in_flight == 0
    with lease:
        assert lease.replica.in_flight == 1
    assert lease.replica.in_flight == 0


def test_a_lease_is_given_back_when_the_request_fails(ready_pool: Pool) -> None:
    lease = ready_pool.lease()
    assert lease is not None
    with pytest.raises(RuntimeError), lease:
        raise RuntimeError
    assert lease.replica.in_flight == 0


def test_a_lease_is_given_back_only_once(ready_pool: Pool) -> None:
    lease = ready_pool.lease()
    assert lease is not None
    with lease:
        pass
    lease.__exit__(None, None, None)
    assert lease.replica.in_flight == 0


def test_a_lease_that_was_never_entered_gives_nothing_back(ready_pool: Pool) -> None:
    lease = ready_pool.lease()
    assert lease is not None
    lease.__exit__(None, None, None)
    assert lease.replica.in_flight == 0


def states(pool: Pool) -> list[State]:
    return [replica.belief.state for replica in pool.replicas]


def test_an_unreachable_replica_gets_nothing_more(ready_pool: Pool, clock: ManualClock) -> None:
    clock.advance(5)
    lost = ready_pool.replicas[0]
    ready_pool.report(lost, Fault.UNREACHABLE, "refused")
    assert states(ready_pool) == [State.FAILED, State.READY, State.READY]
    assert (lost.belief.reason, lost.belief.since) == ("refused", clock.now)
    assert "replica-0" not in lease_names(ready_pool, 4)


def test_a_suspected_replica_keeps_its_traffic_and_is_probed_now(ready_pool: Pool) -> None:
    suspect = ready_pool.replicas[0]
    assert ready_pool.seconds_until_probe(suspect) == 30
    ready_pool.report(suspect, Fault.SUSPECT, "odd")
    assert states(ready_pool) == [State.READY] * 3
    assert ready_pool.seconds_until_probe(suspect) == 0


def test_a_request_at_fault_says_nothing_of_the_replica(ready_pool: Pool) -> None:
    before = ready_pool.replicas[0].belief
    ready_pool.report(ready_pool.replicas[0], Fault.NONE, "bad request")
    assert ready_pool.replicas[0].belief == before


@pytest.mark.parametrize(
    ("faults", "state"),
    [
        pytest.param([Fault.NONE], State.READY, id="good"),
        pytest.param([Fault.NONE, Fault.SUSPECT], State.READY, id="one slow"),
        pytest.param([Fault.NONE, Fault.SUSPECT, Fault.SUSPECT], State.FAILED, id="two slow in a row"),
        pytest.param([Fault.NONE, Fault.SUSPECT, Fault.NONE, Fault.SUSPECT], State.READY, id="slow, not in a row"),
        pytest.param([Fault.NONE, Fault.UNREACHABLE], State.FAILED, id="gone"),
        pytest.param([Fault.NONE, Fault.UNREACHABLE, Fault.NONE], State.READY, id="gone and back"),
    ],
)
def test_probes_decide_whether_a_replica_is_ready(pool: Pool, faults: list[Fault], state: State) -> None:
    replica: Replica = pool.replicas[0]
    for fault in faults:
        pool.report_probe(replica, fault, "because")
    assert replica.belief.state is state


def test_the_next_probe_comes_nearer_as_time_passes_and_is_never_in_the_past(
    ready_pool: Pool, clock: ManualClock
) -> None:
    replica = ready_pool.replicas[0]
    clock.advance(20)
    assert ready_pool.seconds_until_probe(replica) == 10
    clock.advance(20)
    assert ready_pool.seconds_until_probe(replica) == 0
