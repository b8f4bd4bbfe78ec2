"""The database of the gateway, and the threads that use it: SQLAlchemy Core over SQLite by default.

Work is a function of a connection. What `write` is given runs in one transaction, one at a time, on a thread of its
own; `read` has threads beside it, which in SQLite's WAL mode see the last commit and never wait for a writer. Whoever
is cancelled while waiting leaves a transaction that ends as it would have: whole, or not at all.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from sqlite3 import OperationalError
from typing import Any, TypeVar

from sqlalchemy import Connection, MetaData, create_engine, event, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from gateway.ports import StoreFailed

Got = TypeVar("Got")
Work = Callable[[Connection], Got]

READERS = 2
"""Threads for reading: a search takes a millisecond or two, and there are few cores."""

BUSY_TIMEOUT_MS = 2000
"""How long SQLite waits for another process's write (an import, a report) before it gives up."""


REFUSED_PAUSE_MS = 10
"""Between two tries to change the journal's mode."""

_OF_THE_DRIVER = (UnicodeError, OverflowError)
"""What a value that no column can hold is met with; they quote it."""

_ONE_CONNECTION: dict[str, Any] = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}


class Database:
    """One engine and its threads. Raises StoreFailed where the database cannot be opened. Close it at the end.

    `url` is SQLAlchemy's, such as `sqlite:////var/lib/scout/gateway.db`; `sqlite://` is one in memory, for tests.
    `timeout_s` bounds how long `read` and `write` are waited for.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        self._timeout_s = timeout_s
        self._sqlite = make_url(url).get_backend_name() == "sqlite"
        self._in_memory = self._sqlite and make_url(url).database in (None, "", ":memory:")
        if self._sqlite and not self._in_memory:
            _make_folder(Path(str(make_url(url).database)).parent)
        # One connection is the whole of a database in memory, so one thread serves both.
        # A traceback must not quote what customers have said.
        self._engine = create_engine(url, hide_parameters=True, **(_ONE_CONNECTION if self._in_memory else {}))
        if self._sqlite:
            event.listen(self._engine, "connect", _prepare)
            event.listen(self._engine, "begin", _begin)
        self._writer = ThreadPoolExecutor(1, "store-writer")
        self._readers = self._writer if self._in_memory else ThreadPoolExecutor(READERS, "store-reader")

    def create(self, tables: MetaData) -> None:
        """Makes the tables that are not there yet."""
        self.write_now(lambda connection: tables.create_all(connection))

    async def read(self, work: Work[Got]) -> Got:
        """What `work` returns. Raises StoreFailed. Safe to cancel."""
        return await self._on(self._readers, self.read_now, work)

    async def write(self, work: Work[Got]) -> Got:
        """The same in a transaction that is committed when `work` returns, and rolled back when it raises."""
        return await self._on(self._writer, self.write_now, work)

    def read_now(self, work: Work[Got]) -> Got:
        """`read` for whoever has a thread of his own."""
        try:
            with self._engine.connect() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise StoreFailed(_told(error)) from error
        except _OF_THE_DRIVER as error:
            raise StoreFailed(type(error).__name__) from None

    def write_now(self, work: Work[Got]) -> Got:
        """`write` for whoever has a thread of his own."""
        try:
            # A writer takes the lock at once: one that first reads would be refused it if another has written since.
            with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
                return work(connection)
        except SQLAlchemyError as error:
            raise StoreFailed(_told(error)) from error
        except _OF_THE_DRIVER as error:
            raise StoreFailed(type(error).__name__) from None

    def close(self) -> None:
        """Waits for the work under way and closes the connections."""
        self._readers.shutdown()
        self._writer.shutdown()
        self._engine.dispose()

    async def _on(self, threads: ThreadPoolExecutor, do: Callable[[Work[Got]], Got], work: Work[Got]) -> Got:
        try:
            doing = asyncio.get_running_loop().run_in_executor(threads, do, work)
        except RuntimeError as error:
            raise StoreFailed("the database is closed") from error
        try:
            async with asyncio.timeout(self._timeout_s):
                return await doing
        except TimeoutError as error:
            raise StoreFailed(f"the database did not answer within {self._timeout_s:g} s") from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreFailed(f"{folder}: {error.strerror}") from error


def _prepare(connection: Any, record: object) -> None:
    """SQLite's defaults are for compatibility with 2004; the transactions are begun by us."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the last commits, never the database
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Sets the journal's mode, by which readers and the writer do not wait for each other.

    The first to open a new file changes it. Whoever does so at the same moment is refused at once, whatever the busy
    time-out says (so it was seen with SQLite 3.40); once it is changed there is nothing to refuse.
    """
    for _ in range(BUSY_TIMEOUT_MS // REFUSED_PAUSE_MS):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except OperationalError:
            time.sleep(REFUSED_PAUSE_MS / 1000)
    cursor.execute("PRAGMA journal_mode = WAL")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _told(error: SQLAlchemyError) -> str:
    """What went wrong, by its names alone: statements, values and SQLite's own words quote customers."""
    cause = getattr(error, "orig", None)
    named = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or ""
    return f"{type(cause or error).__name__} {named}".strip()
