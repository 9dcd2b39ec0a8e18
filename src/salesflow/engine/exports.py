"""What goes out of an engine: its log, its read tables, its histories, in open formats.

    flow.exports.log("sales.jsonl.gz")
    flow.exports.digest().log_sha256

A module of its own, since most who record and ask never export.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from salesflow.adapters.database.database import sqlite_path
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.exporters.log_file import (
    ExportedLog,
    LogExport,
    position_known_at,
)
from salesflow.adapters.exporters.new_files import STANDARD_OUTPUT, ensure_new, new_stream
from salesflow.adapters.logs import Progress
from salesflow.adapters.projector.snapshot import MomentResolver
from salesflow.domain.time import FOREVER, When
from salesflow.errors import InputError

__all__ = ["Exports"]


class Exports:
    """Exports of one engine; see docs/export.md."""

    def __init__(self, log: EventLog, moments: MomentResolver) -> None:
        self._log: Final = log
        self._moments: Final = moments

    def log(
        self,
        file: str | Path,
        *,
        to_position: int | None = None,
        known_at: When | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> ExportedLog:
        """Write the log as JSON Lines, packed where the name ends in `.gz`; `-` is stdout.

        All of it, or what was recorded by a position or an instant.

        Raises:
            InputError: for a file that is there already while nobody said `force`.
            HistoryError: when the log is damaged.
        """
        path = Path(file)
        ensure_new_log(path, force=force, database=self._database_file())
        with new_stream(path, force=force, database=self._database_file()) as stream:
            write: Callable[[bytes], object] = stream.write
            return self._log_export(write, to_position, known_at, progress)

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
        return self._log_export(None, to_position, known_at, progress)

    def _log_export(
        self,
        write: Callable[[bytes], object] | None,
        to_position: int | None,
        known_at: When | None,
        progress: Progress | None,
    ) -> ExportedLog:
        if to_position is not None and known_at is not None:
            raise InputError("to a position and known at a time: say up to where in one way")
        with self._log.database.whole(), self._log.database.read() as connection:
            through = to_position
            if known_at is not None:
                known = self._moments.read_point(None, known_at, FOREVER).known_at
                through = position_known_at(self._log, known, connection)
            export = LogExport(self._log, connection, through=through)
            return export.write(write, progress) if write else export.digest(progress)

    def _database_file(self) -> Path | None:
        database = self._log.database
        return sqlite_path(database.url) if database.dialect == "sqlite" else None


LOG_ENDINGS: Final = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")


def ensure_new_log(file: Path, *, force: bool, database: Path | None) -> None:
    """Refuse a name that says another format, and what `ensure_new` does.

    Raises:
        InputError: saying what to write.
    """
    if str(file) == STANDARD_OUTPUT:
        return
    if not file.name.endswith(LOG_ENDINGS):
        raise InputError(
            f"{file.name} does not say in which format; end it with .jsonl or .jsonl.gz"
        )
    ensure_new(file, force=force, database=database)
