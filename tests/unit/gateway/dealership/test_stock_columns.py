"""The columns of a stock file: their names, and how a cell is read or refused."""

import pytest

from gateway.dealership.spelling import squash
from gateway.dealership.stock_columns import BY_HEADER, COLUMNS, REQUIRED, shown
from gateway.dealership.vehicle import Vehicle


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Stock #", "stock_number"),
        ("STOCK", "stock_number"),
        ("stock_number", "stock_number"),
        ("Exterior Color", "exterior_color"),
        ("Colour", "exterior_color"),
        ("Odometer", "mileage"),
        ("Body Type", "body_style"),
        ("New/Used", "condition"),
        ("Options", "features"),
        ("Hwy MPG", "mpg_highway"),
    ],
)
def test_a_header_is_known_in_any_spelling(header: str, field: str) -> None:
    assert BY_HEADER[squash(header)].field == field


def test_every_field_of_a_vehicle_has_its_column() -> None:
    assert [column.field for column in COLUMNS] == list(Vehicle.model_fields)
    assert set(REQUIRED) == {name for name, field in Vehicle.model_fields.items() if field.is_required()}


def test_no_header_names_two_columns() -> None:
    headers = {column.field: {squash(header) for header in (column.field, *column.headers)} for column in COLUMNS}
    assert sum(map(len, headers.values())) == len(BY_HEADER)


@pytest.mark.parametrize(
    ("header", "cell", "value"),
    [
        ("price", "$31,980", 31_980),
        ("mileage", "12,345 mi", 12_345),
        ("make", "chevy", "Chevrolet"),
        ("make", " Lada ", "Lada"),
        ("body", "Sport Utility", "SUV"),
        ("fuel", "Gasoline", "gas"),
        ("condition", "U", "used"),
        ("condition", "CPO", "certified"),
        ("trans", "A", "automatic"),
        ("trans", "Standard", "manual"),
        ("drive", "4x4", "4WD"),
        ("status", "In Stock", "available"),
        ("status", "on hold", "pending"),
        ("features", "AWD | sunroof|", ("AWD", "sunroof")),
        ("features", "AWD; sunroof, large", ("AWD", "sunroof, large")),
        ("features", "AWD, sunroof", ("AWD", "sunroof")),
        ("description", "One\nowner.", "One owner."),
    ],
)
def test_a_cell_is_read(header: str, cell: str, value: object) -> None:
    assert BY_HEADER[squash(header)].read(cell) == value


@pytest.mark.parametrize(
    ("header", "cell", "why"),
    [
        ("price", "abc", "'abc' is not a whole number of dollars"),
        ("mileage", "12.5", "'12.5' is not a whole number of miles"),
        ("year", "'23", '"\'23" is not a whole number of years'),
        ("fuel", "coal", "'coal' is not one of gas, hybrid, plug-in hybrid, electric, diesel"),
        ("status", "stolen", "'stolen' is not one of available, pending, sold"),
        ("price", "x" * 50, f"'{'x' * 40}…' is not a whole number of dollars"),
    ],
)
def test_a_cell_that_cannot_be_read_is_refused_in_words(header: str, cell: str, why: str) -> None:
    with pytest.raises(ValueError, match="is not") as refused:
        BY_HEADER[squash(header)].read(cell)
    assert str(refused.value) == why


def test_a_bad_cell_is_repeated_without_what_nobody_can_see() -> None:
    assert shown("a\x1b[31mb\n\u202ec") == "'a [31mb c'"
