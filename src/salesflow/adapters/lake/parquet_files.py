"""Parquet files of a lake folder: written whole, then named; cut by the bucket of a stream."""

from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

from salesflow.adapters.exporters.arrow_files import parquet_writer
from salesflow.adapters.exporters.new_files import named_once_whole
from salesflow.adapters.lake.manifest import LakeFile, LakeFolder
from salesflow.presentation.arrow import arrow_module

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["bucketed", "file_at", "new_file", "write_file"]


GROUP_ROWS: Final = 50_000


def bucketed(rows: "pa.Table", id: str, digits: int) -> "Iterator[tuple[str, pa.Table]]":
    """Cut rows by the last digits of an id; within a bucket they stay in their order."""
    compute = arrow_module("pyarrow.compute")
    ends = compute.utf8_slice_codeunits(rows.column(id), -digits, None)
    for bucket in sorted(compute.unique(ends).to_pylist()):
        yield bucket, rows.filter(compute.equal(ends, bucket))


@contextmanager
def new_file(folder: LakeFolder, path: str, schema: "pa.Schema") -> Iterator[Any]:
    """Yield a writer of rows into a file, which is there whole or not at all."""
    file = folder.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    with (
        named_once_whole(file.with_suffix(".parquet-part"), file) as part,
        parquet_writer(part, schema) as writer,
    ):
        yield writer


def file_at(folder: LakeFolder, path: str, bucket: str, rows: int) -> LakeFile:
    """Return what a manifest says of a file that was written."""
    return LakeFile(path, bucket, rows, (folder.root / path).stat().st_size)


def write_file(
    folder: LakeFolder, place: str, name: str, rows: "pa.Table", bucket: str
) -> LakeFile:
    """Write rows into a file of a name of its own in the folder of a bucket."""
    path = f"{place}/bucket={bucket}/{name}-{token_hex(3)}.parquet"
    with new_file(folder, path, rows.schema) as writer:
        writer.write_table(rows, row_group_size=GROUP_ROWS)
    return file_at(folder, path, bucket, rows.num_rows)
