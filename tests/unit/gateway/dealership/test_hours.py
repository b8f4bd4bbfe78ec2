"""The opening hours: what the file may say, what it means for a day, and how it is said in words."""

from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.dealership.hours import FILE, Hours, Span, clock, in_words, load
from gateway.settings import DEALERSHIP_DIR
from tests.unit.gateway.dealership.shop import hours

FRIDAY = date(2026, 11, 27)
ALL_DAY = (Span(time(9), time(19)),)


def of_week(**week: list[str]) -> Hours:
    return Hours.model_validate(hours().model_dump(mode="json") | {"week": week})


def test_the_hours_that_are_shipped_are_good_and_leave_time_for_test_drives() -> None:
    shipped = load(DEALERSHIP_DIR)
    assert shipped.name == "Summit Drive Motors"
    assert shipped.on(FRIDAY) == ALL_DAY
    assert shipped.on(date(2026, 11, 29)) == (), "a Sunday"
    assert shipped.week_in_words() == "Monday to Saturday 9 AM to 7 PM, closed on Sunday"
    assert shipped.test_drives.slot_minutes == 30


@pytest.mark.parametrize(
    ("day", "spans"),
    [
        pytest.param(FRIDAY, ALL_DAY, id="an ordinary day"),
        pytest.param(date(2026, 11, 29), (), id="a weekday that is closed"),
        pytest.param(date(2026, 11, 26), (), id="a holiday"),
        pytest.param(date(2026, 11, 30), (Span(time(9), time(12)),), id="a day with hours of its own"),
    ],
)
def test_a_day_is_open_by_its_own_hours_before_those_of_its_weekday(day: date, spans: tuple[Span, ...]) -> None:
    assert hours().on(day) == spans


def test_a_closed_day_stays_closed_whatever_special_hours_it_has() -> None:
    both = hours().model_dump(mode="json") | {"special": {"2026-11-26": ["09:00-10:00"]}}
    assert Hours.model_validate(both).on(date(2026, 11, 26)) == ()


@pytest.mark.parametrize(
    ("week", "words"),
    [
        pytest.param({}, "closed Monday to Sunday", id="never"),
        pytest.param(
            {"tuesday": ["09:30-12:00", "13:00-17:00"]},
            "closed on Monday, Tuesday 9:30 AM to 12 PM and 1 PM to 5 PM, closed Wednesday to Sunday",
            id="a lunch break",
        ),
        pytest.param(
            {"saturday": ["00:00-13:00"], "sunday": ["00:00-13:00"]},
            "closed Monday to Friday, Saturday to Sunday 12 AM to 1 PM",
            id="weekends",
        ),
    ],
)
def test_a_week_in_words_joins_days_with_the_same_hours(week: dict[str, list[str]], words: str) -> None:
    assert of_week(**week).week_in_words() == words


def test_times_are_said_as_americans_do() -> None:
    assert [clock(time(0)), clock(time(9, 5)), clock(time(12)), clock(time(23, 30))] == [
        "12 AM",
        "9:05 AM",
        "12 PM",
        "11:30 PM",
    ]
    assert in_words(ALL_DAY) == "9 AM to 7 PM"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        pytest.param({"time_zone": "America/Nowhere"}, "time_zone", id="an unknown time zone"),
        pytest.param({"week": {"monday": ["19:00-09:00"]}}, "must be ascending", id="closes before it opens"),
        pytest.param({"week": {"monday": ["09:00-12:00", "11:00-19:00"]}}, "must be ascending", id="overlapping"),
        pytest.param({"week": {"monday": ["nine"]}}, "week.monday", id="no time"),
        pytest.param({"week": {"moonday": []}}, "week.moonday", id="no such day"),
        pytest.param({"closed": {"2026-02-30": "?"}}, "closed", id="no such date"),
        pytest.param({"test_drives": {"slot_minutes": 45}}, "test_drives.slot_minutes", id="an odd slot"),
        pytest.param({"test_drives": {"at_once": 0}}, "test_drives.at_once", id="no room"),
        pytest.param({"phone": ""}, "phone", id="no phone"),
    ],
)
def test_a_mistake_is_refused_by_the_name_of_its_key(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Hours.model_validate(hours().model_dump(mode="json") | wrong)
    problems = [".".join(map(str, each["loc"])) + " " + each["msg"] for each in caught.value.errors()]
    assert told in problems[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(None, "No such file", id="absent"),
        pytest.param("name = ", "Invalid value", id="no TOML"),
        pytest.param('name = "x"\nnick = "y"', "nick: Extra inputs", id="an unknown key"),
        pytest.param('name = "x"', "week: Field required", id="a key that is missing"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_what_is_wrong(tmp_path: Path, text: str | None, told: str) -> None:
    if text is not None:
        (tmp_path / FILE).write_text(text)
    with pytest.raises(ValueError, match=told) as caught:
        load(tmp_path)
    assert str(tmp_path / FILE) in str(caught.value)
