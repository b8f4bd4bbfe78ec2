"""A change of the stock, within one transaction: what is added, changed and removed, and the version after it.

The version rises by one if anything has changed at all, however much has. A stock in which two vehicles have one number
is refused as a whole.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from gateway.dealership import full_text
from gateway.dealership.stock_tables import (
    FEATURES,
    VEHICLE_COLUMNS,
    VEHICLES,
    VERSION,
    feature_names,
    row_of,
    search_words,
    vehicle_of,
    version_of,
)
from gateway.dealership.vehicle import Vehicle

CHUNK = 500
"""Ids in one statement: databases bound the parameters of each."""


class StockConflict(Exception):
    """Two vehicles of the stock would have one stock number or VIN; the message names it, and whose it is."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an import did, in vehicles, and the version after it. False where nothing has changed."""

    added: int
    changed: int
    removed: int
    version: int

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def apply(connection: Connection, vehicles: Sequence[Vehicle], *, keep_others: bool, dry_run: bool) -> Change:
    """Makes `vehicles` the stock, or adds them to it. Raises StockConflict. `dry_run` only tells what would be."""
    wanted = _by_number(vehicles)
    stored = _stored(connection)
    after = {number: vehicle for number, (_, vehicle) in stored.items()} if keep_others else {}
    after |= wanted
    _refuse_shared_vins(after.values())
    gone = [] if keep_others else [number for number in stored if number not in wanted]
    changed = [n for n, vehicle in wanted.items() if n in stored and stored[n][1] != vehicle]
    added = [n for n in wanted if n not in stored]
    change = Change(len(added), len(changed), len(gone), version_of(connection))
    if dry_run or not change:
        return change
    _keep_features(connection, after.values())
    _remove(connection, [stored[number][0] for number in (*gone, *changed)])
    _add(connection, [wanted[number] for number in (*changed, *added)])
    return Change(change.added, change.changed, change.removed, _next_version(connection))


def _by_number(vehicles: Sequence[Vehicle]) -> dict[str, Vehicle]:
    counts = Counter(vehicle.stock_number for vehicle in vehicles)
    if twice := sorted(number for number, count in counts.items() if count > 1):
        raise StockConflict(f"stock number given twice: {', '.join(twice)}")
    return {vehicle.stock_number: vehicle for vehicle in vehicles}


def _stored(connection: Connection) -> dict[str, tuple[int, Vehicle]]:
    """The stock by stock number, each vehicle with its row's id."""
    rows = connection.execute(select(VEHICLES.c.id, *VEHICLE_COLUMNS)).mappings()
    return {row["stock_number"]: (row["id"], vehicle_of(row)) for row in rows}


def _refuse_shared_vins(vehicles: Iterable[Vehicle]) -> None:
    owners: dict[str, list[str]] = {}
    for vehicle in vehicles:
        if vehicle.vin:
            owners.setdefault(vehicle.vin, []).append(vehicle.stock_number)
    shared = (f"{vin} by {' and '.join(sorted(numbers))}" for vin, numbers in owners.items() if len(numbers) > 1)
    if told := "; ".join(sorted(shared)):
        raise StockConflict(f"VIN used twice: {told}")


def _remove(connection: Connection, identities: Sequence[int]) -> None:
    full_text.remove(connection, identities)
    for start in range(0, len(identities), CHUNK):
        some = identities[start : start + CHUNK]
        connection.execute(delete(VEHICLES).where(VEHICLES.c.id.in_(some)))


def _add(connection: Connection, vehicles: Sequence[Vehicle]) -> None:
    if not vehicles:
        return
    first = (connection.scalar(select(func.max(VEHICLES.c.id))) or 0) + 1
    numbered = list(enumerate(vehicles, first))
    connection.execute(insert(VEHICLES), [{"id": number} | row_of(vehicle) for number, vehicle in numbered])
    ids = {row.name: row.id for row in connection.execute(select(FEATURES))}
    full_text.add(
        connection,
        [
            (number, search_words(vehicle), [ids[name] for name in feature_names(vehicle)])
            for number, vehicle in numbered
            if vehicle.status == "available"
        ],
    )


def _keep_features(connection: Connection, vehicles: Iterable[Vehicle]) -> None:
    """Makes FEATURES those of `vehicles`; one that stays keeps its id."""
    had = set().union(*map(feature_names, vehicles))
    known = set(connection.scalars(select(FEATURES.c.name)))
    for name in sorted(known - had):
        connection.execute(delete(FEATURES).where(FEATURES.c.name == name))
    if new := sorted(had - known):
        connection.execute(insert(FEATURES), [{"name": name} for name in new])


def _next_version(connection: Connection) -> int:
    if not connection.execute(update(VERSION).values(version=VERSION.c.version + 1)).rowcount:
        connection.execute(insert(VERSION).values(id=1, version=1))
    return version_of(connection)
