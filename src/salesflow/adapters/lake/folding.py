"""The unit of a rebuild anywhere: whole streams in Arrow in, rows of read tables in Arrow out.

    folding = ArrowFolding(FoldingTask("main", ("deal_state", "pipeline"), processes))
    folded = folding.fold(streams)        # one behind the other, each from its beginning
    folded["deal_state"].rows

Nothing but the pure folds is behind it, and no database: process versions are handed in. An
engine that has put each stream in one place, in order, may run it wherever it likes, as often
as it likes. What balances hold follows from all movements together; whoever keeps the rows
keeps them (`projector.balances`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.database.connections import gc_paused
from salesflow.adapters.event_store.rows import RowReader
from salesflow.adapters.lake.log_columns import (
    LOG_COLUMNS,
    LOG_ORDER,
    log_rows,
    log_schema,
)
from salesflow.adapters.projector.entity_updates import LeftOutChange
from salesflow.adapters.projector.read_tables import LEFT_OUT
from salesflow.adapters.projector.whole_streams import StreamFolding, left_out_rows
from salesflow.domain.catalogue import CATALOGUE
from salesflow.domain.process import ProcessVersion
from salesflow.errors import ProjectionError
from salesflow.presentation.arrow import arrow_module
from salesflow.projections.registry import FOLDS
from salesflow.projections.table import IntervalTable, LedgerTable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "ArrowFolding",
    "FoldedTable",
    "FoldingTask",
    "in_order",
    "left_out_schema",
    "row_schema",
    "values_of",
    "whole_streams",
]


EVENTS_AT_ONCE: Final = 10_000
"""About so many events are folded at once; a stream is never cut."""
IDS_AS_TEXT: Final = "sqlite"
"""Rows hold ids as 32 digits, which every database takes."""
BATCH_ROWS: Final = 2_000
FIRST_VERSIONS: Final = (0, 1)
"""A stream begins with one of these versions."""


class FoldingTask(NamedTuple):
    """What whoever folds has to know; it can be sent anywhere."""

    tenant: str
    tables: tuple[str, ...]
    """The labels of read tables of the package."""
    processes: dict[tuple[str, int], ProcessVersion]
    """All versions that are published."""


class FoldedTable(NamedTuple):
    """What streams come to in one table."""

    rows: "pa.Table"
    left_out: "pa.Table"
    """Which of the streams cannot be read from where on; mostly none."""


class ArrowFolding:
    """Folds whole streams for some read tables."""

    def __init__(self, task: FoldingTask) -> None:
        self._folding = StreamFolding(
            {label: FOLDS[label] for label in task.tables},
            task.processes,
            CATALOGUE,
            task.tenant,
            IDS_AS_TEXT,
        )
        self._reader = RowReader(task.tenant, CATALOGUE, dialect=IDS_AS_TEXT)

    def fold(self, streams: "pa.Table") -> dict[str, FoldedTable]:
        """Return the rows of streams by the labels of the tables.

        Streams lie one behind the other in the order of their ids, each from its beginning.

        Raises:
            ProjectionError: when they do not, or a fold failed.
            HistoryError: when it may have changed when an event was recorded.
        """
        ensure_whole(streams)
        with gc_paused():
            events = self._reader.events(log_rows(self._wanted(streams)))
            return {
                each.name: FoldedTable(
                    _table(each.values, row_schema(FOLDS[each.name].table)),
                    _left_out(each.left_out),
                )
                for each in self._folding.fold(events)
            }

    def _wanted(self, streams: "pa.Table") -> "pa.Table":
        """Leave out the facts that no fold listens to."""
        pa, compute = arrow_module(), arrow_module("pyarrow.compute")
        beside = compute.is_in(streams.column("topic"), pa.array(self._folding.without))
        return streams.filter(compute.invert(beside))


def ensure_whole(streams: "pa.Table") -> None:
    """Refuse streams that are not in order or do not begin with their first event.

    Raises:
        ProjectionError: naming the first of them.
    """
    ids, versions = (streams.column(name).to_pylist() for name in ("stream_id", "version"))
    before, last = "", 0
    for id, version in zip(ids, versions, strict=True):
        fits = (
            version == last + 1 if id == before else id > before and version in FIRST_VERSIONS
        )
        if not fits:
            raise ProjectionError(
                f"stream {id} was handed on in parts or out of order, at version {version}: the"
                " engine has to put every stream in one place, sorted by stream and version"
            )
        before, last = id, version


def in_order(batches: "Iterable[pa.RecordBatch]") -> "list[pa.RecordBatch]":
    """Put what batches hold in the order of streams and versions."""
    held = list(batches)
    if not held:
        return held
    rows = arrow_module().Table.from_batches(held).select(list(LOG_COLUMNS)).cast(log_schema())
    found: list[pa.RecordBatch] = rows.sort_by(LOG_ORDER).to_batches(BATCH_ROWS)
    return found


def whole_streams(
    batches: "Iterable[pa.RecordBatch]", events: int = EVENTS_AT_ONCE
) -> "Iterator[pa.Table]":
    """Cut batches anew, so that no stream is cut and about so many events are in each."""
    pa = arrow_module()
    held: list[Any] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows < events:
            continue
        table = pa.Table.from_batches(held)
        last = table.column("stream_id")[-1]
        edge = arrow_module("pyarrow.compute").index(table.column("stream_id"), last).as_py()
        if edge:
            yield table.slice(0, edge)
        held = table.slice(edge).to_batches()
        rows -= edge
    if rows:
        yield pa.Table.from_batches(held)


def row_schema(table: IntervalTable | LedgerTable) -> "pa.Schema":
    """Return the columns of a read table, but the tenant, in the order of its rows."""
    return _schema_of(table.table, _columns_of(table))


def left_out_schema() -> "pa.Schema":
    """Return the columns of what a table leaves out."""
    return _schema_of(LEFT_OUT, [c.name for c in LEFT_OUT.columns if c.name not in BESIDE])


BESIDE: Final = ("tenant", "name")


def _columns_of(table: IntervalTable | LedgerTable) -> list[str]:
    if isinstance(table, LedgerTable):
        return [column.name for column in table.table.columns if column.name != "tenant"]
    return [
        *("entity_id", *(column.name for column in table.keys), "valid_from", "known_from"),
        *("valid_to", "known_to", "collapsed"),
        *(column.name for column in table.attributes),
    ]


def _schema_of(table: sa.Table, columns: Sequence[str]) -> "pa.Schema":
    pa = arrow_module()
    return pa.schema([pa.field(name, _type_of(table.c[name].type)) for name in columns])


def _type_of(kind: sa.types.TypeEngine[Any]) -> "pa.DataType":
    """Return the Arrow type of a column: a whole number, or a text (ids too)."""
    pa = arrow_module()
    if isinstance(kind, sa.BigInteger):
        return pa.int64()
    return pa.int32() if isinstance(kind, sa.Integer) else pa.string()


def _table(values: Sequence[object], schema: "pa.Schema") -> "pa.Table":
    """Put rows that lie one behind the other into columns.

    Raises:
        ProjectionError: when a column cannot hold what its fold gives.
    """
    pa, width = arrow_module(), len(schema)
    try:
        columns = [pa.array(values[n::width], field.type) for n, field in enumerate(schema)]
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise ProjectionError(
            f"a read table of the columns {', '.join(schema.names)} cannot hold what its fold"
            f" gives: {error}; its rows stand as they were"
        ) from error
    return pa.table(columns, schema=schema)


def values_of(table: "pa.Table") -> list[Any]:
    """Put columns into rows that lie one behind the other, as a database takes them."""
    width = table.num_columns
    values: list[Any] = [None] * (table.num_rows * width)
    for number, column in enumerate(table.columns):
        values[number::width] = column.to_pylist()
    return values


def _left_out(changes: Sequence[LeftOutChange]) -> "pa.Table":
    """Return what changes come to in the end."""
    rows: list[Mapping[str, object]] = [
        {name: value.hex if isinstance(value, UUID) else value for name, value in row.items()}
        for row in left_out_rows(changes)
    ]
    return arrow_module().Table.from_pylist(rows, schema=left_out_schema())
