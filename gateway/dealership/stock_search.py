"""A search as SQL: which vehicles match a query, and in what order.

Every value is a bound parameter. Sold and pending vehicles are not found: what is offered can be bought. "Best" is the
newest, then the least driven and the cheapest: whatever matches has every word and feature that was asked for.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from gateway.dealership import full_text
from gateway.dealership.spelling import key, squash
from gateway.dealership.stock_tables import FEATURES, VEHICLE_COLUMNS, VEHICLES, vehicle_of
from gateway.dealership.synonyms import FEATURE_TABLES, INCLUDES, canonical
from gateway.dealership.vehicle import Found, SearchQuery

V = VEHICLES.c
Condition = ColumnElement[bool]

AVAILABLE: Condition = V.status == "available"
_ORDERS: dict[str, tuple[ColumnElement[Any], ...]] = {
    "best": (V.year.desc(), V.mileage, V.price, V.stock_number),
    "price": (V.price, V.mileage, V.stock_number),
    "mileage": (V.mileage, V.price, V.stock_number),
    "year": (V.year.desc(), V.mileage, V.price, V.stock_number),
}


def search(connection: Connection, query: SearchQuery) -> Found:
    """What matches: all of it counted, the best of it read."""
    words = full_text.words_of(query.text or "")
    features = [_known(connection, feature) for feature in query.features]
    if not all(features):
        return Found(0, (), query)
    own = list(_conditions(query))
    matching = select(V.id).where(AVAILABLE, *own)
    counted: Select[tuple[int]] = matching
    if words or features:
        having = full_text.having(words, features)
        matching = matching.where(V.id.in_(having))
        # The index has available vehicles only: where nothing else is asked for, it has the count.
        counted = matching if own else having
    count = connection.scalar(select(func.count()).select_from(counted.subquery())) or 0
    order = _ORDERS[query.sort]
    best = select(*VEHICLE_COLUMNS).where(V.id.in_(matching.order_by(*order).limit(query.limit))).order_by(*order)
    rows = connection.execute(best).mappings() if count else ()
    return Found(count, tuple(map(vehicle_of, rows)), query)


def _conditions(query: SearchQuery) -> Iterable[Condition]:
    """Those that a vehicle's own row decides."""
    if query.make is not None:
        yield V.make_key == squash(query.make)
    if query.model is not None:
        yield or_(*(V.model_names.contains(f" {name} ", autoescape=True) for name in _models(query.make, query.model)))
    for column, wanted in (
        (V.body_style, query.body_style),
        (V.fuel_type, query.fuel_type),
        (V.condition, query.condition),
    ):
        if wanted is not None:
            yield column.in_(INCLUDES.get(wanted, (wanted,)))
    if query.color is not None:
        yield V.color_family == key(query.color)
    for column, least, most in (
        (V.price, query.min_price, query.max_price),
        (V.year, query.min_year, query.max_year),
        (V.mileage, None, query.max_mileage),
        (V.seats, query.min_seats, None),
    ):
        if least is not None:
            yield column >= least
        if most is not None:
            yield column <= most


def _models(make: str | None, model: str) -> set[str]:
    """The model squashed, and the same without the make before it, which models of language like to put there."""
    name = squash(model)
    return {name, name.removeprefix(squash(make or "")) or name}


def _known(connection: Connection, wanted: str) -> list[int]:
    """The features that are meant. "heated seats" are had by whatever has "Heated front seats": all of its words."""
    ways = [_stems(name) for name in (wanted, *(canonical(table, wanted) for table in FEATURE_TABLES)) if name]
    known = [(row.id, _stems(row.name)) for row in connection.execute(select(FEATURES))]
    return [number for number, stems in known if any(way and way <= stems for way in ways)]


def _stems(feature: str) -> frozenset[str]:
    return frozenset(word.removesuffix("s") for word in key(feature).split())
