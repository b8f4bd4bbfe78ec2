"""Work is done whole or not at all, readers and writers do not wait for each other, and a failure tells no value."""

import asyncio
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, ForeignKey, Integer, MetaData, Table, Text, insert, select, update

from gateway.ports import StoreFailed
from gateway.stores import database as module
from gateway.stores.database import Database

pytestmark = pytest.mark.anyio

TABLES = MetaData()
NOTES = Table(
    "notes",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("text", Text, unique=True, nullable=False),
    Column("about", Integer, ForeignKey("notes.id")),
)

COUNTER = Table("counter", TABLES, Column("count", Integer, nullable=False))

PATIENCE_S = 30.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


@pytest.fixture(params=["file", "memory"])
def database(request: pytest.FixtureRequest, path: Path) -> Iterator[Database]:
    with opened(path if request.param == "file" else None) as database:
        yield database


@pytest.fixture
def on_file(path: Path) -> Iterator[Database]:
    with opened(path) as database:
        yield database


@contextmanager
def opened(path: Path | None, timeout_s: float = PATIENCE_S) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{path}" if path else "sqlite://", timeout_s=timeout_s)) as database:
        database.create(TABLES)
        yield database


def note(text: str, **columns: Any) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        connection.execute(insert(NOTES).values(text=text, **columns))

    return work


def notes(connection: Connection) -> list[str]:
    return list(connection.execute(select(NOTES.c.text).order_by(NOTES.c.id)).scalars())


class Gate:
    """Work that waits in its thread, inside its transaction, until the test lets it go on."""

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self._work = work
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, connection: Connection) -> Any:
        result = self._work(connection)
        self.entered.set()
        assert self.open.wait(PATIENCE_S)
        return result

    async def reached(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, PATIENCE_S)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


# ---- whole, or not at all


async def test_what_work_returns_is_returned_and_what_it_wrote_is_there(database: Database) -> None:
    assert await database.read(notes) == []

    def work(connection: Connection) -> str:
        note("one")(connection)
        return "done"

    assert await database.write(work) == "done"
    assert await database.read(notes) == database.read_now(notes) == ["one"]


async def test_work_that_raises_leaves_nothing_and_its_error_is_its_own(database: Database) -> None:
    def work(connection: Connection) -> None:
        note("half")(connection)
        raise LookupError("of the caller's")

    with pytest.raises(LookupError, match="of the caller's"):
        await database.write(work)
    assert await database.read(notes) == []
    await database.write(note("after"))
    assert await database.read(notes) == ["after"]


async def test_a_statement_that_fails_undoes_those_before_it(database: Database) -> None:
    def work(connection: Connection) -> None:
        note("first")(connection)
        note("first")(connection)

    with pytest.raises(StoreFailed, match="IntegrityError"):
        await database.write(work)
    assert await database.read(notes) == []


async def test_what_is_written_while_reading_is_not_kept(database: Database) -> None:
    await database.read(note("by mistake"))
    assert await database.read(notes) == []


async def test_a_row_that_points_nowhere_is_refused(database: Database) -> None:
    with pytest.raises(StoreFailed, match="FOREIGNKEY"):
        await database.write(note("about nothing", about=77))


async def test_writers_are_served_one_at_a_time_in_their_order(on_file: Database) -> None:
    first = Gate(note("1"))
    writing = [asyncio.create_task(on_file.write(first))]
    await first.reached()
    writing += [asyncio.create_task(on_file.write(note(str(number)))) for number in (2, 3, 4)]
    await settle()
    first.open.set()
    await asyncio.gather(*writing)
    assert await on_file.read(notes) == ["1", "2", "3", "4"]


# ---- waiting


async def test_a_reader_does_not_wait_for_a_writer_and_sees_the_last_commit(on_file: Database) -> None:
    await on_file.write(note("before"))
    gate = Gate(note("under way"))
    writing = asyncio.create_task(on_file.write(gate))
    await gate.reached()
    assert await on_file.read(notes) == ["before"]
    gate.open.set()
    await writing
    assert await on_file.read(notes) == ["before", "under way"]


