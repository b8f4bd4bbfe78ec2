"""The usage ledger's sums, on a real database."""

from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime

import pytest

from gateway.ports import StoreFailed
from gateway.savings import Answers
from gateway.stores.database import Database
from gateway.stores.usage import USAGE, UsageStore, bounds
from gateway.usage import Usage

pytestmark = pytest.mark.anyio

NOVEMBER = datetime(2026, 11, 15, tzinfo=UTC).timestamp()


def row(
    request_id: str, tier: str, *, at: float = NOVEMBER, prompt: int = 10, cost: int = 0, tenant: str = "a"
) -> Usage:
    estimated = tier == "openai"
    return Usage(at, tenant, request_id, "chat", "r", tier, None, "ok", prompt, 5, 2, cost, estimated, 0.1)


async def test_a_request_counts_once_by_its_last_answer_and_all_its_answers_are_summed() -> None:
    with closing(Database("sqlite://")) as database:
        store = UsageStore(database)
        await store.record(row("1", "on-prem"))
        await store.record_many(
            [
                row("1", "openai", cost=70),
                row("2", "on-prem", tenant="b"),
                row("3", "static", prompt=0, at=NOVEMBER + 60 * 86400),
            ]
        )
        await store.record_many([])
        month = store.month_now("2026-11")
        assert dict(month.requests) == {"on-prem": 1, "openai": 1}
        assert dict(month.tiers) == {"on-prem": Answers(2, 20, 10, 0, 0), "openai": Answers(1, 10, 5, 70, 1)}
        assert dict(month.tenants) == {"a": Answers(2, 20, 10, 70, 1), "b": Answers(1, 10, 5, 0, 0)}
        assert month.began_at == NOVEMBER
        assert (store.spent_micros_now("2026-11"), store.spent_micros_now("2026-12")) == (70, 0)


def test_a_month_ends_where_the_next_begins() -> None:
    assert bounds("2026-11")[1] == bounds("2026-12")[0]
    assert bounds("2026-12")[1] == bounds("2027-01")[0]
    with pytest.raises(ValueError, match="2026-13"):
        bounds("2026-13")


async def test_an_empty_month_has_no_beginning() -> None:
    with closing(Database("sqlite://")) as database:
        month = UsageStore(database).month_now("2026-11")
    assert (month.began_at, dict(month.requests)) == (None, {})


async def test_a_row_is_kept_as_it_was_given() -> None:
    given = replace(row("1", "openai", cost=7), model="gpt-4.1", outcome="upstream_lost")
    with closing(Database("sqlite://")) as database:
        await UsageStore(database).record(given)
        (kept,) = await database.read(lambda connection: connection.execute(USAGE.select()).mappings().all())
    assert {name: kept[name] for name in asdict(given)} == asdict(given)


async def test_of_rows_that_cannot_all_be_kept_none_is() -> None:
    with closing(Database("sqlite://")) as database:
        store = UsageStore(database)
        with pytest.raises(StoreFailed):
            await store.record_many([row("1", "on-prem"), row("2", "on-prem", prompt=10**30)])
        assert dict(store.month_now("2026-11").requests) == {}


async def test_two_tenants_may_give_their_requests_the_same_id() -> None:
    with closing(Database("sqlite://")) as database:
        store = UsageStore(database)
        await store.record_many([row("same", "on-prem"), row("same", "static", tenant="b")])
        assert dict(store.month_now("2026-11").requests) == {"on-prem": 1, "static": 1}


async def test_the_ledger_began_with_its_first_row_in_whatever_month() -> None:
    with closing(Database("sqlite://")) as database:
        store = UsageStore(database)
        await store.record(row("1", "on-prem"))
        assert store.month_now("2026-12").began_at == NOVEMBER
