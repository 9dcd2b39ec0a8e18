"""The read tables: made, written in batches, swapped, their positions, and what they leave out.

One row of `salesflow_projections` per fold says up to which position its table stands. Rows
and position are written in one transaction, and the position is moved by one conditional
update: of two processes that did the same work, one is told that the other was first.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPICursor

from salesflow.adapters.database.connections import Patience
from salesflow.adapters.database.database import Database
from salesflow.adapters.database.sqlite import insert_rows
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.projector.entity_updates import LeftOutChange, noted
from salesflow.adapters.projector.interval_tables import (
    Batch,
    IntervalBatch,
    LedgerBatch,
    PendingRow,
)
from salesflow.domain.event import Fact, FactRetracted, UnreadableFact
from salesflow.domain.time import FOREVER, Instant, from_instant
from salesflow.domain.wording import shortened
from salesflow.errors import ProjectionError
from salesflow.projections.core.left_out import LeftOut, in_brief
from salesflow.projections.table import Cell, Fold, IntervalTable, Ledger, LedgerTable, Row

__all__ = [
    "LEFT_OUT",
    "NEVER_LEFT_OUT",
    "POSITIONS",
    "PROJECTIONS",
    "OvertakenError",
    "ProjectionPosition",
    "StoredPosition",
    "TableFold",
    "forget_left_out",
    "forget_streams",
    "hold",
    "left_out_at",
    "move_positions",
    "note_left_out",
    "open_notes",
    "positions_of",
    "rename_left_out",
    "start_position",
    "stored_positions",
]


POSITIONS = sa.MetaData()
"""How the read tables stand, and what they leave out."""
PROJECTIONS = sa.Table(
    "salesflow_projections",
    POSITIONS,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("recorded", sa.BigInteger, nullable=False),
)


STAND: Final = (
    f"SELECT name, revision, position, recorded FROM {PROJECTIONS.name}"
    " WHERE tenant = ? AND name IN ({names})"
)
MOVE: Final = (
    f"UPDATE {PROJECTIONS.name} SET position = ?, recorded = ?"
    f" WHERE tenant = ? AND position = ? AND name IN (SELECT name FROM {PROJECTIONS.name}"
    " WHERE tenant = ? AND position = ? AND ({alike}) ORDER BY name{lock})"
)


DoneT = TypeVar("DoneT")
UNBOUND: Final = re.compile(r"Error binding parameter (\d+): ")
NEVER_LEFT_OUT: Final[frozenset[type[Fact]]] = frozenset({FactRetracted, UnreadableFact})
"""What every fold has to know of, whatever it listens to."""


class ProjectionPosition(NamedTuple):
    """Where a projection stands: its fold's revision, the last position folded and its time.

    With a revision alone it has folded nothing.
    """

    revision: int
    position: int = 0
    recorded: Instant = 0

    @property
    def recorded_at(self) -> datetime:
        """The time of the last position folded."""
        return from_instant(self.recorded)


class OvertakenError(Exception):
    """Somebody else has begun rows of a table anew, or moved its position."""


class StoredPosition(NamedTuple):
    """Where a projection stands, what the log has there, and what the rows leave out."""

    stands: ProjectionPosition
    recorded_there: Instant | None
    """When the event at this position was recorded; None when there is none."""
    checksum_there: int | None
    """Its checksum, which tells it from others with the time."""
    notes: dict[UUID, int]
    """From which position on streams are left out; mostly nothing."""


def positions_of(
    log: EventLog, names: Sequence[str], connection: sa.Connection | None = None
) -> dict[str, ProjectionPosition]:
    """Read where projections stand; those that were never begun are left out."""
    if not names:
        return {}
    select = STAND.format(names=", ".join("?" * len(names)))
    rows = log.database.rows(select, (log.tenant, *names), connection)
    return {name: ProjectionPosition(*row) for name, *row in rows}


def start_position(connection: sa.Connection, tenant: str, name: str, revision: int) -> None:
    """Note a projection that has folded nothing; another process may have done so first."""
    row = ProjectionPosition(revision)._asdict()
    names = ", ".join(row)
    marks = ", ".join(f":{name}" for name in row)
    connection.execute(
        sa.text(
            f"INSERT INTO {PROJECTIONS.name} (tenant, name, {names})"
            f" VALUES (:tenant, :name, {marks}) ON CONFLICT DO NOTHING"
        ),
        {"tenant": tenant, "name": name, **row},
    )


def move_positions(
    database: Database,
    tenant: str,
    before: Mapping[str, ProjectionPosition],
    after: ProjectionPosition,
    connection: sa.Connection,
    patience: Patience | None = None,
) -> bool:
    """Move projections that stand alike on, by name; False when somebody else was first.

    Then nothing is to be written. All are locked in the order of their names, so that nobody
    waits in a circle.

    Raises:
        BusyError: when somebody else held one for longer than the patience.
    """
    [position] = {standing.position for standing in before.values()}
    alike = " OR ".join(["(name = ? AND revision = ?)"] * len(before))
    lock = "" if database.dialect == "sqlite" else " FOR UPDATE"
    given = [part for name, standing in before.items() for part in (name, standing.revision)]
    moved = database.change(
        MOVE.format(alike=alike, lock=lock),
        (*after[1:], *(tenant, position) * 2, *given),
        connection,
        patience,
    )
    return moved == len(before)


@contextmanager
def _cursor(connection: sa.Connection) -> Iterator[DBAPICursor]:
    """Return the driver's own cursor; what goes wrong is told as SQLAlchemy tells it."""
    cursor = connection.connection.cursor()
    try:
        yield cursor
    except connection.dialect.loaded_dbapi.Error as error:
        raise sa.exc.DBAPIError("rows of a read table", None, error) from error
    finally:
        cursor.close()


