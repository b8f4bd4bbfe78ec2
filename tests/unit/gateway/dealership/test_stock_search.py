"""What a search finds in the stock, in which order, and that a value is never a command."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from gateway.dealership import full_text
from gateway.dealership.stock_change import apply
from gateway.dealership.stock_search import search
from gateway.dealership.stock_tables import METADATA, VEHICLES
from gateway.dealership.vehicle import Found, SearchQuery, Vehicle
from gateway.stores.database import Database
from tests.unit.gateway.dealership.cars import car

STOCK = (
    car("A1", make="Toyota", model="RAV4", year=2024, mileage=9_000, price=36_000, exterior_color="Magnetic Gray"),
    car("A2", make="Toyota", model="RAV4 Prime", fuel_type="plug-in hybrid", year=2024, mileage=8_000, price=41_000),
    car("A3", model="CR-V", year=2022, price=30_000, features=["Heated front seats", "Sunroof"]),
    car(
        "A4", body_style="minivan", fuel_type="gas", drivetrain="FWD", seats=8, year=2021, price=28_000, model="Odyssey"
    ),
    car("A5", make="Mazda", model="Mazda3", fuel_type="gas", drivetrain="FWD", body_style="sedan", seats=None),
    car("A6", make="Land Rover", model="Defender", fuel_type="diesel", condition="certified", description="Off road."),
    car("S1", status="sold", features=["Unicorn horn"], description="Sold to a wizard."),
    car("P1", status="pending"),
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('stock')}/stock.db")
    database.create(METADATA)
    database.write_now(full_text.create)
    database.write_now(lambda connection: apply(connection, STOCK, keep_others=False, dry_run=False))
    yield database
    database.close()


def ask(database: Database, **values: object) -> Found:
    query = SearchQuery.model_validate(values)
    found = database.read_now(lambda connection: search(connection, query))
    assert found.query == query
    return found


def numbers(database: Database, **values: object) -> set[str]:
    found = ask(database, limit=20, **values)
    assert found.count == len(found.vehicles)
    return {vehicle.stock_number for vehicle in found.vehicles}


AVAILABLE = {"A1", "A2", "A3", "A4", "A5", "A6"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, AVAILABLE),
        ({"make": "toyota"}, {"A1", "A2"}),
        ({"make": "landrover"}, {"A6"}),
        ({"make": "Lada"}, set()),
        ({"model": "rav4"}, {"A1", "A2"}),
        ({"model": "RAV4 Prime"}, {"A2"}),
        ({"model": "Prime"}, set()),
        ({"model": "crv"}, {"A3"}),
        ({"make": "Toyota", "model": "Toyota RAV4"}, {"A1", "A2"}),
        ({"make": "Mazda", "model": "Mazda3"}, {"A5"}),
        ({"make": "Mazda", "model": "Mazda 3"}, {"A5"}),
        ({"make": "Mazda", "model": "Mazda"}, set()),
        ({"model": "%"}, set()),
        ({"model": "_"}, set()),
        ({"body_style": "suv"}, {"A1", "A2", "A3", "A6"}),
        ({"body_style": "van"}, {"A4"}),
        ({"body_style": "spaceship"}, set()),
        ({"fuel_type": "hybrid"}, {"A1", "A2", "A3"}),
        ({"fuel_type": "phev"}, {"A2"}),
        ({"condition": "used"}, AVAILABLE),
        ({"condition": "certified"}, {"A6"}),
        ({"condition": "new"}, set()),
        ({"color": "grey"}, {"A1"}),
        ({"min_price": 30_000, "max_price": 36_000}, {"A1", "A3", "A5", "A6"}),
        ({"max_price": 28_000}, {"A4"}),
        ({"min_year": 2024}, {"A1", "A2"}),
        ({"max_year": 2021}, {"A4"}),
        ({"max_mileage": 8_000}, {"A2"}),
        ({"min_seats": 6}, {"A4"}),
        ({"features": ["heated seats"]}, {"A3"}),
        ({"features": ["moonroof", "awd"]}, {"A3"}),
        ({"features": ["all-wheel drive"]}, {"A1", "A2", "A3", "A6"}),
        ({"features": ["front wheel drive"]}, {"A4", "A5"}),
        ({"features": ["wings"]}, set()),
        ({"features": ["?"]}, set()),
        ({"features": ["sunroof", "wings"]}, set()),
        ({"features": ["sunroof"], "make": "Toyota"}, set()),
        ({"text": "off road"}, {"A6"}),
        ({"text": "a3"}, {"A3"}),
        ({"text": "hybrid toyota"}, {"A1", "A2"}),
        ({"text": "hybrid toyota", "max_price": 40_000}, {"A1"}),
        ({"text": "***"}, AVAILABLE),
        ({"text": "wizard"}, set()),
        ({"features": ["unicorn horn"]}, set()),
    ],
)
def test_a_search_finds_what_matches_and_nothing_else(
    database: Database, values: dict[str, object], expected: set[str]
) -> None:
    assert numbers(database, **values) == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("best", ["A2", "A1", "A5", "A6", "A3", "A4"]),
        ("year", ["A2", "A1", "A5", "A6", "A3", "A4"]),
        ("price", ["A4", "A3", "A5", "A6", "A1", "A2"]),
        ("mileage", ["A2", "A1", "A4", "A3", "A5", "A6"]),
    ],
)
def test_an_order_is_the_same_every_time(database: Database, sort: str, expected: list[str]) -> None:
    found = ask(database, sort=sort, limit=20)
    assert [vehicle.stock_number for vehicle in found.vehicles] == expected


def test_all_are_counted_and_the_best_are_shown(database: Database) -> None:
    found = ask(database, limit=2)
    assert (found.count, [vehicle.stock_number for vehicle in found.vehicles]) == (6, ["A2", "A1"])
    found = ask(database, text="honda", limit=1)
    assert (found.count, len(found.vehicles)) == (2, 1)


def test_what_is_found_is_the_vehicle_as_it_was_put_in(database: Database) -> None:
    assert ask(database, text="A3").vehicles == (STOCK[2],)


HOSTILE = (
    '"; DROP TABLE vehicles; --',
    "' OR 1=1 --",
    "NEAR(toyota rav4, 2)",
    'toyota" OR "honda',
    "%",
    "*",
    "\\",
    "vehicles.id",
)


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "field", ["make", "model", "body_style", "fuel_type", "color", "condition", "features", "text"]
)
def test_a_value_is_never_a_command(database: Database, field: str, value: str) -> None:
    expected = AVAILABLE if field == "text" and value in ("%", "*", "\\") else set()
    assert numbers(database, **{field: value}) == expected
    assert database.read_now(lambda c: c.scalar(select(func.count()).select_from(VEHICLES))) == len(STOCK)


QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "make": st.sampled_from(["Toyota", "honda", "x"]),
        "fuel_type": st.sampled_from(["gas", "hybrid", "diesel"]),
        "min_price": st.integers(27_000, 36_000),
        "max_year": st.integers(2020, 2024),
        "max_mileage": st.integers(8_000, 20_000),
        "min_seats": st.integers(4, 8),
        "text": st.sampled_from(["hybrid", "used honda"]),
        "features": st.sampled_from([["awd"], ["sunroof"]]),
    },
)


def matches(vehicle: Vehicle, query: SearchQuery) -> bool:
    """What a search should find, said in another way."""
    fuels = ("hybrid", "plug-in hybrid") if query.fuel_type == "hybrid" else (query.fuel_type,)
    words = (query.text or "").split()
    features = {name.casefold() for name in (*vehicle.features, vehicle.drivetrain)}
    return all(
        (
            vehicle.status == "available",
            query.make is None or vehicle.make.casefold() == query.make.casefold(),
            query.fuel_type is None or vehicle.fuel_type in fuels,
            query.min_price is None or vehicle.price >= query.min_price,
            query.max_year is None or vehicle.year <= query.max_year,
            query.max_mileage is None or vehicle.mileage <= query.max_mileage,
            query.min_seats is None or (vehicle.seats or 0) >= query.min_seats,
            all(word in f"{vehicle.name} {vehicle.fuel_type} {vehicle.condition}".casefold() for word in words),
            features.issuperset(query.features),
        )
    )


@given(QUERIES)
def test_a_search_finds_what_a_look_at_every_vehicle_would(database: Database, values: dict[str, object]) -> None:
    query = SearchQuery.model_validate(values)
    assert numbers(database, **values) == {v.stock_number for v in STOCK if matches(v, query)}
