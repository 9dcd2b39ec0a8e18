"""Imports event logs of process mining, XES and OCEL 2.0, as a mapping describes their rows.

    report = import_xes("loans.xes.gz", "loans.toml", log=flow.log)

It is `import_table` with another kind of file: mapping, report, keys, and what is recorded
again and what is not, are the same.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict, Unpack
from zoneinfo import ZoneInfo

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.importers.errors import MappingError, RowError
from salesflow.adapters.importers.event_logs.ocel import OcelFile
from salesflow.adapters.importers.event_logs.xes import XesFile
from salesflow.adapters.importers.report import ImportReport
from salesflow.adapters.importers.table.importer import RowFile, import_rows
from salesflow.adapters.importers.table.mapping import TableMapping
from salesflow.adapters.importers.table.mapping_file import MappingFile
from salesflow.adapters.importers.times import TimeReader
from salesflow.adapters.logs import Progress
from salesflow.domain.time import Instant
from salesflow.errors import InputError

__all__ = ["import_ocel", "import_xes", "instant_reader"]


Mapped = str | Path | TableMapping | MappingFile


class HowToImport(TypedDict, total=False):
    """What one may say of an import besides its file and its mapping, as for a table."""

    strict: bool
    apply_changes: bool
    trial: bool
    timezone: str | None
    progress: Progress | None


def import_xes(
    path: str | Path, mapping: Mapped, *, log: EventLog, **how: Unpack[HowToImport]
) -> ImportReport:
    """Import an XES log, plain or packed by gzip, and report what became of every event.

    Raises:
        InputError: as `import_table` does; nothing is recorded of a file that is not well
            formed or cut off.
    """
    return import_rows(_open_xes, path, mapping, log=log, **how)


def import_ocel(
    path: str | Path, mapping: Mapped, *, log: EventLog, **how: Unpack[HowToImport]
) -> ImportReport:
    """Import an OCEL 2.0 log in JSON, XML or SQLite, and report what became of every row.

    A row is an event, for each deal it names, or a change of an object; see `OcelFile`.

    Raises:
        InputError: as `import_table` does; nothing is recorded of a file that is not whole.
    """
    return import_rows(_open_ocel, path, mapping, log=log, **how)


def _open_xes(path: Path, mapping: TableMapping, zone: ZoneInfo | None) -> RowFile:
    del zone  # the times of events are texts
    _ensure_of_events(mapping)
    return XesFile(path, mapping.file.encoding)


def _open_ocel(path: Path, mapping: TableMapping, zone: ZoneInfo | None) -> RowFile:
    _ensure_of_events(mapping)
    return OcelFile(
        path,
        mapping.object.named,
        instant_of=instant_reader(zone, mapping.times.formats),
        encoding=mapping.file.encoding,
    )


def instant_reader(
    zone: ZoneInfo | None, formats: Sequence[str] = ("iso",)
) -> Callable[[str], Instant | None]:
    """Return what reads when something was; None where that cannot be read."""
    reader = TimeReader(formats, zone)

    def read(text: str) -> Instant | None:
        try:
            return reader.read(text).instant
        except (RowError, InputError):
            return None

    return read


def _ensure_of_events(mapping: TableMapping) -> None:
    """Raise MappingError for a mapping of another kind of file."""
    if mapping.rows != "events":
        raise MappingError(
            'a row of an event log is an event: write rows = "events"', ("rows",)
        )
    for name in sorted(mapping.file.model_fields_set - {"encoding"}):
        raise MappingError("is said of CSV files only; leave it out", ("file", name))
