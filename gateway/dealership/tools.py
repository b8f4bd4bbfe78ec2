"""The agent's tools: a call of a model, checked, run against the stock and the appointment book, and answered.

Whatever is wrong with a call is an answer too, so that the model can try again and the customer is told the truth. What
a tool may see is bound to the customer who asks, never to an argument. Promises: `call` raises nothing but the
cancellation of its caller; a booking is made once however often it is asked for.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import time, timedelta
from typing import Any

from pydantic import ValidationError

from gateway.dealership import calendar, tool_arguments, tool_replies
from gateway.dealership.appointments import Appointments, Wish
from gateway.dealership.calendar import Refusal
from gateway.dealership.inventory import Inventory
from gateway.dealership.plain_text import plain
from gateway.dealership.spoken_times import day_meant, times_meant
from gateway.dealership.tool_arguments import (
    ARGUMENTS,
    BookTestDrive,
    CancelAppointment,
    GetVehicle,
    ListAppointmentSlots,
    SearchInventory,
)
from gateway.dealership.tool_replies import ToolResult, failed, told
from gateway.desk import Customer
from gateway.ports import StoreFailed
from gateway.tool_calls import MAX_ARGUMENT_CHARS

Tool = Callable[[Any, Customer], Awaitable[ToolResult]]


class Toolbox:
    """All tools of one dealership. `now` tells the time of day in epoch seconds."""

    def __init__(self, inventory: Inventory, appointments: Appointments, now: Callable[[], float]) -> None:
        self.schemas = tool_arguments.schemas()
        self._inventory = inventory
        self._appointments = appointments
        self._hours = appointments.hours
        self._now = now
        self._tools: Mapping[str, Tool] = {
            "search_inventory": self._search,
            "get_vehicle": self._get,
            "list_appointment_slots": self._list_slots,
            "book_test_drive": self._book,
            "cancel_appointment": self._cancel,
        }

    async def call(self, name: str, arguments: str, customer: Customer) -> ToolResult:
        """What the tool says to these arguments, which are JSON if the model wrote any."""
        run = self._tools.get(name)
        if run is None:
            return failed(f"There is no tool {plain(name, 60)!r}. There are: {', '.join(ARGUMENTS)}.", "unknown tool")
        if len(arguments) > MAX_ARGUMENT_CHARS:
            return failed(f"{name} was not run: its arguments are too long.", "arguments too long")
        try:
            given = ARGUMENTS[name].model_validate_json(arguments or "{}")
        except ValidationError as error:
            return failed(tool_arguments.explain(name, error), "arguments not understood")
        try:
            return await run(given, customer)
        except StoreFailed:
            changes = name in ("book_test_drive", "cancel_appointment")
            told_so = tool_replies.UNREACHABLE_BOOK if changes else tool_replies.UNREACHABLE
            return failed(told_so, "the database was not reached")

    async def _search(self, given: SearchInventory, customer: Customer) -> ToolResult:
        return tool_replies.found(await self._inventory.search(given))

    async def _get(self, given: GetVehicle, customer: Customer) -> ToolResult:
        vehicle = await self._inventory.get(given.stock_number)
        if vehicle is None:
            return failed(f"There is no vehicle with the stock number {given.stock_number}.", "no such vehicle")
        return told(tool_replies.vehicle_row(vehicle), f"{vehicle.stock_number} found")

    async def _list_slots(self, given: ListAppointmentSlots, customer: Customer) -> ToolResult:
        now = self._now()
        today, last = calendar.today(self._hours, now), calendar.last_day(self._hours, now)
        first = day_meant(given.date, today) if given.date else today
        if first is None:
            return await self._not_booked(_unclear("day", given.date or ""), now)
        if not today <= first <= last:
            return await self._not_booked(tool_replies.out_of_range(first, today, last), now)
        if given.stock_number:
            vehicle = await self._inventory.get(given.stock_number)
            if no := tool_replies.unavailable(given.stock_number, vehicle):
                return await self._not_booked(no, now)
        days = [first + timedelta(days=number) for number in range(given.days)]
        days = [day for day in days if day <= last]
        slots = await self._appointments.free(days, now, given.stock_number)
        value = tool_replies.free_days(self._hours, days, slots)
        if not slots:
            value |= await self._next_free(calendar.moment(self._hours, days[-1], time.max), now, given.stock_number)
        return told(value | await self._has(customer, now), f"{len(slots) or 'no'} free times")

    async def _book(self, given: BookTestDrive, customer: Customer) -> ToolResult:
        now = self._now()
        day = day_meant(given.date, calendar.today(self._hours, now))
        readings = times_meant(given.time)
        if day is None or not readings:
            problem = _unclear("day", given.date) if day is None else _unclear("time of day", given.time)
            return await self._not_booked(problem, now)
        slot = calendar.pick(self._hours, day, readings)
        vehicle = await self._inventory.get(given.stock_number)
        if vehicle is None or vehicle.status != "available":
            return await self._not_booked(tool_replies.unavailable(given.stock_number, vehicle), now, slot)
        name = tool_replies.vehicle_name(vehicle)
        wish = Wish(vehicle.stock_number, name, slot, given.customer_name, given.phone, given.email)
        outcome = await self._appointments.book(customer, wish, now)
        if isinstance(outcome, Refusal):
            return await self._refused(outcome, wish, customer, now)
        value = tool_replies.appointment(self._hours, outcome.appointment) | {"address": self._hours.address}
        done = "already booked" if outcome.already else "booked"
        when = calendar.in_short(self._hours, slot)
        return told({"status": done} | value, f"{done} {vehicle.stock_number} {when}", changed=True)

    async def _cancel(self, given: CancelAppointment, customer: Customer) -> ToolResult:
        now = self._now()
        outcome = await self._appointments.cancel(customer, given.reference.upper(), now)
        if outcome is None:
            has = await self._has(customer, now)
            return failed("This customer has no such appointment.", "no such appointment", **has)
        if isinstance(outcome, Refusal):
            return failed("This appointment has begun already and cannot be cancelled.", "not cancelled: it has begun")
        done = "already cancelled" if outcome.already else "cancelled"
        summary = f"{done} {outcome.appointment.stock_number}"
        value = {"status": done} | tool_replies.appointment(self._hours, outcome.appointment)
        return told(value, summary, changed=True)

    async def _refused(self, refusal: Refusal, wish: Wish, customer: Customer, now: float) -> ToolResult:
        error = tool_replies.refused(self._hours, refusal, wish, now)
        if refusal is Refusal.TOO_MANY:
            return failed(error, f"not booked: {refusal}", **await self._has(customer, now))
        start = now if refusal is Refusal.TOO_FAR else wish.slot
        return await self._not_booked(error, now, start, wish.stock_number, f"not booked: {refusal}")

    async def _not_booked(
        self, error: str, now: float, start: float = 0, stock_number: str | None = None, summary: str = "not possible"
    ) -> ToolResult:
        """What was wrong, and what could be had instead."""
        return failed(error, summary, **await self._next_free(start, now, stock_number))

    async def _next_free(self, start: float, now: float, stock_number: str | None = None) -> dict[str, list[str]]:
        slots = await self._appointments.next_free(max(start, now), now, stock_number)
        return {"next_free": [calendar.in_words(self._hours, slot) for slot in slots]}

    async def _has(self, customer: Customer, now: float) -> dict[str, list[dict[str, str]]]:
        """What this customer has booked; {} if nothing."""
        own = await self._appointments.own(customer, now)
        return {"customer_has": [tool_replies.appointment(self._hours, its) for its in own]} if own else {}


def _unclear(what: str, words: str) -> str:
    return f"{plain(words, 60)!r} names no {what} that is understood; ask the customer, and write it as the tool says."
