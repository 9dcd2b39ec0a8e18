"""The read tables in the database: made, written in batches, swapped, and their positions.

One row of `salesflow_projections` per fold says up to which position its table stands. Rows
and position are written in one transaction, and the position is moved by one conditional
update: of two processes that did the same work, one is told that the other was first.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPICursor

from salesflow.adapters.database.database import Database
from salesflow.adapters.database.holding import Patience
from salesflow.adapters.projector.interval_tables import Address, IntervalBatch, PendingRow
from salesflow.adapters.projector.ledger_tables import LedgerBatch
from salesflow.domain.time import FOREVER, Instant, from_instant
from salesflow.projections.table import Cell, IntervalTable, LedgerTable

__all__ = [
    "POSITIONS",
    "PROJECTIONS",
    "IntervalWriter",
    "LedgerWriter",
    "ProjectionPosition",
    "TableWriter",
    "move_positions",
    "positions_of",
    "start_position",
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


MOVE: Final = (
    f"UPDATE {PROJECTIONS.name} SET position = ?, recorded = ?"
    f" WHERE tenant = ? AND position = ? AND name IN (SELECT name FROM {PROJECTIONS.name}"
    " WHERE tenant = ? AND position = ? AND ({alike}) ORDER BY name{lock})"
)


class ProjectionPosition(NamedTuple):
    """Where a projection stands: its fold's revision, the last position folded and its time."""

    revision: int
    position: int
    recorded: Instant

    @property
    def recorded_at(self) -> datetime:
        """The time of the last position folded."""
        return from_instant(self.recorded)


def positions_of(
    connection: sa.Connection, tenant: str, names: Iterable[str]
) -> dict[str, ProjectionPosition]:
    """Read where projections stand; those that were never begun are left out."""
    c = PROJECTIONS.c
    rows = connection.execute(
        sa.select(c.name, c.revision, c.position, c.recorded).where(
            c.tenant == tenant, c.name.in_(list(names))
        )
    )
    return {name: ProjectionPosition(*row) for name, *row in rows}


def start_position(connection: sa.Connection, tenant: str, name: str, revision: int) -> None:
    """Note a projection that has folded nothing; another process may have done so first."""
    row = ProjectionPosition(revision, 0, 0)._asdict()
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
    """Give the driver's own cursor; what goes wrong is told as SQLAlchemy tells it."""
    cursor = connection.connection.cursor()
    try:
        yield cursor
    except connection.dialect.loaded_dbapi.Error as error:
        raise sa.exc.DBAPIError("rows of a read table", None, error) from error
    finally:
        cursor.close()


class TableWriter:
    """Writes rows of one table through the driver's own cursor."""

    def __init__(
        self,
        columns: Sequence[str],
        attributes: Sequence[sa.Column[Cell]],
        name: str,
        tenant: str,
        dialect: str,
    ) -> None:
        self._tenant = tenant
        self._postgres = dialect == "postgresql"
        self._ids = [
            place
            for place, column in enumerate(attributes)
            if isinstance(column.type, sa.Uuid) and not self._postgres
        ]
        """Which attributes are ids that this database keeps otherwise."""
        self._mark = "%s" if self._postgres else "?"
        self.columns: Final = list(columns)
        """The columns of a row, in the order in which it is written."""
        listed = ", ".join(columns)
        marks = ", ".join([self._mark] * len(columns))
        self._insert = f"INSERT INTO {name} ({listed}) VALUES ({marks})"
        self._copy = f"COPY {name} ({listed}) FROM STDIN"

    def _many(
        self, cursor: DBAPICursor, statement: str, rows: Sequence[tuple[Cell, ...]]
    ) -> int:
        """Change rows, and say how many of them were not there."""
        if not rows:
            return 0
        cursor.executemany(statement, rows)
        return len(rows) - cursor.rowcount

    def add(self, connection: sa.Connection, rows: Sequence[tuple[Cell, ...]]) -> None:
        """Write rows that are final."""
        with _cursor(connection) as cursor:
            self._add(cursor, rows)

    def _add(self, cursor: DBAPICursor, rows: Sequence[tuple[Cell, ...]]) -> None:
        if not rows:
            return
        if self._postgres:
            with cursor.copy(self._copy) as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            cursor.executemany(self._insert, rows)

    def _kept(self, attributes: Sequence[Cell]) -> Sequence[Cell]:
        """Give attributes as the database keeps them."""
        if not self._ids:
            return attributes
        cells = list(attributes)
        for place in self._ids:
            id = cells[place]
            if isinstance(id, UUID):
                cells[place] = id.hex
        return cells

    def _uuid(self, id: UUID) -> Cell:
        return id if self._postgres else id.hex


class LedgerWriter(TableWriter):
    """Writes the movements of one ledger; none is ever changed."""

    def __init__(self, shape: LedgerTable, name: str, tenant: str, dialect: str) -> None:
        columns = [column.name for column in shape.table.columns]
        super().__init__(columns, shape.attributes, name, tenant, dialect)

    def write(self, connection: sa.Connection, batch: LedgerBatch) -> int:
        """Write a batch of movements; no row has to be there, so none is missing."""
        self.add(connection, self.rows(batch))
        return 0

    def rows(self, batch: LedgerBatch) -> list[tuple[Cell, ...]]:
        """Give the rows of a batch."""
        tenant, uuid, kept = self._tenant, self._uuid, self._kept
        return [
            (
                *(tenant, occurred, position, number, recorded, sign, uuid(entity)),
                *(uuid(event_id), *kept(attributes)),
            )
            for entity, recorded, sign, movement in batch
            for position, number, occurred, event_id, attributes in (movement,)
        ]


class IntervalWriter(TableWriter):
    """Writes the batches of one interval table."""

    def __init__(self, shape: IntervalTable, name: str, tenant: str, dialect: str) -> None:
        keys = [column.name for column in shape.keys]
        columns = ["tenant", "entity_id", *keys, "valid_from", "known_from", "valid_to"]
        columns += ["known_to", "collapsed", *(column.name for column in shape.attributes)]
        super().__init__(columns, shape.attributes, name, tenant, dialect)
        address, mark = ["tenant", "entity_id", *keys, "valid_from"], self._mark
        here = " AND ".join(f"{column} = {mark}" for column in address)
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
            self._add(cursor, self.rows(batch))
        return missing

    def _changes(self, changes: dict[Address, Instant]) -> list[tuple[Cell, ...]]:
        tenant, uuid = self._tenant, self._uuid
        return [
            (now, tenant, uuid(entity), *key, valid_from)
            for (entity, key, valid_from), now in changes.items()
        ]

    def rows(self, batch: IntervalBatch) -> list[tuple[Cell, ...]]:
        """Give the rows that are new with a batch."""
        tenant, uuid, kept = self._tenant, self._uuid, self._kept
        held: Iterable[tuple[Address, PendingRow, Instant]] = [
            *batch.ended,
            *((at, row, FOREVER) for at, row in batch.fresh.items()),
        ]
        return [
            (
                *(tenant, uuid(entity), *key, valid_from, row[0], row[1], known_to, row[2]),
                *kept(row[3]),
            )
            for (entity, key, valid_from), row, known_to in held
        ]
