"""What goes out of an engine: its log, its read tables, its histories, in open formats.

    flow.exports.log("sales.jsonl.gz")
    flow.exports.tables("march", as_of="2026-03-31")
    flow.exports.digest().log_sha256

A module of its own, since most who record and ask never export.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from hashlib import file_digest
from importlib.metadata import version as version_of
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from salesflow.adapters.database.database import sqlite_path
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.published import PublishedProcesses
from salesflow.adapters.exporters.arrow_files import write_arrow
from salesflow.adapters.exporters.histories import Histories
from salesflow.adapters.exporters.log_file import ExportedLog, LogExport, position_known_at
from salesflow.adapters.exporters.log_rows import log_rows
from salesflow.adapters.exporters.new_files import (
    STANDARD_OUTPUT,
    new_folder,
    new_path,
    new_stream,
)
from salesflow.adapters.exporters.ocel import gather_ocel
from salesflow.adapters.exporters.ocel_files import (
    Write,
    write_ocel_json,
    write_ocel_sqlite,
    write_ocel_xml,
)
from salesflow.adapters.exporters.rows import ExportRows
from salesflow.adapters.exporters.safe_csv import write_csv
from salesflow.adapters.exporters.table_rows import read_table_rows
from salesflow.adapters.exporters.xes import write_xes
from salesflow.adapters.logs import Progress
from salesflow.adapters.projector.read_tables import left_out_at
from salesflow.adapters.projector.runner import Runner
from salesflow.adapters.projector.snapshot import MomentResolver
from salesflow.domain.time import FOREVER, When, from_instant
from salesflow.domain.wording import shortened
from salesflow.errors import InputError
from salesflow.projections.core.left_out import LeftOut
from salesflow.projections.table import Fold, ReadPoint

if TYPE_CHECKING:  # loaded when a lake is written
    from salesflow.adapters.lake.lake_export import LakeExport

__all__ = ["ExportedHistories", "ExportedTables", "Exports", "TableFormat"]


TableFormat = Literal["parquet", "arrow", "csv"]
XES: Final = (".xes", ".xes.gz")
OCEL_STREAMS: Final[Mapping[str, Callable[[sqlite3.Connection, Write], None]]] = {
    **dict.fromkeys((".json", ".jsonocel", ".json.gz", ".jsonocel.gz"), write_ocel_json),
    **dict.fromkeys((".xml", ".xmlocel", ".xml.gz", ".xmlocel.gz"), write_ocel_xml),
}
OCEL_DATABASES: Final = (".sqlite", ".sqlite3")
MANIFEST: Final = "manifest.json"

LINES: Final = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
OTHERS: Final[Mapping[str, TableFormat]] = {
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".csv": "csv",
    ".csv.gz": "csv",
}


class ExportedFile(NamedTuple):
    """A file of an export, how many rows it holds, and its SHA-256."""

    file: str
    rows: int
    sha256: str


class ExportedTables(NamedTuple):
    """Read tables that were written into a folder, and the moment they are of."""

    as_of: datetime | None
    """None for all that was ever believed."""
    known_at: datetime
    log: ExportedLog
    """What the log came to by then."""
    files: tuple[ExportedFile, ...]
    left_out: tuple[LeftOut, ...]


class ExportedHistories(NamedTuple):
    """Histories that were written for process mining, and the moment they are of."""

    as_of: datetime
    known_at: datetime
    log: ExportedLog
    counts: dict[str, int]
    """How much was written: traces, events, objects, relations."""
    left_out: int
    """How many things end before an event of theirs that cannot be read."""
    personal: bool


class Exports:
    """Exports of one engine; see docs/export.md."""

    def __init__(
        self,
        log: EventLog,
        moments: MomentResolver,
        processes: PublishedProcesses,
        folds: Mapping[str, Fold],
        tables: Callable[[], Runner],
    ) -> None:
        self._log: Final = log
        self._moments: Final = moments
        self._processes: Final = processes
        self._folds: Final = folds
        self._tables: Final = tables

    def log(
        self,
        file: str | Path,
        *,
        to_position: int | None = None,
        known_at: When | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> ExportedLog:
        """Write the log, in the format that the name ends in; `-` is JSON Lines to stdout.

        All of it, or what was recorded by a position or an instant. `.jsonl` can be restored,
        packed as `.jsonl.gz` too; `.parquet`, `.arrow` and `.csv` are for analysts.

        Raises:
            InputError: for a file that is there already while nobody said `force`, or whose
                name says no format.
            HistoryError: when the log is damaged.
        """
        path, database = Path(file), self._database_file()
        format = _format_of(path)
        with self._cut(to_position, known_at) as export:
            if format is None:
                with new_stream(path, force=force, database=database) as stream:
                    return export.write(stream.write, progress)
            with new_path(path, force=force, database=database) as part:
                done = export.digest()
                rows = log_rows(self._log, export.connection, export.position, progress)
                _write(rows, part, format, _metadata(done, rows.name, {}), named=path)
                return done

    def digest(
        self,
        *,
        to_position: int | None = None,
        known_at: When | None = None,
        progress: Progress | None = None,
    ) -> ExportedLog:
        """Return the digest of the log, the same for the same log in every database.

        It is the SHA-256 of the lines that `log` writes between the first and the last.
        """
        with self._cut(to_position, known_at) as export:
            return export.digest(progress)

    def lake(
        self,
        folder: str | Path,
        *,
        digits: int | None = None,
        iceberg: bool = False,
        progress: Progress | None = None,
    ) -> "LakeExport":
        """Bring a folder of Parquet files level with the log and its read tables.

        They lie by tenant and bucket of the stream, which is named by so many digits at the end
        of its id. Readers go by the manifest, which is replaced once all is written; a
        catalogue of Iceberg names the same files, if asked for once.

        Raises:
            InputError: when the folder holds another log, or is cut into other buckets.
            SalesflowError: when pyarrow is not installed.
        """
        from salesflow.adapters.lake.lake_export import export_lake
        from salesflow.adapters.lake.manifest import LakeFolder

        return export_lake(
            self._log,
            list(self._folds.values()),
            self._tables().catch_up,
            LakeFolder(folder),
            digits=digits,
            iceberg=iceberg,
            progress=progress,
        )

    def tables(  # noqa: PLR0913 - all by keyword
        self,
        folder: str | Path,
        *,
        tables: Sequence[str] = (),
        as_of: When | None = None,
        known_at: When | None = None,
        all_beliefs: bool = False,
        format: TableFormat = "parquet",
        byte_order_mark: bool = False,
        force: bool = False,
        progress: Progress | None = None,
    ) -> ExportedTables:
        """Write read tables into a folder, a file each, and `manifest.json` that names them.

        Those rows that hold at a moment, or with `all_beliefs` every row with both time ranges.

        Raises:
            InputError: for a table that is not there, and a folder that holds files while
                nobody said `force`.
        """
        if all_beliefs and (as_of is not None or known_at is not None):
            raise InputError("all beliefs are of no one moment; leave as_of and known_at out")
        names = {self._fold(name).table.name: name for name in tables or sorted(self._folds)}
        with new_folder(Path(folder), force=force) as part, self._log.database.whole():
            self._tables().catch_up(list(names), progress=progress)
            with self._log.database.read() as connection:
                at = self._level_moment(list(names), as_of, known_at, connection)
                found = self._described(list(names), at, connection, all_beliefs=all_beliefs)
                files = []
                for label in names.values():
                    of = self._folds[label].table, at.tenant, connection
                    rows = read_table_rows(*of, None if all_beliefs else at)
                    target = part / f"{label}.{format}"
                    files.append(_write_table(rows, target, format, found, byte_order_mark))
            found = found._replace(files=tuple(files))
            _write_manifest(found, part / MANIFEST)
        return found

    def _level_moment(
        self,
        tables: Sequence[str],
        as_of: When | None,
        known_at: When | None,
        connection: sa.Connection,
    ) -> ReadPoint:
        """Cut a moment, knowing at most what all of these tables show."""
        stored = self._tables().stored(tables, connection)
        head = min(each.stands.recorded for each in stored.values())
        return self._moments.read_point(as_of, known_at, head)

    def _described(
        self,
        tables: Sequence[str],
        at: ReadPoint,
        connection: sa.Connection,
        *,
        all_beliefs: bool,
    ) -> ExportedTables:
        """Return of which moment and log an export of tables is, before a file is written."""
        done = self._digest_at(at, connection)
        left_out = left_out_at(self._log, tables, at.known_at, connection)
        as_of = None if all_beliefs else from_instant(at.as_of)
        return ExportedTables(as_of, from_instant(at.known_at), done, (), left_out)

    def xes(
        self,
        file: str | Path,
        *,
        as_of: When | None = None,
        known_at: When | None = None,
        personal: bool = False,
        force: bool = False,
        progress: Progress | None = None,
    ) -> ExportedHistories:
        """Write the histories of deals that are believed at a moment as XES (IEEE 1849).

        Packed where the name ends in `.gz`. Personal texts are left out unless asked for.

        Raises:
            InputError: for a file that is there already while nobody said `force`.
        """
        path = _with_ending(Path(file), XES)
        with (
            self._histories(as_of, known_at) as (histories, done, timezone),
            new_stream(path, force=force, database=self._database_file()) as stream,
        ):
            written = write_xes(
                histories,
                stream.write,
                timezone=timezone,
                about=_about(histories.at, done, personal=personal),
                personal=personal,
                progress=progress,
            )
        counts = {"traces": written.traces, "events": written.events}
        return _exported(histories, done, counts, personal=personal)

    def ocel(
        self,
        file: str | Path,
        *,
        as_of: When | None = None,
        known_at: When | None = None,
        personal: bool = False,
        force: bool = False,
        progress: Progress | None = None,
    ) -> ExportedHistories:
        """Write the facts believed at a moment, and what they are about, as OCEL 2.0.

        In the format that the name ends in: JSON, XML or SQLite. Personal texts are left out
        unless asked for.

        Raises:
            InputError: for a file that is there already while nobody said `force`.
        """
        path = _with_ending(Path(file), (*OCEL_STREAMS, *OCEL_DATABASES))
        with (
            self._histories(as_of, known_at) as (histories, done, _),
            new_path(path, force=force, database=self._database_file()) as part,
            TemporaryDirectory(prefix="salesflow-export-") as folder,
            closing(sqlite3.connect(Path(folder, "ocel.db"), isolation_level=None)) as gathered,
        ):
            found = gather_ocel(histories, gathered, personal=personal, progress=progress)
            _write_ocel(gathered, path, part)
        counts = found._asdict()
        del counts["left_out"]
        return _exported(histories, done, counts, personal=personal)

    @contextmanager
    def _histories(
        self, as_of: When | None, known_at: When | None
    ) -> Iterator[tuple[Histories, ExportedLog, ZoneInfo]]:
        """Yield the believed histories of a moment, the log by then, and its time zone."""
        with self._log.database.whole(), self._log.database.read() as connection:
            moments = MomentResolver(self._log, connection)
            at = moments.read_point(as_of, known_at, self._log.head(connection).recorded)
            done = self._digest_at(at, connection)
            timezone = moments.settings(at.known_at).timezone
            histories = Histories(self._log, connection, self._processes, at, done.position)
            yield histories, done, timezone

    def _digest_at(self, at: ReadPoint, connection: sa.Connection) -> ExportedLog:
        through = position_known_at(self._log, at.known_at, connection)
        return LogExport(self._log, connection, through=through).digest()

    def _fold(self, name: str) -> Fold:
        if name not in self._folds:
            there = ", ".join(sorted(self._folds))
            raise InputError(f"no read table {shortened(name)!r}; there are {there}")
        return self._folds[name]

    @contextmanager
    def _cut(self, to_position: int | None, known_at: When | None) -> Iterator[LogExport]:
        if to_position is not None and known_at is not None:
            raise InputError("to a position and known at a time: say up to where in one way")
        with self._log.database.whole(), self._log.database.read() as connection:
            through = to_position
            if known_at is not None:
                known = self._moments.read_point(None, known_at, FOREVER).known_at
                through = position_known_at(self._log, known, connection)
            yield LogExport(self._log, connection, through=through)

    def _database_file(self) -> Path | None:
        database = self._log.database
        return sqlite_path(database.url) if database.dialect == "sqlite" else None


def _format_of(file: Path) -> TableFormat | None:
    """Return the format of a name; None for JSON Lines.

    Raises:
        InputError: when it says none.
    """
    if str(file) == STANDARD_OUTPUT or file.name.endswith(LINES):
        return None
    for ending, format in OTHERS.items():
        if file.name.endswith(ending):
            return format
    listed = ", ".join((*LINES[:2], *OTHERS))
    raise InputError(
        f"{shortened(file.name)} does not say in which format; end it with one of {listed}"
    )


def _with_ending(file: Path, endings: Iterable[str]) -> Path:
    """Return a file whose name says a format.

    Raises:
        InputError: when it says none of these.
    """
    if not file.name.endswith(tuple(endings)):
        raise InputError(
            f"{shortened(file.name)} does not say in which format; end it with one of"
            f" {', '.join(endings)}"
        )
    return file


def _write_ocel(gathered: sqlite3.Connection, path: Path, part: Path) -> None:
    if path.name.endswith(OCEL_DATABASES):
        with closing(sqlite3.connect(part, isolation_level=None)) as out:
            out.execute("PRAGMA journal_mode = OFF")
            write_ocel_sqlite(gathered, out)
        return
    write = next(each for end, each in OCEL_STREAMS.items() if path.name.endswith(end))
    with new_stream(part, force=True, named=path) as stream:
        write(gathered, stream.write)


def _about(at: ReadPoint, done: ExportedLog, *, personal: bool) -> dict[str, str]:
    """Return what a file of histories says of what it was made of."""
    moment = {"as_of": from_instant(at.as_of), "known_at": from_instant(at.known_at)}
    times = {name: time.isoformat() for name, time in moment.items()}
    said = {
        "salesflow": version_of("salesflow"),
        "tenant": done.tenant,
        **times,
        "position": str(done.position),
        "log_sha256": done.log_sha256,
        "personal_texts": "included" if personal else "left out",
    }
    return {f"salesflow_{name}" if name != "salesflow" else name: v for name, v in said.items()}


def _exported(
    histories: Histories, done: ExportedLog, counts: dict[str, int], *, personal: bool
) -> ExportedHistories:
    _, as_of, known_at = histories.at
    moment = from_instant(as_of), from_instant(known_at)
    return ExportedHistories(*moment, done, counts, histories.left_out, personal)


def _write(
    rows: ExportRows,
    file: Path,
    format: TableFormat,
    metadata: Mapping[str, str],
    *,
    mark: bool = False,
    named: Path | None = None,
) -> int:
    if format != "csv":
        return write_arrow(rows, file, format, metadata)
    with new_stream(file, force=True, named=named) as stream:
        return write_csv(rows, stream.write, byte_order_mark=mark)


def _write_table(
    rows: ExportRows, file: Path, format: TableFormat, of: ExportedTables, mark: bool
) -> ExportedFile:
    """Write a read table, and say in it of which moment it is."""
    known = {"known_at": of.known_at.isoformat()}
    then = {} if of.as_of is None else {"as_of": of.as_of.isoformat()}
    metadata = _metadata(of.log, rows.name, then | known)
    count = _write(rows, file, format, metadata, mark=mark)
    return ExportedFile(file.name, count, _sha256(file))


def _metadata(done: ExportedLog, table: str, more: Mapping[str, str]) -> dict[str, str]:
    """Return what a file says of what it was made of."""
    said = {
        "version": version_of("salesflow"),
        "tenant": done.tenant,
        "table": table,
        "position": str(done.position),
        "log_sha256": done.log_sha256,
    }
    return {f"salesflow.{name}": text for name, text in (said | dict(more)).items()}


def _write_manifest(done: ExportedTables, file: Path) -> None:
    said = {
        "salesflow": version_of("salesflow"),
        "tenant": done.log.tenant,
        "as_of": None if done.as_of is None else done.as_of.isoformat(),
        "known_at": done.known_at.isoformat(),
        "position": done.log.position,
        "log_sha256": done.log.log_sha256,
        "files": [each._asdict() for each in done.files],
        "left_out": [each.sentence() for each in done.left_out],
    }
    file.write_text(dumps(said, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
