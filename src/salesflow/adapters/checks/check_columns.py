"""Compares what questions take from files beside a database with the rows of its tables.

A file is taken as who begins to ask takes it, with what was told since, one table at a time.
What its rows come to is compared with what the rows of the database come to, which are read a
few at a time: a sum of numbers that are made of each row, whatever the order. It is a module of
its own, as it loads numpy, which nobody needs where there are no files.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import sqlalchemy as sa

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.projector.columns import ColumnCache, Held, part_of
from salesflow.adapters.projector.read_tables import stored_positions
from salesflow.projections.core.columns import EVENT_ID, Column, Part, TableColumns
from salesflow.projections.table import ReadTable

__all__ = ["file_differs"]

AT_ONCE: Final = 50_000
"""So many rows of a file are added up at a time."""
MIXING: Final = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))
"""Shifts and factors of SplitMix64, after which each bit depends on all others."""
BITS: Final = 64


def file_differs(log: EventLog, table: ReadTable, connection: sa.Connection) -> bool:
    """Return whether the file of a table is used and holds other rows than the database."""
    cache = ColumnCache(log, kept_bytes=0)
    snapshot = cache.in_snapshot(stored_positions(log, [table.name], connection), connection)
    held = cache.in_file(table, snapshot)
    if held is None:
        return False
    return _come_to(_parts(held)) != _come_to(cache.batches(table, connection))


def _parts(held: Held) -> Iterator[Part]:
    if isinstance(held, TableColumns) and held.replaced is not None:
        yield held.base.where(~held.replaced)
    else:
        yield part_of(held.base)
    if held.tail is not None:
        yield part_of(held.tail)


def _come_to(parts: Iterable[Part]) -> tuple[int, int]:
    """Return how many rows there are, and the sum of their numbers."""
    rows, total = 0, 0
    for part in parts:
        rows += part.rows
        for first in range(0, part.rows, AT_ONCE):
            total += int(_numbers(part, slice(first, first + AT_ONCE)).sum())
    return rows, total % 2**BITS


def _numbers(part: Part, rows: slice) -> Column:
    """Return a number for each row, made of all its columns."""
    found: Column = np.zeros(len(part.cut("entity_id", rows)), np.uint64)
    for name in sorted(part.columns):
        for cells in _as_numbers(part.cut(name, rows)):
            found = found ^ cells
            for shift, factor in MIXING:
                found = (found ^ (found >> np.uint64(shift))) * np.uint64(factor)
    return found


def _as_numbers(column: Column) -> tuple[Column, ...]:
    if column.dtype == EVENT_ID:
        halves = np.ascontiguousarray(column).view(np.uint64)
        return halves[0::2], halves[1::2]
    return (column.astype(np.int64).view(np.uint64),)