class TableWriter:
    """Writes rows of one table through the driver's own cursor.

    Rows are given as one list of values, row after row, each without its tenant.
    """

    def __init__(
        self,
        columns: Sequence[str],
        shape: IntervalTable | LedgerTable,
        name: str,
        tenant: str,
        dialect: str,
    ) -> None:
        self._label = shape.label
        self._tenant = tenant
        self._postgres = dialect == "postgresql"
        self.kept_id: Final[Callable[[UUID], Cell]] = (
            _as_it_is if self._postgres else attrgetter("hex")
        )
        """Gives an id as this database keeps it."""
        self.columns: Final = list(columns)
        """The columns of a row, in the order in which it is written."""
        first = len(columns) - len(shape.attributes)
        self._ids = [
            place
            for place, column in enumerate(shape.attributes, first)
            if isinstance(column.type, sa.Uuid) and not self._postgres
        ]
        """Which values of a row are ids that this database keeps otherwise."""
        self._mark = "%s" if self._postgres else "?"
        self._into = f"{name} (tenant, {', '.join(columns)})"

    def _many(self, cursor: DBAPICursor, statement: str, rows: Sequence[Row]) -> int:
        """Change rows, and say how many of them were not there."""
        if not rows:
            return 0
        cursor.executemany(statement, rows)
        return len(rows) - cursor.rowcount

    def add(self, connection: sa.Connection, values: Sequence[Cell]) -> None:
        """Write rows that are final."""
        with _cursor(connection) as cursor:
            self._add(cursor, values)

    def _add(self, cursor: DBAPICursor, values: Sequence[Cell]) -> None:
        if not values:
            return
        if self._postgres:
            with cursor.copy(f"COPY {self._into} FROM STDIN") as copy:
                for row in self.rows(values):
                    copy.write_row((self._tenant, *row))
        else:
            marks = f"('{self._tenant}'{', ?' * len(self.columns)})"
            insert_rows(cursor, self._into, marks, values)

    def rows(self, values: Sequence[Cell]) -> Iterator[Row]:
        """Return the values of each row by itself."""
        return zip(*[iter(values)] * len(self.columns), strict=True)

    def _joined(self, rows: Iterable[Row]) -> list[Cell]:
        """Put the values of rows one behind the other, as the database keeps them.

        Raises:
            ProjectionError: for a row that has not one value for each column.
        """
        values, width = list[Cell](), len(self.columns)
        for row in rows:
            if len(row) != width:
                raise _unheld(self._label, f"{len(row)} values in a row of {width}")
            values += row
        for place in self._ids:
            ids = values[place::width]
            values[place::width] = [id.hex if isinstance(id, UUID) else id for id in ids]
        return values


