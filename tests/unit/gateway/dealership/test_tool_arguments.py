"""The tools' arguments: what a model is shown, what is let through, and what a wrong call is told."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from gateway.dealership.tool_arguments import ARGUMENTS, BookTestDrive, SearchInventory, explain, schemas

BOOKING = {"stock_number": "t1042", "date": "friday", "time": "3pm", "customer_name": "Dana Example"}


def check(name: str, arguments: Any) -> BaseModel:
    return ARGUMENTS[name].model_validate_json(json.dumps(arguments))


def told(name: str, arguments: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        check(name, arguments)
    return explain(name, caught.value)


def parameters(name: str) -> dict[str, Any]:
    [function] = [each["function"] for each in schemas() if each["function"]["name"] == name]
    shown: dict[str, Any] = function["parameters"]
    return shown


# ---- what a model is shown


def test_the_tools_are_the_five_that_there_are() -> None:
    assert [each["function"]["name"] for each in schemas()] == [
        "search_inventory",
        "get_vehicle",
        "list_appointment_slots",
        "book_test_drive",
        "cancel_appointment",
    ]


@pytest.mark.parametrize("tool", schemas(), ids=lambda tool: tool["function"]["name"])
def test_a_schema_is_closed_described_and_made_of_plain_parts(tool: dict[str, Any]) -> None:
    assert tool["type"] == "function"
    function = tool["function"]
    assert function["description"]
    shown = function["parameters"]
    assert (shown["type"], shown["additionalProperties"]) == ("object", False)
    assert set(shown["required"]) <= set(shown["properties"])
    for name, each in shown["properties"].items():
        assert each["type"] in {"string", "integer", "array"}, name
        assert not {"title", "default", "anyOf", "ge", "le"} & each.keys(), name
        assert each["type"] == "array" or {"maxLength", "maximum", "pattern", "enum"} & each.keys(), (
            f"{name} is bounded"
        )
    json.dumps(tool)


def test_the_search_begins_with_what_customers_ask_for_most() -> None:
    names = list(parameters("search_inventory")["properties"])
    assert names[:8] == ["make", "model", "body_style", "fuel_type", "max_price", "min_year", "color", "max_mileage"]
    assert set(names) == SearchInventory.model_fields.keys() - {"text"}


def test_a_booking_needs_a_vehicle_a_day_a_time_and_a_name() -> None:
    shown = parameters("book_test_drive")
    assert shown["required"] == ["stock_number", "date", "time", "customer_name"]
    assert shown["properties"]["stock_number"] == {
        "type": "string",
        "pattern": "^[A-Za-z0-9][A-Za-z0-9_./-]{0,19}$",
        "description": "such as H4821",
    }


# ---- what is let through


def test_a_booking_is_tidied_up() -> None:
    given = check("book_test_drive", BOOKING | {"customer_name": " Dana\u200b  Example<|eot_id|>", "email": None})
    assert isinstance(given, BookTestDrive)
    assert (given.stock_number, given.customer_name, given.phone, given.email) == ("T1042", "Dana Example", None, None)


def test_what_a_model_leaves_empty_is_left_out() -> None:
    given = check("book_test_drive", BOOKING | {"phone": "", "email": ""})
    assert given == check("book_test_drive", BOOKING)


@pytest.mark.parametrize("name", ["Dana", "José Núñez", "王伟", "O'Brien-Smith", "Customer Jones"])
def test_a_name_may_be_any_name(name: str) -> None:
    given = check("book_test_drive", BOOKING | {"customer_name": name})
    assert given.model_dump()["customer_name"] == name


@pytest.mark.parametrize("phone", ["555-0142", "(217) 555-0142", "+1 217.555.0142"])
@pytest.mark.parametrize("email", ["dana@example.com", "d.e+cars@mail.example.com"])
def test_phone_and_email_are_kept_as_they_are_written(phone: str, email: str) -> None:
    given = check("book_test_drive", BOOKING | {"phone": phone, "email": email}).model_dump()
    assert (given["phone"], given["email"]) == (phone, email)


def test_a_search_takes_prices_as_people_write_them() -> None:
    given = check("search_inventory", {"make": "chevy", "max_price": "$30,000", "model": None, "features": []})
    assert isinstance(given, SearchInventory)
    assert (given.max_price, given.limit) == (30_000, 3)


# ---- what a wrong call is told


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        pytest.param("get_vehicle", {}, "stock_number: Field required", id="missing"),
        pytest.param("get_vehicle", {"stock_number": ""}, "stock_number: Field required", id="empty"),
        pytest.param("get_vehicle", [], "Input should be an object", id="no object"),
        pytest.param("get_vehicle", {"stock_number": "x", "vin": 1}, "vin: there is no such argument", id="unknown"),
        pytest.param("get_vehicle", {"stock_number": 7}, "should be a valid string", id="a number"),
        pytest.param("get_vehicle", {"stock_number": "a" * 21}, "should match pattern", id="too long"),
        pytest.param("search_inventory", {"max_price": "cheap"}, "max_price: 'cheap' is not a number", id="no number"),
        pytest.param("search_inventory", {"limit": 11}, "limit: Input should be less than or equal", id="too many"),
        pytest.param("list_appointment_slots", {"days": 0}, "days: Input should be greater", id="no days"),
        pytest.param("book_test_drive", BOOKING | {"customer_name": "[Your Name]"}, "no name", id="a placeholder"),
        pytest.param("book_test_drive", BOOKING | {"customer_name": "1234"}, "this is no name", id="no letter"),
        pytest.param("book_test_drive", BOOKING | {"customer_name": "\u200b"}, "at least 1 char", id="an unseen name"),
        pytest.param("book_test_drive", BOOKING | {"customer_name": 5}, "should be a valid string", id="not a text"),
        pytest.param("book_test_drive", BOOKING | {"phone": "call me"}, "this is no phone number", id="no phone"),
        pytest.param("book_test_drive", BOOKING | {"phone": "12"}, "this is no phone number", id="too short a phone"),
        pytest.param("book_test_drive", BOOKING | {"phone": "5" * 31}, "phone: String should have", id="a long phone"),
        pytest.param("book_test_drive", BOOKING | {"email": "dana@"}, "this is no email address", id="no email"),
    ],
)
def test_a_wrong_call_is_told_what_is_wrong_with_which_argument(name: str, arguments: Any, problem: str) -> None:
    explained = told(name, arguments)
    assert explained.startswith(f"{name} was not run: ")
    assert problem in explained


def test_an_explanation_is_bounded_and_plain_whatever_was_sent() -> None:
    many = {f"<|eot_id|>{number}{'x' * 500}": number for number in range(50)}
    explained = told("search_inventory", many | {"max_price": "9" * 5000})
    assert len(explained) < 800
    assert "and 46 more" in explained
    assert "<|" not in explained
