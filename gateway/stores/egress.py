"""The egress ledger: a record of everything that is sent to the cloud, in a chain of hashes that shows any change.

Written before a byte leaves, and never altered: the database refuses it, and the chain tells who does it all the same.
Beside it stand the conversations known to be sensitive, so that an auditor can count how many of them have left. One
that was clear when something of it left, and turned sensitive afterwards, has not: what left was clear. So an entry has
left as sensitive if it is labelled so, or came after its conversation was marked and is not labelled "redacted".

What it cannot show: a chain that was made anew as a whole, unless its head was noted elsewhere before; and marks that
were taken out by whoever holds the file, since they stand outside the chain.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    DDL,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    delete,
    event,
    insert,
    select,
)

from gateway.stores.database import Database

METADATA = MetaData()

EGRESS = Table(
    "egress",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("conversation", String(64), nullable=False, index=True),
    Column("label", String(16), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("model", String(128), nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("body_sha256", String(64), nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

HEAD = Table(
    "egress_head",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("hash", String(64), nullable=False),
)
"""One row: the last link. Without it a chain whose end was cut off would look whole."""

SENSITIVE = Table(
    "sensitive_conversations",
    METADATA,
    Column("conversation", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("since", Float, nullable=False),
    Column("after_seq", Integer, nullable=False),
)
"""`after_seq` is the ledger's last number when the conversation was found to be sensitive."""

GENESIS = "0" * 64
REDACTED = "redacted"

for _table in (EGRESS, SENSITIVE):
    for _what in ("UPDATE", "DELETE"):
        _refuse = DDL(  # type: ignore[no-untyped-call]  # SQLAlchemy's own
            f"CREATE TRIGGER IF NOT EXISTS {_table.name}_no_{_what.lower()} BEFORE {_what} ON {_table.name} "
            "BEGIN SELECT RAISE(ABORT, 'the egress ledger is not altered'); END"
        )
        event.listen(_table, "after_create", _refuse.execute_if(dialect="sqlite"))


def conversation_hash(tenant: str, session_id: str) -> str:
    """The conversation's name in the ledger, which gives nothing away: 32 hex digits."""
    return hashlib.sha256(f"{tenant}\0{session_id}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at the whole ledger has found.

    `broken_at` is the number of the first bad entry, `why` says what is wrong. `left` of the `sensitive` conversations
    have left, `left_at` is the number of the first entry by which one did.
    """

    entries: int
    head_hash: str
    broken_at: int | None
    why: str
    sensitive: int
    left: int
    left_at: int | None

    @property
    def good(self) -> bool:
        """Whether the chain is whole and nothing sensitive has left."""
        return self.broken_at is None and not self.left


class EgressLedger:
    """The ledger in `database`. `now` tells the time in epoch seconds. Everything raises StoreFailed."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        database.create(METADATA)
        self._database = database
        self._now = now

    async def append(
        self, *, tenant: str, conversation: str, label: str, request_id: str, model: str, body: bytes
    ) -> int:
        """Records what is about to be sent; its number, once that is committed."""
        told = {
            "at": float(self._now()),  # as it is read back: a whole number would have another hash
            "tenant": tenant,
            "conversation": conversation,
            "label": label,
            "request_id": request_id,
            "model": model,
            "bytes": len(body),
            "body_sha256": hashlib.sha256(body).hexdigest(),
        }
        return await self._database.write(lambda connection: _append(connection, told))

    async def mark_sensitive(self, conversation: str, tenant: str) -> None:
        """From now on nothing of this conversation may leave. Again is the same as once."""
        await self._database.write(lambda connection: _mark(connection, conversation, tenant, self._now()))

    def verify_now(self, noted_head: str | None = None) -> Verdict:
        """Looks at all of it; for who has no loop. `noted_head` is a hash from an earlier look, which must still be
        there."""
        return self._database.read_now(lambda connection: _verify(connection, noted_head))

    def entries_now(self) -> list[dict[str, Any]]:
        """All entries, in their order."""
        return self._database.read_now(lambda connection: [dict(row) for row in _rows(connection)])


def _append(connection: Connection, told: dict[str, Any]) -> int:
    head = connection.execute(select(HEAD)).first()
    seq, previous = (head.seq + 1, head.hash) if head is not None else (1, GENESIS)
    entry = {"seq": seq, **told, "previous_hash": previous}
    entry["hash"] = link(entry)
    connection.execute(insert(EGRESS).values(**entry))
    connection.execute(delete(HEAD))
    connection.execute(insert(HEAD).values(seq=seq, hash=entry["hash"]))
    return seq


def link(entry: dict[str, Any] | RowMapping) -> str:
    """The hash of an entry: SHA-256 of all its fields but this one, as JSON with sorted keys."""
    fields = {name: entry[name] for name in EGRESS.c.keys() if name != "hash"}
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _mark(connection: Connection, conversation: str, tenant: str, now: float) -> None:
    known = select(SENSITIVE.c.conversation).where(SENSITIVE.c.conversation == conversation)
    if connection.scalar(known) is None:
        head = connection.scalar(select(HEAD.c.seq)) or 0
        connection.execute(
            insert(SENSITIVE).values(conversation=conversation, tenant=tenant, since=now, after_seq=head)
        )


def _rows(connection: Connection) -> Iterator[RowMapping]:
    return iter(connection.execute(select(EGRESS).order_by(EGRESS.c.seq)).mappings())


def _verify(connection: Connection, noted_head: str | None) -> Verdict:
    expected, previous, count = 1, GENESIS, 0
    broken_at: int | None = None
    why = ""
    noted = noted_head is None or noted_head == GENESIS
    for row in _rows(connection):
        count += 1
        if broken_at is None and (why := _wrong(row, expected, previous)):
            broken_at = expected
        expected, previous = row["seq"] + 1, row["hash"]
        noted |= row["hash"] == noted_head
    head = connection.execute(select(HEAD)).first()
    ends_at = (head.seq, head.hash) if head is not None else (0, GENESIS)
    if broken_at is None and ends_at != (expected - 1, previous):
        broken_at, why = expected, "the end of the chain is missing"
    if broken_at is None and not noted:
        broken_at, why = expected, "the head that was noted earlier is not in the chain"
    marked = {row.conversation: row.after_seq for row in connection.execute(select(SENSITIVE))}
    left = _left(connection, marked)
    return Verdict(
        entries=count,
        head_hash=previous,
        broken_at=broken_at,
        why=why,
        sensitive=len(marked.keys() | left.keys()),
        left=len(left),
        left_at=min(left.values(), default=None),
    )


def _wrong(row: RowMapping, expected: int, previous: str) -> str:
    if row["seq"] != expected:
        return "an entry is missing"
    if row["previous_hash"] != previous:
        return "it does not follow the one before it"
    return "" if row["hash"] == link(row) else "it has been altered"


def _left(connection: Connection, marked: dict[str, int]) -> dict[str, int]:
    """Conversations of which something has left though they were sensitive, marked or not, and by which entry first."""
    sent = select(EGRESS.c.conversation, EGRESS.c.seq, EGRESS.c.label).where(EGRESS.c.label != REDACTED)
    left: dict[str, int] = {}
    for row in connection.execute(sent.order_by(EGRESS.c.seq)):
        if row.label == "sensitive" or (row.conversation in marked and row.seq > marked[row.conversation]):
            left.setdefault(row.conversation, row.seq)
    return left
