"""The egress ledger: it cannot be altered unseen, and counts what should not have left."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.ports import StoreFailed
from gateway.stores.database import Database
from gateway.stores.egress import EGRESS, GENESIS, EgressLedger, conversation_hash

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


def tamper(path: Path, *statements: str) -> None:
    """As whoever holds the file can, triggers or not."""
    with closing(sqlite3.connect(path)) as file:
        for trigger in ("egress_no_update", "egress_no_delete"):
            file.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            file.execute(statement)
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
    with closing(Database(f"sqlite:///{path}")) as other:
        for change in (EGRESS.update().values(bytes=1), EGRESS.delete()):
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
    assert (verdict.good, verdict.sensitive, verdict.left) == (False, 1, 1)


async def test_what_is_labelled_sensitive_has_left_whether_it_was_marked_or_not(ledger: EgressLedger) -> None:
    await send(ledger, "c9", "sensitive")
    assert ledger.verify_now().left == 1


async def test_two_processes_write_one_chain(ledger: EgressLedger, path: Path) -> None:
    with closing(Database(f"sqlite:///{path}")) as database:
        other = EgressLedger(database, lambda: 2.0)
        for number in range(10):
            await send(ledger if number % 2 else other)
    assert (ledger.verify_now().good, ledger.verify_now().entries) == (True, 10)


def test_a_conversation_s_name_gives_nothing_away_and_is_its_own() -> None:
    names = {conversation_hash("a", "s_1"), conversation_hash("b", "s_1"), conversation_hash("a", "s_2")}
    assert len(names) == 3
    assert all(len(name) == 32 and "s_1" not in name for name in names)
