"""A table that is too large to be held in memory: it is read in slices, each time it is asked.

Of each slice only the rows that count at the moment stay, so that a question holds those and no
others. It is a module of its own, since few logs have such tables.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from salesflow.adapters.logs import COLUMNS
from salesflow.projections.core.columns import (
    Column,
    Flags,
    HeldRows,
    Kind,
    Part,
    RowsRead,
    Words,
    columns_of,
)
from salesflow.projections.table import IntervalTable, ReadPoint, ReadTable

__all__ = ["MANY_ROWS", "OutgrownError", "TableInSlices", "warn_of_slices", "within"]

MEGABYTE: Final = 1_000_000
MANY_ROWS: Final = 100_000
PACKED: Final = 2
"""Columns take about so many times the room until their long numbers stand in a list."""


class TableInSlices:
    """A table whose rows are read from the database anew, slice by slice, each time."""

    def __init__(
        self,
        table: ReadTable,
        slices: Callable[[], Iterator[Part]],
        keys: Sequence[str],
        words: Mapping[str, Words],
    ) -> None:
        self._table = table
        self._slices = slices
        self._keys = keys
        self._words = words

    def at(self, read_point: ReadPoint, *, ended: bool = False) -> HeldRows:
        """Return the rows that hold at a moment, with `ended` also those that held before."""
        kept: dict[str, list[Column]] = {}
        for each in self._slices():
            counts = self._counting(each, read_point, ended=ended)
            for name, column in each.where(counts).columns.items():
                kept.setdefault(name, []).append(column)
        columns = {name: np.concatenate(cut) for name, cut in kept.items()}
        part = Part.packed([Part(columns, len(columns["entity_id"]))]).in_order(self._keys)
        return HeldRows([(part, np.arange(part.rows))], self._words)

    def _counting(self, part: Part, read_point: ReadPoint, *, ended: bool) -> Flags:
        """Return which rows of a slice count; movements stand in no order in it."""
        if isinstance(self._table, IntervalTable):
            return part.matching(read_point, ended=ended)
        late = part.after("occurred", read_point.as_of)
        return ~(late | part.after("recorded", read_point.known_at))


class OutgrownError(Exception):
    """Rows that are being read take more room than is allowed."""


def within(
    batches: Iterable[RowsRead], kinds: Mapping[str, Kind], most: int
) -> Iterator[RowsRead]:
    """Pass rows on until they are going to take more bytes than so many, packed as columns.

    Looks at tables of many rows alone, and by how wide the columns of a few rows are.

    Raises:
        OutgrownError: then.
    """
    read, width = 0, 0.0
    for rows in batches:
        read += len(rows)
        if read > MANY_ROWS:
            if not width:
                columns = columns_of(rows, kinds).values()
                width = sum(column.nbytes for column in columns) / len(rows)
            if read * width > PACKED * most:
                raise OutgrownError
        yield rows


def warn_of_slices(table: str, most: int) -> None:
    """Log that a table takes more bytes than so many."""
    COLUMNS.warning(
        "%s takes more than the %d MB of memory that are allowed; each question reads it in"
        " slices",
        table,
        most // MEGABYTE,
    )
