"""A replica's circuit: what opens it, the one probe that may close it, and how it comes back."""

from collections.abc import Callable

import pytest

from gateway.breaker import RAMP_START, Breaker, Circuit
from gateway.settings import Breaker as Settings
from tests.unit.gateway.manual_clock import ManualClock

SETTINGS = Settings(window_s=10, min_volume=4, failure_ratio=0.5, open_s=2, max_open_s=10, ramp_s=5)


@pytest.fixture
def breaker() -> Breaker:
    return Breaker(SETTINGS)


def open_at(breaker: Breaker, now: float) -> None:
    breaker.trip(now, "found dead")
    assert breaker.circuit(now) is Circuit.OPEN


def half_open_at(breaker: Breaker, now: float) -> None:
    open_at(breaker, now - SETTINGS.open_s)
    breaker.probe_started(now)
    assert breaker.circuit(now) is Circuit.HALF_OPEN


def test_a_new_breaker_lets_everything_through(breaker: Breaker, clock: ManualClock) -> None:
    assert breaker.admits(clock())
    assert breaker.limit_share(clock()) == 1
    assert not breaker.probe_due(clock())
    assert breaker.why == ""


@pytest.mark.parametrize(
    ("outcomes", "opens"),
    [
        pytest.param("fff", False, id="too few to tell"),
        pytest.param("ffff", True, id="all fail"),
        pytest.param("ssff", True, id="half fail"),
        pytest.param("sssff", False, id="fewer than half fail"),
        pytest.param("sffs", False, id="a success never opens it"),
        pytest.param("sffsf", True, id="but the next failure does"),
    ],
)
def test_it_opens_when_enough_of_enough_requests_fail(
    breaker: Breaker, clock: ManualClock, outcomes: str, opens: bool
) -> None:
    for outcome in outcomes:
        clock.advance(0.3)
        if outcome == "f":
            breaker.failure(clock(), "torn")
        else:
            breaker.success(clock())
    assert breaker.admits(clock()) is not opens


def test_why_tells_how_many_failed_and_the_last_reason(breaker: Breaker, clock: ManualClock) -> None:
    breaker.success(clock())
    for reason in ("silent", "silent", "torn"):
        breaker.failure(clock(), reason)
    assert breaker.why == "3 of 4 requests failed, the last: torn"


def test_failures_older_than_the_window_are_forgotten(breaker: Breaker, clock: ManualClock) -> None:
    for _ in range(3):
        breaker.failure(clock(), "torn")
    clock.advance(11)
    breaker.failure(clock(), "torn")
    assert breaker.admits(clock())


def test_failures_within_the_window_add_up(breaker: Breaker, clock: ManualClock) -> None:
    for _ in range(4):
        breaker.failure(clock(), "torn")
        clock.advance(3)
    assert not breaker.admits(clock())


def test_successes_older_than_the_window_do_not_cover_failures(breaker: Breaker, clock: ManualClock) -> None:
    for _ in range(100):
        breaker.success(clock())
    clock.advance(11)
    for _ in range(4):
        breaker.failure(clock(), "torn")
    assert not breaker.admits(clock())


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(lambda breaker, now: breaker.success(now), id="success"),
        pytest.param(lambda breaker, now: breaker.failure(now, "torn"), id="failure"),
    ],
)
@pytest.mark.parametrize("reach", [open_at, half_open_at])
def test_late_outcomes_change_nothing_once_it_is_open(
    breaker: Breaker,
    clock: ManualClock,
    reach: Callable[[Breaker, float], None],
    late: Callable[[Breaker, float], None],
) -> None:
    reach(breaker, clock())
    circuit = breaker.circuit(clock())
    for _ in range(9):
        late(breaker, clock())
    assert (breaker.circuit(clock()), breaker.why) == (circuit, "found dead")
    clock.advance(SETTINGS.open_s)
    breaker.probe_started(clock())
    breaker.probe_succeeded(clock())
    breaker.failure(clock(), "torn")
    assert breaker.admits(clock())  # nothing of what came late is counted now


def test_the_pause_before_the_one_probe(breaker: Breaker, clock: ManualClock) -> None:
    open_at(breaker, clock())
    clock.advance(1.9)
    assert not breaker.probe_due(clock())
    breaker.probe_started(clock())
    assert breaker.circuit(clock()) is Circuit.OPEN
    clock.advance(0.1)
    assert breaker.probe_due(clock())
    assert not breaker.admits(clock())  # no client's request tries it


