"""The stock as the gateway asks it: search, look-up, version and vocabulary, also while another process changes it."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from gateway.dealership.inventory import LOOK_AGAIN_S, Inventory
from gateway.dealership.stock_change import Change, StockConflict
from gateway.dealership.vehicle import SearchQuery, Total
from gateway.ports import StoreFailed
from gateway.stores.database import Database
from tests.unit.gateway.dealership.cars import car

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/stock.db")
    yield database
    database.close()


@pytest.fixture
def elsewhere(database: Database, tmp_path: Path) -> Iterator[Inventory]:
    """The same stock in another process, as far as a file can tell."""
    other = Database(f"sqlite:///{tmp_path}/stock.db")
    yield Inventory(other)
    other.close()


async def test_an_empty_stock_has_nothing(database: Database) -> None:
    inventory = Inventory(database)
    assert await inventory.search(SearchQuery()) is not None
    assert (await inventory.search(SearchQuery())).count == 0
    assert await inventory.total() == Total(0, 0, 0)
    assert await inventory.get("A1") is None
    assert inventory.version() == 0


async def test_what_is_put_in_is_found(database: Database) -> None:
    inventory = Inventory(database)
    assert await inventory.upsert(car(number) for number in ("A1", "A2")) == Change(2, 0, 0, 1)
    found = await inventory.search(SearchQuery(make="Honda"))
    assert (found.count, found.vehicles) == (2, (car("A1"), car("A2")))


@pytest.mark.parametrize("number", ["A1", "a1", " a1\u200b "])
async def test_a_vehicle_is_got_by_its_number_in_any_case_and_whatever_its_status(
    database: Database, number: str
) -> None:
    inventory = Inventory(database)
    await inventory.replace_all([car("A1", status="sold")])
    assert await inventory.get(number) == car("A1", status="sold")


@pytest.mark.parametrize("number", ["A%", "A", "' OR 1=1 --", "", "x" * 10_000])
async def test_a_number_that_there_is_not_gets_nothing(database: Database, number: str) -> None:
    inventory = Inventory(database)
    await inventory.replace_all([car("A1")])
    assert await inventory.get(number) is None


async def test_the_total_is_of_what_can_be_bought(database: Database) -> None:
    inventory = Inventory(database)
    await inventory.upsert([car("A1", price=20_000), car("A2", price=30_000), car("A3", price=5, status="sold")])
    assert await inventory.total() == Total(2, 20_000, 30_000)


async def test_a_change_raises_the_version_once_and_one_that_changes_nothing_does_not(database: Database) -> None:
    inventory = Inventory(database)
    await inventory.replace_all([car("A1"), car("A2")])
    assert inventory.version() == 1
    await inventory.upsert([car("A1")])
    await inventory.upsert([car("A1", price=5)], dry_run=True)
    assert inventory.version() == 1
    assert (await inventory.replace_all([car("A3")], dry_run=True)) == Change(1, 0, 2, 1)
    await inventory.replace_all([car("A1")])
    assert inventory.version() == 2
    assert Inventory(database).version() == 2


async def test_a_refused_change_changes_nothing(database: Database) -> None:
    inventory = Inventory(database)
    with pytest.raises(StockConflict):
        await inventory.upsert([car("A1"), car("A1")])
    assert inventory.version() == 0
    assert await inventory.get("A1") is None


async def test_a_change_elsewhere_is_noticed_when_it_is_time_to_look(database: Database, elsewhere: Inventory) -> None:
    inventory, now = Inventory(database), 1000.0
    assert await inventory.current_version(now) == 0
    await elsewhere.upsert([car("A1")])
    assert await inventory.current_version(now + LOOK_AGAIN_S - 0.01) == 0
    assert await inventory.current_version(now + LOOK_AGAIN_S) == 1
    assert inventory.version() == 1
    await elsewhere.upsert([car("A2")])
    assert inventory.version() == 1
    assert await inventory.refresh() == 2


async def test_the_first_look_is_made_at_once_whatever_the_clock_says(database: Database, elsewhere: Inventory) -> None:
    inventory = Inventory(database)
    await elsewhere.upsert([car("A1")])
    assert await inventory.current_version(-5.0) == 1


async def test_the_vocabulary_is_that_of_the_stock_sold_vehicles_included(
    database: Database, elsewhere: Inventory
) -> None:
    inventory = Inventory(database)
    assert (await inventory.vocabulary()).makes == ()
    await inventory.upsert([car("A1", features=["Wings"]), car("A2", make="Lada", status="sold")])
    vocabulary = await inventory.vocabulary()
    assert vocabulary.makes == ("Honda", "Lada")
    assert vocabulary.features == ("awd", "cvt", "wings")
    assert vocabulary.stock_numbers == {"A1", "A2"}
    assert await inventory.vocabulary() is vocabulary, "it is read once for each version"
    await elsewhere.upsert([car("A3", make="Saab")])
    await inventory.refresh()
    assert "Saab" in (await inventory.vocabulary()).makes


async def test_searches_and_changes_at_the_same_time_see_a_whole_stock(database: Database) -> None:
    inventory = Inventory(database)
    old, new = [car(f"A{n}") for n in range(30)], [car(f"B{n}") for n in range(40)]
    await inventory.replace_all(old)
    counts: set[int] = set()

    async def look() -> None:
        for _ in range(20):
            counts.add((await inventory.search(SearchQuery(text="honda"))).count)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look)
        for _ in range(3):
            await inventory.replace_all(new)
            await inventory.replace_all(old)
    assert counts <= {30, 40}
    assert inventory.version() == 7


async def test_a_stock_that_cannot_be_read_is_told_as_such_and_the_last_version_stays(database: Database) -> None:
    inventory = Inventory(database)
    await inventory.upsert([car("A1")])
    for table in ("vehicles", "inventory_version"):
        database.write_now(lambda connection, table=table: connection.exec_driver_sql(f"DROP TABLE {table}"))
    for ask in (
        inventory.total,
        inventory.refresh,
        lambda: inventory.get("A1"),
        lambda: inventory.search(SearchQuery()),
    ):
        with pytest.raises(StoreFailed):
            await ask()
    with pytest.raises(StoreFailed):
        await inventory.current_version(1000.0)
    assert await inventory.current_version(1000.5) == 1
