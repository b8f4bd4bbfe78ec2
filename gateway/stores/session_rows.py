"""The rows of conversations: the tables, and what is asked of a connection inside of a transaction.

Below `gateway.stores.sessions`, which decides who may ask. A message is kept as JSON with all but ASCII escaped: half a
surrogate pair, which a client can send, is text to JSON and none to a database.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
)

from gateway.sessions import Message, Session, Summary

METADATA = MetaData()

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("sensitive", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    Column("replica", Text),
    Index("sessions_by_tenant", "tenant", "created_at"),
    Index("sessions_by_use", "used_at"),
)

MESSAGES = Table(
    "session_messages",
    METADATA,
    Column("session_id", Text, ForeignKey("sessions.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("message", Text, nullable=False),
    Column("tokens", Integer),
)

_OVERWRITE_DELETED = {"sqlite": "PRAGMA secure_delete = ON"}
"""Without it the text of a deleted row stands in the file until something else takes its place.
https://www.sqlite.org/pragma.html#pragma_secure_delete"""

_EMPTY_JOURNAL = {"sqlite": "PRAGMA wal_checkpoint(TRUNCATE)"}
"""SQLite's write-ahead journal has pages as they were, until it is begun anew. https://www.sqlite.org/wal.html"""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of MESSAGES. `body` is the message's JSON, as many bytes as characters."""

    number: int
    body: str
    tokens: int | None

    @property
    def message(self) -> Message:
        """Anew at each look: nobody shares it."""
        message: Message = json.loads(self.body)
        return message


def lines_of(messages: Sequence[Message], tokens: Sequence[int | None] | None, first_number: int) -> list[Line]:
    """Rows to be; `tokens` is None where nothing was counted. Raises ValueError for counts of other messages."""
    counts = [None] * len(messages) if tokens is None else tokens
    bodies = [json.dumps(message, separators=(",", ":")) for message in messages]
    return [Line(first_number + i, body, count) for i, (body, count) in enumerate(zip(bodies, counts, strict=True))]


def theirs(tenant: str, session_id: str) -> ColumnElement[bool]:
    """This conversation, if it is this tenant's."""
    return and_(SESSIONS.c.id == session_id, SESSIONS.c.tenant == tenant)


def find(connection: Connection, which: ColumnElement[bool]) -> tuple[Row[Any] | None, list[Line]]:
    """The row of one conversation and its messages, oldest first; None if there is none."""
    row = connection.execute(select(SESSIONS).where(which)).one_or_none()
    if row is None:
        return None, []
    columns = (MESSAGES.c.number, MESSAGES.c.message, MESSAGES.c.tokens)
    lines = select(*columns).where(MESSAGES.c.session_id == row.id).order_by(MESSAGES.c.number)
    return row, [Line(*line) for line in connection.execute(lines)]


def begin(connection: Connection, session: Session) -> None:
    """Writes the conversation, without its messages. An id that another tenant has by now is refused by its key."""
    connection.execute(insert(SESSIONS).values({name: getattr(session, name) for name in SESSIONS.c.keys()}))


def add(connection: Connection, session_id: str, lines: Sequence[Line]) -> None:
    """Writes messages."""
    if lines:
        written = [
            {"session_id": session_id, "number": line.number, "message": line.body, "tokens": line.tokens}
            for line in lines
        ]
        connection.execute(insert(MESSAGES), written)


def page(connection: Connection, tenant: str, limit: int, after: Row[Any] | None) -> list[Summary]:
    """Of a tenant's conversations so many, the newest first, from the one that follows `after` on."""
    created_at, session_id = SESSIONS.c.created_at, SESSIONS.c.id
    which: ColumnElement[bool] = SESSIONS.c.tenant == tenant
    if after is not None:
        same_time = and_(created_at == after.created_at, session_id < after.id)
        which = and_(which, or_(created_at < after.created_at, same_time))
    count = select(func.count()).where(MESSAGES.c.session_id == session_id).scalar_subquery()
    columns = (session_id, created_at, SESSIONS.c.used_at, count, SESSIONS.c.sensitive)
    newest = select(*columns).where(which).order_by(created_at.desc(), session_id.desc()).limit(limit)
    return [Summary(*row) for row in connection.execute(newest)]


def cut(connection: Connection, session_id: str, first_number: int) -> None:
    """Deletes the messages before that number."""
    _run_if_known(connection, _OVERWRITE_DELETED)
    older = and_(MESSAGES.c.session_id == session_id, MESSAGES.c.number < first_number)
    connection.execute(delete(MESSAGES).where(older))


def erase(connection: Connection, session_ids: Sequence[str]) -> None:
    """Deletes conversations and all their messages."""
    _run_if_known(connection, _OVERWRITE_DELETED)
    connection.execute(delete(MESSAGES).where(MESSAGES.c.session_id.in_(session_ids)))
    connection.execute(delete(SESSIONS).where(SESSIONS.c.id.in_(session_ids)))


def empty_journal(connection: Connection) -> None:
    """Has nothing left of what was erased, unless somebody still reads it. Not inside of a writing transaction."""
    _run_if_known(connection, _EMPTY_JOURNAL)


def as_session(row: Row[Any], lines: Sequence[Line]) -> Session:
    """What the rows say."""
    columns = {name: getattr(row, name) for name in SESSIONS.c.keys()}
    return with_lines(Session(messages=(), tokens=(), stored=True, **columns), lines)


def with_lines(session: Session, lines: Sequence[Line]) -> Session:
    """The conversation with these messages and no others."""
    return replace(session, messages=tuple(line.message for line in lines), tokens=tuple(line.tokens for line in lines))


def _run_if_known(connection: Connection, statements: Mapping[str, str]) -> None:
    """Another database than these has its own ways, which are its operator's to set."""
    if statement := statements.get(connection.dialect.name):
        connection.exec_driver_sql(statement)
