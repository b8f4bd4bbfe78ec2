"""A vehicle as a row, and what it is searched by."""

from pathlib import Path

import pytest
from sqlalchemy import insert, select

from gateway.dealership.stock_tables import (
    METADATA,
    VEHICLE_COLUMNS,
    VEHICLES,
    VERSION,
    feature_names,
    model_names,
    row_of,
    search_words,
    vehicle_of,
    version_of,
)
from gateway.dealership.vehicle import Vehicle
from gateway.stores.database import Database
from tests.unit.gateway.dealership.cars import VIN, car

FULL = car(
    vin=VIN,
    engine="2.0L I4 hybrid",
    interior_color="black",
    doors=4,
    mpg_city=40,
    mpg_highway=34,
    range_miles=30,
    features=["heated seats", "sunroof"],
    description="One owner.",
    status="pending",
)


@pytest.mark.parametrize("vehicle", [FULL, car(trim=None, seats=None)])
def test_a_vehicle_comes_back_from_its_row_as_it_was(tmp_path: Path, vehicle: Vehicle) -> None:
    database = Database(f"sqlite:///{tmp_path}/stock.db")
    try:
        database.create(METADATA)
        database.write_now(lambda connection: connection.execute(insert(VEHICLES), [row_of(vehicle)]))
        row = database.read_now(lambda c: c.execute(select(VEHICLES.c.id, *VEHICLE_COLUMNS)).mappings().one())
    finally:
        database.close()
    assert vehicle_of(row) == vehicle


def test_the_version_is_nought_before_the_first_import(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/stock.db")
    try:
        database.create(METADATA)
        assert database.read_now(version_of) == 0
        database.write_now(lambda connection: connection.execute(insert(VERSION).values(id=1, version=7)))
        assert database.read_now(version_of) == 7
    finally:
        database.close()


def test_a_row_has_what_it_is_searched_by() -> None:
    row = row_of(car(make="Land Rover", model="F-150 Lightning", exterior_color="Magnetic Gray Metallic"))
    assert row["make_key"] == "landrover"
    assert row["model_names"] == " f f150 f150lightning "
    assert row["color_family"] == "gray"
    assert row_of(car(exterior_color="Lunar Rock"))["color_family"] == "lunar rock"


def test_a_model_answers_to_its_first_words() -> None:
    assert model_names("Silverado 1500") == ["silverado", "silverado1500"]


def test_drivetrain_and_transmission_are_features_too() -> None:
    assert feature_names(car(features=["Heated Seats", "?"])) == {"heated seats", "awd", "cvt"}


def test_all_words_of_a_vehicle_are_searched() -> None:
    words = search_words(FULL).split()
    assert {"H4821", VIN, "2023", "CR-V", "crv", "EX-L", "owner.", "used", "hybrid", "sunroof", "black"} <= set(words)