async def test_a_writer_does_not_wait_for_a_reader_who_goes_on_seeing_what_it_saw(on_file: Database) -> None:
    gate = Gate(notes)

    def twice(connection: Connection) -> tuple[list[str], list[str]]:
        return gate(connection), notes(connection)

    reading = asyncio.create_task(on_file.read(twice))
    await gate.reached()
    await on_file.write(note("meanwhile"))
    gate.open.set()
    assert await reading == ([], [])


async def test_a_database_that_does_not_answer_in_time_has_failed_and_the_work_still_ends_whole(path: Path) -> None:
    gate = Gate(note("late"))
    with opened(path, timeout_s=0.05) as database:
        with pytest.raises(StoreFailed, match=r"did not answer within 0\.05 s"):
            await database.write(gate)
        gate.open.set()
    with opened(path) as database:
        assert await database.read(notes) == ["late"]


async def test_a_cancelled_writer_whose_turn_had_not_come_writes_nothing(on_file: Database) -> None:
    gate = Gate(note("first"))
    writing = asyncio.create_task(on_file.write(gate))
    await gate.reached()
    waiting = asyncio.create_task(on_file.write(note("never")))
    await settle()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    gate.open.set()
    await writing
    await on_file.write(note("last"))
    assert await on_file.read(notes) == ["first", "last"]


async def test_a_writer_that_is_cancelled_under_way_ends_whole(on_file: Database) -> None:
    gate = Gate(note("whole"))
    writing = asyncio.create_task(on_file.write(gate))
    await gate.reached()
    writing.cancel()
    await asyncio.wait([writing])
    assert writing.cancelled()
    gate.open.set()
    await on_file.write(note("next"))
    assert await on_file.read(notes) == ["whole", "next"]


async def test_closing_waits_for_the_work_under_way(path: Path) -> None:
    gate = Gate(note("whole"))
    with opened(path) as database:
        writing = asyncio.create_task(database.write(gate))
        await gate.reached()
        closing_it = asyncio.create_task(asyncio.to_thread(database.close))
        gate.open.set()
        await closing_it
        await writing
    with opened(path) as database:
        assert database.read_now(notes) == ["whole"]


# ---- where it is


def test_the_folder_is_made(tmp_path: Path) -> None:
    with opened(tmp_path / "not" / "there" / "gateway.db") as database:
        database.write_now(note("here"))
    assert (tmp_path / "not" / "there" / "gateway.db").is_file()


def test_what_is_written_is_there_after_a_restart_and_tables_are_made_once(path: Path) -> None:
    for number in range(3):
        with opened(path) as database:
            database.write_now(note(str(number)))
    with opened(path) as database:
        assert database.read_now(notes) == ["0", "1", "2"]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
async def test_a_database_in_memory_is_one_for_all_who_have_it(url: str) -> None:
    with closing(Database(url)) as database, closing(Database(url)) as other:
        database.create(TABLES)
        await database.write(note("one"))
        await asyncio.gather(*(database.write(note(str(number))) for number in range(10)))
        found = await asyncio.gather(*(database.read(notes) for _ in range(10)))
        assert {len(texts) for texts in found} == {11}
        with pytest.raises(StoreFailed, match="SQLITE_ERROR"):
            await other.read(notes)


def test_a_file_that_is_no_database_is_a_failure(path: Path) -> None:
    path.write_bytes(b"not a database at all, " * 100)
    with closing(Database(f"sqlite:///{path}")) as database, pytest.raises(StoreFailed, match="NOTADB"):
        database.create(TABLES)


# ---- what a failure tells

WORDS = " ".join(["Jane", "Doe", "078-05-1120"])  # put together, so that no line of this file has it in a traceback


