"""Read tables as rows: those that hold at a moment, or all that was ever believed.

They are read as SQL views show them (see `sql_views`): instants under names in `_at`, amounts
as decimals, a row that is stored once for two beliefs as two. At a moment nothing is said that
was not known then: `known_to` of every row is open, and `valid_to` as it was believed, so that
the same moment gives the same rows for ever.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa

from salesflow.adapters.exporters.rows import Batch, CellKind, ExportColumn, ExportRows
from salesflow.domain.time import FOREVER
from salesflow.projections.table import (
    Instants,
    IntervalTable,
    LedgerTable,
    Millionths,
    ReadPoint,
    ReadTable,
    Shares,
)

__all__ = ["read_table_rows"]


BATCH: Final = 20_000
INSTANTS: Final = ("valid_from", "valid_to", "known_from", "known_to", "occurred", "recorded")
BOTH_ENDS: Final = ("_from", "_to")
Row = Sequence[Any]


def read_table_rows(
    table: ReadTable, tenant: str, connection: sa.Connection, read_point: ReadPoint | None
) -> ExportRows:
    """Return the rows of a read table at a moment; without one all of both time ranges."""
    columns = [column for column in table.table.columns if column.name != "collapsed"]
    select = _select(table, tenant, columns, read_point)
    of = tuple(_column(column) for column in columns)
    ids = [n for n, column in enumerate(columns) if isinstance(column.type, sa.Uuid)]
    halved = isinstance(table, IntervalTable) and read_point is None
    names = [column.name for column in columns]

    def batches() -> Iterator[Batch]:
        reading = connection.execution_options(yield_per=BATCH)
        for part in reading.execute(select).partitions(BATCH):
            rows: list[Row] = list(part)
            if halved:
                rows = [half for row in rows for half in _halves(row, names)]
            yield [_with_text_ids(row, ids) for row in rows]

    return ExportRows(table.label, of, batches())


def _select(
    table: ReadTable,
    tenant: str,
    columns: Sequence[sa.Column[Any]],
    read_point: ReadPoint | None,
) -> sa.Select[Any]:
    key = [column for column in table.table.primary_key if column.name != "tenant"]
    c = table.c
    if read_point is None:
        more = [c.collapsed] if isinstance(table, IntervalTable) else []
        return sa.select(*columns, *more).where(c.tenant == tenant).order_by(*key)
    if isinstance(table, IntervalTable):
        then: dict[str, sa.ColumnElement[Any]] = {
            "valid_to": table.valid_to(read_point),
            "known_to": sa.literal(FOREVER, sa.BigInteger),
        }
        shown = [then[c.name].label(c.name) if c.name in then else c for c in columns]
        return sa.select(*shown).where(table.visible_at(read_point)).order_by(*key)
    assert isinstance(table, LedgerTable)
    return sa.select(*columns).where(table.posted_by(read_point)).order_by(*key)


def _column(column: sa.Column[Any]) -> ExportColumn:
    """Name a column, and say what is in it, as the views do."""
    name, kind = column.name, column.type
    if isinstance(kind, Instants) or name in INSTANTS:
        shown = name if name.endswith(BOTH_ENDS) else f"{name}_at"
        return ExportColumn(shown, CellKind.INSTANT)
    if isinstance(kind, Millionths | Shares):
        return ExportColumn(name, CellKind.AMOUNT)
    whole = isinstance(kind, sa.Integer)
    return ExportColumn(name, CellKind.INTEGER if whole else CellKind.TEXT)


def _halves(row: Row, names: Sequence[str]) -> Iterator[Row]:
    """Yield a row, one that stands for two beliefs as both: open at first, and then ended."""
    *cells, collapsed = row
    if not collapsed:
        yield cells
        return
    valid_to, known_from, known_to = map(names.index, ("valid_to", "known_from", "known_to"))
    ended = cells[valid_to]
    before = [*cells]
    before[valid_to], before[known_to] = FOREVER, min(ended, cells[known_to])
    yield before
    if ended < cells[known_to]:
        cells[known_from] = ended
        yield cells


def _with_text_ids(row: Row, ids: Sequence[int]) -> tuple[Any, ...]:
    cells = [*row]
    for number in ids:
        if cells[number] is not None:
            cells[number] = str(cells[number])
    return tuple(cells)
