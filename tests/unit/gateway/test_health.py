"""What we believe of a replica: every observation in every state, on a time that is passed in."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from gateway.health import (
    ANSWERS,
    Belief,
    Finding,
    Scrape,
    State,
    after_lost_connection,
    after_probe,
    assess,
    at_start,
    busy_until,
    fresh_scrape,
    probe_due_at,
    progressed,
    set_draining,
    suspected,
    wants_canary,
)
from gateway.ports import Fault
from gateway.settings import Health

SETTINGS = Health(
    ready_interval_s=10,
    busy_interval_s=1,
    failed_interval_s=2,
    failures_before_failed=2,
    stall_after_s=10,
    canary_interval_s=60,
    overloaded_waiting=20,
    overloaded_kv_usage=0.97,
)
NOW = 1000.0

GOOD = Finding(Fault.NONE, ANSWERS)
PROVEN = Finding(Fault.NONE, ANSWERS, generated=True)
SLOW = Finding(Fault.SUSPECT, "slow")
GONE = Finding(Fault.UNREACHABLE, "refused")


def scrape(generated: float = 0.0, running: float = 0.0, waiting: float = 0.0, kv_usage: float = 0.0) -> Scrape:
    return Scrape(running, waiting, kv_usage, generated)


def seen(generated: float, running: float = 1.0, fault: Fault = Fault.NONE) -> Finding:
    return Finding(fault, "because", scrape(generated, running))


def probed(belief: Belief, now: float, *findings: Finding, busy: bool = False) -> Belief:
    """The belief after these findings, one second apart, the first at `now`."""
    for later, finding in enumerate(findings):
        belief = after_probe(belief, finding, now + later, SETTINGS, busy=busy)
    return belief


def alive(proven_at: float = NOW) -> Belief:
    return probed(at_start(proven_at), proven_at, PROVEN)


def state(belief: Belief, now: float = NOW, *, admits: bool = True) -> tuple[State, str]:
    return assess(belief, now, SETTINGS, admits=admits, why_not="the breaker is open")


def test_at_the_start_a_replica_counts_as_failed_and_a_probe_is_due() -> None:
    belief = at_start(NOW)
    assert state(belief) == (State.FAILED, "not probed yet")
    assert (belief.since, belief.next_probe_at) == (NOW, NOW)


# ---- coming alive


def test_a_probe_with_a_token_brings_it_to_life() -> None:
    belief = probed(at_start(NOW), NOW + 5, PROVEN)
    assert state(belief) == (State.READY, ANSWERS)
    assert (belief.since, belief.proven_at, belief.misses) == (NOW + 5, NOW + 5, 0)


@pytest.mark.parametrize(
    ("finding", "reason"),
    [
        pytest.param(GOOD, "not probed yet", id="answering is what a hung engine does too"),
        pytest.param(Finding(Fault.NONE, "busy"), "busy", id="no token because it is busy"),
        pytest.param(Finding(Fault.BUSY, "busy"), "busy", id="the same, as a fault of its own"),
        pytest.param(SLOW, "slow", id="slow"),
        pytest.param(GONE, "refused", id="gone"),
        pytest.param(replace(SLOW, generated=True), "slow", id="a token, but something else is wrong"),
    ],
)
def test_without_a_token_and_all_else_well_it_stays_failed(finding: Finding, reason: str) -> None:
    belief = probed(at_start(NOW), NOW + 5, finding)
    assert state(belief) == (State.FAILED, reason)
    assert (belief.since, belief.next_probe_at) == (NOW, NOW + 7)


def test_a_replica_that_fails_and_returns_has_its_full_grace_again() -> None:
    belief = probed(alive(), NOW + 20, SLOW, SLOW)
    assert not belief.alive
    belief = probed(belief, NOW + 100, PROVEN)
    assert probed(belief, NOW + 120, SLOW).alive


# ---- failing


@pytest.mark.parametrize(
    ("findings", "still"),
    [
        pytest.param([SLOW], True, id="one slow"),
        pytest.param([SLOW, SLOW], False, id="two slow in a row"),
        pytest.param([SLOW, GOOD, SLOW], True, id="two slow, not in a row"),
        pytest.param([SLOW, Finding(Fault.BUSY, "busy"), SLOW], True, id="busy is well"),
        pytest.param([GONE], False, id="gone"),
    ],
)
def test_a_live_replica_fails_by_several_slow_probes_or_one_without_connection(
    findings: list[Finding], still: bool
) -> None:
    assert probed(alive(), NOW + 20, *findings).alive is still


def test_since_is_when_it_failed_and_not_when_it_was_last_seen_to_be_so() -> None:
    belief = probed(alive(), NOW + 20, GONE, GONE, GONE)
    assert (belief.since, belief.reason) == (NOW + 20, "refused")


def test_a_lost_connection_fails_at_once_and_is_looked_at_soon() -> None:
    belief = after_lost_connection(alive(), NOW + 3, SETTINGS, "refused")
    assert state(belief, NOW + 3) == (State.FAILED, "refused")
    assert (belief.since, belief.next_probe_at) == (NOW + 3, NOW + 5)


def test_many_reports_of_one_loss_do_not_push_the_probe_away() -> None:
    belief = after_lost_connection(alive(), NOW + 3, SETTINGS, "refused")
    belief = after_lost_connection(belief, NOW + 4, SETTINGS, "reset")
    assert (belief.since, belief.next_probe_at, belief.reason) == (NOW + 3, NOW + 5, "reset")


@pytest.mark.parametrize(("due", "becomes"), [(NOW + 10, NOW), (NOW - 10, NOW - 10)], ids=["due later", "overdue"])
def test_a_suspicion_only_makes_the_next_probe_due(due: float, becomes: float) -> None:
    before = replace(alive(), next_probe_at=due)
    assert suspected(before, NOW) == replace(before, next_probe_at=becomes)


# ---- progress


def drip(counts: Iterable[float]) -> list[Finding]:
    return [seen(count) for count in counts]


def test_a_hung_engine_fails_though_it_answers_every_probe() -> None:
    belief = probed(alive(), NOW + 100, *drip([5, 6, *[7] * 10]), busy=True)
    assert belief.alive
    belief = probed(belief, NOW + 112, seen(7), busy=True)
    assert state(belief, NOW + 112) == (State.FAILED, "1 requests run and no token has come for 10 s")


def test_an_engine_whose_counter_moves_is_well_however_long_it_works() -> None:
    assert probed(alive(), NOW + 100, *drip(range(60)), busy=True).alive


def test_the_stall_clock_starts_when_something_is_first_seen_to_run() -> None:
    idle, works = seen(7, running=0), seen(7, running=1)
    belief = probed(alive(), NOW + 100, idle)
    assert probed(belief, NOW + 150, works).alive
    assert probed(belief, NOW + 150, *[works] * 10).alive
    assert not probed(belief, NOW + 150, *[works] * 11).alive


def test_an_idle_engine_does_not_stall() -> None:
    assert probed(alive(), NOW + 100, *[seen(7, running=0)] * 30).alive


def test_a_counter_that_falls_is_a_new_process_and_starts_the_clock_anew() -> None:
    belief = probed(alive(), NOW + 100, *[seen(7)] * 8, seen(0))
    assert (belief.progress_at, belief.proven_at) == (NOW + 108, NOW)
    assert probed(belief, NOW + 117, seen(0)).alive
    assert not probed(belief, NOW + 118, seen(0)).alive


def test_tokens_of_ours_keep_a_stalled_counter_from_failing_it() -> None:
    belief = probed(alive(), NOW + 100, *[seen(7)] * 8)
    belief = progressed(belief, NOW + 109)
    assert probed(belief, NOW + 111, seen(7)).alive


def test_a_hung_engine_fails_by_its_counter_even_where_the_probe_was_slow() -> None:
    belief = probed(alive(), NOW + 100, *[seen(7)] * 9)
    belief = probed(belief, NOW + 110, seen(7, fault=Fault.SUSPECT))
    assert not belief.alive
    assert "no token" in belief.reason


def test_slow_probes_do_not_fail_an_engine_whose_counter_moves() -> None:
    belief = probed(alive(), NOW + 100, *[seen(count, fault=Fault.SUSPECT) for count in range(20)], busy=True)
    assert belief.alive
    assert belief.reason == "because"


def test_slow_probes_do_not_fail_a_replica_that_sends_us_tokens() -> None:
    belief = progressed(alive(), NOW + 100)
    assert probed(belief, NOW + 101, *[SLOW] * 9).alive
    assert not probed(belief, NOW + 110, SLOW, SLOW).alive


def test_proof_is_never_taken_back() -> None:
    belief = progressed(alive(), NOW + 50)
    assert progressed(belief, NOW + 40) == belief


# ---- when to probe


@pytest.mark.parametrize(
    ("finding", "busy", "pause_s"),
    [
        pytest.param(GOOD, False, 10, id="idle"),
        pytest.param(GOOD, True, 1, id="busy with ours"),
        pytest.param(seen(1, running=1), False, 1, id="busy with others'"),
        pytest.param(Finding(Fault.NONE, "", scrape(waiting=1)), False, 1, id="something waits"),
        pytest.param(seen(1, running=0), False, 10, id="seen to be idle"),
        pytest.param(SLOW, True, 2, id="after a miss"),
        pytest.param(GONE, True, 2, id="failed"),
    ],
)
def test_the_next_probe_comes_as_soon_as_the_state_wants_it(finding: Finding, busy: bool, pause_s: float) -> None:
    assert probed(alive(), NOW + 20, finding, busy=busy).next_probe_at == NOW + 20 + pause_s


def test_a_request_that_came_after_the_probe_brings_the_next_one_nearer() -> None:
    belief = alive()
    assert probe_due_at(belief, SETTINGS, busy=False) == NOW + 10
    assert probe_due_at(belief, SETTINGS, busy=True) == NOW + 1
    assert probe_due_at(suspected(belief, NOW + 0.5), SETTINGS, busy=True) == NOW + 0.5


def test_a_failed_replica_is_probed_at_its_own_pace_whatever_it_holds() -> None:
    belief = probed(alive(), NOW + 20, GONE)
    assert probe_due_at(belief, SETTINGS, busy=True) == NOW + 22


@pytest.mark.parametrize(
    ("belief", "busy", "wanted"),
    [
        pytest.param(at_start(NOW), True, True, id="not alive, whatever it holds"),
        pytest.param(set_draining(at_start(NOW), True, NOW), False, True, id="not alive and draining"),
        pytest.param(alive(NOW - 60), False, True, id="idle and unproven"),
        pytest.param(alive(NOW - 59), False, False, id="idle and proven"),
        pytest.param(alive(NOW - 60), True, False, id="busy"),
        pytest.param(set_draining(alive(NOW - 60), True, NOW), False, False, id="draining"),
        pytest.param(progressed(alive(NOW - 60), NOW - 1), False, False, id="proven by tokens of ours"),
        pytest.param(
            probed(alive(NOW - 60), NOW - 2, seen(1), seen(2)), False, False, id="proven by tokens of others'"
        ),
    ],
)
def test_a_canary_is_sent_where_nothing_else_proves_the_engine(belief: Belief, busy: bool, wanted: bool) -> None:
    assert wants_canary(belief, NOW, SETTINGS, busy=busy) is wanted


# ---- the state


def loaded(waiting: float = 0.0, kv_usage: float = 0.0) -> Belief:
    return probed(alive(), NOW, Finding(Fault.NONE, ANSWERS, scrape(waiting=waiting, kv_usage=kv_usage)))


@pytest.mark.parametrize(
    ("belief", "expected"),
    [
        pytest.param(loaded(), (State.READY, ANSWERS), id="idle"),
        pytest.param(loaded(waiting=19), (State.READY, ANSWERS), id="some wait"),
        pytest.param(loaded(waiting=20), (State.OVERLOADED, "20 requests wait in the engine's queue"), id="many wait"),
        pytest.param(loaded(kv_usage=0.96), (State.READY, ANSWERS), id="cache nearly full"),
        pytest.param(loaded(kv_usage=0.97), (State.OVERLOADED, "the KV cache is 97% full"), id="cache full"),
        pytest.param(
            busy_until(loaded(), NOW + 1), (State.OVERLOADED, "the engine says that it is busy"), id="says busy"
        ),
        pytest.param(busy_until(loaded(), NOW), (State.READY, ANSWERS), id="was busy"),
    ],
)
def test_overload_is_a_state_of_its_own(belief: Belief, expected: tuple[State, str]) -> None:
    assert state(belief) == expected


def test_old_figures_do_not_count() -> None:
    belief = loaded(waiting=99)
    assert fresh_scrape(belief, NOW + 3, SETTINGS) == scrape(waiting=99)
    assert state(belief, NOW + 3)[0] is State.OVERLOADED
    assert fresh_scrape(belief, NOW + 3.1, SETTINGS) is None
    assert state(belief, NOW + 3.1)[0] is State.READY


def test_a_pause_is_never_shortened() -> None:
    belief = busy_until(alive(), NOW + 5)
    assert busy_until(belief, NOW + 2).busy_until == NOW + 5
    assert busy_until(belief, NOW + 9).busy_until == NOW + 9


def test_of_several_states_the_gravest_is_told() -> None:
    belief = busy_until(alive(), NOW + 5)
    assert state(belief)[0] is State.OVERLOADED
    belief = set_draining(belief, True, NOW)
    assert state(belief)[0] is State.DRAINING
    assert state(belief, admits=False) == (State.FAILED, "the breaker is open")
    belief = probed(belief, NOW, GONE)
    assert state(belief, admits=False) == (State.FAILED, "refused")


def test_draining_outlasts_probes_and_is_timed_from_its_first_word() -> None:
    belief = set_draining(alive(), True, NOW + 5)
    assert set_draining(belief, True, NOW + 9) == belief
    belief = probed(belief, NOW + 10, GOOD)
    assert (state(belief)[0], belief.since) == (State.DRAINING, NOW + 5)
    belief = set_draining(belief, False, NOW + 20)
    assert (state(belief)[0], belief.since) == (State.READY, NOW + 20)