def test_there_is_only_one_probe_at_a_time(breaker: Breaker, clock: ManualClock) -> None:
    half_open_at(breaker, clock())
    clock.advance(100)
    assert not breaker.probe_due(clock())
    assert not breaker.admits(clock())


def test_each_failed_probe_doubles_the_pause_up_to_its_bound(breaker: Breaker, clock: ManualClock) -> None:
    half_open_at(breaker, clock())
    for pause_s in (4, 8, 10, 10):
        breaker.probe_failed(clock(), "no token")
        assert breaker.why == "no token"
        clock.advance(pause_s - 0.1)
        assert not breaker.probe_due(clock())
        clock.advance(0.1)
        breaker.probe_started(clock())
        assert breaker.circuit(clock()) is Circuit.HALF_OPEN


def test_the_first_pause_does_not_exceed_the_bound_either(clock: ManualClock) -> None:
    breaker = Breaker(SETTINGS.model_copy(update={"open_s": 20.0}))
    breaker.trip(clock(), "found dead")
    clock.advance(10)
    assert breaker.probe_due(clock())


def test_a_replica_that_recovers_has_the_short_pause_again(breaker: Breaker, clock: ManualClock) -> None:
    half_open_at(breaker, clock())
    breaker.probe_failed(clock(), "no token")
    clock.advance(4)
    breaker.probe_started(clock())
    breaker.probe_succeeded(clock())
    open_at(breaker, clock())
    clock.advance(2)
    assert breaker.probe_due(clock())


def test_it_comes_back_by_a_ramp(breaker: Breaker, clock: ManualClock) -> None:
    half_open_at(breaker, clock())
    assert breaker.limit_share(clock()) == RAMP_START
    breaker.probe_succeeded(clock())
    assert breaker.admits(clock())
    assert breaker.why == ""
    assert breaker.limit_share(clock()) == pytest.approx(0.1)
    clock.advance(2.5)
    assert breaker.limit_share(clock()) == pytest.approx(0.55)
    clock.advance(2.5)
    assert breaker.limit_share(clock()) == 1


def test_a_ramp_of_no_length_is_none(clock: ManualClock) -> None:
    breaker = Breaker(SETTINGS.model_copy(update={"ramp_s": 0.0}))
    half_open_at(breaker, clock())
    breaker.probe_succeeded(clock())
    assert breaker.limit_share(clock()) == 1


def test_it_can_open_again_during_the_ramp(breaker: Breaker, clock: ManualClock) -> None:
    half_open_at(breaker, clock())
    breaker.probe_succeeded(clock())
    for _ in range(4):
        breaker.failure(clock(), "torn")
    assert not breaker.admits(clock())


def test_a_probes_end_means_nothing_where_none_was_started(breaker: Breaker, clock: ManualClock) -> None:
    breaker.probe_failed(clock(), "no token")
    assert breaker.admits(clock())
    breaker.probe_succeeded(clock())
    assert breaker.limit_share(clock()) == 1
    open_at(breaker, clock())
    breaker.probe_succeeded(clock())
    assert not breaker.admits(clock())


def test_a_trip_while_open_tells_the_new_reason_and_keeps_the_pause(breaker: Breaker, clock: ManualClock) -> None:
    open_at(breaker, clock())
    clock.advance(1.5)
    breaker.trip(clock(), "still dead")
    assert breaker.why == "still dead"
    clock.advance(0.5)
    assert breaker.probe_due(clock())


def test_a_trip_during_the_probe_is_the_probes_failure(breaker: Breaker, clock: ManualClock) -> None:
    half_open_at(breaker, clock())
    breaker.trip(clock(), "dead again")
    clock.advance(3.9)
    assert not breaker.probe_due(clock())
    clock.advance(0.1)
    assert breaker.probe_due(clock())
    breaker.probe_succeeded(clock())  # that of the probe which the trip ended
    assert not breaker.admits(clock())


@pytest.mark.parametrize("reach", [open_at, half_open_at])
def test_a_reset_closes_without_a_ramp(
    breaker: Breaker, clock: ManualClock, reach: Callable[[Breaker, float], None]
) -> None:
    reach(breaker, clock())
    breaker.reset(clock())
    assert breaker.admits(clock())
    assert breaker.limit_share(clock()) == 1


def test_a_reset_ends_a_ramp_and_forgets_failures(breaker: Breaker, clock: ManualClock) -> None:
    half_open_at(breaker, clock())
    breaker.probe_succeeded(clock())
    for _ in range(3):
        breaker.failure(clock(), "torn")
    breaker.reset(clock())
    assert breaker.limit_share(clock()) == 1
    breaker.failure(clock(), "torn")
    assert breaker.admits(clock())
