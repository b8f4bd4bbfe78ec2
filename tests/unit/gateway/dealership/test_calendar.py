"""Slots: which there are on a day, which can still be had, and what the clock changes do to them."""

from datetime import date, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dealership import calendar
from gateway.dealership.calendar import Refusal
from gateway.dealership.hours import Hours
from tests.unit.gateway.dealership.shop import NOW, TODAY, at, hours

FRIDAY = date(2026, 11, 27)
HOURS = hours()
DAYS = st.integers(0, 800).map(lambda number: date(2026, 1, 1) + timedelta(days=number))


def open_at_night(*spans: str) -> Hours:
    every_day = {name: spans for name in HOURS.week.model_dump()}
    return Hours.model_validate(HOURS.model_dump(mode="json") | {"week": every_day})


def clock_times(opening: Hours, day: date) -> list[str]:
    return [f"{calendar.local(opening, slot):%H:%M}" for slot in calendar.slots_on(opening, day)]


def test_the_slots_of_a_day_fill_its_hours() -> None:
    slots = calendar.slots_on(HOURS, FRIDAY)
    assert (slots[0], slots[-1], len(slots)) == (at(27, 9), at(27, 18, 30), 20)


def test_slots_of_an_hour_are_half_as_many() -> None:
    assert clock_times(hours(slot_minutes=60), date(2026, 11, 30)) == ["09:00", "10:00", "11:00"]


def test_a_slot_that_would_outlast_the_hours_is_none() -> None:
    assert clock_times(open_at_night("09:15-10:10", "11:00-11:20"), FRIDAY) == ["09:15"]


@pytest.mark.parametrize("closed", [date(2026, 11, 26), date(2026, 11, 29)])
def test_a_closed_day_has_no_slots(closed: date) -> None:
    assert calendar.slots_on(HOURS, closed) == ()


def test_an_hour_that_the_clock_skips_in_spring_has_no_slots() -> None:
    assert clock_times(open_at_night("01:00-04:00"), date(2027, 3, 14)) == ["01:00", "01:30", "03:00", "03:30"]


def test_an_hour_that_the_clock_shows_twice_in_autumn_has_slots_once() -> None:
    opening = open_at_night("00:30-03:00")
    slots = calendar.slots_on(opening, date(2026, 11, 1))
    assert clock_times(opening, date(2026, 11, 1)) == ["00:30", "01:00", "01:30", "02:00", "02:30"]
    assert len(set(slots)) == len(slots)
    assert [calendar.local(opening, slot).fold for slot in slots] == [0] * 5


@given(DAYS)
def test_every_slot_lies_within_the_hours_of_its_day_and_is_the_length_away_from_the_next(day: date) -> None:
    slots = calendar.slots_on(HOURS, day)
    assert list(slots) == sorted(set(slots))
    for slot in slots:
        local = calendar.local(HOURS, slot)
        assert local.date() == day
        assert any(span.opens <= local.time() and local.time() < span.closes for span in HOURS.on(day))
    assert all((later - earlier) % 1800 == 0 for earlier, later in pairwise(slots))


# ---- what can be had


def test_today_begins_after_the_notice_that_is_needed() -> None:
    assert calendar.bookable(HOURS, TODAY, NOW)[0] == at(25, 11, 30)
    assert calendar.bookable(HOURS, TODAY, at(25, 10))[0] == at(25, 11), "exactly the notice is enough"
    assert calendar.bookable(HOURS, TODAY - timedelta(days=1), NOW) == ()


def test_the_last_day_is_bookable_and_the_next_is_not() -> None:
    last = calendar.last_day(HOURS, NOW)
    assert last == date(2026, 12, 25)
    assert len(calendar.bookable(HOURS, last, NOW)) == 20
    assert calendar.bookable(HOURS, last + timedelta(days=1), NOW) == ()


@pytest.mark.parametrize(
    ("slot", "reason"),
    [
        pytest.param(at(27, 10), None, id="good"),
        pytest.param(at(25, 10), Refusal.PAST, id="past"),
        pytest.param(NOW, Refusal.PAST, id="this very second"),
        pytest.param(at(25, 11), Refusal.TOO_SOON, id="too soon"),
        pytest.param(at(25, 11, 30), None, id="just not too soon"),
        pytest.param(at(26, 10, month=12), Refusal.TOO_FAR, id="too far ahead"),
        pytest.param(at(26, 10), Refusal.CLOSED, id="a holiday"),
        pytest.param(at(29, 10), Refusal.CLOSED, id="a Sunday"),
        pytest.param(at(27, 8), Refusal.NO_SLOT, id="before opening"),
        pytest.param(at(27, 19), Refusal.NO_SLOT, id="at closing"),
        pytest.param(at(27, 10, 15), Refusal.NO_SLOT, id="between two slots"),
    ],
)
def test_a_slot_is_refused_for_the_reason_that_helps_most(slot: int, reason: Refusal | None) -> None:
    assert calendar.refusal(HOURS, slot, NOW) == reason


@given(DAYS)
def test_what_is_bookable_is_what_is_not_refused(day: date) -> None:
    slots = calendar.slots_on(HOURS, day)
    assert calendar.bookable(HOURS, day, NOW) == tuple(
        slot for slot in slots if calendar.refusal(HOURS, slot, NOW) is None
    )


def test_of_two_readings_of_a_time_the_one_that_begins_a_slot_is_meant() -> None:
    assert calendar.pick(HOURS, FRIDAY, (time(3, 30), time(15, 30))) == at(27, 15, 30)
    assert calendar.pick(HOURS, FRIDAY, (time(10), time(22))) == at(27, 10)
    assert calendar.pick(HOURS, FRIDAY, (time(8), time(20))) == at(27, 8), "neither: as it was written"


# ---- in words


def test_today_is_the_date_at_the_dealership_and_not_in_greenwich() -> None:
    assert calendar.today(HOURS, at(25, 23, 59)) == TODAY


def test_moments_are_told_with_their_weekday() -> None:
    assert calendar.day_in_words(FRIDAY) == "Friday, November 27, 2026"
    assert calendar.in_words(HOURS, at(1, 15, 30, month=12)) == "Tuesday, December 1, 2026 at 3:30 PM"
    assert calendar.in_short(HOURS, at(1, 9, month=12)) == "Tue 1 Dec 09:00"
