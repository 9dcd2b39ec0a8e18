"""Checks a log and its read tables, and names what does not agree; changes nothing.

Everything is read in one snapshot, page by page and slice by slice, so that millions of events
are checked in the memory of a few thousand, while others go on recording. The log is looked at
whole: positions, times, versions, commands, and whether each fact can be read. Of the read
tables a sample of streams is folded afresh and compared row by row, or all of them.

It says what is wrong by mistake or by hand; whoever owns the database can change the log and
its tables so that they agree, which only a proof would show.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.checks.check_tables import TablesCheck, balances_that_differ
from salesflow.adapters.database import schema
from salesflow.adapters.database.connections import Row
from salesflow.adapters.database.schema import missing_tables, read_uuid
from salesflow.adapters.database.sqlite_errors import is_damage
from salesflow.adapters.event_store.log import EventLog, Head
from salesflow.adapters.logs import Progress
from salesflow.adapters.projector.read_tables import (
    PROJECTIONS,
    ProjectionPosition,
    positions_of,
)
from salesflow.domain.customer import CustomerMerged
from salesflow.domain.deal.merge_checks import merge_faults
from salesflow.domain.deal.merging import DealMerged
from salesflow.domain.event import Event, UnreadableFact, first_unreadable
from salesflow.projections.core.left_out import Checked, Problem, ProblemKind, in_brief
from salesflow.projections.table import Fold, LedgerTable, Processes

__all__ = ["LogCheck", "MergesCheck", "damaged_pages", "wrong_parts"]


PAGE_EVENTS = 5_000
NAMED_MAX = 20
"""So many problems of a kind and subject are named; more are counted."""

STREAMS = (
    "SELECT stream_id, count(*), min(version), max(version) FROM salesflow_events"
    " WHERE tenant = ? GROUP BY stream_id"
    " HAVING count(*) <> max(version) - min(version) + 1 OR min(version) > 1"
)
ORDER = (
    "SELECT a.stream_id, b.version FROM salesflow_events AS a JOIN salesflow_events AS b"
    " ON b.tenant = a.tenant AND b.stream_id = a.stream_id AND b.version = a.version + 1"
    " WHERE a.tenant = ? AND b.position <= a.position"
)
COMMANDS = (
    "SELECT c.command_id FROM salesflow_commands AS c WHERE c.tenant = ?"
    " AND (SELECT count(*) FROM salesflow_events AS e WHERE e.tenant = c.tenant"
    " AND e.position BETWEEN c.first AND c.last AND e.command_id = c.command_id"
    " AND e.recorded = c.recorded) <> c.last - c.first + 1"
)
OF_NO_COMMAND = (
    "SELECT e.position FROM salesflow_events AS e WHERE e.tenant = ?"
    " AND e.command_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM salesflow_commands AS c"
    " WHERE c.tenant = e.tenant AND c.command_id = e.command_id"
    " AND e.position BETWEEN c.first AND c.last) ORDER BY e.position"
)
COUNT_STREAMS = "SELECT count(DISTINCT stream_id) FROM salesflow_events WHERE tenant = ?"


class Findings:
    """Problems as they are found: the first of each kind are named, the others counted."""

    def __init__(self) -> None:
        self.named: list[Problem] = []
        self.more = 0
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, kind: ProblemKind, subject: str, where: object) -> None:
        """Take in one more."""
        self._counts[kind, subject] += 1
        if self._counts[kind, subject] > NAMED_MAX:
            self.more += 1
        else:
            text = in_brief(where)
            self.named.append(Problem(kind=kind, subject=subject, where=text))


class LogCheck:
    """One check of a tenant's log and of the read tables of some folds, by their labels."""

    def __init__(
        self, log: EventLog, folds: Mapping[str, Fold], processes: Processes, *, whole: bool
    ) -> None:
        self._log: Final = log
        self._folds: Final = folds
        self._processes: Final = processes
        self._whole: Final = whole
        self._found: Final = Findings()

    def run(self, progress: Progress | None = None) -> Checked:
        """Look at everything there is to look at, in one snapshot."""
        log = self._log
        with log.database.whole(), log.database.read() as connection:
            damaged = damaged_pages(connection)
            for text in damaged:
                self._found.add("damaged", "file", text)
            for part in wrong_parts(connection):
                self._found.add("schema", "schema", part)
            if damaged or missing_tables(connection):
                return self._checked(0, 0)
            head = log.head(connection)

            def report(done: int) -> None:
                if progress is not None:
                    progress(done, 2 * head.position)

            self._check_events(connection, head, report)
            self._check_streams(connection)
            positions = self._standings(connection, head)
            tables = TablesCheck(log, self._folds, positions, self._processes, connection)
            compared = tables.compare(
                self._found.add,
                whole=self._whole,
                report=lambda done: report(head.position + done),
            )
            bins = sum(
                balances_that_differ(
                    log, fold.table, connection, self._found.add, whole=self._whole
                )
                for label, fold in self._folds.items()
                if label in positions
                and isinstance(fold.table, LedgerTable)
                and fold.table.cells
            )
            self._check_columns(positions, connection)
            [(streams,)] = self._rows(COUNT_STREAMS, connection)
        return self._checked(head.position, streams, compared, bins)

    def _checked(
        self, position: int, streams: int, compared: int = 0, bins: int = 0
    ) -> Checked:
        return Checked(
            position=position,
            streams=streams,
            streams_compared=compared,
            bins_compared=bins,
            problems=tuple(self._found.named),
            more=self._found.more,
        )

    def _check_events(
        self, connection: sa.Connection, head: Head, report: Callable[[int], None]
    ) -> None:
        """Walk through the log: no gap, times that grow, facts that can be read."""
        positions, merges = Head(0, 0), MergesCheck(self._log, connection)
        while page := self._log.page_as_it_is(positions.position, PAGE_EVENTS, connection):
            for event in page:
                self._check_event(event, positions, connection)
                merges.take(event)
                positions = Head(event.position, event.recorded)
            report(positions.position)
        for text in merges.impossible():
            self._add("merge", text)
        if positions != head:
            where = f"it stands at position {head.position:,}, the last event at"
            self._add("head", f"{where} {positions.position:,}")

    def _check_event(self, event: Event, before: Head, connection: sa.Connection) -> None:
        if event.position != before.position + 1:
            first, last = before.position + 1, event.position - 1
            self._add("gap", f"{first:,}" if first == last else f"{first:,} to {last:,}")
        if event.recorded < before.recorded:
            self._add("time", f"position {event.position:,} was recorded before the one before")
        if event.occurred > event.recorded:
            self._add("time", f"position {event.position:,} happened after it was recorded")
        if isinstance(event.fact, UnreadableFact):
            stream = self._log.stream_as_it_is(event.stream_id, connection)
            until = [each for each in stream if each.version <= event.version]
            wrong = first_unreadable(stream)
            if wrong is not None and wrong.version <= event.version and until:
                self._add(
                    "unreadable",
                    f"{event.fact.stored} at stream {event.stream_id}, version {event.version},"
                    f" position {event.position:,} (event {event.event_id}):"
                    f" {event.fact.reason}",
                )

    def _check_streams(self, connection: sa.Connection) -> None:
        """Compare versions, positions and commands with one another."""
        for stream_id, count, least, most in self._rows(STREAMS, connection):
            where = f"stream {read_uuid(stream_id)}: {count:,} events, versions {least:,} to"
            self._add("version", f"{where} {most:,}")
        for stream_id, version in self._rows(ORDER, connection):
            where = f"stream {read_uuid(stream_id)}: version {version:,} stands before"
            self._add("version", f"{where} {version - 1:,}")
        for (command_id,) in self._rows(COMMANDS, connection):
            self._add("command", f"command {command_id}")
        for (position,) in self._rows(OF_NO_COMMAND, connection):
            self._add("command", f"position {position:,}")

    def _standings(
        self, connection: sa.Connection, head: Head
    ) -> dict[str, ProjectionPosition]:
        """Return where tables stand that agree with the log; name the others."""
        there = set(sa.inspect(connection).get_table_names())
        if PROJECTIONS.name not in there:
            return {}
        names = {fold.table.name: label for label, fold in self._folds.items()}
        found = positions_of(self._log, list(names), connection)
        positions: dict[str, ProjectionPosition] = {}
        for name, label in names.items():
            stand = found.get(name)
            parts = set(self._folds[label].table.shape_all(name).tables)
            if stand is None or (not stand.position and name not in there):
                continue  # never begun
            if not parts <= there:
                self._found.add("missing", label, ", ".join(sorted(parts - there)))
            elif stand.position > head.position:
                where = f"it stands at {stand.position:,}, the log at {head.position:,}"
                self._found.add("beyond", label, where)
            elif stand.position and stand.recorded != self._log.recorded_at(
                stand.position, connection
            ):
                where = f"at position {stand.position:,} the log has another event now"
                self._found.add("beyond", label, where)
            else:
                positions[label] = stand
        return positions

    def _check_columns(self, labels: Iterable[str], connection: sa.Connection) -> None:
        """Compare read tables with the files of their columns, where there are any."""
        place = self._log.database.columns_place
        if place is None or not place.folder.is_dir():
            return
        from salesflow.adapters.checks.check_columns import file_differs  # loads numpy

        for label in labels:
            if file_differs(self._log, self._folds[label].table, connection):
                self._found.add("columns", label, place.folder)

    def _add(self, kind: ProblemKind, where: str) -> None:
        self._found.add(kind, "log", where)

    def _rows(self, statement: str, connection: sa.Connection) -> Sequence[Row]:
        return self._log.database.rows(statement, (self._log.tenant,), connection)


