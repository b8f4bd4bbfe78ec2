"""What day and what time of day is meant, as people and models write them. Pure.

Dates: 2026-11-27, 11/27 (American: the month first), November 27, 27 Nov, today, tomorrow, in 3 days, Friday, next
Friday. Times: 10:00, 3pm, 3:30 p.m., noon. Deterministic: the same words on the same day are the same date. Whoever
asks tells the customer what was understood, since "Friday" said on a Friday may be either.
"""

import re
from datetime import date, time, timedelta

_MONTHS = "january february march april may june july august september october november december".split()
_DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_MONTH = "|".join(f"{name}|{name[:3]}" for name in _MONTHS) + "|sept"
_DAY_NAME = "|".join(_DAYS) + "|mon|tues|tue|weds|wed|thurs|thur|thu|fri|sat|sun"
_YEAR = r"(?:,?\s+(?P<year>\d{4}))?"
_NTH = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"

_WRITTEN = (
    re.compile(r"(?<!\d)(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?!\d)"),
    re.compile(r"(?<!\d)(?P<month>\d{1,2})/(?P<day>\d{1,2})(?:/(?P<year>\d{4}))?(?![\d/])"),
    re.compile(rf"\b(?P<month>{_MONTH})\.?\s+{_NTH}\b{_YEAR}"),
    re.compile(rf"\b{_NTH}(?:\s+of)?\s+(?P<month>{_MONTH})\b\.?{_YEAR}"),
)
_IN_DAYS = re.compile(r"\bin (\d{1,3}) days?\b")
_WEEKDAY = re.compile(rf"\b(next\s+)?({_DAY_NAME})\b")
_CLOCK = re.compile(
    r"(?:(?:at|around|about)\s+)?(\d{1,2})(?:[:.](\d{2})(?::00)?)?\s*(?:o'?clock)?\s*(?:([ap])\.?m\.?)?"
)
_NAMED_TIMES = {"noon": time(12), "midday": time(12), "12 noon": time(12), "midnight": time(0)}


def day_meant(words: str, today: date) -> date | None:
    """The day; None where none is named, or two that contradict each other."""
    words = words.lower()
    weekday = _WEEKDAY.search(words)
    found = next((match for pattern in _WRITTEN if (match := pattern.search(words))), None)
    if found is not None:
        day = _dated(found, today)
        agrees = day is None or weekday is None or _DAYS[day.weekday()].startswith(weekday[2][:3])
        return day if agrees else None
    ahead = _days_ahead(words)
    if ahead is not None:
        return today + timedelta(days=ahead)
    return _next_such_day(weekday, today) if weekday else None


def times_meant(words: str) -> tuple[time, ...]:
    """The time of day; () where none is named. "3:00" is 3 AM or 3 PM: as it is written comes first."""
    words = words.strip().lower()
    named = _NAMED_TIMES.get(words.removeprefix("at "))
    if named is not None:
        return (named,)
    match = _CLOCK.fullmatch(words)
    if match is None:
        return ()
    hour, minute, half = int(match[1]), int(match[2] or 0), match[3]
    if minute > 59 or hour > 23 or (half and not 1 <= hour <= 12):
        return ()
    if half:
        return (time(hour % 12 + (12 if half == "p" else 0), minute),)
    return (time(hour, minute), time(hour + 12, minute)) if 1 <= hour <= 11 else (time(hour, minute),)


def _dated(found: re.Match[str], today: date) -> date | None:
    """The date that is written; without a year the next such day, which may be today."""
    parts = found.groupdict()
    month = int(parts["month"]) if parts["month"].isdigit() else _month(parts["month"])
    year = int(parts["year"] or today.year)
    if not today.year - 1 <= year <= today.year + 10:  # a slip, and far out a clock has no such date
        return None
    try:
        day = date(year, month, int(parts["day"]))
        return day if parts["year"] or day >= today else day.replace(year=year + 1)
    except ValueError:  # there is no such day
        return None


def _month(name: str) -> int:
    return next(number for number, month in enumerate(_MONTHS, 1) if month.startswith(name[:3]))


def _days_ahead(words: str) -> int | None:
    if "day after tomorrow" in words:
        return 2
    if re.search(r"\btomorrow\b", words):
        return 1
    if re.search(r"\b(today|tonight)\b", words):
        return 0
    match = _IN_DAYS.search(words)
    return int(match[1]) if match else None


def _next_such_day(weekday: re.Match[str], today: date) -> date:
    """The next one after today; "next" before it means the one in the week, from Monday on, after this."""
    number = next(number for number, name in enumerate(_DAYS) if name.startswith(weekday[2][:3]))
    if weekday[1]:
        return today + timedelta(days=7 - today.weekday() + number)
    return today + timedelta(days=(number - today.weekday() - 1) % 7 + 1)
