"""Puts rows in the order of their deals without holding them in memory.

Rows of one deal may stand anywhere in a file. They are written to a temporary SQLite file
(which stays in memory while it is small) and read back deal by deal, in the order in which
the deals first appear, and within a deal in the order of the file.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import NamedTuple, Self

from salesflow.errors import DatabaseError

__all__ = ["ObjectRows", "RowsByObject", "room"]


BETWEEN = "\x1f"
WRITE = 2_000
IN_ORDER = "SELECT number, line, cells FROM rows ORDER BY number, line"


class ObjectRows(NamedTuple):
    """The rows of one deal: line and cells."""

    object: str
    rows: list[tuple[int, list[str]]]


class RowsByObject:
    """Rows on their way from the order of a file to the order of deals."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("")
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute("CREATE TABLE rows (number INTEGER, line INTEGER, cells TEXT)")
        self._numbers: dict[str, int] = {}
        self._waiting: list[tuple[int, int, str]] = []
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __contains__(self, object: str) -> bool:
        """Return whether the file has rows of a deal."""
        return object in self._numbers

    @property
    def names(self) -> Iterable[str]:
        """The deals there are, in the order in which they first appear."""
        return self._numbers.keys()

    @property
    def objects(self) -> int:
        """How many deals there are."""
        return len(self._numbers)

    def add(self, object: str, line: int, cells: Sequence[str]) -> None:
        """Add a row."""
        number = self._numbers.setdefault(object, len(self._numbers))
        self._waiting.append((number, line, BETWEEN.join(cells)))
        self.rows += 1
        if len(self._waiting) >= WRITE:
            self._flush()

    def by_object(self) -> Iterator[ObjectRows]:
        """Return the rows deal by deal; as often as one likes."""
        self._flush()
        objects = list(self._numbers)
        with room():
            cursor = self._file.execute(IN_ORDER)
            for number, rows in groupby(cursor, key=lambda row: row[0]):
                extracted = [(line, cells.split(BETWEEN)) for _, line, cells in rows]
                yield ObjectRows(objects[number], extracted)

    def _flush(self) -> None:
        with room():
            self._file.executemany("INSERT INTO rows VALUES (?, ?, ?)", self._waiting)
        self._waiting.clear()


@contextmanager
def room() -> Iterator[None]:
    """Raise DatabaseError, with what to do, when the temporary file cannot be written."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise DatabaseError(
            f"the rows cannot be kept in a temporary file while they are sorted: {error}; make"
            " room in the folder of temporary files, or name another one in SQLITE_TMPDIR"
        ) from error
