"""Parquet files of a lake folder: written whole, then named; cut by the bucket of a stream."""

from collections.abc import Iterator
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from salesflow.adapters.lake.log_columns import arrow
from salesflow.adapters.lake.manifest import LakeFile, LakeFolder

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["bucketed", "write_file"]


GROUP_ROWS: Final = 50_000


def bucketed(rows: "pa.Table", id: str, digits: int) -> "Iterator[tuple[str, pa.Table]]":
    """Cut rows by the last digits of an id; within a bucket they stay in their order."""
    compute = arrow(".compute")
    ends = compute.utf8_slice_codeunits(rows.column(id), -digits, None)
    for bucket in sorted(compute.unique(ends).to_pylist()):
        yield bucket, rows.filter(compute.equal(ends, bucket))


def write_file(folder: LakeFolder, place: str, name: str, rows: "pa.Table") -> LakeFile:
    """Write rows into a file of a name of its own, which is there whole or not at all."""
    parquet = arrow(".parquet")
    path = folder.root / place / f"{name}-{token_hex(3)}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    between = path.with_suffix(".parquet-part")
    try:
        parquet.write_table(rows, between, compression="zstd", row_group_size=GROUP_ROWS)
        between.replace(path)
    finally:
        between.unlink(missing_ok=True)
    name = path.relative_to(folder.root).as_posix()
    return LakeFile(name, "", rows.num_rows, path.stat().st_size)
