"""Read tables in memory as columns: loaded once, and kept level with the log by what it tells.

What a table held at some position is kept for a few positions, so that snapshots that were
opened at different times each find theirs. From one position to the next only the rows of those
entities are read anew of which the log tells something between; of a ledger, the movements that
were recorded between, since one that is there never changes.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from threading import RLock
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from salesflow.adapters.database.forks import FORKABLE, Forkable
from salesflow.adapters.database.schema import events, read_uuid
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.projector.read_tables import ProjectionPosition, open_notes
from salesflow.domain.time import Instant
from salesflow.errors import InputError
from salesflow.projections.core.columns import (
    EVENT_ID,
    Column,
    Flags,
    LedgerColumns,
    Part,
    TableColumns,
    Words,
)
from salesflow.projections.table import EventIds, IntervalTable, LedgerTable, ReadTable

__all__ = ["ColumnCache"]

BATCH: Final = 20_000
"""So many rows are turned into columns at a time."""
IN_ONE: Final = 500
"""So many ids go into one query."""
KEPT: Final = 8
"""So many positions of a table are kept, nearly all of whose rows are the same in memory."""
TAIL_SHARE: Final = 8
"""Once one in so many rows stands in the tail, base and tail are made one."""

Held = TableColumns | LedgerColumns
RowsRead = Iterable[Sequence[sa.Row[Any]]]
"""Rows as the driver gives them, so many at a time."""


class ColumnCache(Forkable):
    """The tables of one log as columns; safe to share between threads."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._sqlite = log.database.dialect == "sqlite"
        self._words = Words()
        self._ids = _Ids() if self._sqlite else Words()
        self._tables: defaultdict[str, _Table] = defaultdict(_Table)
        self._lock = RLock()
        """Held while words get their codes."""
        FORKABLE.add(self)

    def after_fork_in_child(self) -> None:
        """Let nobody wait for a thread that lives in the parent alone."""
        self._lock = RLock()
        for table in self._tables.values():
            table.lock = RLock()

    def columns(
        self, table: ReadTable, stands: ProjectionPosition, connection: sa.Connection
    ) -> Held:
        """Return a table as it stands in a snapshot, and where that is.

        Where it is at hand nobody waits; else others may be reading rows of this table.
        """
        notes = open_notes(self._log, [table.name], connection)[table.name]
        rows = _RowsThere(self._made_as(table, connection), notes)
        held = self._tables[table.name]
        found = held.at_hand(rows, stands)
        if found is None:
            with held.lock:
                found = held.at_hand(rows, stands) or self._read(
                    table, held, rows, stands, connection
                )
        return found.columns

    def _read(
        self,
        table: ReadTable,
        held: "_Table",
        rows: "_RowsThere",
        stands: ProjectionPosition,
        connection: sa.Connection,
    ) -> "_KeptColumns":
        """Go on from the newest columns before a snapshot, or read all rows."""
        before = self._newest_before(held.kept, rows, stands, connection)
        found: Held | None = None
        if before is not None and isinstance(table, LedgerTable):
            found = self._follow(table, before, rows, connection)
        elif before is not None:
            found = self._level(table, before, rows, stands, connection)
        if found is None:
            found = self._held(table, self._part(table, self._rows(table, connection)))
        return held.keep(_KeptColumns(found, stands, rows))

    def columns_of(self, table: ReadTable, entity: UUID, connection: sa.Connection) -> Held:
        """Return what a table holds of one entity, in a snapshot; no other row is held."""
        return self._held(table, self._part(table, self._rows_of(table, connection, [entity])))

    def _made_as(self, table: ReadTable, connection: sa.Connection) -> int:
        """Return what changes when all rows are written anew: by which transaction they were.

        On SQLite a rebuild changes the schema. Both may change otherwise too, seldom.
        """
        if self._sqlite:
            return int(connection.exec_driver_sql("PRAGMA schema_version").scalar_one())
        key = ", ".join(column.name for column in table.table.primary_key)
        first = f"SELECT xmin::text::bigint FROM {table.name} WHERE tenant = :tenant"
        select = sa.text(f"{first} ORDER BY {key} LIMIT 1")
        return int(connection.execute(select, {"tenant": self._log.tenant}).scalar() or 0)

    def _newest_before(
        self,
        kept: Iterable["_KeptColumns"],
        rows: "_RowsThere",
        stands: ProjectionPosition,
        connection: sa.Connection,
    ) -> "_KeptColumns | None":
        """Return the newest columns to go on from: of this log, no newer than a snapshot."""
        for each in sorted(kept, key=lambda each: -each.stands.position):
            at = each.stands
            if (
                at.position <= stands.position
                and each.rows.made_as == rows.made_as
                and self._log.recorded_at(at.position, connection) == at.recorded
            ):
                return each
        return None

    def _held(self, table: ReadTable, part: Part) -> Held:
        """Return a table all of whose rows are in one part."""
        words, tail = self._words_of(table), _cut(part, None)
        if isinstance(table, LedgerTable):
            return LedgerColumns(part, tail, words)
        return TableColumns(part, None, tail, words)

    def _follow(
        self,
        table: LedgerTable,
        before: "_KeptColumns",
        rows: "_RowsThere",
        connection: sa.Connection,
    ) -> LedgerColumns | None:
        """Read the movements of a ledger that were recorded since.

        None where rows of some streams were begun anew meanwhile, since more or less of them
        can be read: then movements of long ago may have gone or come.
        """
        assert isinstance(before.columns, LedgerColumns)
        if before.rows.notes != rows.notes:
            return None
        base, tail, words = before.columns
        since = self._rows_since(table, connection, before.stands.recorded)
        tail = _sorted(_joined(tail, self._part(table, since)), table)
        if tail.rows * TAIL_SHARE > base.rows:
            base, tail = _sorted(_joined(base, tail), table), _cut(tail, None)
        return LedgerColumns(base, tail, words)

    def _level(
        self,
        table: ReadTable,
        before: "_KeptColumns",
        rows: "_RowsThere",
        stands: ProjectionPosition,
        connection: sa.Connection,
    ) -> TableColumns | None:
        """Read the rows of entities anew that were told of since; None where they are many.

        Those whose rows were begun anew meanwhile, since more or less of them can be read, are
        left out from elsewhere on.
        """
        assert isinstance(before.columns, TableColumns)
        base, gone, tail, words = before.columns
        touched = {*self._told_of(before.stands, stands, connection)}
        touched |= {stream for stream, _ in before.rows.notes.items() ^ rows.notes.items()}
        if len(touched) * TAIL_SHARE > base.rows:
            return None
        fresh = self._part(table, self._rows_of(table, connection, [*touched]))
        with self._lock:
            codes = self._ids.codes([*touched])
        replaced: Flags = np.isin(base.columns["entity_id"], codes)
        if gone is not None:
            replaced |= gone
        tail = _joined(_cut(tail, ~np.isin(tail.columns["entity_id"], codes)), fresh)
        if tail.rows * TAIL_SHARE > base.rows:
            base = _sorted(_joined(_cut(base, ~replaced), tail), table)
            return TableColumns(base, None, _cut(tail, None), words)
        return TableColumns(base, replaced, tail, words)

    def _told_of(
        self, before: ProjectionPosition, now: ProjectionPosition, connection: sa.Connection
    ) -> Iterable[UUID]:
        """Return the streams of which the log tells something between two positions."""
        c = events.c
        between = sa.and_(
            c.tenant == self._log.tenant,
            c.position > before.position,
            c.position <= now.position,
        )
        found = connection.scalars(sa.select(c.stream_id).where(between).distinct())
        return map(read_uuid, found)

    def _stored(self, id: UUID) -> UUID | str:
        return id.hex if self._sqlite else id

    def _words_of(self, table: ReadTable) -> Mapping[str, Words]:
        found = {column.name: self._words_in(column) for column in _columns(table)}
        return {name: words for name, words in found.items() if words is not None}

    def _words_in(self, column: sa.Column[Any]) -> Words | None:
        if isinstance(column.type, EventIds):
            return None
        if isinstance(column.type, sa.Uuid):
            return self._ids
        return self._words if isinstance(column.type, sa.String) else None

    def _rows(self, table: ReadTable, connection: sa.Connection) -> RowsRead:
        """Return all rows of a table."""
        given = {"tenant": self._log.tenant}
        options = {"yield_per": BATCH}
        select = sa.text(_select(table))
        return connection.execute(select, given, execution_options=options).partitions(BATCH)

    def _rows_since(
        self, table: LedgerTable, connection: sa.Connection, recorded: Instant
    ) -> RowsRead:
        """Return the movements of a ledger that were recorded after an instant."""
        select = sa.text(f"{_select(table)} AND recorded > :recorded")
        given = {"tenant": self._log.tenant, "recorded": recorded}
        options = {"yield_per": BATCH}
        return connection.execute(select, given, execution_options=options).partitions(BATCH)

    def _rows_of(
        self, table: ReadTable, connection: sa.Connection, entities: Iterable[UUID]
    ) -> Iterator[Sequence[sa.Row[Any]]]:
        """Yield the rows of some entities."""
        waiting = iter(entities)
        some: sa.BindParameter[Any] = sa.bindparam("some", expanding=True)
        among = sa.text(f"{_select(table)} AND entity_id IN :some").bindparams(some)
        while chunk := [self._stored(id) for id in islice(waiting, IN_ONE)]:
            yield connection.execute(among, {"tenant": self._log.tenant, "some": chunk}).all()

    def _part(self, table: ReadTable, rows: RowsRead) -> Part:
        columns = _columns(table)
        batches: list[list[Column]] = [[] for _ in columns]
        count = 0
        for batch in rows:
            if batch:
                count += len(batch)
                for found, column, cells in zip(
                    batches, columns, zip(*batch, strict=True), strict=True
                ):
                    found.append(self._column(column, cells))
        joined = {
            column.name: np.concatenate([np.empty(0, _type_of(column)), *found])
            for column, found in zip(columns, batches, strict=True)
        }
        return _sorted(Part(joined, count), table)

    def _column(self, column: sa.Column[Any], cells: Sequence[Any]) -> Column:
        words = self._words_in(column)
        if words is not None:
            with self._lock:
                return words.codes(cells)
        kind = _type_of(column)
        if isinstance(column.type, EventIds):
            ids = (bytes.fromhex(id) if isinstance(id, str) else id.bytes for id in cells)
            return np.frombuffer(b"".join(ids), kind)
        try:
            return np.fromiter(cells, kind, len(cells))
        except TypeError:
            none = np.iinfo(kind).min
            return np.fromiter([none if c is None else c for c in cells], kind, len(cells))


