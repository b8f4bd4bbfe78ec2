"""The arguments of the agent's tools: what a model may call, checked, and described to it as JSON schemas.

Pure. The same models make the schemas and check the calls, so they cannot differ. Lenient about spelling ("$30,000",
an empty text for nothing), strict about names: an argument that is not known is told, since it would have narrowed.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from gateway.dealership.plain_text import plain
from gateway.dealership.vehicle import SearchQuery

MAX_PROBLEMS = 5
MAX_NAME = 80
MAX_PHONE = 30
MAX_EMAIL = 254  # RFC 5321, section 4.5.3.1.3
_MAX_EXPLAINED = 160
_STOCK = "such as H4821"

_PHONE = re.compile(r"\+?[0-9 ().-]+")
_EMAIL = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+\.[^\s@<>\"'.]+")
_NO_NAMES = frozenset(
    "customer|the customer|customer name|user|guest|unknown|anonymous|none|null|n/a|name|your name|test".split("|")
)
"""What a model writes when it was not told a name."""


def _plain_line(max_chars: int) -> BeforeValidator:
    return BeforeValidator(lambda value: plain(value, max_chars) if isinstance(value, str) else value)


def _real_name(name: str) -> str:
    if name.lower().strip("[]<>{}().") in _NO_NAMES or not any(sign.isalpha() for sign in name):
        raise ValueError("this is no name; ask the customer for theirs")
    return name


def _phone(number: str) -> str:
    digits = sum(sign.isdigit() for sign in number)
    if not _PHONE.fullmatch(number) or not 7 <= digits <= 15:
        raise ValueError("this is no phone number; ask the customer, or leave it out")
    return number


def _email(address: str) -> str:
    if not _EMAIL.fullmatch(address):
        raise ValueError("this is no email address; ask the customer, or leave it out")
    return address


# The bounds come before the validator that tidies up, so that they are in the schema and are checked after it.
Words = Annotated[str, Field(min_length=1, max_length=60), _plain_line(60)]
Stock = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./-]{0,19}$"), _plain_line(30), AfterValidator(str.upper)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), _plain_line(MAX_NAME), AfterValidator(_real_name)]
Phone = Annotated[str, Field(max_length=MAX_PHONE), _plain_line(MAX_PHONE + 1), AfterValidator(_phone)]
Email = Annotated[str, Field(max_length=MAX_EMAIL), _plain_line(MAX_EMAIL + 1), AfterValidator(_email)]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empties(cls, values: Any) -> Any:
        """A model fills in every argument that it knows, with null or an empty text where it has nothing to say."""
        if not isinstance(values, Mapping):
            return values
        return {name: value for name, value in values.items() if value is not None and value != ""}


class SearchInventory(SearchQuery):
    """Finds vehicles in stock: how many match, and the best of them. All arguments are optional."""

    limit: int = Field(3, ge=1, le=10, description="how many to show")


class GetVehicle(_Arguments):
    """Everything about one vehicle: price, mileage, features, description, and whether it is available."""

    stock_number: Stock = Field(description=_STOCK)


class ListAppointmentSlots(_Arguments):
    """The free times for a test drive, and the appointments that this customer has."""

    date: Words | None = Field(None, description="the first day: YYYY-MM-DD, tomorrow, Friday; today if left out")
    days: int = Field(2, ge=1, le=14, description="how many days from then on")
    stock_number: Stock | None = Field(None, description="only times at which this vehicle is free")


class BookTestDrive(_Arguments):
    """Books a test drive. Ask the customer for the vehicle, the day, the time and their name first."""

    stock_number: Stock = Field(description=_STOCK)
    date: Words = Field(description="YYYY-MM-DD, or tomorrow, Friday, November 27")
    time: Words = Field(description="such as 10:00 or 3:30 PM")
    customer_name: Name = Field(description="as the customer gave it")
    phone: Phone | None = Field(None, description="if the customer gave it")
    email: Email | None = Field(None, description="if the customer gave it")


class CancelAppointment(_Arguments):
    """Cancels an appointment of this customer."""

    reference: Words = Field(description="of the appointment, such as TD-7K3M9Q")


ARGUMENTS: dict[str, type[BaseModel]] = {
    "search_inventory": SearchInventory,
    "get_vehicle": GetVehicle,
    "list_appointment_slots": ListAppointmentSlots,
    "book_test_drive": BookTestDrive,
    "cancel_appointment": CancelAppointment,
}
"""Every tool, by its name."""

_SEARCHED_BY = {
    "make": "such as Toyota",
    "model": "such as RAV4",
    "body_style": "SUV, sedan, truck, coupe, hatchback, minivan, wagon, convertible or van",
    "fuel_type": "gas, hybrid, plug-in hybrid, electric or diesel",
    "max_price": "in dollars",
    "min_year": "the oldest model year",
    "color": "of the outside",
    "max_mileage": "in miles",
    "min_price": "in dollars",
    "max_year": "the newest model year",
    "condition": "new, used or certified",
    "min_seats": None,
    "features": "such as heated seats; all of them",
    "sort": None,
    "limit": "how many to show",
}
"""What a model is shown of SearchQuery, the most asked for first. Free text is not: every word of it must match."""


def schemas() -> list[dict[str, Any]]:
    """All tools in the form of OpenAI's `tools`."""
    return [_schema(name, model) for name, model in ARGUMENTS.items()]


def explain(name: str, error: ValidationError) -> str:
    """What is wrong with a call, for the model that made it: it may try again."""
    problems = [_problem(each["loc"], each["type"], each["msg"]) for each in error.errors(include_url=False)]
    more = f"; and {len(problems) - MAX_PROBLEMS} more" if len(problems) > MAX_PROBLEMS else ""
    return f"{name} was not run: {'; '.join(problems[:MAX_PROBLEMS])}{more}."


def _problem(where: tuple[int | str, ...], kind: str, message: str) -> str:
    at = plain(".".join(map(str, where)), 60)
    if kind == "extra_forbidden":
        return f"{at}: there is no such argument"
    said = plain(message.removeprefix("Value error, "), _MAX_EXPLAINED).rstrip(".")
    return f"{at}: {said}" if at else said


def _schema(name: str, model: type[BaseModel]) -> dict[str, Any]:
    whole = model.model_json_schema()
    properties = {key: _property(value) for key, value in whole["properties"].items()}
    if model is SearchInventory:
        properties = {
            key: properties[key] | ({"description": words} if words else {}) for key, words in _SEARCHED_BY.items()
        }
    parameters = {
        "type": "object",
        "properties": properties,
        "required": whole.get("required", []),
        "additionalProperties": False,
    }
    return {
        "type": "function",
        "function": {"name": name, "description": " ".join((model.__doc__ or "").split()), "parameters": parameters},
    }


_JSON_NAMES = {"ge": "minimum", "le": "maximum"}
"""Bounds that pydantic leaves in its own words where a validator of ours comes before them."""


def _property(made: dict[str, Any]) -> dict[str, Any]:
    """Pydantic's schema of a field without what tells a model nothing: title, default, and that it may be null."""
    [shown] = [each for each in made.get("anyOf", [made]) if each.get("type") != "null"]
    kept = {key: value for key, value in (shown | made).items() if key not in ("title", "default", "anyOf")}
    return {_JSON_NAMES.get(key, key): value for key, value in kept.items()}
