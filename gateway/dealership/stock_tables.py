"""The tables of the stock, and how a vehicle becomes rows and a row a vehicle.

Beside what a vehicle is, its row holds what it is searched by (`make_key`, `model_names`, `color_family`), worked out
when it is written, so that a search compares plain values. Portable: nothing in here is SQLite's alone.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    select,
)

from gateway.dealership.spelling import key, squash
from gateway.dealership.synonyms import color_family
from gateway.dealership.vehicle import Vehicle

METADATA = MetaData()

VEHICLES = Table(
    "vehicles",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("stock_number", String(20), nullable=False, unique=True),
    Column("vin", String(17), unique=True),
    Column("condition", String(10), nullable=False),
    Column("year", Integer, nullable=False),
    Column("make", String(60), nullable=False),
    Column("model", String(60), nullable=False),
    Column("trim", String(60)),
    Column("body_style", String(20), nullable=False),
    Column("fuel_type", String(20), nullable=False),
    Column("transmission", String(20), nullable=False),
    Column("drivetrain", String(10), nullable=False),
    Column("engine", String(60)),
    Column("exterior_color", String(60), nullable=False),
    Column("interior_color", String(60)),
    Column("mileage", Integer, nullable=False),
    Column("price", Integer, nullable=False),
    Column("doors", Integer),
    Column("seats", Integer),
    Column("mpg_city", Integer),
    Column("mpg_highway", Integer),
    Column("range_miles", Integer),
    Column("features", JSON, nullable=False),
    Column("description", Text, nullable=False),
    Column("status", String(10), nullable=False),
    Column("make_key", String(60), nullable=False),
    Column("model_names", String(400), nullable=False),
    Column("color_family", String(60), nullable=False),
)
VEHICLES_SEARCH = Index(
    "vehicles_search",
    *(VEHICLES.c.status, VEHICLES.c.year.desc(), VEHICLES.c.mileage, VEHICLES.c.price, VEHICLES.c.stock_number),
    *(VEHICLES.c.make_key, VEHICLES.c.body_style, VEHICLES.c.fuel_type, VEHICLES.c.color_family),
    *(VEHICLES.c.condition, VEHICLES.c.seats, VEHICLES.c.model_names),
)
"""All that a search compares, in the order in which the best come first: matches are counted without a look at the
table, and the best few are the first that are met."""

FEATURES = Table(
    "features",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(60), nullable=False, unique=True),
)
"""The names of the features that the stock has; which vehicles have them, `full_text` knows."""

VERSION = Table(
    "inventory_version",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
)
"""One row: how often the stock has changed."""

VEHICLE_COLUMNS = [VEHICLES.c[name] for name in Vehicle.model_fields]


def row_of(vehicle: Vehicle) -> dict[str, Any]:
    """The row of VEHICLES, without its id."""
    return vehicle.model_dump(mode="json") | {
        "make_key": squash(vehicle.make),
        "model_names": f" {' '.join(model_names(vehicle.model))} ",
        "color_family": color_family(vehicle.exterior_color) or key(vehicle.exterior_color),
    }


def vehicle_of(row: RowMapping) -> Vehicle:
    """From a row that has VEHICLE_COLUMNS, and perhaps more. It was checked when it was written, and is not again."""
    values = {name: row[name] for name in Vehicle.model_fields}
    return Vehicle.model_construct(**values | {"features": tuple(values["features"])})


def version_of(connection: Connection) -> int:
    """How often the stock has changed; 0 before the first import."""
    return connection.scalar(select(VERSION.c.version)) or 0


def model_names(model: str) -> list[str]:
    """What a model answers to, squashed: "F-150 Lightning" to "f", "f150" and "f150lightning", not to "lightning"."""
    words = key(model).split()
    return ["".join(words[:count]) for count in range(1, len(words) + 1)]


def feature_names(vehicle: Vehicle) -> set[str]:
    """The keys of what it has: its features, and the drivetrain and transmission, which customers ask for as such."""
    return {name for text in (*vehicle.features, vehicle.drivetrain, vehicle.transmission) if (name := key(text))}


def search_words(vehicle: Vehicle) -> str:
    """All the words that free text may find it by. A model is there squashed too: "CRV" finds a CR-V."""
    own = (vehicle.stock_number, vehicle.vin, vehicle.name, *model_names(vehicle.model), vehicle.description)
    kind = (vehicle.condition, vehicle.body_style, vehicle.fuel_type, vehicle.transmission, vehicle.drivetrain)
    look = (vehicle.engine, vehicle.exterior_color, vehicle.interior_color, *vehicle.features)
    return " ".join(filter(None, (*own, *kind, *look)))
