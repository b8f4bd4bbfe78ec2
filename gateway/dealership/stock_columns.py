"""The columns of a stock file: by which names they are known, and how each cell is read.

Pure. The names are those of the fields of `Vehicle` and what the exports of dealers' systems call them, compared
without case, spaces and punctuation. A cell that cannot be read raises ValueError, in words that follow its place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.dealership import amounts, synonyms
from gateway.dealership.spelling import clean, key, squash

MAX_SHOWN = 40
"""Characters of a bad cell that are repeated in its error."""


@dataclass(frozen=True, slots=True)
class Column:
    """`read` makes a cell that is not empty the value of the field."""

    field: str
    headers: tuple[str, ...]
    read: Callable[[str], Any]
    required: bool = False


def shown(cell: str) -> str:
    """A bad cell in quotes, as an error repeats it."""
    text = clean(cell)
    return repr(text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…")


def _whole(unit: str) -> Callable[[str], int]:
    def read(cell: str) -> int:
        try:
            return amounts.written(cell)
        except ValueError:
            raise ValueError(f"{shown(cell)} is not a whole number of {unit}") from None

    return read


def _one_of(table: Mapping[str, str], **codes: str) -> Callable[[str], str]:
    """`codes` are short forms that a file may use and nobody says."""

    def read(cell: str) -> str:
        name = synonyms.canonical(table, cell) or codes.get(key(cell))
        if name is None:
            raise ValueError(f"{shown(cell)} is not one of {', '.join(dict.fromkeys(table.values()))}")
        return name

    return read


def _make(cell: str) -> str:
    return synonyms.canonical(synonyms.MAKES, cell) or clean(cell)


def _features(cell: str) -> tuple[str, ...]:
    """Separated by bars or semicolons; by commas where there is neither."""
    separator = next((sign for sign in "|;" if sign in cell), ",")
    return tuple(part for part in map(clean, cell.split(separator)) if part)


_STATUSES: Final = {
    **dict.fromkeys(("available", "in stock", "instock", "active"), "available"),
    **dict.fromkeys(("pending", "hold", "on hold", "reserved", "sale pending"), "pending"),
    **dict.fromkeys(("sold", "delivered"), "sold"),
}
_condition = _one_of(synonyms.CONDITIONS, n="new", u="used", c="certified")
_transmission = _one_of(synonyms.TRANSMISSIONS, a="automatic", m="manual", standard="manual")
_drivetrain = _one_of(synonyms.DRIVETRAINS)

COLUMNS: Final = (
    Column("stock_number", ("stock", "stock #", "stock no", "stock num", "stk", "stk #"), clean, required=True),
    Column("vin", ("vin number", "vehicle identification number"), clean),
    Column("condition", ("new/used", "type", "vehicle type", "new used"), _condition, required=True),
    Column("year", ("model year", "yr"), _whole("years"), required=True),
    Column("make", ("manufacturer", "brand"), _make, required=True),
    Column("model", ("model name",), clean, required=True),
    Column("trim", ("trim level", "series"), clean),
    Column("body_style", ("body", "body type", "style"), _one_of(synonyms.BODY_STYLES), required=True),
    Column("fuel_type", ("fuel", "engine fuel"), _one_of(synonyms.FUEL_TYPES), required=True),
    Column("transmission", ("trans", "gearbox"), _transmission, required=True),
    Column(
        "drivetrain",
        ("drive", "drive train", "drive type", "wheel drive"),
        _one_of(synonyms.DRIVETRAINS),
        required=True,
    ),
    Column("engine", ("engine description",), clean),
    Column("exterior_color", ("exterior", "ext color", "color", "colour", "exterior colour"), clean, required=True),
    Column("interior_color", ("interior", "int color", "interior colour"), clean),
    Column("mileage", ("odometer", "miles", "odometer reading"), _whole("miles"), required=True),
    Column("price", ("selling price", "internet price", "list price"), _whole("dollars"), required=True),
    Column("doors", ("door count", "number of doors"), _whole("doors")),
    Column("seats", ("seating", "passengers", "passenger capacity", "seating capacity"), _whole("seats")),
    Column("mpg_city", ("city mpg", "epa city"), _whole("miles per gallon")),
    Column("mpg_highway", ("highway mpg", "hwy mpg", "mpg hwy", "epa highway"), _whole("miles per gallon")),
    Column("range_miles", ("range", "electric range", "ev range"), _whole("miles")),
    Column("features", ("options", "equipment", "feature list"), _features),
    Column("description", ("comments", "notes", "vehicle description"), clean),
    Column("status", ("availability", "stock status"), _one_of(_STATUSES)),
)

BY_HEADER: Final[Mapping[str, Column]] = {
    squash(header): column for column in COLUMNS for header in (column.field, *column.headers)
}
REQUIRED: Final = tuple(column.field for column in COLUMNS if column.required)
