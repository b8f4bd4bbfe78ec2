"""A database file may be new to all who open it: two gateways that start at once, or a command beside one."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, Table

from gateway.stores.database import Database

TABLES = MetaData()
Table("notes", TABLES, Column("number", Integer, primary_key=True))


def test_many_may_open_a_new_file_at_the_same_moment(tmp_path: Path) -> None:
    together = threading.Barrier(4, timeout=30)

    def open_each(_: int) -> None:
        for file in range(60):
            together.wait()
            with closing(Database(f"sqlite:///{tmp_path}/{file}.db")) as database:
                database.create(TABLES)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(open_each, range(4))) == [None] * 4
