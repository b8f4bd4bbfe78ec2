"""What day and what time is meant: as models write them, and as customers say them. Today is a Wednesday."""

from datetime import date, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dealership.spoken_times import day_meant, times_meant
from tests.unit.gateway.dealership.shop import TODAY

FRIDAY = date(2026, 11, 27)


@pytest.mark.parametrize(
    "words",
    [
        "2026-11-27", "2026-11-27T10:00", "11/27", "11/27/2026", "November 27", "Nov. 27th", "nov 27, 2026",
        "27 November 2026", "the 27th of November", "Friday", "friday please", "on FRI", "this Friday",
        "Friday, November 27, 2026", "fri 11/27", "day after tomorrow", "in 2 days",
    ],
)  # fmt: skip
def test_a_day_may_be_named_in_many_ways(words: str) -> None:
    assert day_meant(words, TODAY) == FRIDAY


@pytest.mark.parametrize(
    ("words", "day"),
    [
        pytest.param("today", TODAY, id="today"),
        pytest.param("tonight", TODAY, id="tonight"),
        pytest.param("Tomorrow!", date(2026, 11, 26), id="tomorrow"),
        pytest.param("wednesday", date(2026, 12, 2), id="today's weekday is the one in a week"),
        pytest.param("next wednesday", date(2026, 12, 2), id="next, of the same weekday"),
        pytest.param("next friday", date(2026, 12, 4), id="next is in the week after this"),
        pytest.param("next monday", date(2026, 11, 30), id="next monday"),
        pytest.param("sunday", date(2026, 11, 29), id="sunday"),
        pytest.param("11/25", TODAY, id="a date without a year may be today"),
        pytest.param("1/2", date(2027, 1, 2), id="a date that has been is next year's"),
        pytest.param("Sept 3", date(2027, 9, 3), id="sept"),
        pytest.param("2026-11-20", date(2026, 11, 20), id="a year that is written is kept"),
    ],
)
def test_a_day_is_reckoned_from_today(words: str, day: date) -> None:
    assert day_meant(words, TODAY) == day


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("", id="nothing"),
        pytest.param("soon", id="no day"),
        pytest.param("maybe 3 of us", id="may is not maybe"),
        pytest.param("2/30", id="no such day"),
        pytest.param("2026-13-01", id="no such month"),
        pytest.param("Thursday, November 27", id="a weekday that is not that day's"),
        pytest.param("1999-11-27", id="long ago"),
        pytest.param("9999-12-31", id="beyond all calendars"),
        pytest.param("Nov 27, 1999", id="long ago in words"),
        pytest.param("1/2/1999", id="long ago in figures"),
        pytest.param("2/29", id="next year has no such day"),
        pytest.param("120261127", id="a number"),
    ],
)
def test_what_names_no_day_is_not_guessed(words: str) -> None:
    assert day_meant(words, TODAY) is None


@given(st.dates(TODAY, TODAY + timedelta(days=360)))
def test_a_date_is_understood_in_whatever_way_it_is_written(day: date) -> None:
    written = (f"{day:%Y-%m-%d}", f"{day.month}/{day.day}", f"{day:%B} {day.day}", f"{day.day} {day:%b} {day.year}")
    assert {day_meant(words, TODAY) for words in written} == {day}


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("10:00", (time(10), time(22))),
        ("3", (time(3), time(15))),
        ("at 3:30", (time(3, 30), time(15, 30))),
        ("10:00:00", (time(10), time(22))),
        ("9 o'clock", (time(9), time(21))),
        ("3pm", (time(15),)),
        ("3:30 P.M.", (time(15, 30),)),
        ("around 10 am", (time(10),)),
        ("12 PM", (time(12),)),
        ("12am", (time(0),)),
        ("12:30", (time(12, 30),)),
        ("15:00", (time(15),)),
        ("00:30", (time(0, 30),)),
        ("noon", (time(12),)),
        ("At Noon", (time(12),)),
        ("midnight", (time(0),)),
    ],
)
def test_a_time_of_day_is_understood_and_both_its_readings_are_told(words: str, meant: tuple[time, ...]) -> None:
    assert times_meant(words) == meant


@pytest.mark.parametrize("words", ["", "morning", "25:00", "10:61", "13pm", "0 am", "10:00; DROP TABLE", "3pm or 4pm"])
def test_what_names_no_time_is_not_guessed(words: str) -> None:
    assert times_meant(words) == ()


@given(st.text(max_size=60))
def test_no_words_break_it(words: str) -> None:
    day = day_meant(words, TODAY)
    assert day is None or abs(day.year - TODAY.year) <= 10
    assert len(times_meant(words)) <= 2
