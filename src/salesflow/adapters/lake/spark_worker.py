"""What runs on the workers of Spark: one partition of the log in, what it comes to out.

A module of its own, since workers load it and need nothing of what drives them. Spark knows one
shape of rows for all that a function gives, and read tables have many. So what streams come to
in a table is one row here, which holds its rows as an Arrow stream. What goes wrong is a row as
well, so that it is told to people as if it had happened beside them.
"""

import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from salesflow.adapters.lake.folding import (
    ArrowFolding,
    FoldedTable,
    FoldingTask,
    in_order,
    whole_streams,
)
from salesflow.errors import SalesflowError
from salesflow.presentation.arrow import arrow_module

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FOLDED", "fold_partition", "folder_of", "read_stream"]


FOLDED: Final = "name string, events bigint, rows binary, left_out binary, error string"
"""How the rows look that a partition comes to, as Spark writes it."""


def folder_of(task: FoldingTask) -> "partial[Iterator[pa.RecordBatch]]":
    """Return the function for `mapInArrow`."""
    return partial(fold_partition, task)


def fold_partition(
    task: FoldingTask,
    batches: "Iterable[Any]",  # of Arrow
) -> "Iterator[pa.RecordBatch]":
    """Fold the streams of a partition.

    They are sorted once more, since Sail (0.7) leaves a sort out before a function, which it
    takes for needless; a partition is small enough for that.
    """
    try:
        folding = ArrowFolding(task)
        for streams in whole_streams(in_order(batches)):
            folded = folding.fold(streams)
            yield _counted(streams.num_rows)
            for name, table in folded.items():
                if table.rows.num_rows or table.left_out.num_rows:
                    yield _told(name, table)
    except SalesflowError as error:
        told = {"error": type(error).__name__, "message": str(error)}
        yield _row(error=json.dumps(told))


def _counted(events: int) -> "pa.RecordBatch":
    return _row(events=events)


def _told(name: str, table: FoldedTable) -> "pa.RecordBatch":
    left_out = _stream(table.left_out) if table.left_out.num_rows else None
    return _row(name=name, rows=_stream(table.rows), left_out=left_out)


def _row(
    name: str = "",
    events: int = 0,
    rows: bytes | None = None,
    left_out: bytes | None = None,
    error: str | None = None,
) -> "pa.RecordBatch":
    pa = arrow_module()
    kinds = (pa.string(), pa.int64(), pa.binary(), pa.binary(), pa.string())
    cells = (name, events, rows, left_out, error)
    columns = [pa.array([cell], kind) for cell, kind in zip(cells, kinds, strict=True)]
    names = [each.partition(" ")[0] for each in FOLDED.split(", ")]
    return pa.RecordBatch.from_arrays(columns, names=names)


def _stream(table: "pa.Table") -> bytes:
    pa = arrow_module()
    sink = pa.BufferOutputStream()
    with arrow_module("pyarrow.ipc").new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def read_stream(stream: bytes) -> "pa.Table":
    """Read the rows that one row of Spark holds."""
    return arrow_module("pyarrow.ipc").open_stream(stream).read_all()
