"""Rows are inserted as they are given, many by a statement, however wide they are."""

import sqlite3
from contextlib import closing

import pytest

from salesflow.adapters.database.sqlite import insert_rows

INSERT = "INSERT INTO t "


@pytest.mark.parametrize(("width", "many"), [(1, 40), (24, 40), (25, 39), (600, 1), (1_100, 1)])
@pytest.mark.parametrize("count", [0, 1, 38, 39, 40, 41, 80, 83])
def test_every_row_is_inserted_once_and_in_its_order_many_by_a_statement(
    count: int, width: int, many: int
) -> None:
    names = ", ".join(f"c{place}" for place in range(width))
    marks = f"('same', {', '.join('?' * width)})"
    values = [(number, f"row {number}", None)[number % 3] for number in range(count * width)]
    rows = [("same", *values[at : at + width]) for at in range(0, len(values), width)]
    told: list[str] = []
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE t (a, {names})")
        connection.set_trace_callback(told.append)
        insert_rows(connection, "t", marks, values)
        connection.set_trace_callback(None)
        assert connection.execute("SELECT * FROM t ORDER BY rowid").fetchall() == rows
    assert sum(each.startswith(INSERT) for each in told) == count // many + count % many


@pytest.mark.parametrize("whole", [0, 40])
def test_a_row_that_is_cut_off_is_refused(whole: int) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a, b, c)")
        with pytest.raises(sqlite3.ProgrammingError):
            insert_rows(connection, "t", "(?, ?, ?)", [0, 0, 0] * whole + [1, 2, 3, 4])
