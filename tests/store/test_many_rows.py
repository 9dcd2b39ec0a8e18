"""Rows are inserted as they are given, however many one statement takes."""

import sqlite3
from contextlib import closing

import pytest

from salesflow.adapters.database.sqlite import insert_rows


@pytest.mark.parametrize("at_once", [1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 20, 21])
def test_every_row_is_inserted_once_and_in_its_order(count: int, at_once: int) -> None:
    rows = [(number, f"row {number}", None) for number in range(count)]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a, b, c)")
        values = [value for row in rows for value in row]
        insert_rows(connection, "t", "(?, ?, ?)", values, at_once)
        assert connection.execute("SELECT * FROM t ORDER BY rowid").fetchall() == rows


def test_a_row_that_is_cut_off_is_refused() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a, b, c)")
        with pytest.raises(sqlite3.ProgrammingError):
            insert_rows(connection, "t", "(?, ?, ?)", [1, 2, 3, 4], 2)
