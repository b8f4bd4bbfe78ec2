"""The replicas of one site: who gets a request, what a failure changes, and who is told of it."""

import dataclasses

import pytest

from gateway.health import Finding, Scrape, State
from gateway.pool import CUTS_BELONG_TOGETHER_S, PROOF_LASTS_S, Lease, Pool, Replica
from gateway.ports import Fault
from gateway.site import SiteEvent
from tests.unit.gateway.manual_clock import ManualClock
from tests.unit.gateway.pool_bench import (
    IDLE,
    NO_CONNECTION,
    NO_PREFIX,
    ODD,
    PROVEN,
    URLS,
    come_back,
    lose,
    prompt,
    ready_pool,
    settings_for,
)

LONG = prompt("The whole price list of the year. " * 200)


def pool_of(replicas: int, clock: ManualClock, **slices: object) -> Pool:
    return ready_pool(settings_for(replicas, **slices), clock)


def place(pool: Pool, *excluded: Replica) -> Lease:
    lease = pool.lease(NO_PREFIX, 100, [replica.visit for replica in excluded])
    assert lease is not None
    return lease


def states(pool: Pool) -> list[State]:
    return [pool.state(replica)[0] for replica in pool.replicas]


# ---- at the start


def test_replicas_are_named_in_the_order_of_their_addresses(clock: ManualClock) -> None:
    pool = Pool(settings_for(3), clock)
    assert [(replica.name, replica.url) for replica in pool.replicas] == [
        (f"replica-{i}", url) for i, url in enumerate(URLS)
    ]
    assert pool["replica-1"] is pool.replicas[1]


def test_before_a_probe_nobody_gets_a_request(clock: ManualClock) -> None:
    pool = Pool(settings_for(2), clock)
    assert states(pool) == [State.FAILED, State.FAILED]
    assert pool.lease(NO_PREFIX, 1, ()) is None
    assert (pool.ready, pool.usable(), pool.places()) == (False, False, 0)
    assert pool.usable_at == clock()


def test_a_proven_replica_is_ready_and_that_is_told_once(clock: ManualClock) -> None:
    pool = Pool(settings_for(2), clock)
    told = []
    pool.on_state = lambda replica, was, reason: told.append((replica.name, was, replica.shown, reason))
    for _ in range(2):
        pool.probed(pool.replicas[0], PROVEN)
    assert told == [("replica-0", State.FAILED, State.READY, "answers probes")]
    assert (pool.ready, pool.usable(), pool.places()) == (True, True, 10)
    assert [pool.state(replica)[0].value for replica in pool.replicas].count("failed") == 1


# ---- places


def test_requests_spread_and_each_replica_rests_longest_before_its_next(clock: ManualClock) -> None:
    pool = pool_of(3, clock)
    names = []
    for _ in range(6):
        with place(pool) as lease:
            names.append(lease.replica.name)
    assert names == ["replica-0", "replica-1", "replica-2"] * 2


def test_a_lease_holds_its_place_and_its_tokens_until_it_is_given_back_once(clock: ManualClock) -> None:
    pool = pool_of(1, clock)
    freed = []
    pool.on_place = freed.append
    replica = pool.replicas[0]
    lease, other = place(pool), place(pool)
    assert (lease.visit, lease.why) == (("replica-0", 0), "load")
    assert (replica.in_flight, replica.in_flight_tokens) == (2, 200)
    lease.release()
    lease.release()
    assert (replica.in_flight, replica.in_flight_tokens, freed) == (1, 100, [True])
    with other:
        pass
    assert (replica.in_flight, replica.in_flight_tokens, freed) == (0, 0, [True, True])


def test_a_full_pool_has_no_place_and_is_usable_all_the_same(clock: ManualClock) -> None:
    pool = pool_of(2, clock, admission={"max_concurrent_per_replica": 1})
    held = [place(pool), place(pool)]
    assert pool.lease(NO_PREFIX, 1, ()) is None
    assert pool.usable()
    held[1].release()
    assert place(pool).replica is pool.replicas[1]


