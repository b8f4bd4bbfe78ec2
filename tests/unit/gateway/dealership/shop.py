"""A small dealership for tests: a few vehicles and an empty appointment book in a database file, on one Wednesday."""

import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.dealership import appointments
from gateway.dealership.appointments import Appointments
from gateway.dealership.hours import Hours
from gateway.dealership.inventory import Inventory
from gateway.dealership.tool_replies import ToolResult
from gateway.dealership.tools import Toolbox
from gateway.dealership.vehicle import Vehicle
from gateway.desk import Customer
from gateway.stores.database import Database

ZONE = ZoneInfo("America/Chicago")
TODAY = date(2026, 11, 25)
OPEN_DAY = ["09:00-19:00"]
DANA = Customer("acme", "session-dana", "request-1")
OMAR = Customer("acme", "session-omar", "request-2")


def at(day: int, hour: int, minute: int = 0, month: int = 11) -> int:
    """An epoch second of 2026, by the dealership's clock."""
    return int(datetime(2026, month, day, hour, minute, tzinfo=ZONE).timestamp())


NOW = at(25, 10, 5)


def hours(**drives: int) -> Hours:
    """Open all days but Sundays and Thanksgiving Day, and until noon on the last Monday of November."""
    week = {name: OPEN_DAY for name in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday")}
    return Hours.model_validate(
        {
            "name": "Summit Drive Motors",
            "address": "100 Example Parkway, Springfield, IL 62700",
            "phone": "(217) 555-0142",
            "time_zone": "America/Chicago",
            "test_drives": {"at_once": 1} | drives,
            "week": week,
            "special": {"2026-11-30": ["09:00-12:00"]},
            "closed": {"2026-11-26": "Thanksgiving Day"},
        }
    )


def vehicle(stock_number: str = "T1042", **more: Any) -> Vehicle:
    values: dict[str, Any] = {
        "condition": "used",
        "year": 2023,
        "make": "Toyota",
        "model": "RAV4",
        "trim": "XLE",
        "body_style": "SUV",
        "fuel_type": "hybrid",
        "transmission": "automatic",
        "drivetrain": "AWD",
        "exterior_color": "Lunar White",
        "mileage": 21_400,
        "price": 31_980,
        "features": ("Heated seats",),
        "description": "One owner.",
    }
    return Vehicle.model_validate({"stock_number": stock_number, **values, **more})


class Shop:
    """The dealership, and what a model does in it. Close it."""

    def __init__(
        self, path: Path, opening: Hours, new_reference: Callable[[], str] = appointments.new_reference
    ) -> None:
        self.now: float = NOW
        self.database = Database(f"sqlite:///{path}")
        self.inventory = Inventory(self.database)
        self.appointments = Appointments(self.database, opening, new_reference)
        self.toolbox = Toolbox(self.inventory, self.appointments, lambda: self.now)

    async def stock(self, *vehicles: Vehicle) -> None:
        await self.inventory.replace_all(vehicles)

    async def call(self, name: str, customer: Customer = DANA, /, **arguments: Any) -> ToolResult:
        return await self.toolbox.call(name, json.dumps(arguments), customer)

    async def book(self, customer: Customer = DANA, /, **other: str) -> ToolResult:
        """A test drive of T1042 on Friday at 10, unless otherwise said."""
        wanted = {"stock_number": "T1042", "date": "2026-11-27", "time": "10:00", "customer_name": "Dana Example"}
        return await self.call("book_test_drive", customer, **(wanted | other))

    def close(self) -> None:
        self.database.close()