def too_often(connection: Connection) -> None:
    note(WORDS)(connection)
    note(WORDS)(connection)


def of_the_wrong_type(connection: Connection) -> None:
    note(WORDS, id=WORDS)(connection)


def into_no_table(connection: Connection) -> None:
    NOTES.drop(connection)
    note(WORDS)(connection)


def about_nothing(connection: Connection) -> None:
    note(WORDS, about=5)(connection)


@pytest.mark.parametrize("work", [too_often, of_the_wrong_type, into_no_table, about_nothing])
async def test_a_failure_says_what_is_wrong_and_no_value(
    database: Database, work: Callable[[Connection], None]
) -> None:
    with pytest.raises(StoreFailed, match=r"^[A-Za-z]+Error SQLITE_[A-Z_]+$") as caught:
        await database.write(work)
    assert "Doe" not in str(caught.value)
    assert "INSERT" not in str(caught.value)


async def test_nor_does_the_traceback_of_a_failure(database: Database) -> None:
    with pytest.raises(StoreFailed) as caught:
        await database.write(too_often)
    assert "Doe" not in "".join(traceback.format_exception(caught.value))


async def test_nor_does_the_message_about_a_full_text_query(database: Database) -> None:
    def search(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE VIRTUAL TABLE words USING fts5(text)")
        connection.exec_driver_sql("SELECT * FROM words WHERE words MATCH ?", ("Doe:x",))

    with pytest.raises(StoreFailed) as caught:
        await database.write(search)
    assert "Doe" not in str(caught.value)


async def test_a_text_that_the_driver_cannot_write_is_a_failure_too(database: Database) -> None:
    with pytest.raises(StoreFailed):
        await database.write(note("half a pair: \ud83d"))


def test_a_folder_that_cannot_be_made_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreFailed):
        Database(f"sqlite:///{tmp_path / 'file' / 'gateway.db'}").close()


async def test_a_database_that_is_closed_has_failed(path: Path) -> None:
    with opened(path) as database:
        pass
    with pytest.raises(StoreFailed):
        await database.read(notes)


# ---- several processes

COUNTING = """
import sys
from sqlalchemy import insert, update
from gateway.stores.database import Database
from tests.unit.gateway.stores.test_database import TABLES, count_up

database = Database(sys.argv[1])
database.create(TABLES)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[2])):
    database.write_now(count_up)
database.close()
"""


def count_up(connection: Connection) -> None:
    """Reads, and writes what follows from that: lost if another process could write in between."""
    count = connection.execute(select(COUNTER.c.count)).scalar()
    if count is None:
        connection.execute(insert(COUNTER).values(count=1))
    else:
        connection.execute(update(COUNTER).values(count=count + 1))


def test_two_processes_write_one_file_and_no_write_is_lost(path: Path) -> None:
    command = [sys.executable, "-c", COUNTING, f"sqlite:///{path}", "100"]
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    with ExitStack() as running:
        processes = [running.enter_context(subprocess.Popen(command, text=True, **pipes)) for _ in range(2)]
        for process in processes:
            process.stdout.readline()  # so that both begin at once
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    with opened(path) as database:
        assert database.read_now(lambda connection: connection.execute(select(COUNTER)).scalars().all()) == [200]


async def test_a_writer_that_has_only_read_yet_keeps_other_processes_from_writing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT_MS", 10)
    gate = Gate(notes)

    def read_and_write(connection: Connection) -> None:
        note(f"after {gate(connection)}")(connection)

    with opened(path) as database, opened(path) as other:
        writing = asyncio.create_task(other.write(read_and_write))
        await gate.reached()
        with pytest.raises(StoreFailed, match="OperationalError SQLITE_BUSY"):
            await database.write(note("ours"))
        assert await database.read(notes) == []
        gate.open.set()
        await writing
        await database.write(note("ours, again"))
        assert await database.read(notes) == ["after []", "ours, again"]