class LedgerWriter(TableWriter):
    """Writes the movements of one ledger; none is ever changed."""

    def __init__(self, shape: LedgerTable, name: str, tenant: str, dialect: str) -> None:
        columns = [each.name for each in shape.table.columns if each.name != "tenant"]
        super().__init__(columns, shape, name, tenant, dialect)

    def write(self, connection: sa.Connection, batch: LedgerBatch) -> int:
        """Write a batch of movements; no row has to be there, so none is missing."""
        self.add(connection, self.values(batch))
        return 0

    def values(self, batch: LedgerBatch) -> list[Cell]:
        """Return the rows of a batch."""
        kept_id = self.kept_id
        as_they_lie = sorted(batch, key=attrgetter("occurred", "position"))
        return self._joined(
            (occurred, position, number, now, sign, entity, kept_id(event), *attributes)
            for entity, now, sign, position, number, occurred, event, attributes in as_they_lie
        )


class IntervalWriter(TableWriter):
    """Writes the batches of one interval table."""

    def __init__(self, shape: IntervalTable, name: str, tenant: str, dialect: str) -> None:
        address = ["entity_id", *(column.name for column in shape.keys), "valid_from"]
        columns = [*address, "known_from", "valid_to", "known_to", "collapsed"]
        columns += [column.name for column in shape.attributes]
        super().__init__(columns, shape, name, tenant, dialect)
        mark = self._mark
        here = " AND ".join(f"{column} = {mark}" for column in ("tenant", *address))
        here += f" AND known_to = {FOREVER}"
        self._collapse = f"UPDATE {name} SET valid_to = {mark}, collapsed = 1 WHERE {here}"
        self._close = f"UPDATE {name} SET known_to = {mark} WHERE {here}"

    def write(self, connection: sa.Connection, batch: IntervalBatch) -> int:
        """Write a batch: what ended first, then what is new.

        Gives how many rows were to be ended and are not there.
        """
        with _cursor(connection) as cursor:
            missing = self._many(cursor, self._collapse, self._changes(batch.collapsed))
            missing += self._many(cursor, self._close, self._changes(batch.closed))
            self._add(cursor, self.values(batch))
        return missing

    def _changes(self, changes: Sequence[tuple[PendingRow, Instant]]) -> list[Row]:
        return [
            (now, self._tenant, entity, *key, valid_from)
            for (entity, key, valid_from, *_), now in changes
        ]

    def values(self, batch: IntervalBatch) -> list[Cell]:
        """Return the rows that are new with a batch."""
        return self._joined(
            (entity, *key, begun, since, ended, until, collapsed, *attributes)
            for _, opened in sorted(batch.opened.items())  # as they lie in the table
            for entity, key, begun, since, ended, until, collapsed, attributes in opened
            if until != since  # it was believed at some moment
        )


def _as_it_is(id: UUID) -> Cell:
    return id


class TableFold:
    """One fold, and the table its rows go to."""

    def __init__(self, fold: Fold, table: tuple[str, str, str]) -> None:
        """Name the table with its tenant and its database's dialect."""
        self.fold: Final = fold
        self.wanted: Final[frozenset[type[Fact]]] = fold.facts | NEVER_LEFT_OUT
        self.writer: IntervalWriter | LedgerWriter
        if isinstance(fold, Ledger):
            self.writer = LedgerWriter(fold.table, *table)
        else:
            self.writer = IntervalWriter(fold.table, *table)

    def new_batch(self, *since: Instant) -> Batch:
        """Begin what a batch comes to; rows known before `since` stand in the table."""
        return [] if isinstance(self.fold, Ledger) else IntervalBatch(*since)

    def values(self, batch: Any) -> list[Cell]:  # noqa: ANN401 - of its kind
        """Return the values of the rows that are new with a batch, row after row."""
        return self.writer.values(batch)

    def write(self, connection: sa.Connection, batch: Any) -> int:  # noqa: ANN401 - of its kind
        """Write a batch, and return how many rows were to be ended and are not there.

        Raises:
            ProjectionError: when the table cannot hold what the fold gives.
        """
        return self._held(connection, self.writer.write, batch)

    def add(self, connection: sa.Connection, values: Sequence[Cell]) -> None:
        """Write rows that are final.

        Raises:
            ProjectionError: when the table cannot hold what the fold gives.
        """
        self._held(connection, self.writer.add, values)

    def _held(
        self,
        connection: sa.Connection,
        write: Callable[[sa.Connection, Any], DoneT],
        given: object,
    ) -> DoneT:
        try:
            return write(connection, given)
        except (sa.exc.DBAPIError, OverflowError) as error:
            wrong = _wrong_cell(error, connection, self.writer.columns)
            if wrong is None:
                raise
            raise _unheld(self.fold.table.label, wrong) from error


