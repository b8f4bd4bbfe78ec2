"""What a request may cost: clocks, headers, attempts and strikes, and the pool's bound on extra attempts."""

from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.budget import (
    Budget,
    Clocks,
    FirstContentTimes,
    RetryBudget,
    clocks_for,
    parse_deadline_ms,
    parse_priority,
)
from gateway.errors import InvalidField
from gateway.line import Priority
from gateway.settings import Attempts, DoorClocks, OnPrem

NOW = 1000.0
CLOCKS = Clocks(connect_s=3, first_content_s=30, idle_s=20, total_s=300)
ON_PREM = OnPrem(connect_timeout_s=3, first_content_timeout_s=30, idle_timeout_s=20, total_timeout_s=300)
INTERACTIVE, BATCH = DoorClocks(priority="interactive"), DoorClocks(priority="batch")


def start(deadline_s: float | None = None, clocks: Clocks = CLOCKS, attempts: int = 4, resumes: int = 2) -> Budget:
    return Budget.start(NOW, clocks, deadline_s, Attempts(max_attempts=attempts, max_resumes=resumes))


# ---- clocks and headers


@pytest.mark.parametrize(
    ("route", "clocks"),
    [
        pytest.param(DoorClocks(), (3, 30, 20, 300), id="the upstream's"),
        pytest.param(DoorClocks(first_content_timeout_s=5), (3, 5, 20, 300), id="its own first content"),
        pytest.param(DoorClocks(idle_timeout_s=6), (3, 30, 6, 300), id="its own idle gap"),
        pytest.param(DoorClocks(total_timeout_s=900), (3, 30, 20, 900), id="its own total, and longer"),
    ],
)
def test_a_route_s_clocks_go_before_the_upstream_s(route: DoorClocks, clocks: tuple[float, ...]) -> None:
    assert astuple(clocks_for(ON_PREM, route)) == clocks


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("1", 0.001), ("1500", 1.5), ("0001500", 1.5), ("3600000", 3600.0)],
)
def test_a_deadline_is_whole_milliseconds(value: str | None, seconds: float | None) -> None:
    assert parse_deadline_ms(value) == seconds


@pytest.mark.parametrize(
    "value", ["", "0", "-1", "+1", "1.5", "1e3", "1_000", " 5", "5\n", "3600001", "9" * 5000, "soon", "٣", "²"]
)
def test_any_other_deadline_is_refused_by_name(value: str) -> None:
    with pytest.raises(InvalidField, match="whole number of milliseconds from 1 to 3600000") as caught:
        parse_deadline_ms(value)
    assert caught.value.param == "x-scout-deadline-ms"


@given(st.text())
def test_no_header_but_a_whole_number_makes_a_deadline(value: str) -> None:
    try:
        seconds = parse_deadline_ms(value)
    except InvalidField:
        return
    assert seconds is not None
    assert 0 < seconds <= 3600
    assert value.lstrip("0") == str(round(seconds * 1000))


@pytest.mark.parametrize(
    ("value", "route", "priority"),
    [
        pytest.param(None, INTERACTIVE, Priority.INTERACTIVE, id="the route's"),
        pytest.param(None, BATCH, Priority.BATCH, id="the route's, low"),
        pytest.param("batch", INTERACTIVE, Priority.BATCH, id="lowered"),
        pytest.param("interactive", BATCH, Priority.BATCH, id="not raised"),
        pytest.param("interactive", INTERACTIVE, Priority.INTERACTIVE, id="as it is"),
    ],
)
def test_a_client_may_lower_its_priority_and_not_raise_it(
    value: str | None, route: DoorClocks, priority: Priority
) -> None:
    assert parse_priority(value, route) is priority


@pytest.mark.parametrize("value", ["", "urgent", "resume", "Batch", "0"])
def test_any_other_priority_is_refused_by_name(value: str) -> None:
    with pytest.raises(InvalidField, match="must be 'interactive' or 'batch'") as caught:
        parse_priority(value, INTERACTIVE)
    assert caught.value.param == "x-scout-priority"