def test_an_excluded_replica_is_not_chosen_and_serves_nobody_who_excludes_it(clock: ManualClock) -> None:
    pool = pool_of(2, clock)
    first, second = pool.replicas
    assert [place(pool, first).replica for _ in range(2)] == [second, second]
    assert pool.lease(NO_PREFIX, 1, [first.visit, second.visit]) is None
    assert pool.usable([first.visit]) and not pool.usable([first.visit, second.visit])


def test_a_replica_that_has_failed_and_come_back_is_another_one(clock: ManualClock) -> None:
    pool = pool_of(2, clock)
    first, second = pool.replicas
    before = first.visit
    lose(pool, first)
    come_back(pool, first, clock)
    assert first.visit != before
    lease = pool.lease(NO_PREFIX, 1, [before, second.visit])
    assert lease is not None and lease.replica is first


def test_who_holds_the_prompt_gets_it_again_and_forgets_it_when_it_fails(clock: ManualClock) -> None:
    pool = pool_of(2, clock)
    first, second = pool.replicas
    pool.answered(second, LONG)
    busy = place(pool, first)
    lease = pool.lease(LONG, 1, ())
    assert lease is not None
    assert (lease.replica, lease.why) == (second, "affinity")
    lose(pool, second)
    come_back(pool, second, clock)
    lease.release()
    busy.release()
    again = pool.lease(LONG, 1, ())
    assert again is not None
    assert again.why == "load"


def test_what_the_engine_says_of_itself_counts_while_it_is_fresh(clock: ManualClock) -> None:
    pool = pool_of(2, clock)
    first, second = pool.replicas
    pool.probed(first, dataclasses.replace(PROVEN, scrape=dataclasses.replace(IDLE, waiting=3)))
    with place(pool) as lease:
        assert lease.replica is second
    clock.advance(3.5)
    with place(pool) as lease:
        assert lease.replica is first, "the figures are stale, and it has rested longer"


# ---- states


def test_overloaded_counts_as_usable_and_takes_nothing(clock: ManualClock) -> None:
    pool = pool_of(2, clock)
    first, second = pool.replicas
    pool.report(first, Fault.BUSY, "HTTP 503", 7)
    assert states(pool) == [State.OVERLOADED, State.READY]
    assert pool.lease(NO_PREFIX, 1, [second.visit]) is None
    assert pool.usable([second.visit])
    assert pool.places() == 10
    clock.advance(7)
    assert states(pool) == [State.READY, State.READY]


def test_a_draining_replica_takes_nothing_keeps_what_it_has_and_can_be_taken_back(clock: ManualClock) -> None:
    pool = pool_of(1, clock)
    replica = pool.replicas[0]
    told, freed = [], []
    pool.on_state = lambda replica, was, reason: told.append((was, replica.shown))
    lease = place(pool)
    pool.on_place = freed.append
    clock.advance(5)
    pool.drain(replica, True)
    assert (pool.lease(NO_PREFIX, 1, ()), pool.usable(), pool.ready) == (None, False, False)
    assert (lease.lost, replica.in_flight, replica.visit) == ("", 1, lease.visit)
    assert pool.usable_at == clock()
    pool.drain(replica, False)
    assert pool.usable()
    assert told == [(State.READY, State.DRAINING), (State.DRAINING, State.READY)]
    assert freed == [False, False]


def test_usable_at_is_when_a_replica_was_last_lost_to_use(clock: ManualClock) -> None:
    pool = pool_of(1, clock)
    clock.advance(100)
    lose(pool, pool.replicas[0])
    lost_at = clock()
    clock.advance(50)
    pool.drain(pool.replicas[0], True)
    assert pool.usable_at == lost_at


# ---- what traffic says


def test_a_request_at_fault_says_nothing_of_the_replica(clock: ManualClock) -> None:
    pool = pool_of(1, clock)
    replica = pool.replicas[0]
    before = replica.belief
    for _ in range(10):
        pool.report(replica, Fault.NONE, "HTTP 400")
    assert (replica.belief, states(pool)) == (before, [State.READY])