# Names merges that cannot be, stored before they were refused: circles, into nothing.


class MergesCheck:
    """Takes in the events of a log, and says which of its merges cannot be."""

    def __init__(self, log: EventLog, connection: sa.Connection) -> None:
        self._log: Final = log
        self._connection: Final = connection
        self._merged: dict[UUID, None] = {}

    def take(self, event: Event) -> None:
        """Note who was ever merged into another one."""
        if isinstance(event.fact, DealMerged | CustomerMerged):
            self._merged[event.stream_id] = None

    def impossible(self) -> Iterator[str]:
        """Return of each merge that cannot be why."""
        read, connection = self._log.stream_as_it_is, self._connection
        yield from merge_faults(self._merged, lambda id: read(id, connection))


# Names the parts of the event store that are gone, switched off, or not as they were made.
#
# A database of ours has tables with their columns, triggers that refuse changes, and views.
# Whoever switches a trigger off to mend something by hand, or puts another in its place, may
# forget to undo that; then nothing keeps the log append-only any more.

MADE: Final = re.compile(r"CREATE (TRIGGER|VIEW|FUNCTION) (\w+)")
ALWAYS: Final = re.compile(r"ENABLE ALWAYS TRIGGER (\w+)")
BODY: Final = re.compile(r"AS \$\$(.*)\$\$", re.DOTALL)
SQLITE: Final = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view')"
POSTGRES: Final = (
    "SELECT 'trigger', t.tgname::text, t.tgenabled::text FROM pg_trigger AS t"
    " JOIN pg_class AS c ON c.oid = t.tgrelid WHERE pg_table_is_visible(c.oid)"
    " UNION ALL SELECT 'view', relname::text, '' FROM pg_class"
    " WHERE relkind = 'v' AND pg_table_is_visible(oid)"
    " UNION ALL SELECT 'function', proname::text, prosrc FROM pg_proc"
    " WHERE pg_function_is_visible(oid) AND starts_with(proname::text, 'salesflow_')"
)
FILE_CHECK: Final = "PRAGMA integrity_check(20)"
"""It compares tables with their indexes, by which streams and read tables are found."""


