"""How fast places come free: what is measured, what is taken for granted before, and what a refused client is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.drain_rate import BUCKETS, LONGEST_S, DrainRate

NOW = 1000.0
WINDOW_S = 10.0
PLACES = 30


def steady(per_second: int, seconds: int, begin: float = NOW) -> DrainRate:
    """A rate that has seen so many places come back in each of so many seconds before `begin + seconds`."""
    rate = DrainRate(WINDOW_S)
    for second in range(seconds):
        for _ in range(per_second):
            rate.ended(begin + second)
    return rate


# ---- the rate


def test_at_the_start_nothing_has_come_back() -> None:
    assert DrainRate(WINDOW_S).per_second(NOW) == 0


def test_the_rate_is_the_average_over_the_window() -> None:
    rate = DrainRate(WINDOW_S)
    for _ in range(20):
        rate.ended(NOW)
    assert rate.per_second(NOW) == 2.0


@pytest.mark.parametrize("begin", [0.0, NOW, -50.0], ids=["from zero", "from far away", "from below zero"])
def test_it_does_not_matter_where_the_clock_begins(begin: float) -> None:
    assert steady(3, 60, begin).per_second(begin + 59) == 3.0


def test_what_is_older_than_the_window_is_forgotten() -> None:
    rate = steady(3, 60)
    end = NOW + 60
    assert rate.per_second(end + WINDOW_S / 2) == pytest.approx(1.5, rel=0.2)
    assert rate.per_second(end + WINDOW_S) == 0


@given(st.lists(st.floats(0, 3), max_size=80))
def test_the_rate_is_that_of_the_last_window_or_up_to_a_bucket_less(pauses: list[float]) -> None:
    rate, now, ends = DrainRate(WINDOW_S), NOW, list[float]()
    for pause in pauses:
        now += pause
        rate.ended(now)
        ends.append(now)
    short = sum(end > now - WINDOW_S * (BUCKETS - 1) / BUCKETS for end in ends)
    whole = sum(end > now - WINDOW_S for end in ends)
    assert short / WINDOW_S <= rate.per_second(now) <= whole / WINDOW_S


# ---- when to come again


@pytest.mark.parametrize(
    ("ahead", "seconds"),
    [
        pytest.param(0, 1, id="never less than a second"),
        pytest.param(1, 1, id="the one that asks counts"),
        pytest.param(2, 2, id="rounded up"),
        pytest.param(59, 30, id="a long line"),
        pytest.param(119, 60, id="just within what clients wait"),
        pytest.param(500, LONGEST_S, id="never more than clients wait"),
    ],
)
def test_one_comes_again_when_those_ahead_have_been_served_at_the_measured_rate(ahead: int, seconds: int) -> None:
    # With one place, so that what is measured is not mistaken for what is taken for granted.
    assert steady(2, 60).retry_after_s(ahead, 1, NOW + 59.4) == seconds


def test_with_nothing_measured_every_place_is_taken_to_come_back_once_in_a_window() -> None:
    assert DrainRate(WINDOW_S).retry_after_s(59, PLACES, NOW) == 20


def test_a_burst_s_first_end_does_not_make_the_answer_worse() -> None:
    rate = DrainRate(WINDOW_S)
    rate.ended(NOW)
    assert rate.retry_after_s(59, PLACES, NOW + 1) == 20


def test_while_a_first_window_is_measured_a_faster_rate_is_believed() -> None:
    assert steady(60, 5).retry_after_s(59, PLACES, NOW + 4) == 2


def test_after_a_whole_window_a_slower_rate_is_believed() -> None:
    rate = steady(1, 11)
    assert rate.retry_after_s(29, PLACES, NOW + 9.9) == 10, "30 places in 10 s, for granted"
    assert rate.retry_after_s(29, PLACES, NOW + 10) == 30, "one in a second, measured"


def test_after_a_quiet_window_measuring_begins_anew() -> None:
    rate = steady(1, 60)
    quiet = NOW + 60 + WINDOW_S
    assert rate.retry_after_s(29, PLACES, quiet) == 10
    rate.ended(quiet)
    assert rate.retry_after_s(29, PLACES, quiet + 1) == 10


@pytest.mark.parametrize("places", [0, -1])
def test_without_places_nothing_drains(places: int) -> None:
    assert steady(2, 60).retry_after_s(0, places, NOW + 60) == LONGEST_S


@given(st.lists(st.floats(0, 15), max_size=60), st.integers(0, 500), st.integers(0, 100), st.floats(0, 30))
def test_the_answer_is_in_bounds_and_never_falls_with_more_ahead(
    pauses: list[float], ahead: int, places: int, later: float
) -> None:
    rate, now = DrainRate(WINDOW_S), NOW
    for pause in pauses:
        now += pause
        rate.ended(now)
    now += later
    sooner, later_s = rate.retry_after_s(ahead, places, now), rate.retry_after_s(ahead + 1, places, now)
    assert 1 <= sooner <= later_s <= LONGEST_S


# ---- who is sent away


def test_clients_that_are_refused_together_are_given_one_slot_after_the_other() -> None:
    rate = DrainRate(WINDOW_S)
    assert [rate.send_away(59, PLACES, NOW) for _ in range(7)] == [20, 21, 21, 21, 22, 22, 22]


def test_one_that_is_sent_away_alone_is_told_the_same_as_one_that_asks() -> None:
    rate = steady(2, 60)
    assert rate.send_away(59, 1, NOW + 59.4) == 30


def test_nobody_is_sent_away_for_longer_than_clients_wait() -> None:
    rate = DrainRate(WINDOW_S)
    told = [rate.send_away(0, 1, NOW) for _ in range(100)]
    assert told == sorted(told)
    assert told[5:] == [LONGEST_S] * 95


def test_who_is_due_back_is_no_longer_ahead_of_those_who_are_refused_then() -> None:
    rate = DrainRate(WINDOW_S)
    assert [rate.send_away(0, 1, NOW) for _ in range(3)] == [10, 20, 30]
    assert rate.send_away(0, 1, NOW + 10) == 30, "two are still to come"
    assert rate.send_away(0, 1, NOW + 100) == 10


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 60), st.integers(0, 40)), max_size=200))
def test_what_the_refused_are_told_is_in_bounds_and_not_sooner_than_the_line_alone_would_say(
    calls: list[tuple[float, int, int]],
) -> None:
    rate, now = DrainRate(WINDOW_S), NOW
    for pause, ahead, places in calls:
        now += pause
        alone = rate.retry_after_s(ahead, places, now)
        assert alone <= rate.send_away(ahead, places, now) <= LONGEST_S
