"""The toolbox, over a real stock and appointment book: calls as a model makes them, and what it is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.dealership.appointments import APPOINTMENTS, Appointments
from gateway.dealership.inventory import Inventory
from gateway.dealership.tool_replies import ToolResult
from gateway.dealership.tools import Toolbox
from gateway.desk import Customer
from gateway.desk import ToolResult as Promised
from gateway.stores.database import Database
from gateway.tool_calls import MAX_ARGUMENT_CHARS
from tests.unit.gateway.dealership.shop import DANA, NOW, OMAR, Shop, at, hours, vehicle

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    opened = Shop(tmp_path / "shop.db", hours())
    await opened.stock(
        vehicle("T1042"),
        vehicle("K2000", make="Kia", model="Sportage", price=24_500, fuel_type="gas"),
        vehicle("S3000", status="sold"),
        vehicle("P4000", status="pending"),
    )
    yield opened
    opened.close()


def said(result: ToolResult) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(result.content)
    return content


# ---- looking


async def test_a_search_finds_what_is_for_sale(shop: Shop) -> None:
    result = await shop.call("search_inventory", body_style="SUV", max_price="$30,000")
    assert (result.ok, result.changed, result.summary) == (True, False, "1 vehicle found")
    assert said(result)["vehicles"][0]["stock_number"] == "K2000"


async def test_no_arguments_at_all_are_a_search_for_anything(shop: Shop) -> None:
    assert said(await shop.toolbox.call("search_inventory", "", DANA))["count"] == 2


async def test_a_vehicle_is_found_by_its_stock_number_in_any_case(shop: Shop) -> None:
    result = await shop.call("get_vehicle", stock_number="t1042")
    assert (result.ok, result.summary) == (True, "T1042 found")
    assert said(result)["price"] == 31_980
    assert said(await shop.call("get_vehicle", stock_number="S3000"))["status"] == "sold"


async def test_a_vehicle_that_is_not_there_is_no_success(shop: Shop) -> None:
    result = await shop.call("get_vehicle", stock_number="X1")
    assert (result.ok, said(result)) == (False, {"error": "There is no vehicle with the stock number X1."})


async def test_free_times_are_listed_from_today_on(shop: Shop) -> None:
    result = await shop.call("list_appointment_slots")
    assert (result.ok, result.summary) == (True, "15 free times")
    today, tomorrow = said(result)["days"]
    assert (today["day"], today["free"][0]) == ("Wednesday, November 25, 2026", "11:30 AM")
    assert "Thanksgiving Day" in tomorrow["note"]


async def test_days_without_free_times_come_with_the_next_that_are_free(shop: Shop) -> None:
    result = await shop.call("list_appointment_slots", date="tomorrow", days=1)
    assert (result.ok, result.summary) == (True, "no free times")
    assert said(result)["next_free"][0] == "Friday, November 27, 2026 at 9 AM"


async def test_days_beyond_the_last_one_are_not_spoken_of(shop: Shop) -> None:
    days = said(await shop.call("list_appointment_slots", date="2026-12-24", days=14))["days"]
    assert [day["day"] for day in days] == ["Thursday, December 24, 2026", "Friday, December 25, 2026"]


async def test_the_times_of_a_vehicle_leave_out_when_it_is_out(shop: Shop) -> None:
    await shop.book()
    for number in ("T1042", "K2000"):  # one test drive at a time is all that this shop can do
        [day] = said(await shop.call("list_appointment_slots", date="friday", days=1, stock_number=number))["days"]
        assert "10 AM" not in day["free"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param({"date": "someday"}, "'someday' names no day", id="no day"),
        pytest.param({"date": "2026-11-20"}, "is in the past", id="past"),
        pytest.param({"date": "2027-03-01"}, "is too far ahead", id="too far"),
        pytest.param({"stock_number": "S3000"}, "is sold", id="sold"),
        pytest.param({"stock_number": "X1"}, "There is no vehicle", id="unknown"),
    ],
)
async def test_times_that_cannot_be_listed_come_with_those_that_can(
    shop: Shop, arguments: dict[str, str], problem: str
) -> None:
    result = await shop.call("list_appointment_slots", **arguments)
    assert not result.ok
    assert problem in said(result)["error"]
    assert said(result)["next_free"][0] == "Wednesday, November 25, 2026 at 11:30 AM"


# ---- booking


async def test_a_booking_tells_what_was_understood(shop: Shop) -> None:
    result = await shop.book(date="friday", time="3:30")
    assert (result.ok, result.changed, result.summary) == (True, True, "booked T1042 Fri 27 Nov 15:30")
    told = said(result)
    assert told.pop("reference").startswith("TD-")
    assert told == {
        "status": "booked",
        "vehicle": "2023 Toyota RAV4 XLE",
        "stock_number": "T1042",
        "when": "Friday, November 27, 2026 at 3:30 PM",
        "address": "100 Example Parkway, Springfield, IL 62700",
    }


async def test_nothing_of_the_customer_is_in_what_is_said_of_a_booking(shop: Shop) -> None:
    result = await shop.book(customer_name="Zacharias Example", phone="555-0199", email="z@example.com")
    assert result.ok
    for secret in ("Zacharias", "555-0199", "z@example.com", DANA.session_id):
        assert secret not in result.content + result.summary


async def test_the_same_booking_again_has_the_same_reference(shop: Shop) -> None:
    first, again = await shop.book(), await shop.book(date="friday", time="10 am")
    assert (again.ok, again.changed, again.summary) == (True, True, "already booked T1042 Fri 27 Nov 10:00")
    assert said(again) == said(first) | {"status": "already booked"}


async def test_the_same_booking_racing_itself_has_one_reference(shop: Shop) -> None:
    results = await asyncio.gather(*(shop.book() for _ in range(10)))
    assert len({said(result)["reference"] for result in results}) == 1
    assert sorted(said(result)["status"] for result in results) == ["already booked"] * 9 + ["booked"]


TODAY = "Wednesday, November 25, 2026 at 11:30 AM"
FRIDAY = "Friday, November 27, 2026 at 10 AM"


@pytest.mark.parametrize(
    ("other", "problem", "next_free"),
    [
        pytest.param({"date": "today", "time": "10:00"}, "in the past", TODAY, id="past"),
        pytest.param({"date": "today", "time": "11am"}, "too soon", TODAY, id="too soon"),
        pytest.param({"date": "tomorrow"}, "(Thanksgiving Day)", "Friday, November 27, 2026 at 9 AM", id="closed"),
        pytest.param({"time": "8pm"}, "9 AM to 7 PM on that day", "Saturday, November 28, 2026 at 9 AM", id="no slot"),
        pytest.param({"date": "2027-03-01"}, "too far", TODAY, id="too far"),
        pytest.param({"stock_number": "S3000"}, "is sold", FRIDAY, id="sold"),
        pytest.param({"stock_number": "P4000"}, "is reserved", FRIDAY, id="pending"),
        pytest.param({"stock_number": "X1"}, "There is no vehicle", FRIDAY, id="unknown"),
        pytest.param({"date": "soon"}, "'soon' names no day", TODAY, id="no day"),
        pytest.param({"time": "late"}, "'late' names no time of day", TODAY, id="no time"),
    ],
)
async def test_a_booking_that_cannot_be_is_told_why_and_what_can(
    shop: Shop, other: dict[str, str], problem: str, next_free: str
) -> None:
    result = await shop.book(**other)
    assert (result.ok, result.changed) == (False, False)
    assert problem in said(result)["error"]
    assert said(result)["next_free"][0] == next_free
    assert await shop.appointments.own(DANA, NOW) == []


async def test_a_full_slot_is_told_with_the_next_free_ones(shop: Shop) -> None:
    await shop.book(OMAR)
    for number, problem in (("T1042", "Somebody else drives the 2023 Toyota"), ("K2000", "All test drives at Friday")):
        result = await shop.book(stock_number=number)
        assert (result.ok, result.changed) == (False, False)
        assert problem in said(result)["error"]
        assert said(result)["next_free"] == [
            "Friday, November 27, 2026 at 10:30 AM",
            "Friday, November 27, 2026 at 11 AM",
            "Friday, November 27, 2026 at 11:30 AM",
        ]


async def test_a_fourth_appointment_is_refused_with_the_three_there_are(shop: Shop) -> None:
    for time in ("10:00", "11:00", "12:00"):
        assert (await shop.book(time=time)).ok
    result = await shop.book(time="1pm")
    assert (result.ok, result.summary) == (False, "not booked: too many")
    assert len(said(result)["customer_has"]) == 3


async def test_fifty_customers_want_one_slot_and_one_has_it(shop: Shop) -> None:
    customers = [Customer("acme", f"session-{number}", f"request-{number}") for number in range(50)]
    results = await asyncio.gather(*(shop.book(customer) for customer in customers))
    assert sum(result.ok for result in results) == 1
    assert all("next_free" in said(result) for result in results if not result.ok)
    owners = [len(await shop.appointments.own(customer, NOW)) for customer in customers]
    assert owners == [int(result.ok) for result in results]


async def test_fifty_customers_at_two_gateways_want_one_slot_and_one_has_it(shop: Shop, tmp_path: Path) -> None:
    other = Shop(tmp_path / "shop.db", hours())
    try:
        results = await asyncio.gather(
            *((shop, other)[number % 2].book(Customer("acme", f"session-{number}", "r")) for number in range(50))
        )
    finally:
        other.close()
    assert sum(result.ok for result in results) == 1
    assert {result.summary for result in results if not result.ok} == {"not booked: the vehicle is taken"}


# ---- cancelling


async def test_an_appointment_is_cancelled_by_its_reference_in_any_case(shop: Shop) -> None:
    reference = said(await shop.book())["reference"]
    result = await shop.call("cancel_appointment", reference=reference.lower())
    assert (result.ok, result.changed, result.summary) == (True, True, "cancelled T1042")
    assert said(result)["status"] == "cancelled"
    again = await shop.call("cancel_appointment", reference=reference)
    assert (again.ok, said(again)["status"]) == (True, "already cancelled")
    booked = await shop.book()
    assert said(booked)["status"] == "booked"
    assert said(booked)["reference"] != reference


async def test_a_wrong_reference_is_told_with_the_appointments_there_are(shop: Shop) -> None:
    booked = said(await shop.book())
    result = await shop.call("cancel_appointment", reference="TD-ZZZZZZ")
    assert (result.ok, result.changed) == (False, False)
    assert said(result)["error"] == "This customer has no such appointment."
    assert [each["reference"] for each in said(result)["customer_has"]] == [booked["reference"]]


async def test_an_appointment_that_has_begun_is_not_cancelled(shop: Shop) -> None:
    reference = said(await shop.book())["reference"]
    shop.now = at(27, 10)
    result = await shop.call("cancel_appointment", reference=reference)
    assert (result.ok, result.summary) == (False, "not cancelled: it has begun")


# ---- what goes wrong


async def test_an_unknown_tool_is_told_with_those_there_are(shop: Shop) -> None:
    result = await shop.call("delete_everything<|eot_id|>")
    assert said(result) == {
        "error": "There is no tool 'delete_everything'. There are: search_inventory, get_vehicle, "
        "list_appointment_slots, book_test_drive, cancel_appointment."
    }


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param('{"make": ', "Invalid JSON", id="half"),
        pytest.param("null", "should be an object", id="null"),
        pytest.param("[" * 5000, "recursion limit", id="too deep"),
        pytest.param('{"make": "\ud800"}', "valid string", id="a lone surrogate"),
        pytest.param('{"max_price": 1e999}', "max_price", id="infinite"),
        pytest.param('{"max_price": 99999999999999999999}', "max_price", id="beyond all integers"),
        pytest.param(f'{{"make": "{"x" * MAX_ARGUMENT_CHARS}"}}', "too long", id="too long"),
    ],
)
async def test_arguments_that_are_none_are_told_and_raise_nothing(shop: Shop, arguments: str, problem: str) -> None:
    result = await shop.toolbox.call("search_inventory", arguments, DANA)
    assert not result.ok
    assert problem in said(result)["error"]
    assert len(result.content) < 400


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("search_inventory", {}),
        ("get_vehicle", {"stock_number": "T1042"}),
        ("list_appointment_slots", {}),
        ("book_test_drive", {"stock_number": "T1042", "date": "friday", "time": "10 am", "customer_name": "Dana"}),
        ("cancel_appointment", {"reference": "TD-ZZZZZZ"}),
    ],
)
async def test_a_database_that_fails_is_told_and_nothing_is_invented(
    tmp_path: Path, name: str, arguments: dict[str, str]
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'gone.db'}")
    toolbox = Toolbox(Inventory(database), Appointments(database, hours()), lambda: NOW)
    for table in ("vehicles", "appointments"):
        database.write_now(lambda connection, table=table: connection.exec_driver_sql(f"DROP TABLE {table}"))  # type: ignore[misc]
    result = await toolbox.call(name, json.dumps(arguments), DANA)
    database.close()
    assert (result.ok, result.changed, result.summary) == (False, False, "the database was not reached")
    assert list(said(result)) == ["error"]
    assert "could not be reached right now" in said(result)["error"]


async def test_a_booking_that_was_not_confirmed_may_be_made_again(shop: Shop) -> None:
    shop.database.write_now(lambda connection: APPOINTMENTS.drop(connection))
    assert "may be made again" in said(await shop.book())["error"]
    shop.database.write_now(lambda connection: APPOINTMENTS.create(connection))
    assert said(await shop.book())["status"] == "booked"


async def test_a_result_is_what_the_rest_of_the_gateway_was_promised(shop: Shop) -> None:
    result: Promised = await shop.call("search_inventory")
    assert result.ok
    assert len(shop.toolbox.schemas) == 5
