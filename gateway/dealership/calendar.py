"""Which slots for test drives there are, by the opening hours and the dealership's own clock. Pure.

A slot is the moment at which it begins, in whole epoch seconds. Below the appointments, which know what of it is taken.
Promises: a slot lies wholly within the opening hours; a time that the clock skips in spring begins none, and one that
it shows twice in autumn begins one.
"""

from datetime import date, datetime, time, timedelta
from enum import StrEnum

from gateway.dealership.hours import WEEKDAYS, Hours, Span, clock

Slot = int


class Refusal(StrEnum):
    """Why there is no test drive to be had; the first five are the calendar's."""

    PAST = "past"
    TOO_SOON = "too soon"
    TOO_FAR = "too far ahead"
    CLOSED = "closed"
    NO_SLOT = "no slot begins then"
    FULL = "full"
    VEHICLE_TAKEN = "the vehicle is taken"
    TOO_MANY = "too many"


def today(hours: Hours, now: float) -> date:
    """The date at the dealership."""
    return datetime.fromtimestamp(now, hours.time_zone).date()


def local(hours: Hours, slot: Slot) -> datetime:
    """The slot on the dealership's clock."""
    return datetime.fromtimestamp(slot, hours.time_zone)


def moment(hours: Hours, day: date, at: time) -> Slot:
    """When the dealership's clock shows this. Where it shows it twice, the first time."""
    return int(datetime.combine(day, at, hours.time_zone).timestamp())


def slots_on(hours: Hours, day: date) -> tuple[Slot, ...]:
    """All slots of a day in their order, whether or not they can still be had."""
    return tuple(slot for span in hours.on(day) for slot in _slots_in(hours, day, span))


def bookable(hours: Hours, day: date, now: float) -> tuple[Slot, ...]:
    """Those of a day that can be had now, if nobody has them."""
    if day > last_day(hours, now):
        return ()
    return tuple(slot for slot in slots_on(hours, day) if slot >= _earliest(hours, now))


def last_day(hours: Hours, now: float) -> date:
    """The last one that can be booked."""
    return today(hours, now) + timedelta(days=hours.test_drives.days_ahead)


def refusal(hours: Hours, slot: Slot, now: float) -> Refusal | None:
    """Why nobody can have this slot now; None if somebody can."""
    if slot <= now:
        return Refusal.PAST
    day = local(hours, slot).date()
    if day > last_day(hours, now):
        return Refusal.TOO_FAR
    if not hours.on(day):
        return Refusal.CLOSED
    if slot not in slots_on(hours, day):
        return Refusal.NO_SLOT
    return Refusal.TOO_SOON if slot < _earliest(hours, now) else None


def pick(hours: Hours, day: date, readings: tuple[time, ...]) -> Slot:
    """The first of several readings of a time of day that begins a slot; the first one where none does."""
    slots = slots_on(hours, day)
    moments = [moment(hours, day, reading) for reading in readings]
    return next((slot for slot in moments if slot in slots), moments[0])


def day_in_words(day: date) -> str:
    """Such as "Friday, November 27, 2026"."""
    return f"{WEEKDAYS[day.weekday()]}, {day:%B} {day.day}, {day.year}"


def in_words(hours: Hours, slot: Slot) -> str:
    """Such as "Friday, November 27, 2026 at 10 AM"."""
    at = local(hours, slot)
    return f"{day_in_words(at.date())} at {clock(at.time())}"


def in_short(hours: Hours, slot: Slot) -> str:
    """Such as "Fri 27 Nov 10:00"."""
    at = local(hours, slot)
    return f"{at:%a} {at.day} {at:%b %H:%M}"


def _earliest(hours: Hours, now: float) -> float:
    return now + hours.test_drives.notice_minutes * 60


def _slots_in(hours: Hours, day: date, span: Span) -> list[Slot]:
    length = timedelta(minutes=hours.test_drives.slot_minutes)
    at, closes = datetime.combine(day, span.opens), datetime.combine(day, span.closes)
    slots = []
    while at + length <= closes:
        slot = moment(hours, day, at.time())
        if local(hours, slot).replace(tzinfo=None) == at:  # else the clock skips this time
            slots.append(slot)
        at += length
    return slots