class _Table:
    """What is kept of one table."""

    def __init__(self) -> None:
        self.lock = RLock()
        """Held while its rows are read."""
        self.kept: list[_KeptColumns] = []
        """Those asked for last come last."""

    def at_hand(self, rows: "_RowsThere", stands: ProjectionPosition) -> "_KeptColumns | None":
        """Return the table as it stands in a snapshot, where it was read so."""
        for each in self.kept:
            if (each.stands, each.rows) == (stands, rows):
                if each is not self.kept[-1]:
                    self.keep(each)
                return each
        return None

    def keep(self, new: "_KeptColumns") -> "_KeptColumns":
        """Keep it, and let go of what nobody has asked for longest."""
        others = [each for each in self.kept if each.stands.position != new.stands.position]
        self.kept = [*others, new][-KEPT:]
        return new


class _RowsThere(NamedTuple):
    """What says whether rows are still the ones that were read, beside their position."""

    made_as: int
    """Another one once all rows were written anew."""
    notes: Mapping[UUID, int]
    """From which position on streams are left out."""


class _KeptColumns(NamedTuple):
    """A table as columns, and where it stood when its rows were read."""

    columns: Held
    stands: ProjectionPosition
    rows: _RowsThere


class _Ids(Words):
    """Ids as read tables of SQLite keep them, which are read when one is asked for."""

    def __getitem__(self, code: int) -> UUID | None:
        """Return the id of a code."""
        stored = super().__getitem__(code)
        return None if stored is None else UUID(stored)

    def code(self, word: object) -> int | None:
        """Return the code of an id; None for one that no column holds."""
        return super().code(word.hex if isinstance(word, UUID) else word)

    def codes(self, words: Sequence[object]) -> NDArray[np.int32]:
        """Return the codes of ids; those that are new get one."""
        return super().codes([w.hex if isinstance(w, UUID) else w for w in words])


