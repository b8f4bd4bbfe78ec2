"""What the agent's tools say: rows, appointments and refusals as a model is given them. Pure.

All of it goes into a message of its own, with the role of a tool, as one JSON object. Text of rows is made plain and
cut before: whatever a description asks for, it stays a description. Refusals are whole sentences, since the customer is
told them too.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

from gateway.dealership import calendar
from gateway.dealership.appointments import Appointment, Wish
from gateway.dealership.calendar import Refusal, Slot
from gateway.dealership.hours import Hours, clock, in_words
from gateway.dealership.plain_text import plain
from gateway.dealership.vehicle import Found, Vehicle

MAX_TEXT = 80
MAX_DESCRIPTION = 300
MAX_FEATURES = 20
MAX_SLOTS = 48
"""A day has fewer, and a customer reads no more."""

_BRIEF = ("stock_number", "year", "make", "model", "trim", "body_style", "fuel_type", "color", "price", "mileage")
_NOT_SHOWN = {"vin", "exterior_color", "features", "description"}

UNREACHABLE = (
    "The dealership's database could not be reached right now, so nothing is known from it. "
    "Tell the customer so, and offer to try again or to connect them with a person."
)
UNREACHABLE_BOOK = (
    "The appointment book could not be reached right now, so this is not confirmed. Tell the customer so. "
    "The same call may be made again: nothing is booked or cancelled twice."
)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """`content` is JSON for the model, `summary` one line for people without personal data; see `gateway.desk`."""

    ok: bool
    content: str
    summary: str
    changed: bool = False


def told(value: dict[str, Any], summary: str, *, changed: bool = False) -> ToolResult:
    """A tool that did what it was asked to."""
    return ToolResult(True, json.dumps(value, ensure_ascii=False), summary, changed)


def failed(error: str, summary: str, **more: Any) -> ToolResult:
    """A tool that did not: `error` says why, in a sentence that the customer may hear."""
    return ToolResult(False, json.dumps({"error": error} | more, ensure_ascii=False), summary)


def found(outcome: Found) -> ToolResult:
    """The outcome of a search; one without a match repeats what was searched for, as it was understood."""
    value: dict[str, Any] = {"count": outcome.count, "vehicles": [_brief(vehicle) for vehicle in outcome.vehicles]}
    if not outcome.count:
        wanted = outcome.query.model_dump(exclude_defaults=True, exclude={"limit", "sort"})
        value["searched_for"] = {name: _plain(each) for name, each in wanted.items()}
    what = "vehicle" if outcome.count == 1 else "vehicles"
    return told(value, f"{outcome.count or 'no'} {what} found")


def vehicle_row(vehicle: Vehicle) -> dict[str, Any]:
    """All that a customer may know of a vehicle. Its VIN is not for a chat."""
    row = _brief(vehicle) | vehicle.model_dump(exclude_none=True, exclude=_NOT_SHOWN)
    row = {name: _plain(value) for name, value in row.items()}
    row["features"] = [plain(feature, MAX_TEXT) for feature in vehicle.features[:MAX_FEATURES]]
    row["description"] = plain(vehicle.description, MAX_DESCRIPTION)
    return row


def vehicle_name(vehicle: Vehicle) -> str:
    """Such as "2023 Toyota RAV4 XLE"."""
    return plain(vehicle.name, 2 * MAX_TEXT)


def appointment(hours: Hours, its: Appointment) -> dict[str, Any]:
    """One appointment, for the customer who has it."""
    return {
        "reference": its.reference,
        "vehicle": its.vehicle,
        "stock_number": its.stock_number,
        "when": calendar.in_words(hours, its.slot),
    }


def free_days(hours: Hours, days: Sequence[date], slots: Sequence[Slot]) -> dict[str, Any]:
    """What is free on these days, day by day, and why a day has nothing."""
    by_day = {day: list(its) for day, its in groupby(slots, key=lambda slot: calendar.local(hours, slot).date())}
    listed: list[dict[str, Any]] = []
    room = MAX_SLOTS
    for day in days:
        room -= len(by_day.get(day, ()))
        if room < 0:
            return {"days": listed, "more": "more is free after these days; ask for a later date"}
        listed.append(_free_day(hours, day, by_day.get(day, [])))
    return {"days": listed}


def unavailable(stock_number: str, vehicle: Vehicle | None) -> str:
    """Why a vehicle cannot be driven; "" if it can."""
    if vehicle is None:
        return f"There is no vehicle with the stock number {stock_number}."
    if vehicle.status == "available":
        return ""
    why = "is sold" if vehicle.status == "sold" else "is reserved for another buyer"
    return f"The {vehicle_name(vehicle)} (stock {vehicle.stock_number}) {why}."


def out_of_range(day: date, today: date, last: date) -> str:
    """Why nothing can be booked on a day before today or after the last one."""
    if day < today:
        return f"{calendar.day_in_words(day)} is in the past; today is {calendar.day_in_words(today)}."
    return f"{calendar.day_in_words(day)} is too far ahead: the last day to book is {calendar.day_in_words(last)}."


def refused(hours: Hours, refusal: Refusal, wish: Wish, now: float) -> str:
    """Why there is no such test drive."""
    when, day = calendar.in_words(hours, wish.slot), calendar.local(hours, wish.slot).date()
    rules = hours.test_drives
    match refusal:
        case Refusal.PAST:
            return f"{when} is in the past; it is now {calendar.in_words(hours, int(now))}."
        case Refusal.TOO_SOON:
            return f"{when} is too soon: a test drive needs {rules.notice_minutes} minutes' notice."
        case Refusal.TOO_FAR:
            return out_of_range(day, calendar.today(hours, now), calendar.last_day(hours, now))
        case Refusal.CLOSED:
            return _closed(hours, day)
        case Refusal.NO_SLOT:
            begins = f"they begin every {rules.slot_minutes} minutes, {in_words(hours.on(day))} on that day"
            return f"No test drive begins at {when}: {begins}."
        case Refusal.FULL:
            return f"All test drives at {when} are taken."
        case Refusal.VEHICLE_TAKEN:
            return f"Somebody else drives the {wish.vehicle} at {when}."
    return f"This customer has {rules.per_customer} test drives booked, and may have no more at a time."


def _brief(vehicle: Vehicle) -> dict[str, Any]:
    values = vehicle.model_dump() | {"color": vehicle.exterior_color}
    return {name: _plain(values[name]) for name in _BRIEF if values[name] is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return plain(value, MAX_TEXT) if isinstance(value, str) else value


def _free_day(hours: Hours, day: date, slots: Sequence[Slot]) -> dict[str, Any]:
    value: dict[str, Any] = {
        "day": calendar.day_in_words(day),
        "free": [clock(calendar.local(hours, slot).time()) for slot in slots],
    }
    if not slots:
        value["note"] = "nothing is free" if hours.on(day) else _closed(hours, day)
    return value


def _closed(hours: Hours, day: date) -> str:
    why = hours.closed.get(day)
    return f"We are closed on {calendar.day_in_words(day)}{f' ({why})' if why else ''}."
