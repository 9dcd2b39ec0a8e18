"""One export into a lake folder: the log, the read tables, and what reads them.

Files are added first and named last: the manifest takes the place of the one before in one
step. So an export that is stopped anywhere leaves what was there, and the next goes on from it.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import sqlalchemy as sa

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.published import PublishedProcesses
from salesflow.adapters.lake.duckdb_views import sql_of
from salesflow.adapters.lake.iceberg import (
    CATALOGUE_FILE,
    ensure_iceberg,
    name_in_iceberg,
)
from salesflow.adapters.lake.log_export import begun_manifest, with_log
from salesflow.adapters.lake.manifest import LakeFile, LakeFolder, LakeManifest
from salesflow.adapters.lake.tables_export import with_stages, with_tables
from salesflow.adapters.logs import Progress
from salesflow.adapters.projector.balances import utc_offset_of
from salesflow.adapters.projector.read_tables import positions_of
from salesflow.errors import BusyError, InputError
from salesflow.projections.table import Fold

__all__ = ["LakeExport", "export_lake"]


TRIES: Final = 20
"""So often tables are brought level until all stand at one position."""


class LakeExport(NamedTuple):
    """What an export came to."""

    manifest: LakeManifest
    written: tuple[LakeFile, ...]
    """The files that are new."""


def export_lake(  # noqa: PLR0913 - all but a few by keyword
    log: EventLog,
    folds: Sequence[Fold],
    catch_up: Callable[[], object],
    folder: LakeFolder,
    *,
    digits: int | None = None,
    iceberg: bool = False,
    progress: Progress | None = None,
) -> LakeExport:
    """Bring a folder level with the log and its read tables.

    Raises:
        InputError: when the folder holds another log, or is cut into other buckets.
        SalesflowError: when an Iceberg table is to name the files, and pyiceberg is missing.
        BusyError: when the tables did not come to stand at one position, since others write.
    """
    iceberg = iceberg or (folder.root / CATALOGUE_FILE).exists()
    if iceberg:
        ensure_iceberg()
    before = begun_manifest(folder, log, digits)
    for _ in range(TRIES):
        catch_up()
        with log.database.read() as connection:
            position = _stands(log, folds, connection)
            if position is None:
                continue
            if position < before.position:
                raise InputError(
                    f"{folder.root} stands at position {before.position:,}, beyond the read"
                    f" tables at {position:,}: the log has gone back; export into a new folder"
                )
            manifest = with_log(folder, before, log, position)
            manifest = with_tables(folder, manifest, log, folds, connection, progress)
            processes = PublishedProcesses(log, connection).all(connection)
        if manifest != before:
            manifest = with_stages(folder, manifest, processes)
        made = _named(folder, before, manifest, folds, utc_offset_of(log))
        if iceberg:
            name_in_iceberg(folder, manifest)
        return made
    raise BusyError(
        "others brought the read tables further one by one, so that they did not come to stand"
        " at one position; try again"
    )


def _stands(log: EventLog, folds: Sequence[Fold], connection: sa.Connection) -> int | None:
    """Return where all tables stand in a snapshot; None where not at one position."""
    names = [fold.table.name for fold in folds]
    found = positions_of(log, names, connection)
    positions = {found[name].position if name in found else 0 for name in names}
    return positions.pop() if len(positions) == 1 else None


def _named(
    folder: LakeFolder,
    before: LakeManifest,
    manifest: LakeManifest,
    folds: Sequence[Fold],
    utc_offset: int,
) -> LakeExport:
    """Let an export be seen, and remove what nobody can be at any more."""
    folder.replace(manifest)
    sql = sql_of(folder, manifest, folds, utc_offset)
    folder.write_text(folder.root / f"{manifest.tenant}.sql", sql)
    if not (folder.root / CATALOGUE_FILE).exists():  # whose tags name files of all exports
        folder.remove_unnamed(manifest, before)
    there = {file.path for file in before.files()}
    written = tuple(file for file in manifest.files() if file.path not in there)
    return LakeExport(manifest, written)
