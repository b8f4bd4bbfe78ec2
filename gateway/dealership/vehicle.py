"""A vehicle of the stock, what can be asked for, and what a search has found.

Pure values, checked as they are made. Text comes from dealers' files and from models: it is cleaned of what nobody can
see and bounded in length, and it is data wherever it goes. A vehicle has a price: a search by price would have to leave
out, or to guess, one that is "call for price", so such a vehicle is not listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from gateway.dealership import amounts, synonyms
from gateway.dealership.spelling import clean, key

Condition = Literal["new", "used", "certified"]
BodyStyle = Literal["SUV", "sedan", "truck", "coupe", "hatchback", "minivan", "wagon", "convertible", "van"]
FuelType = Literal["gas", "hybrid", "plug-in hybrid", "electric", "diesel"]
Transmission = Literal["automatic", "manual", "CVT"]
Drivetrain = Literal["FWD", "RWD", "AWD", "4WD"]
Status = Literal["available", "pending", "sold"]
Sort = Literal["best", "price", "mileage", "year"]

MAX_FEATURES = 60
MAX_DESCRIPTION = 1000
MAX_LIMIT = 20


def _cleaned(value: object) -> object:
    return clean(value) if isinstance(value, str) else value


def _distinct(features: tuple[str, ...]) -> tuple[str, ...]:
    """Each feature once, as it was first written."""
    first: dict[str, str] = {}
    for feature in features:
        first.setdefault(key(feature), feature)
    return tuple(first.values())


Words = Annotated[str, BeforeValidator(_cleaned), StringConstraints(min_length=1, max_length=60)]
Features = Annotated[tuple[Words, ...], Field(max_length=MAX_FEATURES), AfterValidator(_distinct)]
StockNumber = Annotated[
    str, BeforeValidator(_cleaned), StringConstraints(to_upper=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_./-]{0,19}$")
]
Vin = Annotated[
    str, BeforeValidator(_cleaned), StringConstraints(to_upper=True, pattern=r"^[A-HJ-NPR-Za-hj-npr-z0-9]{17}$")
]
Few = Annotated[int, Field(ge=1, le=99)]


class Vehicle(BaseModel):
    """One vehicle. `price` is in whole dollars, `mileage` and `range_miles` (on a full battery) in miles."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stock_number: StockNumber
    vin: Vin | None = None
    condition: Condition
    year: int = Field(ge=1900, le=2100)
    make: Words
    model: Words
    trim: Words | None = None
    body_style: BodyStyle
    fuel_type: FuelType
    transmission: Transmission
    drivetrain: Drivetrain
    engine: Words | None = None
    exterior_color: Words
    interior_color: Words | None = None
    mileage: int = Field(ge=0, le=1_000_000)
    price: int = Field(ge=1, le=10_000_000)
    doors: Few | None = None
    seats: Few | None = None
    mpg_city: int | None = Field(None, ge=1, le=250)
    mpg_highway: int | None = Field(None, ge=1, le=250)
    range_miles: int | None = Field(None, ge=1, le=2000)
    features: Features = ()
    description: Annotated[str, BeforeValidator(_cleaned), StringConstraints(max_length=MAX_DESCRIPTION)] = ""
    status: Status = "available"

    @property
    def name(self) -> str:
        """Such as "2023 Toyota RAV4 XLE"."""
        return " ".join(filter(None, (str(self.year), self.make, self.model, self.trim)))


def _number(value: object) -> object:
    """What a model may send for a number: "$30,000", "30k", 30000.0."""
    if isinstance(value, bool):
        raise ValueError("a number is wanted")
    if isinstance(value, str):
        return amounts.spoken(clean(value))
    return value


def _named(table: synonyms.Table) -> BeforeValidator:
    """Our name for a synonym; a word that we do not know stays as it is, and will match nothing."""

    def name(value: object) -> object:
        return synonyms.canonical(table, value) or clean(value) if isinstance(value, str) else value

    return BeforeValidator(name)


def _plain_color(value: object) -> object:
    """The family of a paint, since that is what is searched by; what is said of the search is then true."""
    return synonyms.color_family(value) or clean(value) if isinstance(value, str) else value


def _listed(value: object) -> object:
    """Features as a list, or as one text with commas."""
    return [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Wanted = Annotated[str, StringConstraints(min_length=1, max_length=60)]
Amount = Annotated[int, BeforeValidator(_number), Field(ge=0, le=10_000_000)]


class SearchQuery(BaseModel):
    """What is looked for; None and () leave it open. Prices in dollars, `max_mileage` in miles; bounds are inclusive.

    Lenient towards who fills it in, which may be a model: synonyms become our names, and an empty value is none.
    `text` is free text: every word of it must be somewhere in a vehicle's row.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    make: Annotated[Wanted, _named(synonyms.MAKES)] | None = None
    model: Words | None = None
    body_style: Annotated[Wanted, _named(synonyms.BODY_STYLES)] | None = None
    fuel_type: Annotated[Wanted, _named(synonyms.FUEL_TYPES)] | None = None
    color: Annotated[Wanted, BeforeValidator(_plain_color)] | None = None
    condition: Annotated[Wanted, _named(synonyms.CONDITIONS)] | None = None
    min_price: Amount | None = None
    max_price: Amount | None = None
    min_year: Amount | None = None
    max_year: Amount | None = None
    max_mileage: Amount | None = None
    min_seats: Amount | None = None
    features: Annotated[Features, BeforeValidator(_listed)] = ()
    text: Annotated[str, BeforeValidator(_cleaned), StringConstraints(min_length=1, max_length=200)] | None = None
    sort: Sort = "best"
    limit: Annotated[int, BeforeValidator(_number), Field(ge=1, le=MAX_LIMIT)] = 5

    @model_validator(mode="before")
    @classmethod
    def _without_empties(cls, values: Any) -> Any:
        """A model fills in every argument that it knows, with null or an empty text where it has nothing to say."""
        if not isinstance(values, Mapping):
            return values
        return {name: value for name, value in values.items() if value is not None and not _blank(value)}

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        for low, high in (("min_price", "max_price"), ("min_year", "max_year")):
            least, most = getattr(self, low), getattr(self, high)
            if least is not None and most is not None and least > most:
                raise ValueError(f"{low} is {least} and {high} is {most}: no vehicle can be between them")
        return self


def _blank(value: object) -> bool:
    return isinstance(value, str) and not clean(value)


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of a search: how many vehicles match in all, and the best `query.limit` of them, best first."""

    count: int
    vehicles: tuple[Vehicle, ...]
    query: SearchQuery


@dataclass(frozen=True, slots=True)
class Total:
    """The stock that is available: how many vehicles, from which price to which, in dollars (0 where there is none)."""

    count: int
    lowest_price: int
    highest_price: int
