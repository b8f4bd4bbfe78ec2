"""The usage ledger in the database: a row for each answer, and its sums by month. Raises StoreFailed."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import Boolean, Column, Connection, Float, Index, Integer, MetaData, String, Table, func, insert, select

from gateway.savings import Answers, Month
from gateway.stores.database import Database
from gateway.usage import Usage

METADATA = MetaData()

USAGE = Table(
    "usage",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("endpoint", String(32), nullable=False),
    Column("route", String(64), nullable=False),
    Column("tier", String(16), nullable=False),
    Column("model", String(128)),
    Column("outcome", String(32), nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("cost_micros", Integer, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("duration_s", Float, nullable=False),
    Index("usage_by_time", "at"),
)


def bounds(month: str) -> tuple[float, float]:
    """The first moment of a month such as 2026-11, and that of the next one, in epoch seconds. Raises ValueError."""
    try:
        first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"{month!r} is no month such as 2026-11") from None
    after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return first.timestamp(), after.timestamp()


class UsageStore:
    """The rows. Making one creates the table."""

    def __init__(self, database: Database) -> None:
        database.create(METADATA)
        self._database = database

    async def record(self, usage: Usage) -> None:
        """Adds a row."""
        await self.record_many([usage])

    async def record_many(self, rows: Sequence[Usage]) -> None:
        """Adds all of these rows, or none."""
        if rows:
            await self._database.write(lambda connection: _add(connection, rows))

    def spent_micros_now(self, month: str) -> int:
        """What the cloud has cost in a month, for who has no loop yet."""
        first, after = bounds(month)
        spent = select(func.coalesce(func.sum(USAGE.c.cost_micros), 0)).where(USAGE.c.at >= first, USAGE.c.at < after)
        return int(self._database.read_now(lambda connection: connection.scalar(spent)) or 0)

    def month_now(self, month: str) -> Month:
        """A month's sums, by tier and tenant."""
        return self._database.read_now(lambda connection: _month(connection, month))


def _add(connection: Connection, rows: Sequence[Usage]) -> None:
    connection.execute(insert(USAGE), [asdict(usage) for usage in rows])


def _month(connection: Connection, month: str) -> Month:
    first, after = bounds(month)
    within = (USAGE.c.at >= first, USAGE.c.at < after)
    # The last answer of a request is the one that its customer has seen to the end. Clients may choose their requests'
    # ids, so two tenants may use the same.
    last = select(func.max(USAGE.c.number)).where(*within).group_by(USAGE.c.tenant, USAGE.c.request_id)
    by_last = select(USAGE.c.tier, func.count()).where(USAGE.c.number.in_(last)).group_by(USAGE.c.tier)
    requests = {str(row[0]): int(row[1]) for row in connection.execute(by_last)}
    sums = (
        func.count(),
        func.sum(USAGE.c.prompt_tokens),
        func.sum(USAGE.c.completion_tokens),
        func.sum(USAGE.c.cost_micros),
        func.sum(USAGE.c.estimated.cast(Integer)),
    )
    by_tier = connection.execute(select(USAGE.c.tier, *sums).where(*within).group_by(USAGE.c.tier)).all()
    by_tenant = connection.execute(select(USAGE.c.tenant, *sums).where(*within).group_by(USAGE.c.tenant)).all()
    began = connection.scalar(select(func.min(USAGE.c.at)))
    return Month(
        month=month,
        began_at=began,
        requests=requests,
        tiers={row[0]: Answers(*map(int, row[1:])) for row in by_tier},
        tenants={row[0]: Answers(*map(int, row[1:])) for row in by_tenant},
    )
