"""A log as JSON Lines: what `salesflow restore` brings back, and what its digest is made of.

    with log.database.read() as connection:
        export = LogExport(log, connection, through=position)
        export.write(stream)

All is read in one snapshot, page by page. A log of which an event does not fit its checksum, or
is missing, is not exported: what came back of it would not be that log.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from importlib.metadata import version as version_of
from typing import Final, NamedTuple

import sqlalchemy as sa

from salesflow.adapters.database.connections import Row
from salesflow.adapters.database.schema_version import SCHEMA_VERSION
from salesflow.adapters.event_store.gaps import gap_said
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.log_restore import RecordedCommand
from salesflow.adapters.event_store.rows import BACKUP, StoredEvent
from salesflow.adapters.exporters.log_lines import (
    FORMAT,
    ClosingLine,
    CommandLine,
    HeaderLine,
    event_line,
    line_of,
)
from salesflow.adapters.logs import Progress
from salesflow.domain.time import Instant, from_instant
from salesflow.domain.values import shown
from salesflow.errors import HistoryError, InputError, NotFoundError

__all__ = ["ExportedLog", "LogExport", "position_known_at", "stored_events"]


PAGE: Final = 1_000
IDS_A_QUERY: Final = 500
COMMANDS_OF: Final = (
    "SELECT command_id, first, last, recorded, fingerprint FROM salesflow_commands"
    " WHERE tenant = ? AND command_id IN (...)"
)
COMMAND_COUNT: Final = "SELECT count(*) FROM salesflow_commands WHERE tenant = ? AND last <= ?"


class ExportedLog(NamedTuple):
    """What was exported of a log, and its digest."""

    tenant: str
    events: int
    commands: int
    position: int
    recorded: Instant
    log_sha256: str
    file_sha256: str = ""
    """That of the file, all lines but the last; nothing where no file was made."""


class LogExport:
    """A log up to a position, in the snapshot of a connection."""

    def __init__(
        self, log: EventLog, connection: sa.Connection, *, through: int | None = None
    ) -> None:
        """Take the position up to which; where none is said, all there is.

        Raises:
            NotFoundError: when nothing was recorded by then.
            InputError: when the log does not reach as far, or the position lies within an
                append, which is recorded whole or not at all.
        """
        self.log: Final = log
        self.connection: Final = connection
        head = log.head(connection)
        self.position: Final = head.position if through is None else through
        if self.position < 1:
            raise NotFoundError(f"nothing had been recorded of tenant {log.tenant!r} by then")
        if self.position > head.position:
            raise InputError(
                f"the log of tenant {log.tenant!r} ends at position {head.position:,}, so it"
                f" cannot be exported up to {self.position:,}"
            )
        self.recorded: Final = self._recorded_at(self.position)
        self._ensure_edge(head.position)

    def digest(self, progress: Progress | None = None) -> ExportedLog:
        """Return what the lines of the log come to, without writing them."""
        return self.write(None, progress)

    def write(
        self, out: Callable[[bytes], object] | None, progress: Progress | None = None
    ) -> ExportedLog:
        """Write the log, and return what was written.

        Raises:
            HistoryError: when the log is damaged.
        """
        expected = self._command_count()
        header = line_of(self._header(expected))
        of_log, of_file, commands = sha256(), sha256(header), 0
        if out is not None:
            out(header)
        for lines, position, count in self._pages():
            of_log.update(lines)
            of_file.update(lines)
            commands += count
            if out is not None:
                out(lines)
            if progress is not None:
                progress(position, self.position)
        if commands != expected:
            raise HistoryError(
                f"the log knows {expected:,} commands and holds events of {commands:,} of them."
                f" {BACKUP}"
            )
        sums = of_log.hexdigest(), of_file.hexdigest()
        if out is not None:
            out(line_of(ClosingLine(*sums)))
        known = self.log.tenant, self.position, commands, self.position, self.recorded
        return ExportedLog(*known, sums[0], sums[1] if out is not None else "")

    def _header(self, commands: int) -> HeaderLine:
        return HeaderLine(
            FORMAT,
            version_of("salesflow"),
            self.log.tenant,
            SCHEMA_VERSION,
            self.position,
            commands,
            from_instant(self.recorded),
        )

    def _pages(self) -> Iterator[tuple[bytes, int, int]]:
        """Yield the lines of some events, their last position, and how many commands ended."""
        for page in stored_events(self.log, self.connection, self.position):
            ending = self._commands_ending_in(page)
            lines = []
            for event in page:
                lines.append(event_line(event))
                command = ending.get(event.position)
                if command is not None:
                    first, last, at = (
                        command.first,
                        command.last,
                        from_instant(command.recorded),
                    )
                    id_, request = command.command_id, command.fingerprint
                    lines.append(line_of(CommandLine(id_, first, last, at, request)))
            yield b"".join(lines), page[-1].position, len(ending)

    def _commands_ending_in(self, page: list[StoredEvent]) -> dict[int, RecordedCommand]:
        """Return the commands whose last event is in a page, by its position."""
        named = [*dict.fromkeys(each.command_id for each in page if each.command_id)]
        found: dict[str, RecordedCommand] = {}
        for start in range(0, len(named), IDS_A_QUERY):
            ids = named[start : start + IDS_A_QUERY]
            statement, listed = self.log.listing(COMMANDS_OF, ids)
            for row in self._rows(statement, *listed):
                found[row[0]] = RecordedCommand(*row)
        for event in page:
            if event.command_id is not None and not _recorded(found, event):
                raise HistoryError(
                    f"the event at position {event.position:,} was recorded by command"
                    f" {shown(event.command_id)}, which is missing or tells of others. {BACKUP}"
                )
        first, last = page[0].position, page[-1].position
        return {each.last: each for each in found.values() if first <= each.last <= last}

    def _command_count(self) -> int:
        [(count,)] = self._rows(COMMAND_COUNT, self.position)
        return int(count)

    def _rows(self, statement: str, *given: object) -> list[Row]:
        parameters = (self.log.tenant, *given)
        return self.log.database.rows(statement, parameters, self.connection)

    def _recorded_at(self, position: int) -> Instant:
        found = self.log.recorded_at(position, self.connection)
        if found is None:
            raise HistoryError(gap_said(position, position))
        return found

    def _ensure_edge(self, head: int) -> None:
        """Refuse to end within an append."""
        if self.position == head or self._recorded_at(self.position + 1) != self.recorded:
            return
        places = range(1, head + 1)
        before = bisect_right(places, self.recorded - 1, key=self._recorded_at)
        last = bisect_right(places, self.recorded, key=self._recorded_at)
        raise InputError(
            f"position {self.position:,} lies within an append, which was recorded whole at"
            f" {from_instant(self.recorded).isoformat()}; name {before:,} or {last:,}"
        )


def _recorded(commands: Mapping[str, RecordedCommand], event: StoredEvent) -> bool:
    """Return whether the command of an event is there, and says that it recorded it."""
    command = commands.get(event.command_id or "")
    return (
        command is not None
        and command.first <= event.position <= command.last
        and command.recorded == event.recorded
    )


def position_known_at(log: EventLog, known_at: Instant, connection: sa.Connection) -> int:
    """Return the last position that was recorded by an instant; 0 when nothing was."""

    def recorded_at(position: int) -> Instant:
        found = log.recorded_at(position, connection)
        if found is None:
            raise HistoryError(gap_said(position, position))
        return found

    head = log.head(connection)
    return bisect_right(range(1, head.position + 1), known_at, key=recorded_at)


def stored_events(
    log: EventLog, connection: sa.Connection, through: int
) -> Iterator[list[StoredEvent]]:
    """Yield the events of a log up to a position, page by page, none of them missing.

    Raises:
        HistoryError: where one is missing, or does not fit its checksum.
    """
    stands = 0
    while stands < through:
        page = log.stored_page(stands, min(PAGE, through - stands), connection)
        last = stands + len(page)
        if not page or page[-1].position != last:
            raise HistoryError(_gap_in(page, stands + 1, through))
        yield page
        stands = last


def _gap_in(page: list[StoredEvent], first: int, through: int) -> str:
    """Return which positions are missing of a page that should begin at one."""
    for expected, event in enumerate(page, first):
        if event.position != expected:
            return gap_said(expected, event.position - 1)
    return gap_said(first + len(page), through)
