"""The stock in the database: searched, read, and changed as a whole.

A change raises the stock's version, and the version is part of the cache's key, so an answer about the old stock is
never given again. Another process may have changed it: `current_version` notices within a second. Every method but the
constructor and `version` raises StoreFailed, and is safe to cancel.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, func, select

from gateway.dealership import full_text, stock_change
from gateway.dealership.spelling import clean
from gateway.dealership.stock_change import Change
from gateway.dealership.stock_search import AVAILABLE, search
from gateway.dealership.stock_tables import FEATURES, METADATA, VEHICLE_COLUMNS, VEHICLES, vehicle_of, version_of
from gateway.dealership.vehicle import Found, SearchQuery, Total, Vehicle
from gateway.dealership.vocabulary import Vocabulary
from gateway.stores.database import Database

LOOK_AGAIN_S = 1.0
"""How long a change by another process may go unnoticed."""


class Inventory:
    """The stock in `database`. Making one creates the tables; raises StoreFailed."""

    def __init__(self, database: Database) -> None:
        database.create(METADATA)
        database.write_now(full_text.create)
        self._database = database
        self._version = database.read_now(version_of)
        self._looked_at: float | None = None
        self._vocabulary = (-1, Vocabulary())

    async def search(self, query: SearchQuery) -> Found:
        """The vehicles that can be bought and match."""
        return await self._database.read(lambda connection: search(connection, query))

    async def get(self, stock_number: str) -> Vehicle | None:
        """The vehicle of a stock number in any case, whatever its status; None if there is none."""
        wanted = clean(stock_number).upper()
        found = select(*VEHICLE_COLUMNS).where(VEHICLES.c.stock_number == wanted)
        row = await self._database.read(lambda connection: connection.execute(found).mappings().first())
        return vehicle_of(row) if row else None

    async def total(self) -> Total:
        """How much there is to choose from."""
        price = VEHICLES.c.price
        ask = select(func.count(), func.min(price), func.max(price)).where(AVAILABLE)
        count, lowest, highest = await self._database.read(lambda connection: connection.execute(ask).one())
        return Total(count, lowest or 0, highest or 0)

    def version(self) -> int:
        """The version when it was last looked at: 0 before the first import."""
        return self._version

    async def refresh(self) -> int:
        """The version as it is now."""
        self._version = await self._database.read(version_of)
        return self._version

    async def current_version(self, now: float) -> int:
        """The version, looked at once in LOOK_AGAIN_S at most; `now` is in seconds on any clock that only goes forward.

        A look that fails raises; until the next one is due, the version that was seen last is returned.
        """
        if self._looked_at is None or now - self._looked_at >= LOOK_AGAIN_S:
            self._looked_at = now
            await self.refresh()
        return self._version

    async def vocabulary(self) -> Vocabulary:
        """The names in the stock; read once for each version."""
        if self._vocabulary[0] != self._version:
            self._vocabulary = await self._database.read(
                lambda connection: (version_of(connection), _names(connection))
            )
            self._version = self._vocabulary[0]
        return self._vocabulary[1]

    async def upsert(self, vehicles: Iterable[Vehicle], *, dry_run: bool = False) -> Change:
        """Adds them, each in place of the one of its stock number; the rest of the stock stays.

        `dry_run` changes nothing and tells what would be. Raises StockConflict.
        """
        return await self._change(vehicles, keep_others=True, dry_run=dry_run)

    async def replace_all(self, vehicles: Iterable[Vehicle], *, dry_run: bool = False) -> Change:
        """Makes them the whole stock: what is not among them is removed. Raises StockConflict."""
        return await self._change(vehicles, keep_others=False, dry_run=dry_run)

    async def _change(self, vehicles: Iterable[Vehicle], *, keep_others: bool, dry_run: bool) -> Change:
        listed = tuple(vehicles)
        change = await self._database.write(
            lambda connection: stock_change.apply(connection, listed, keep_others=keep_others, dry_run=dry_run)
        )
        self._version = change.version
        return change


def _names(connection: Connection) -> Vocabulary:
    """Of the whole stock, sold or not: who asks for what is sold must be understood to be told so."""
    v = VEHICLES.c
    kinds = connection.execute(select(v.make, v.model, v.trim, v.exterior_color).distinct())
    features = connection.scalars(select(FEATURES.c.name))
    return Vocabulary.of((tuple(kind) for kind in kinds), features, connection.scalars(select(v.stock_number)))
