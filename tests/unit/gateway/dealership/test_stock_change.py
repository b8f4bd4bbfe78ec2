"""A change of the stock: what it counts, what it leaves, what it refuses, and when the version rises."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from gateway.dealership import full_text, stock_change
from gateway.dealership.stock_change import Change, StockConflict
from gateway.dealership.stock_tables import FEATURES, METADATA, VEHICLE_COLUMNS, VEHICLES, vehicle_of, version_of
from gateway.dealership.vehicle import Vehicle
from gateway.stores.database import Database
from tests.unit.gateway.dealership.cars import VIN, car

OTHER_VIN = "1" * 17


class Stock:
    """A stock in a file, changed and looked at."""

    def __init__(self, path: Path) -> None:
        self.database = Database(f"sqlite:///{path}")
        self.database.create(METADATA)
        self.database.write_now(full_text.create)

    def change(self, *vehicles: Vehicle, keep_others: bool = True, dry_run: bool = False) -> Change:
        def work(connection: Connection) -> Change:
            return stock_change.apply(connection, vehicles, keep_others=keep_others, dry_run=dry_run)

        return self.database.write_now(work)

    def vehicles(self) -> dict[str, Vehicle]:
        ask = select(*VEHICLE_COLUMNS).order_by(VEHICLES.c.stock_number)
        found = self.database.read_now(lambda c: [vehicle_of(row) for row in c.execute(ask).mappings()])
        return {vehicle.stock_number: vehicle for vehicle in found}

    def version(self) -> int:
        return self.database.read_now(version_of)

    def features(self) -> dict[str, int]:
        return self.database.read_now(lambda c: {row.name: row.id for row in c.execute(select(FEATURES))})

    def having(self, word: str) -> int:
        found = full_text.having([word], [])
        return len(self.database.read_now(lambda c: list(c.scalars(found))))


@pytest.fixture
def stock(tmp_path: Path) -> Iterator[Stock]:
    stock = Stock(tmp_path / "stock.db")
    yield stock
    stock.database.close()


def test_new_vehicles_are_added_in_one_version(stock: Stock) -> None:
    assert stock.change(car("A1"), car("A2")) == Change(added=2, changed=0, removed=0, version=1)
    assert stock.vehicles() == {"A1": car("A1"), "A2": car("A2")}
    assert stock.version() == 1


def test_a_vehicle_takes_the_place_of_the_one_with_its_number(stock: Stock) -> None:
    stock.change(car("A1", description="old"), car("A2"))
    assert stock.change(car("A1", description="fresh"), car("A3")) == Change(1, 1, 0, 2)
    assert stock.vehicles() == {"A1": car("A1", description="fresh"), "A2": car("A2"), "A3": car("A3")}
    assert (stock.having("old"), stock.having("fresh")) == (0, 1)


def test_the_whole_stock_leaves_out_what_is_not_listed(stock: Stock) -> None:
    stock.change(car("A1"), car("A2"))
    assert stock.change(car("A2"), car("A3"), keep_others=False) == Change(1, 0, 1, 2)
    assert set(stock.vehicles()) == {"A2", "A3"}
    assert stock.having("a1") == 0


@pytest.mark.parametrize("keep_others", [True, False])
def test_nothing_new_is_no_change_and_no_version(stock: Stock, keep_others: bool) -> None:
    stock.change(car("A1"))
    change = stock.change(car("A1"), keep_others=keep_others)
    assert not change
    assert change == Change(0, 0, 0, 1)
    assert stock.version() == 1


def test_nothing_at_all_can_be_added_or_left(stock: Stock) -> None:
    assert not stock.change()
    stock.change(car("A1"))
    assert stock.change(keep_others=False) == Change(0, 0, 1, 2)
    assert stock.vehicles() == {}
    assert stock.features() == {}


def test_a_dry_run_tells_what_would_be_and_changes_nothing(stock: Stock) -> None:
    stock.change(car("A1"), car("A2"))
    change = stock.change(car("A2", price=5), car("A3"), keep_others=False, dry_run=True)
    assert change == Change(1, 1, 1, 1)
    assert stock.vehicles() == {"A1": car("A1"), "A2": car("A2")}


def test_features_are_those_of_the_stock_and_keep_their_ids(stock: Stock) -> None:
    stock.change(car("A1", features=["Sunroof", "Wings"]))
    before = stock.features()
    assert set(before) == {"sunroof", "wings", "awd", "cvt"}
    stock.change(car("A1", features=["sunroof", "Tow package"]))
    after = stock.features()
    assert set(after) == {"sunroof", "tow package", "awd", "cvt"}
    assert after["sunroof"] == before["sunroof"]


def test_only_what_is_available_is_in_the_index(stock: Stock) -> None:
    stock.change(car("A1"), car("A2", status="sold"), car("A3", status="pending"))
    assert stock.having("honda") == 1
    stock.change(car("A1", status="sold"), car("A2"), car("A3"))
    assert stock.having("honda") == 2


def test_many_vehicles_are_removed_at_once(stock: Stock) -> None:
    stock.change(*(car(f"B{number}") for number in range(stock_change.CHUNK + 1)))
    assert stock.change(car("A1"), keep_others=False).removed == stock_change.CHUNK + 1
    assert set(stock.vehicles()) == {"A1"}


# ---- what is refused


def test_two_vehicles_with_one_stock_number_are_refused(stock: Stock) -> None:
    with pytest.raises(StockConflict, match=r"^stock number given twice: A1, A2$"):
        stock.change(car("A2"), car("A1"), car("a1", price=5), car("A2"), car("A3"))
    assert stock.vehicles() == {}


def test_two_vehicles_with_one_vin_are_refused_also_when_one_is_in_stock_already(stock: Stock) -> None:
    stock.change(car("A1", vin=VIN))
    with pytest.raises(StockConflict, match=f"^VIN used twice: {OTHER_VIN} by A3 and A4; {VIN} by A1 and A2$"):
        stock.change(car("A2", vin=VIN), car("A4", vin=OTHER_VIN), car("A3", vin=OTHER_VIN))
    assert set(stock.vehicles()) == {"A1"}
    assert stock.version() == 1


def test_a_vin_may_move_to_another_stock_number(stock: Stock) -> None:
    stock.change(car("A1", vin=VIN), car("A2", vin=OTHER_VIN))
    assert stock.change(car("A1", vin=OTHER_VIN), car("A2", vin=VIN)).changed == 2
    assert stock.change(car("A3", vin=VIN), keep_others=False) == Change(1, 0, 2, 3)