def wrong_parts(connection: sa.Connection) -> list[str]:
    """Return what is not as in a new database: "table NAME", "trigger NAME is disabled"."""
    missing = missing_tables(connection)
    found = [f"table {name}" for name in missing]
    found += _columns(connection, besides=missing)
    return found + (_sqlite if connection.dialect.name == "sqlite" else _postgres)(connection)


def damaged_pages(connection: sa.Connection) -> list[str]:
    """Return what SQLite finds wrong in the file; PostgreSQL has tools of its own for that."""
    if connection.dialect.name != "sqlite":
        return []
    try:
        message = connection.exec_driver_sql(FILE_CHECK).scalars().all()
    except sa.exc.DatabaseError as error:
        if not is_damage(error.orig):
            raise
        return [str(error.orig)]
    return [line for text in message for line in str(text).splitlines() if line != "ok"]


def _columns(connection: sa.Connection, besides: list[str]) -> list[str]:
    inspector = sa.inspect(connection)
    here = connection.dialect.name
    found: list[str] = []
    for table in schema.STORE.sorted_tables:
        if table.info.get("only", here) != here or table.name in besides:
            continue
        there = {column["name"] for column in inspector.get_columns(table.name)}
        found += [f"column {c.table.name}.{c.name}" for c in table.c if c.name not in there]
    return found


def _sqlite(connection: sa.Connection) -> list[str]:
    there = {f"{row[0]} {row[1]}": row[2] for row in connection.exec_driver_sql(SQLITE)}
    found: list[str] = []
    for text in schema.SQLITE_DDL:
        for kind, name in MADE.findall(text):
            part = f"{kind.lower()} {name}"
            if part not in there:
                found.append(part)
            elif there[part] != text:
                found.append(f"{part} is another one")
    return found


def _postgres(connection: sa.Connection) -> list[str]:
    there = {f"{row[0]} {row[1]}": row[2] for row in connection.exec_driver_sql(POSTGRES)}
    ddl = "\n".join(schema.POSTGRES_DDL)
    always = set(ALWAYS.findall(ddl))
    found: list[str] = []
    for text in schema.POSTGRES_DDL:
        for kind, name in MADE.findall(text):
            part, body = f"{kind.lower()} {name}", BODY.search(text)
            if part not in there:
                found.append(part)
            elif kind == "TRIGGER" and there[part] in "DR":
                found.append(f"{part} is disabled")
            elif name in always and there[part] != "A":
                found.append(f"{part} does not fire in every session (ENABLE ALWAYS)")
            elif body is not None and there[part] != body[1]:
                found.append(f"{part} is another one")
    return found
