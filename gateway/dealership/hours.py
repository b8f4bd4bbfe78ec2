"""The dealership's address, opening hours and rules of test drives, as `hours.toml` states them.

Read once at the start and checked whole; frozen from then on. Times of day are the dealership's own wall clock. Which
slots come of it, `gateway.dealership.calendar` decides.
"""

import tomllib
from datetime import date, time
from itertools import groupby, pairwise
from pathlib import Path
from typing import Annotated, Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

FILE = "hours.toml"

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
"""In the order of `date.weekday`."""


class Span(NamedTuple):
    """Open from one time of a day until another."""

    opens: time
    closes: time


def _read_span(written: object) -> object:
    """ "09:00-19:00" as its two times."""
    return tuple(written.split("-")) if isinstance(written, str) else written


def _in_order(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    times = [each for span in spans for each in span]
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise ValueError("the hours of a day must be ascending, such as 09:00-12:00 and then 13:00-19:00")
    return spans


Spans = Annotated[tuple[Annotated[Span, BeforeValidator(_read_span)], ...], AfterValidator(_in_order)]
Line = Annotated[str, Field(min_length=1, max_length=200)]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Drives(_Frozen):
    """The rules of test drives. `per_customer` bounds what one conversation may hold open."""

    slot_minutes: Literal[30, 60] = 30
    at_once: int = Field(2, ge=1, le=50)
    days_ahead: int = Field(30, ge=1, le=365)
    notice_minutes: int = Field(60, ge=0, le=7 * 24 * 60)
    per_customer: int = Field(3, ge=1, le=20)


class Week(_Frozen):
    """The hours of an ordinary week; a day without any is closed."""

    monday: Spans = ()
    tuesday: Spans = ()
    wednesday: Spans = ()
    thursday: Spans = ()
    friday: Spans = ()
    saturday: Spans = ()
    sunday: Spans = ()

    def days(self) -> tuple[tuple[Span, ...], ...]:
        """From Monday on."""
        return (self.monday, self.tuesday, self.wednesday, self.thursday, self.friday, self.saturday, self.sunday)


class Hours(_Frozen):
    """One dealership. `closed` says why, and goes before `special`, which goes before the week."""

    name: Line
    address: Line
    phone: Line
    time_zone: ZoneInfo
    test_drives: Drives = Drives()
    week: Week
    special: dict[date, Spans] = {}
    closed: dict[date, Line] = {}

    def on(self, day: date) -> tuple[Span, ...]:
        """When it is open on a day; () if it is not."""
        if day in self.closed:
            return ()
        return self.special.get(day, self.week.days()[day.weekday()])

    def week_in_words(self) -> str:
        """Such as "Monday to Saturday 9 AM to 7 PM, closed on Sunday"."""
        days = list(zip(WEEKDAYS, self.week.days(), strict=True))
        return ", ".join(
            _stretch([name for name, _ in stretch], spans) for spans, stretch in groupby(days, key=lambda day: day[1])
        )


def load(folder: Path) -> Hours:
    """The hours in a dealership's folder. Raises ValueError, naming the file and each bad key."""
    path = folder / FILE
    try:
        return Hours.model_validate(tomllib.loads(path.read_text("utf-8")))
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ValueError("\n".join(f"{path}: {problem}" for problem in problems)) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error


def clock(at: time) -> str:
    """A time of day as Americans write it, such as "9 AM" and "9:30 AM"."""
    minutes = f":{at.minute:02}" if at.minute else ""
    return f"{at.hour % 12 or 12}{minutes} {'AM' if at.hour < 12 else 'PM'}"


def in_words(spans: tuple[Span, ...]) -> str:
    """The hours of a day, such as "9 AM to 7 PM"."""
    return " and ".join(f"{clock(span.opens)} to {clock(span.closes)}" for span in spans)


def _stretch(names: list[str], spans: tuple[Span, ...]) -> str:
    days = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    if not spans:
        return f"closed on {days}" if len(names) == 1 else f"closed {days}"
    return f"{days} {in_words(spans)}"
