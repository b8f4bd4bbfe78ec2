"""The egress ledger: it cannot be altered unseen, and counts what should not have left."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.ports import StoreFailed
from gateway.stores.database import Database
from gateway.stores.egress import EGRESS, GENESIS, SENSITIVE, EgressLedger, conversation_hash, link

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[EgressLedger]:
    with closing(Database(f"sqlite:///{path}")) as database:
        yield EgressLedger(database, lambda: 1000.5)


async def send(ledger: EgressLedger, conversation: str = "c1", label: str = "clear", body: bytes = b"hi") -> int:
    return await ledger.append(tenant="a", conversation=conversation, label=label, request_id="r", model="m", body=body)


def tamper(path: Path, *statements: str, **values: str) -> None:
    """As whoever holds the file can, triggers or not."""
    with closing(sqlite3.connect(path)) as file:
        for trigger in ("egress_no_update", "egress_no_delete"):
            file.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            file.execute(statement, values)
        file.commit()


async def test_each_entry_follows_the_one_before_it(ledger: EgressLedger) -> None:
    assert [await send(ledger, body=b"one"), await send(ledger, body=b"two")] == [1, 2]
    first, second = ledger.entries_now()
    assert (first["previous_hash"], second["previous_hash"]) == (GENESIS, first["hash"])
    assert (first["bytes"], first["body_sha256"]) == (3, hashlib.sha256(b"one").hexdigest())
    verdict = ledger.verify_now()
    assert (verdict.good, verdict.entries, verdict.head_hash) == (True, 2, second["hash"])


def test_an_empty_ledger_is_whole(ledger: EgressLedger) -> None:
    verdict = ledger.verify_now(GENESIS)
    assert (verdict.good, verdict.entries, verdict.sensitive) == (True, 0, 0)


async def test_the_database_refuses_to_alter_it(ledger: EgressLedger, path: Path) -> None:
    await send(ledger)
    await ledger.mark_sensitive("c1", "a")
    changes = (
        EGRESS.update().values(bytes=1),
        EGRESS.delete(),
        SENSITIVE.update().values(after_seq=9),
        SENSITIVE.delete(),
    )
    with closing(Database(f"sqlite:///{path}")) as other:
        for change in changes:
            with pytest.raises(StoreFailed):
                other.write_now(lambda connection, change=change: connection.execute(change))


@pytest.mark.parametrize(
    ("statement", "broken_at", "why"),
    [
        ("UPDATE egress SET label = 'redacted' WHERE seq = 2", 2, "altered"),
        ("UPDATE egress SET bytes = bytes - 1 WHERE seq = 3", 3, "altered"),
        ("DELETE FROM egress WHERE seq = 2", 2, "missing"),
        ("DELETE FROM egress WHERE seq = 1", 1, "missing"),
        ("DELETE FROM egress WHERE seq = 3", 3, "end of the chain"),
        ("UPDATE egress SET previous_hash = hash WHERE seq = 2", 2, "does not follow"),
        ("UPDATE egress SET seq = 9 WHERE seq = 3", 3, "missing"),
        ("DELETE FROM egress", 1, "end of the chain"),
    ],
)
async def test_whoever_alters_the_file_is_found(
    ledger: EgressLedger, path: Path, statement: str, broken_at: int, why: str
) -> None:
    for _ in range(3):
        await send(ledger)
    tamper(path, statement)
    verdict = ledger.verify_now()
    assert not verdict.good
    assert verdict.broken_at == broken_at
    assert why in verdict.why


async def test_entries_that_have_changed_places_are_found(ledger: EgressLedger, path: Path) -> None:
    for body in (b"one", b"two", b"three"):
        await send(ledger, body=body)
    tamper(
        path,
        "UPDATE egress SET seq = 9 WHERE seq = 2",
        "UPDATE egress SET seq = 2 WHERE seq = 3",
        "UPDATE egress SET seq = 3 WHERE seq = 9",
    )
    assert ledger.verify_now().broken_at == 2


async def test_an_entry_that_was_altered_and_hashed_anew_is_found_by_the_next(ledger: EgressLedger, path: Path) -> None:
    for _ in range(3):
        await send(ledger)
    forged = link({**ledger.entries_now()[1], "label": "redacted"})
    tamper(path, "UPDATE egress SET label = 'redacted', hash = :forged WHERE seq = 2", forged=forged)
    verdict = ledger.verify_now()
    assert (verdict.broken_at, verdict.why) == (3, "it does not follow the one before it")


async def test_a_clock_that_tells_whole_numbers_makes_no_other_chain(path: Path) -> None:
    with closing(Database(f"sqlite:///{path}")) as database:
        ledger = EgressLedger(database, lambda: 1000)
        await send(ledger)
        assert ledger.verify_now().good


async def test_a_head_that_was_noted_tells_a_ledger_that_was_made_anew(ledger: EgressLedger, path: Path) -> None:
    await send(ledger, body=b"true")
    noted = ledger.verify_now().head_hash
    await send(ledger)
    assert ledger.verify_now(noted).good
    tamper(path, "DELETE FROM egress", "DELETE FROM egress_head")
    await send(ledger, body=b"false")
    assert ledger.verify_now().good
    assert ledger.verify_now(noted).why == "the head that was noted earlier is not in the chain"


async def test_what_left_while_it_was_clear_has_not_left_as_sensitive(ledger: EgressLedger) -> None:
    await send(ledger, "c1")
    await ledger.mark_sensitive("c1", "a")
    await ledger.mark_sensitive("c1", "a")
    await ledger.mark_sensitive("c2", "a")
    await send(ledger, "c2", label="redacted")
    verdict = ledger.verify_now()
    assert (verdict.good, verdict.sensitive, verdict.left) == (True, 2, 0)


@pytest.mark.parametrize("label", ["clear", "sensitive"])
async def test_what_left_after_it_was_marked_is_counted(ledger: EgressLedger, label: str) -> None:
    await ledger.mark_sensitive("c1", "a")
    await send(ledger, "c1", label)
    verdict = ledger.verify_now()
    assert (verdict.good, verdict.sensitive, verdict.left, verdict.left_at) == (False, 1, 1, 1)


async def test_a_conversation_that_left_twice_is_one_and_told_by_the_first_entry(ledger: EgressLedger) -> None:
    await send(ledger, "c1")
    await ledger.mark_sensitive("c1", "a")
    for conversation in ("c1", "c2", "c1"):
        await send(ledger, conversation)
    verdict = ledger.verify_now()
    assert (verdict.sensitive, verdict.left, verdict.left_at) == (1, 1, 2)


async def test_what_is_labelled_sensitive_has_left_whether_it_was_marked_or_not(ledger: EgressLedger) -> None:
    await send(ledger, "c9", "sensitive")
    verdict = ledger.verify_now()
    assert (verdict.sensitive, verdict.left) == (1, 1)


async def test_two_processes_write_one_chain(ledger: EgressLedger, path: Path) -> None:
    with closing(Database(f"sqlite:///{path}")) as database:
        other = EgressLedger(database, lambda: 2.0)
        numbers = await asyncio.gather(*(send(ledger if number % 2 else other) for number in range(20)))
    assert sorted(numbers) == list(range(1, 21))
    assert (ledger.verify_now().good, ledger.verify_now().entries) == (True, 20)


def test_a_conversation_s_name_gives_nothing_away_and_is_its_own() -> None:
    names = {conversation_hash("a", "s_1"), conversation_hash("b", "s_1"), conversation_hash("a", "s_2")}
    assert len(names) == 3
    assert all(len(name) == 32 and "s_1" not in name for name in names)
