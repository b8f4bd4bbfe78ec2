"""The index of the stock's words and features: SQLite's FTS5, and the only part of the stock that is SQLite's alone.

It holds the vehicles that are available. On another database these functions are what has to be written anew. What is
searched for is cut into words here, and each word is quoted, so nothing that a customer or a model writes is ever read
as FTS5's query language.
"""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, Select, bindparam, column, select, table, text

from gateway.dealership.spelling import key

MAX_WORDS = 12
"""A judgment: who writes more has not written a search."""

IDLE_WORDS = frozenset({"a", "an", "and", "the", "with", "in", "of", "for", "or", "to", "any", "some", "car", "cars"})
"""Words that tell no vehicle from another; a row need not contain them."""

_INDEX = table("vehicle_index", column("rowid"), column("words"), column("features"), column("vehicle_index"))
"""FTS5 gives the table a column of its own name, to match against."""


def create(connection: Connection) -> None:
    """Makes the index if it is not there. `porter` finds "seats" by "seat"."""
    options = "words, features, tokenize = 'porter unicode61'"
    connection.execute(text(f"CREATE VIRTUAL TABLE IF NOT EXISTS vehicle_index USING fts5({options})"))


def add(connection: Connection, documents: Iterable[tuple[int, str, Iterable[int]]]) -> None:
    """Indexes vehicles: each by its id in VEHICLES, with its words and the ids of its features."""
    rows = [
        {"rowid": number, "words": words, "features": " ".join(map(str, features))}
        for number, words, features in documents
    ]
    if rows:
        connection.execute(_INDEX.insert(), rows)


def remove(connection: Connection, ids: Iterable[int]) -> None:
    """Takes vehicles out."""
    rows = [{"number": number} for number in ids]
    if rows:
        connection.execute(_INDEX.delete().where(_INDEX.c.rowid == bindparam("number")), rows)


def words_of(wanted: str) -> list[str]:
    """The words of a free text that are searched for; none if it has no word that could tell vehicles apart."""
    return [word for word in key(wanted).split() if word not in IDLE_WORDS][:MAX_WORDS]


def having(words: Sequence[str], features: Sequence[Collection[int]]) -> Select[tuple[int]]:
    """The ids of the vehicles that have every one of `words`, and of each of `features` at least one. One is wanted."""
    texts = [f'words : "{word}"' for word in words]
    texts += [f"features : ({' OR '.join(map(str, ways))})" for ways in features]
    return select(_INDEX.c.rowid).where(_INDEX.c.vehicle_index.op("MATCH")(" AND ".join(texts)))
