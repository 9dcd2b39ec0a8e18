"""Writes the log into a lake folder: Parquet, by tenant and bucket of the stream, sorted.

Every export adds files of the events that are new, sorted by stream and version. A bucket that
has gathered many files gets one in their place. A folder goes on with the log it was begun
with, and with no other.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.lake.log_columns import LOG_ORDER, arrow_of_log, raw_rows
from salesflow.adapters.lake.manifest import (
    LakeFile,
    LakeFolder,
    LakeManifest,
    first_digest,
    next_digest,
)
from salesflow.adapters.lake.parquet_files import bucketed, write_file
from salesflow.adapters.logs import Progress
from salesflow.errors import InputError
from salesflow.presentation.arrow import arrow_module

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BUCKET_DIGITS", "begun_manifest", "with_log"]


BUCKET_DIGITS: Final = 1
"""The bucket of a stream is the end of its id, which is random: so many hexadecimal digits."""
BUCKET_DIGITS_MAX: Final = 4
EVENTS_AT_ONCE: Final = 200_000
"""So many events are sorted in memory at a time."""
FILES_MAX: Final = 8
"""A bucket that has gathered so many files gets one in their place."""


def begun_manifest(folder: LakeFolder, log: EventLog, digits: int | None) -> LakeManifest:
    """Return what to go on from: what the folder holds of this log, or nothing.

    Raises:
        InputError: when the folder holds another log, or is cut into other buckets.
    """
    found = folder.manifest(log.tenant)
    if found is None:
        if digits is not None and not 1 <= digits <= BUCKET_DIGITS_MAX:
            raise InputError(f"a bucket has 1 to {BUCKET_DIGITS_MAX} digits, not {digits}")
        digest = first_digest(log.tenant)
        return LakeManifest(log.tenant, digits or BUCKET_DIGITS, digest=digest)
    if digits not in (None, found.digits):
        raise InputError(
            f"{folder.root} is cut into buckets of {found.digits} digits, not {digits}; export"
            " into a new folder to cut it otherwise"
        )
    if found.position and log.mark_at(found.position) != (found.recorded, found.checksum):
        raise InputError(
            f"{folder.root} holds another log of tenant {log.tenant}: at position"
            f" {found.position:,} it has an event that is not in this database; export into a"
            " new folder"
        )
    return found


def with_log(
    folder: LakeFolder,
    manifest: LakeManifest,
    log: EventLog,
    through: int,
    progress: Progress | None = None,
) -> LakeManifest:
    """Write the events that are new, and return the manifest that names them too.

    Nobody sees them until that takes the place of the one before.

    Raises:
        HistoryError: when the log has a gap, or a row holds what no event has.
    """
    for rows in _some(log, manifest.position, through):
        last = rows.slice(rows.num_rows - 1).to_pylist()[0]
        digest = next_digest(manifest.digest, rows.column("checksum").to_pylist())
        new = _write(folder, manifest, rows.sort_by(LOG_ORDER), manifest.position + 1)
        manifest = manifest._replace(
            position=last["position"],
            recorded=last["recorded"],
            checksum=last["checksum"],
            digest=digest,
            log=(*manifest.log, *new),
        )
        if progress is not None:
            progress(manifest.position, through)
    return _compacted(folder, manifest)


def _some(log: EventLog, after: int, through: int) -> "Iterator[pa.Table]":
    """Yield the events that are new, as many at a time as are sorted together."""
    pa, held = arrow_module(), []
    for page in raw_rows(log, after, through):
        held.append(arrow_of_log(page))
        if sum(each.num_rows for each in held) >= EVENTS_AT_ONCE:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def _write(
    folder: LakeFolder, manifest: LakeManifest, rows: "pa.Table", first: int
) -> Iterator[LakeFile]:
    last = first + rows.num_rows - 1
    for bucket, part in bucketed(rows, "stream_id", manifest.digits):
        name = f"{first:012}-{last:012}"
        file = write_file(folder, f"log/tenant={manifest.tenant}", name, part, bucket)
        yield file._replace(first=first, last=last)


def _compacted(folder: LakeFolder, manifest: LakeManifest) -> LakeManifest:
    """Put the files of a bucket into one where they are many."""
    buckets: dict[str, list[LakeFile]] = {}
    for file in manifest.log:
        buckets.setdefault(file.bucket, []).append(file)
    files = list[LakeFile]()
    for bucket, some in buckets.items():
        files += [_merged(folder, manifest, bucket, some)] if len(some) > FILES_MAX else some
    return manifest._replace(log=tuple(files))


def _merged(
    folder: LakeFolder, manifest: LakeManifest, bucket: str, files: Iterable[LakeFile]
) -> LakeFile:
    parquet, some = arrow_module("pyarrow.parquet"), list(files)
    tables = [parquet.ParquetFile(folder.root / each.path).read() for each in some]
    first, last = min(each.first for each in some), max(each.last for each in some)
    rows = arrow_module().concat_tables(tables).sort_by(LOG_ORDER)
    name = f"{first:012}-{last:012}"
    file = write_file(folder, f"log/tenant={manifest.tenant}", name, rows, bucket)
    return file._replace(first=first, last=last)
