"""Writes the read tables into a lake folder: every row that was ever believed, by bucket.

Both spans of time stand in the rows, as whole microseconds, so a reader asks as of any moment
of either axis. A bucket is written anew when something was told of one of its streams; all
others stay as they are. Within a bucket rows are sorted as in the table.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.lake.folding import row_schema
from salesflow.adapters.lake.log_columns import with_hyphens
from salesflow.adapters.lake.manifest import LakeFile, LakeFolder, LakeManifest, LakeTable
from salesflow.adapters.lake.parquet_files import bucketed, file_at, new_file, write_file
from salesflow.adapters.logs import Progress
from salesflow.domain.process import ProcessVersion
from salesflow.presentation.arrow import arrow_module
from salesflow.projections.table import Fold, IntervalTable, LedgerTable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["STAGES", "with_stages", "with_tables"]


STAGES: Final = "stages"
"""The stages of all process versions, as a table of their own."""
ROWS_AT_ONCE: Final = 50_000


def with_tables(
    folder: LakeFolder,
    manifest: LakeManifest,
    log: EventLog,
    folds: Iterable[Fold],
    connection: sa.Connection,
    progress: Progress | None = None,
) -> LakeManifest:
    """Write what has changed, and return the manifest that names it too.

    All tables stand at the position of the manifest, in the snapshot of the connection.
    """
    told = {file.bucket for file in manifest.log if file.last > manifest.tables_at}
    chosen, tables = list(folds), dict(manifest.tables)
    for number, fold in enumerate(chosen, start=1):
        table, before = fold.table, manifest.tables.get(fold.table.label)
        whole = before is None or before.revision != table.revision
        kept = () if before is None or whole else before.files
        buckets = None if whole else told
        if buckets is None or buckets:
            rows = _rows(table, log, connection, buckets, manifest.digits)
            stay = [file for file in kept if file.bucket not in told]
            files = [*stay, *_write(folder, manifest, table, rows)]
            files = files or [_empty(folder, manifest, table)]
            tables[table.label] = LakeTable(table.revision, tuple(files))
        if progress is not None:
            progress(number, len(chosen))
    return manifest._replace(tables=tables, tables_at=manifest.position)


def _rows(
    table: IntervalTable | LedgerTable,
    log: EventLog,
    connection: sa.Connection,
    buckets: set[str] | None,
    digits: int,
) -> "Iterator[pa.Table]":
    """Yield rows in the order of the table, of some buckets or of all."""
    schema = row_schema(table)
    shown = [_shown(table.table.c[name]) for name in schema.names]
    select = sa.select(*shown).where(table.c.tenant == log.tenant)
    if buckets is not None:
        end = sa.func.substr(sa.cast(table.c.entity_id, sa.Text), -digits)
        if connection.dialect.name == "postgresql":
            end = sa.func.right(sa.cast(table.c.entity_id, sa.Text), digits)
        select = select.where(end.in_(sorted(buckets)))
    select = select.order_by(*table.table.primary_key)
    found = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(select)
    pa, compute = arrow_module(), arrow_module("pyarrow.compute")
    ids = [name for name in schema.names if _is_id(table.table.c[name])]
    for rows in found.partitions(ROWS_AT_ONCE):
        columns = [*map(list, zip(*rows, strict=True))]
        part = pa.table(columns, schema=schema)
        for name in ids:
            place = schema.get_field_index(name)
            plain = compute.replace_substring(part.column(name), "-", "")
            part = part.set_column(place, name, with_hyphens(plain))
        yield part


def _is_id(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.Uuid)


def _shown(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return sa.cast(column, sa.Text) if _is_id(column) else column


def _write(
    folder: LakeFolder,
    manifest: LakeManifest,
    table: IntervalTable | LedgerTable,
    rows: "Iterable[pa.Table]",
) -> list[LakeFile]:
    """Write rows into a file a bucket."""
    schema = row_schema(table)
    name = f"{manifest.position:012}-{token_hex(3)}.parquet"
    place = f"tables/{table.label}/tenant={manifest.tenant}"
    counted: dict[str, int] = {}
    with ExitStack() as stack:
        writers: dict[str, Any] = {}
        for part in rows:
            for bucket, some in bucketed(part, "entity_id", manifest.digits):
                if bucket not in writers:
                    path = f"{place}/bucket={bucket}/{name}"
                    writers[bucket] = stack.enter_context(new_file(folder, path, schema))
                writers[bucket].write_table(some)
                counted[bucket] = counted.get(bucket, 0) + some.num_rows
    return [file_at(folder, f"{place}/bucket={b}/{name}", b, n) for b, n in counted.items()]


def _empty(
    folder: LakeFolder, manifest: LakeManifest, table: IntervalTable | LedgerTable
) -> LakeFile:
    """Write a file that holds no row, but says which columns there are."""
    place, rows = (
        f"tables/{table.label}/tenant={manifest.tenant}",
        row_schema(table).empty_table(),
    )
    return write_file(folder, place, f"{manifest.position:012}", rows, "0" * manifest.digits)


def with_stages(
    folder: LakeFolder,
    manifest: LakeManifest,
    processes: Mapping[tuple[str, int], ProcessVersion],
) -> LakeManifest:
    """Write the stages of all process versions, which analysts join to."""
    pa = arrow_module()
    rows: Sequence[tuple[object, ...]] = [
        (
            *(key, version, stage.key, process.order(stage.key), stage.name_en, stage.name_zh),
            *(stage.category, stage.max_days),
        )
        for (key, version), process in sorted(processes.items())
        for stage in process.stages
    ]
    names = ("process", "version", "stage", "place", "name_en", "name_zh", "category")
    kinds = (pa.string(), pa.int64(), pa.string(), pa.int64(), *(pa.string(),) * 3, pa.int64())
    schema = pa.schema([*zip((*names, "max_days"), kinds, strict=True)])
    columns = [*map(list, zip(*rows, strict=True))] if rows else [[] for _ in schema]
    place, table = f"tables/{STAGES}/tenant={manifest.tenant}", pa.table(columns, schema)
    bucket = "0" * manifest.digits
    file = write_file(folder, place, f"{manifest.position:012}", table, bucket)
    return manifest._replace(tables={**manifest.tables, STAGES: LakeTable(0, (file,))})