# ---- time


@pytest.mark.parametrize(
    ("deadline_s", "first_content_s", "total_s", "client_bounds"),
    [
        pytest.param(None, 30, 300, (False, False), id="no deadline"),
        pytest.param(10, 10, 10, (True, True), id="before first content"),
        pytest.param(30, 30, 30, (True, True), id="with first content"),
        pytest.param(60, 30, 60, (False, True), id="between first content and total"),
        pytest.param(300, 30, 300, (False, True), id="with the total"),
        pytest.param(900, 30, 300, (False, False), id="beyond the total"),
    ],
)
def test_a_deadline_shortens_the_clocks_and_never_lengthens_them(
    deadline_s: float | None, first_content_s: float, total_s: float, client_bounds: tuple[bool, bool]
) -> None:
    budget = start(deadline_s)
    assert (budget.first_content_by, budget.ends_at) == (NOW + first_content_s, NOW + total_s)
    assert (budget.client_bounds_first_content, budget.client_deadline) == client_bounds


def test_first_content_may_not_come_after_the_end() -> None:
    budget = start(clocks=Clocks(connect_s=3, first_content_s=30, idle_s=20, total_s=12))
    assert budget.first_content_by == budget.ends_at == NOW + 12
    assert not budget.client_bounds_first_content


def test_time_runs_out_and_stays_at_nothing() -> None:
    budget = start(60)
    assert (budget.remaining_first_content(NOW + 10), budget.remaining(NOW + 10)) == (20, 50)
    assert (budget.remaining_first_content(NOW + 45), budget.remaining(NOW + 45)) == (0, 15)
    assert (budget.remaining_first_content(NOW + 99), budget.remaining(NOW + 99)) == (0, 0)


# ---- attempts


def test_attempts_run_out() -> None:
    budget = start(attempts=2)
    budget.spend_attempt()
    assert budget.may_attempt
    budget.spend_attempt()
    assert not budget.may_attempt
    with pytest.raises(RuntimeError, match="no attempt is left"):
        budget.spend_attempt()
    assert budget.attempts_left == 0


def test_resumes_run_out_before_the_attempts() -> None:
    budget = start(attempts=4, resumes=1)
    budget.spend_resume()
    assert not budget.may_resume
    assert budget.attempts_left == 4, "the resumed leg spends its attempt by itself"
    with pytest.raises(RuntimeError, match="no resume is left"):
        budget.spend_resume()
    assert budget.resumes_left == 0
    assert budget.may_attempt


def test_a_resume_needs_an_attempt() -> None:
    budget = start(attempts=1, resumes=2)
    assert budget.may_resume
    budget.spend_attempt()
    assert not budget.may_resume


# ---- poison


@pytest.mark.parametrize(
    ("produced", "alone", "strikes"),
    [
        pytest.param(False, False, 1, id="it had produced nothing"),
        pytest.param(False, True, 1, id="nothing, and alone"),
        pytest.param(True, True, 1, id="it streamed, but nobody else was there"),
        pytest.param(True, False, 0, id="a bystander"),
    ],
)
def test_a_death_is_a_strike_unless_the_request_was_a_bystander(produced: bool, alone: bool, strikes: int) -> None:
    budget = start()
    budget.struck(produced, alone)
    assert budget.strikes == strikes


def test_who_was_there_at_two_deaths_is_never_sent_again() -> None:
    budget = start()
    budget.struck(produced=False, alone=False)
    assert not budget.poisonous
    assert budget.may_attempt
    budget.struck(produced=True, alone=True)
    assert budget.poisonous
    assert (budget.attempts_left, budget.resumes_left) == (4, 2)
    assert not budget.may_attempt
    assert not budget.may_resume
    with pytest.raises(RuntimeError):
        budget.spend_attempt()