def test_one_odd_answer_has_the_replica_probed_now_and_several_take_it_out(clock: ManualClock) -> None:
    pool = pool_of(1, clock)
    replica = pool.replicas[0]
    assert pool.seconds_until_probe(replica) == 10
    pool.report(replica, Fault.SUSPECT, "HTTP 500")
    assert (pool.seconds_until_probe(replica), states(pool)) == (0, [State.READY])
    for _ in range(2):
        pool.report(replica, Fault.SUSPECT, "HTTP 500")
    assert pool.state(replica) == (State.FAILED, "3 of 3 requests failed, the last: HTTP 500")
    assert replica.epoch == 1


def test_content_and_tokens_prove_that_it_works_and_fresh_proof_is_not_renewed(clock: ManualClock) -> None:
    pool = pool_of(1, clock)
    replica = pool.replicas[0]
    clock.advance(PROOF_LASTS_S)
    pool.answered(replica, NO_PREFIX)
    proven = replica.belief
    assert (proven.proven_at, proven.progress_at) == (clock(), clock())
    clock.advance(PROOF_LASTS_S / 2)
    pool.progressed(replica, clock())
    assert replica.belief is proven
    clock.advance(PROOF_LASTS_S / 2)
    pool.progressed(replica, clock())
    assert replica.belief.proven_at == clock()


def test_a_lost_replica_fails_at_once_and_the_holders_of_its_places_are_told(clock: ManualClock) -> None:
    pool = pool_of(2, clock)
    first, second = pool.replicas
    told = []
    watched, unwatched, elsewhere = place(pool, second), place(pool, second), place(pool, first)
    watched.on_lost = lambda: told.append(watched.lost)
    elsewhere.on_lost = lambda: pytest.fail("its replica is well")
    lose(pool, first, reason="connection refused")
    assert pool.state(first) == (State.FAILED, "connection refused")
    assert told == ["connection refused"]
    assert [lease.lost for lease in (watched, unwatched, elsewhere)] == ["connection refused"] * 2 + [""]
    assert first.in_flight == 2, "the places are their holders' to give back"


def test_a_holder_may_give_its_place_back_when_it_is_told(clock: ManualClock) -> None:
    pool = pool_of(1, clock)
    leases = [place(pool) for _ in range(3)]
    for lease in leases:
        lease.on_lost = lease.release
    lose(pool, pool.replicas[0])
    assert (pool.replicas[0].in_flight, [bool(lease.lost) for lease in leases]) == (0, [True] * 3)


def test_a_replica_that_is_lost_alone_comes_back_by_one_probe_and_slowly(clock: ManualClock) -> None:
    pool = pool_of(2, clock)
    first = pool.replicas[0]
    lose(pool, first)
    pool.probed(first, PROVEN)
    assert states(pool)[0] is State.FAILED, "its breaker's pause is not over"
    come_back(pool, first, clock)
    assert states(pool) == [State.READY, State.READY]
    assert pool.places() == 1 + 10
    clock.advance(5)
    assert pool.places() == 20


# ---- the site


def test_losing_every_replica_s_connection_is_one_event_and_nobody_s_fault(clock: ManualClock) -> None:
    pool = pool_of(2, clock)
    events: list[SiteEvent] = []
    pool.on_site = events.append
    lose(pool, *pool.replicas)
    assert [(event.down, event.at_once) for event in events] == [(True, True)]
    assert pool.site.down
    assert states(pool) == [State.FAILED, State.FAILED]
    clock.advance(1)
    for replica in pool.replicas:
        pool.probed(replica, PROVEN)
    assert [event.down for event in events] == [True, False]
    assert states(pool) == [State.READY, State.READY]
    assert pool.places() == 20, "back together, and at full strength"


def test_while_the_site_is_down_no_breaker_counts(clock: ManualClock) -> None:
    pool = pool_of(2, clock)
    lose(pool, *pool.replicas)
    for _ in range(5):
        pool.report(pool.replicas[0], Fault.SUSPECT, "broken off")
    assert pool.replicas[0].breaker.admits(clock())