def _unheld(label: str, wrong: str) -> ProjectionError:
    """Return the error of a table that cannot hold its rows."""
    return ProjectionError(
        f"read table {label} cannot hold what its fold gives: {wrong}; its rows stand as they"
        f" were. Mend the fold, then run `salesflow rebuild {label}`"
    )


def _wrong_cell(
    error: Exception, connection: sa.Connection, columns: Sequence[str]
) -> str | None:
    """Return what is wrong with a cell that no row can hold; None when it is something else.

    SQLite numbers the values of all rows of a statement; their column is told instead.
    """
    found: object = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    driver, text = connection.dialect.loaded_dbapi, str(found).partition("\n")[0]
    unbound = UNBOUND.match(text)
    if unbound:
        column = columns[(int(unbound[1]) - 1) % len(columns)]
        return shortened(f"{column}: {text[unbound.end() :]}")
    wrong = isinstance(found, (OverflowError, driver.IntegrityError, driver.DataError))
    if isinstance(found, driver.ProgrammingError):  # of a type that it does not take
        wrong = getattr(found, "sqlstate", "") is None
    return shortened(text) if wrong else None


# What read tables leave out, and since when: streams of which a fact cannot be read.
#
# From such a fact on, its stream counts for nothing, and its rows stand as they were before it
# (see `without_retracted` in `domain.event`); all other streams go on. So that nobody takes
# such figures for whole, one row here says of every read table which stream it leaves out, from
# which event on, and from when to when that was believed on the known axis. It is written with
# the rows of the table, and a rebuild writes it anew.
#
# So it also says how far the rows of a stream go: whoever reads that stream otherwise, because
# an event was damaged or mended or its kind is known to one program alone, begins its rows
# anew.

NAMED_MAX = 20
"""So many streams are named; more are counted."""