def _columns(table: ReadTable) -> list[sa.Column[Any]]:
    return [column for column in table.table.columns if column.name != "tenant"]


def _select(table: ReadTable) -> str:
    names = ", ".join(column.name for column in _columns(table))
    return f"SELECT {names} FROM {table.name} WHERE tenant = :tenant"


def _type_of(column: sa.Column[Any]) -> np.dtype[Any]:
    """Return how the numbers or codes of a column are held.

    Raises:
        InputError: for one that holds no whole numbers.
    """
    if isinstance(column.type, EventIds):
        return EVENT_ID
    if isinstance(column.type, sa.Uuid | sa.String):
        return np.dtype(np.int32)
    if isinstance(column.type, sa.SmallInteger):
        return np.dtype(np.int16)
    if not isinstance(column.type, sa.Integer):
        raise InputError(
            f"column {column.name} is of type {column.type!r}; columns in memory hold whole"
            " numbers, texts and ids: read such a table by `reader.rows`"
        )
    return np.dtype(np.int64)


def _sorted(part: Part, table: ReadTable) -> Part:
    """Put rows in the order in which parts hold them, by what tells them from one another."""
    c = part.columns
    keys = [column.name for column in table.table.primary_key if column.name != "tenant"]
    if isinstance(table, IntervalTable):
        keys = ["entity_id", "valid_from", *(key.name for key in table.keys), "known_from"]
    order = np.lexsort([c[name] for name in reversed(keys)])
    return Part({name: column[order] for name, column in c.items()}, part.rows)


def _cut(part: Part, kept: Flags | None) -> Part:
    """Keep some rows of a part; none of them where nothing is said."""
    if kept is None:
        kept = np.zeros(part.rows, np.bool_)
    found = {name: column[kept] for name, column in part.columns.items()}
    return Part(found, int(kept.sum()))


def _joined(first: Part, then: Part) -> Part:
    found = {
        name: np.concatenate([column, then.columns[name]])
        for name, column in first.columns.items()
    }
    return Part(found, first.rows + then.rows)