def test_an_nginx_that_answers_for_dead_engines_is_not_the_site(clock: ManualClock) -> None:
    pool = pool_of(2, clock)
    for replica in pool.replicas:
        pool.report(replica, Fault.UNREACHABLE, "HTTP 502")
    assert (pool.site.down, states(pool)) == (False, [State.FAILED, State.FAILED])


def test_probes_find_the_loss_of_the_site_too(clock: ManualClock) -> None:
    pool = pool_of(2, clock)
    for replica in pool.replicas:
        pool.probed(replica, NO_CONNECTION)
    assert pool.site.down
    pool.probed(pool.replicas[0], Finding(Fault.SUSPECT, "cannot tell", reached=None))
    assert pool.site.down
    pool.probed(pool.replicas[0], ODD)
    assert not pool.site.down, "an odd answer is an answer"


# ---- who died of what


@pytest.mark.parametrize(
    ("beside", "since_last_s", "alone"),
    [
        pytest.param(0, None, True, id="the only one, the first time"),
        pytest.param(1, None, False, id="not the only one"),
        pytest.param(0, CUTS_BELONG_TOGETHER_S, False, id="the last of several"),
        pytest.param(0, CUTS_BELONG_TOGETHER_S + 0.1, True, id="another event"),
    ],
)
def test_a_cut_tells_whether_others_were_there(
    clock: ManualClock, beside: int, since_last_s: float | None, alone: bool
) -> None:
    pool = pool_of(1, clock)
    replica = pool.replicas[0]
    for _ in range(1 + beside):
        place(pool)
    if since_last_s is not None:
        pool.cut(replica, clock())
        clock.advance(since_last_s)
    assert pool.cut(replica, clock()) is alone


# ---- probes


def test_a_replica_with_requests_is_probed_sooner_and_all_at_once_where_one_asks(clock: ManualClock) -> None:
    pool = pool_of(1, clock)
    replica, lease = pool.replicas[0], place(pool)
    assert pool.seconds_until_probe(replica) == 1
    pool.look_at_all()
    assert pool.seconds_until_probe(replica) == 0
    pool.probed(replica, PROVEN)
    clock.advance(20)
    assert pool.seconds_until_probe(replica) == 0, "never below"
    pool.probed(replica, PROVEN)
    lease.release()
    assert pool.seconds_until_probe(replica) == 1, "as the probe that saw the request has set it"


def test_an_idle_replica_is_asked_for_a_token_now_and_then(clock: ManualClock) -> None:
    pool = pool_of(1, clock)
    replica = pool.replicas[0]
    assert not pool.wants_canary(replica)
    clock.advance(60)
    assert pool.wants_canary(replica)
    pool.probe_begins(replica)
    assert states(pool) == [State.READY], "for a closed breaker it is a probe like any other"


def test_an_open_breaker_wants_one_token_and_only_after_its_pause(clock: ManualClock) -> None:
    pool = pool_of(2, clock)
    replica = pool.replicas[0]
    lose(pool, replica)
    assert not pool.wants_canary(replica)
    pool.probe_begins(replica)
    assert not pool.wants_canary(replica)
    clock.advance(2)
    assert pool.wants_canary(replica)
    pool.probe_begins(replica)
    assert not pool.wants_canary(replica), "it is under way"
    pool.probed(replica, ODD)
    clock.advance(2)
    assert not pool.wants_canary(replica), "after one that failed the pause is twice as long"
    clock.advance(2)
    assert pool.wants_canary(replica)


def test_an_engine_that_is_too_busy_for_a_token_and_well_closes_the_breaker(clock: ManualClock) -> None:
    pool = pool_of(1, clock)
    replica = pool.replicas[0]
    for _ in range(3):
        pool.report(replica, Fault.SUSPECT, "HTTP 500")
    assert states(pool) == [State.FAILED]
    clock.advance(2)
    pool.probe_begins(replica)
    busy = Scrape(running=4, waiting=0, kv_usage=0.2, generated=5)
    pool.probed(replica, Finding(Fault.NONE, "answers probes", busy, reached=True))
    assert states(pool) == [State.READY]