LEFT_OUT = sa.Table(
    "salesflow_left_out",
    POSITIONS,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("known_from", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("known_to", sa.BigInteger, nullable=False),
    sa.Column("stream_id", sa.Uuid, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("event_id", sa.Uuid, nullable=False),
    sa.Column("stored", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

FIND = (
    "SELECT DISTINCT position, stream_id, version, event_id, stored, reason"
    f" FROM {LEFT_OUT.name} WHERE tenant = ? AND name IN ({{names}})"
    " AND known_from <= ? AND known_to > ? ORDER BY position"
)

OPEN = (
    f"SELECT name, stream_id, position FROM {LEFT_OUT.name}"
    f" WHERE tenant = ? AND name IN ({{names}}) AND known_to = {FOREVER}"
)

STAND_AND_LEAVE_OUT = (
    "SELECT p.name, p.revision, p.position, p.recorded, e.recorded, e.checksum, NULL"
    f" FROM {PROJECTIONS.name} AS p LEFT JOIN salesflow_events AS e"
    " ON e.tenant = p.tenant AND e.position = p.position"
    " WHERE p.tenant = ? AND p.name IN ({names})"
    " UNION ALL SELECT name, NULL, position, NULL, NULL, NULL, stream_id"
    f" FROM {LEFT_OUT.name} WHERE tenant = ? AND name IN ({{names}}) AND known_to = {FOREVER}"
)


def note_left_out(
    connection: sa.Connection, tenant: str, name: str, changes: Iterable[LeftOutChange]
) -> None:
    """Write what changed for the table of this name."""
    c = LEFT_OUT.c
    for before, after, now in changes:
        if before is not None:
            here = (c.tenant == tenant, c.name == name, c.position == before.position)
            ended = sa.update(LEFT_OUT).where(*here, c.known_to == FOREVER)
            connection.execute(ended.values(known_to=now))
        if after is not None:
            text = {"tenant": tenant, "name": name, **noted(after, now)}
            connection.execute(sa.insert(LEFT_OUT).values(**text))


def left_out_at(
    log: EventLog,
    names: Sequence[str],
    known_at: Instant = FOREVER - 1,
    connection: sa.Connection | None = None,
) -> tuple[LeftOut, ...]:
    """Return the streams that tables left out as known at an instant (now), oldest event first.

    The last of many stands for all that follow, and counts them.
    """
    if not names:
        return ()
    select = FIND.format(names=", ".join("?" * len(names)))
    text = (log.tenant, *names, known_at, known_at)
    rows = log.database.rows(select, text, connection)
    found = [_left_out(row) for row in rows[:NAMED_MAX]]
    if len(rows) > NAMED_MAX:
        found[-1] = found[-1].model_copy(update={"more": len(rows) - NAMED_MAX})
    return tuple(found)


def open_notes(
    log: EventLog, names: Sequence[str], connection: sa.Connection
) -> dict[str, dict[UUID, int]]:
    """Return from which position on streams are left out now, by table; mostly nothing."""
    select = OPEN.format(names=", ".join("?" * len(names)))
    found: dict[str, dict[UUID, int]] = {name: {} for name in names}
    if names:
        for name, stream, at in log.database.rows(select, (log.tenant, *names), connection):
            found[name][_uuid(stream)] = at
    return found


def hold(
    log: EventLog,
    positions: Mapping[str, ProjectionPosition],
    notes: Mapping[str, dict[UUID, int]],
    after: ProjectionPosition,
    connection: sa.Connection,
    patience: Patience,
) -> None:
    """Move projections that stand alike on, and keep everybody else from their rows.

    Raises:
        OvertakenError: when somebody else was first, or has begun streams anew since the notes
            were taken.
        BusyError: when somebody else held one for longer than the patience.
    """
    if not move_positions(log.database, log.tenant, positions, after, connection, patience):
        raise OvertakenError
    if open_notes(log, list(positions), connection) != notes:
        raise OvertakenError


def stored_positions(
    log: EventLog, names: Sequence[str], connection: sa.Connection | None = None
) -> dict[str, StoredPosition]:
    """Return where tables stand and what they leave out; not of those that were never begun."""
    if not names:
        return {}
    select = STAND_AND_LEAVE_OUT.format(names=", ".join("?" * len(names)))
    rows = log.database.rows(select, (log.tenant, *names) * 2, connection)
    found = {
        name: StoredPosition(ProjectionPosition(*stands), recorded, checksum, {})
        for name, *stands, recorded, checksum, stream in rows
        if stream is None
    }
    for name, _, position, *_, stream in rows:
        if stream is not None and name in found:
            found[name].notes[_uuid(stream)] = position
    return found


def forget_streams(
    connection: sa.Connection, tenant: str, name: str, streams: Sequence[UUID]
) -> None:
    """Drop what was noted of some streams of a table, whose rows are begun anew."""
    c = LEFT_OUT.c
    mine = (c.tenant == tenant, c.name == name, c.stream_id.in_(streams))
    connection.execute(sa.delete(LEFT_OUT).where(*mine))


def rename_left_out(connection: sa.Connection, tenant: str, shadow: str, name: str) -> None:
    """Let what a table beside leaves out take the place of what the live one does."""
    c = LEFT_OUT.c
    forget_left_out(connection, name, tenant)
    mine = sa.update(LEFT_OUT).where(c.tenant == tenant, c.name == shadow)
    connection.execute(mine.values(name=name))


def forget_left_out(connection: sa.Connection, name: str, tenant: str | None = None) -> None:
    """Drop what was noted of a table that is gone, of one tenant or of all."""
    c = LEFT_OUT.c
    mine = c.name == name if tenant is None else sa.and_(c.name == name, c.tenant == tenant)
    connection.execute(sa.delete(LEFT_OUT).where(mine))


def _left_out(row: Sequence[Any]) -> LeftOut:
    position, stream_id, version, event_id, stored, reason = row
    return LeftOut(
        stream_id=_uuid(stream_id),
        position=position,
        version=version,
        event_id=_uuid(event_id),
        stored=in_brief(stored),
        reason=in_brief(reason),
    )


def _uuid(found: str | UUID) -> UUID:
    """Read an id as either driver gives it: SQLite keeps it as 32 digits here."""
    return UUID(found) if isinstance(found, str) else found