def test_a_request_that_is_absolved_begins_anew() -> None:
    budget = start()
    for _ in range(2):
        budget.struck(produced=False, alone=True)
    budget.absolve()
    assert not budget.poisonous
    budget.struck(produced=False, alone=True)
    assert not budget.poisonous


def test_a_bystander_of_many_deaths_is_not_blamed() -> None:
    budget = start()
    for _ in range(5):
        budget.struck(produced=True, alone=False)
    assert not budget.poisonous
    assert budget.may_resume


# ---- the pool's extra attempts


def drain(budget: RetryBudget, now: float) -> int:
    """Takes more often than there can be any; how many there were."""
    return sum(budget.take(now) for _ in range(100))


def test_the_reserve_is_there_from_the_start() -> None:
    budget = RetryBudget(ratio=0.1, reserve=5)
    assert budget.left == 5
    assert drain(budget, NOW) == 5
    assert budget.left == 0


def test_ten_requests_pay_for_one_extra_attempt() -> None:
    budget = RetryBudget(ratio=0.1, reserve=5)
    drain(budget, NOW)
    for _ in range(9):
        budget.request_seen(NOW)
    assert not budget.take(NOW)
    budget.request_seen(NOW)
    assert drain(budget, NOW) == 1
    assert budget.left == 0, "and no debt, though ten times 0.1 is a hair less than 1"


def test_a_quiet_pool_recovers_by_one_per_second() -> None:
    budget = RetryBudget(ratio=0.1, reserve=5)
    drain(budget, NOW)
    assert not budget.take(NOW + 0.5)
    assert drain(budget, NOW + 1) == 1
    assert drain(budget, NOW + 4) == 3


def test_a_request_that_is_booked_late_costs_nothing_and_gains_no_time_twice() -> None:
    budget = RetryBudget(ratio=0.5, reserve=5)
    drain(budget, NOW)
    budget.request_seen(NOW - 60)
    assert budget.left == 0.5
    assert not budget.take(NOW)


def test_no_more_than_the_reserve_is_saved_up() -> None:
    budget = RetryBudget(ratio=1, reserve=5)
    for _ in range(100):
        budget.request_seen(NOW)
    assert budget.left == 5
    assert drain(budget, NOW + 3600) == 5


def test_without_a_reserve_there_are_no_extra_attempts() -> None:
    budget = RetryBudget(ratio=1, reserve=0)
    budget.request_seen(NOW)
    assert not budget.take(NOW + 60)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 2))), st.floats(0, 1), st.integers(0, 20))
def test_extra_attempts_never_exceed_reserve_and_ratio_and_trickle(
    events: list[tuple[bool, float]], ratio: float, reserve: int
) -> None:
    budget, now, requests = RetryBudget(ratio, reserve), NOW, 0
    taken = int(budget.take(now))
    for is_request, pause in events:
        now += pause
        if is_request:
            budget.request_seen(now)
            requests += 1
        else:
            taken += budget.take(now)
        assert 0 <= budget.left <= reserve
        assert taken <= reserve + ratio * requests + (now - NOW) + 1e-6


# ---- how long a hedge waits


def test_of_few_observations_nothing_is_said() -> None:
    times = FirstContentTimes()
    for _ in range(19):
        times.observe(1.0)
        assert times.p95() is None
    times.observe(1.0)
    assert times.p95() == 1.0


@pytest.mark.parametrize(("observations", "p95"), [(20, 19.0), (21, 20.0), (100, 95.0), (256, 244.0)])
def test_p95_by_nearest_rank(observations: int, p95: float) -> None:
    times = FirstContentTimes()
    for seconds in reversed(range(1, observations + 1)):
        times.observe(float(seconds))
    assert times.p95() == p95


def test_old_times_are_forgotten() -> None:
    times = FirstContentTimes(size=20)
    for seconds in [9.0] * 20 + [1.0] * 18:
        times.observe(seconds)
    assert times.p95() == 9.0
    times.observe(1.0)
    assert times.p95() == 1.0
