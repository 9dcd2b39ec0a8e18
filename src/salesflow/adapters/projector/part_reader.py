"""How rows of a read table become columns: read so many at a time, each column an array.

It is a module of its own, beside `columns`, which says what is read again and when.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, islice
from threading import RLock
from typing import Any, Final
from uuid import UUID

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from salesflow.adapters.database.database import Database
from salesflow.domain.ids import uuid_of_int
from salesflow.domain.time import Instant
from salesflow.errors import InputError
from salesflow.projections.core.columns import (
    EVENT_ID,
    NO_NUMBER,
    Column,
    Part,
    Words,
    narrowed,
)
from salesflow.projections.table import EventIds, IntervalTable, LedgerTable, ReadTable

__all__ = ["PartReader", "columns_in", "in_order"]

BATCH: Final = 2_000
"""So many rows are turned into columns at a time; twice as fast as where they are too many for
the caches of the processor."""
IN_ONE: Final = 500
"""So many ids go into one query."""

CURSORS: Final = count()
"""Numbers the cursors of this process."""

RowsRead = Iterator[Sequence[Sequence[Any]]]
"""Rows as the driver gives them, so many at a time."""


class PartReader:
    """Reads rows of one tenant; words and ids have the same codes in all that it reads."""

    def __init__(self, tenant: str, database: Database) -> None:
        self._tenant = tenant
        self._database = database
        self._sqlite = database.dialect == "sqlite"
        self.words: Final = Words()
        self.ids: Final = HexadecimalIds()
        self._lock = RLock()
        """Held while words get their codes."""

    def unlock_in_child(self) -> None:
        """Let nobody wait for a thread that lives in the parent of a fork alone."""
        self._lock = RLock()

    def all(self, table: ReadTable, connection: sa.Connection) -> Part:
        """Return all rows of a table."""
        return self._part(table, self._read(self._select(table), connection, {}))

    def since(self, table: LedgerTable, recorded: Instant, connection: sa.Connection) -> Part:
        """Return the movements of a ledger that were recorded after an instant."""
        select = f"{self._select(table)} AND recorded > :recorded"
        return self._part(table, self._read(select, connection, {"recorded": recorded}))

    def of(self, table: ReadTable, entities: Iterable[UUID], connection: sa.Connection) -> Part:
        """Return the rows of some entities."""
        return self._part(table, self._read_of(table, entities, connection))

    def words_of(self, table: ReadTable) -> Mapping[str, Words]:
        """Return what the codes of each column of words or ids stand for, by its name."""
        found = {column.name: self._words_in(column) for column in columns_in(table)}
        return {name: words for name, words in found.items() if words is not None}

    def codes(self, words: Words, texts: Sequence[str]) -> NDArray[np.int32]:
        """Return the codes of words or ids, as they are held; those that are new get one."""
        with self._lock:
            return words.codes(texts)

    def _words_in(self, column: sa.Column[Any]) -> Words | None:
        if isinstance(column.type, EventIds):
            return None
        if isinstance(column.type, sa.Uuid):
            return self.ids
        return self.words if isinstance(column.type, sa.String) else None

    def _select(self, table: ReadTable) -> str:
        names = ", ".join(map(self._read_as, columns_in(table)))
        return f"SELECT {names} FROM {table.name} WHERE tenant = :tenant"

    def _read_as(self, column: sa.Column[Any]) -> str:
        """Return what to select for a column: ids as hexadecimal digits, as SQLite has them."""
        if self._sqlite or not isinstance(column.type, sa.Uuid):
            return column.name
        return f"encode(uuid_send({column.name}), 'hex')"

    def _read(self, select: str, connection: sa.Connection, given: dict[str, Any]) -> RowsRead:
        """Yield the rows of a select, of which few are fetched at a time.

        On PostgreSQL by a cursor that is declared in SQL: one of the driver has a destructor,
        and a Ctrl-C that meets it is lost.
        """
        parameters = {"tenant": self._tenant, **given}
        if self._sqlite:
            with connection.execute(sa.text(select), parameters) as found:
                yield from found.partitions(BATCH)
            return
        cursor = f"salesflow_columns_{next(CURSORS)}"
        connection.execute(sa.text(f"DECLARE {cursor} CURSOR FOR {select}"), parameters)
        fetch, read = f"FETCH {BATCH} FROM {cursor}", BATCH
        while read == BATCH:
            rows = self._database.rows(fetch, (), connection)
            read = len(rows)
            yield rows
        connection.execute(sa.text(f"CLOSE {cursor}"))

    def _read_of(
        self, table: ReadTable, entities: Iterable[UUID], connection: sa.Connection
    ) -> RowsRead:
        waiting = iter(entities)
        some: sa.BindParameter[Any] = sa.bindparam("some", expanding=True)
        among = sa.text(f"{self._select(table)} AND entity_id IN :some").bindparams(some)
        while chunk := [id.hex if self._sqlite else id for id in islice(waiting, IN_ONE)]:
            yield connection.execute(among, {"tenant": self._tenant, "some": chunk}).all()

    def _part(self, table: ReadTable, rows: RowsRead) -> Part:
        columns = columns_in(table)
        batches: list[list[Column]] = [[np.empty(0, _type_of(each))] for each in columns]
        read = 0
        for batch in rows:
            read += len(batch)
            cells = zip(*batch, strict=True) if batch else ()
            for found, column, these in zip(batches, columns, cells, strict=False):
                found.append(narrowed(self._column(column, these)))
        joined = {}
        for column, found in zip(columns, batches, strict=True):
            joined[column.name] = np.concatenate(found[1:] or found)
            found.clear()
        return in_order(Part(joined, read), table)

    def _column(self, column: sa.Column[Any], cells: Sequence[Any]) -> Column:
        words = self._words_in(column)
        if words is not None:
            return self.codes(words, cells)
        if isinstance(column.type, EventIds):
            return np.frombuffer(bytes.fromhex("".join(cells)), EVENT_ID)
        try:
            return np.fromiter(cells, np.int64, len(cells))
        except TypeError:
            return np.fromiter(
                [NO_NUMBER if c is None else c for c in cells], np.int64, len(cells)
            )


class HexadecimalIds(Words):
    """Ids as hexadecimal digits, which are read when one is asked for."""

    def __getitem__(self, code: int) -> UUID | None:
        """Return the id of a code."""
        stored = super().__getitem__(code)
        return None if stored is None else uuid_of_int(int(stored, 16))

    def code(self, word: object) -> int | None:
        """Return the code of an id; None for one that no column holds."""
        return super().code(word.hex if isinstance(word, UUID) else word)


def columns_in(table: ReadTable) -> list[sa.Column[Any]]:
    """Return which columns of a table are held."""
    return [column for column in table.table.columns if column.name != "tenant"]


def _type_of(column: sa.Column[Any]) -> np.dtype[Any]:
    """Return how the numbers or codes of a column are held where there are none.

    Raises:
        InputError: for one that holds no whole numbers.
    """
    if isinstance(column.type, EventIds):
        return EVENT_ID
    if isinstance(column.type, sa.Uuid | sa.String):
        return np.dtype(np.int32)
    if not isinstance(column.type, sa.Integer):
        raise InputError(
            f"column {column.name} is of type {column.type!r}; columns in memory hold whole"
            " numbers, texts and ids: read such a table by `reader.rows`"
        )
    return np.dtype(np.int64)


def in_order(part: Part, table: ReadTable) -> Part:
    """Put rows in the order in which parts hold them, by what tells them from one another."""
    c = dict(part.columns)
    keys = [column.name for column in table.table.primary_key if column.name != "tenant"]
    if isinstance(table, IntervalTable):
        keys = ["entity_id", "valid_from", *(key.name for key in table.keys), "known_from"]
    order = np.lexsort([c[name] for name in reversed(keys)])
    if (order[1:] < order[:-1]).any():
        for name in c:  # one after the other, so that few are there twice
            c[name] = c[name][order]
    return Part(c, part.rows)
