"""Rows as Parquet and Arrow files: exact decimals, instants with their zone, and what they are.

Written batch by batch, so that a table of any length takes little memory. What a file was made
of stands in its schema's metadata: the moment, the position of the log and its digest, the
version of salesflow. It needs pyarrow, of the extra `analytics`.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal

from salesflow.adapters.exporters.rows import OPEN_END, Batch, Cell, CellKind, ExportRows
from salesflow.domain.time import FOREVER
from salesflow.presentation.arrow import arrow_module

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ArrowFormat", "parquet_writer", "write_arrow"]


ArrowFormat = Literal["parquet", "arrow"]
DIGITS: Final = 19
PLACES: Final = 6
END: Final = int(OPEN_END.timestamp()) * 1_000_000


def write_arrow(
    rows: ExportRows, file: Path, format: ArrowFormat, metadata: Mapping[str, str]
) -> int:
    """Write rows into a file; return how many there were.

    Raises:
        SalesflowError: when pyarrow is not installed.
    """
    arrow = arrow_module()
    types = [_type(arrow, column.kind) for column in rows.columns]
    fields = [arrow.field(c.name, t) for c, t in zip(rows.columns, types, strict=True)]
    schema = arrow.schema(fields, metadata=dict(metadata))
    count = 0
    with _writer(arrow, file, format, schema) as writer:
        for batch in rows.batches:
            if batch:
                writer.write_batch(_record_batch(arrow, rows, batch, schema))
            count += len(batch)
    return count


def _writer(arrow: ModuleType, file: Path, format: ArrowFormat, schema: "pa.Schema") -> Any:  # noqa: ANN401 - of pyarrow
    if format == "arrow":
        return arrow.ipc.new_file(str(file), schema)
    return parquet_writer(file, schema)


def parquet_writer(file: Path, schema: "pa.Schema") -> Any:  # noqa: ANN401 - of pyarrow
    """Open a new Parquet file for columns; what is written into it is packed."""
    return arrow_module("pyarrow.parquet").ParquetWriter(str(file), schema, compression="zstd")


def _type(arrow: ModuleType, kind: CellKind) -> "pa.DataType":
    types = {
        CellKind.TEXT: arrow.string(),
        CellKind.INTEGER: arrow.int64(),
        CellKind.INSTANT: arrow.timestamp("us", tz="UTC"),
        CellKind.AMOUNT: arrow.decimal128(DIGITS, PLACES),
    }
    return types[kind]


def _record_batch(
    arrow: ModuleType, rows: ExportRows, batch: Batch, schema: "pa.Schema"
) -> "pa.RecordBatch":
    columns = zip(*batch, strict=True)
    arrays = [
        _array(arrow, cells, column.kind, field.type)
        for cells, column, field in zip(columns, rows.columns, schema, strict=True)
    ]
    return arrow.record_batch(arrays, schema=schema)


def _array(
    arrow: ModuleType, cells: Sequence[Cell], kind: CellKind, type: "pa.DataType"
) -> "pa.Array":
    if kind is CellKind.INSTANT:
        times = [END if isinstance(at, int) and at >= FOREVER else at for at in cells]
        return arrow.array(times, arrow.int64()).cast(type)
    if kind is CellKind.AMOUNT:
        exact = [None if each is None else Decimal(each).scaleb(-PLACES) for each in cells]
        return arrow.array(exact, type)
    return arrow.array(cells, type)
