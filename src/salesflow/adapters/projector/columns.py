"""Read tables in memory as columns: loaded once, and kept level with the log by what it tells.

What a table held at some position is kept for a few positions, so that snapshots that were
opened at different times each find theirs. From one position to the next only the rows of those
entities are read anew of which the log tells something between; of a ledger, the movements that
were recorded between, since one that is there never changes. Who has nothing to go on from
looks for a file first.

It is a module of its own: it loads numpy, which nobody needs who asks about one thing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from threading import RLock
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np
import sqlalchemy as sa

from salesflow.adapters.database.forks import FORKABLE, Forkable
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.projector.column_files import ColumnFiles, StoredColumns
from salesflow.adapters.projector.part_reader import PartReader, columns_in, in_order
from salesflow.adapters.projector.read_tables import ProjectionPosition, open_notes
from salesflow.projections.core.columns import (
    NOTHING,
    Column,
    Flags,
    Part,
    TableColumns,
    Words,
    narrowed,
)
from salesflow.projections.core.ledger_columns import Checkpoints, LedgerColumns
from salesflow.projections.table import LedgerTable, ReadTable

__all__ = ["ColumnCache"]

KEPT: Final = 8
"""So many positions of a table are kept, nearly all of whose rows are the same in memory."""
TAIL_SHARE: Final = 8
"""Once one in so many rows stands in the tail, base and tail are made one."""
FILED_ROWS: Final = 5_000
"""Tables of fewer rows are read as fast as their files."""

Held = TableColumns | LedgerColumns


class ColumnCache(Forkable):
    """The tables of one log as columns; safe to share between threads."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._sqlite = log.database.dialect == "sqlite"
        self._reader = PartReader(log.tenant, log.database)
        place = log.database.columns_place
        self._files = None if place is None else ColumnFiles(place, log.tenant)
        self._tables: defaultdict[str, _Table] = defaultdict(_Table)
        FORKABLE.add(self)

    def after_fork_in_child(self) -> None:
        """Let nobody wait for a thread that lives in the parent alone."""
        self._reader.unlock_in_child()
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
        there = held.kept or self._in_file(table)
        before = self._newest_before(there, rows, stands, connection)
        found: Held | None = None
        if before is not None and isinstance(table, LedgerTable):
            found = self._follow(table, before, rows, connection)
        elif before is not None:
            found = self._level(table, before, rows, stands, connection)
        if found is None:
            found = self._held(table, self._reader.all(table, connection))
        mark = self._log.mark_at(stands.position, connection)
        last = None if mark is None else mark[1]
        new = _KeptColumns(found, stands, last, rows)
        if before is None or found.base is not before.columns.base:
            self._file(table, new)
        return held.keep(new)

    def columns_of(self, table: ReadTable, entity: UUID, connection: sa.Connection) -> Held:
        """Return what a table holds of one entity, in a snapshot; no other row is held."""
        return self._held(table, self._reader.of(table, [entity], connection))

    def _made_as(self, table: ReadTable, connection: sa.Connection) -> int:
        """Return what changes when all rows are written anew: by which transaction they were.

        On SQLite a rebuild changes the schema. Both may change otherwise too, seldom.
        """
        if self._sqlite:
            [(version,)] = self._log.database.rows("PRAGMA schema_version", (), connection)
            return int(version)
        key = ", ".join(column.name for column in table.table.primary_key)
        first = f"SELECT xmin::text::bigint FROM {table.name} WHERE tenant = ?"
        select = f"{first} ORDER BY {key} LIMIT 1"
        found = self._log.database.rows(select, (self._log.tenant,), connection)
        return int(found[0][0]) if found else 0

    def _newest_before(
        self,
        kept: Iterable["_KeptColumns"],
        rows: "_RowsThere",
        stands: ProjectionPosition,
        connection: sa.Connection,
    ) -> "_KeptColumns | None":
        """Return the newest columns to go on from: of this log, no newer than a snapshot.

        When an event was recorded does not tell it from another one alone: where the clock
        stands behind the log the next event is always a microsecond later than the last one.
        """
        for each in sorted(kept, key=lambda each: -each.stands.position):
            at = each.stands
            if (
                at.position <= stands.position
                and each.rows.made_as == rows.made_as
                and self._log.mark_at(at.position, connection) == (at.recorded, each.last)
            ):
                return each
        return None

    def _held(self, table: ReadTable, part: Part) -> Held:
        """Return a table all of whose rows are in one part."""
        if isinstance(table, LedgerTable):
            return self._ledger(table, part, _cut(part, None))
        return TableColumns(part, None, _cut(part, None), self._reader.words_of(table))

    def _ledger(self, table: LedgerTable, base: Part, tail: Part) -> LedgerColumns:
        words = self._reader.words_of(table)
        return LedgerColumns(
            Checkpoints(base, table, words), Checkpoints(tail, table, words), words
        )

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
        base, former, words = before.columns
        since = self._reader.since(table, before.stands.recorded, connection)
        if not since.rows:
            return before.columns
        tail = in_order(_joined(former.part, since), table)
        if tail.rows * TAIL_SHARE > base.part.rows:
            base_part = in_order(_joined(base.part, tail), table)
            return self._ledger(table, base_part, _cut(tail, None))
        return LedgerColumns(base, Checkpoints(tail, table, words), words)

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
        since = before.stands.position
        touched = {*self._log.streams_told_of(since, stands.position, connection)}
        touched |= {stream for stream, _ in before.rows.notes.items() ^ rows.notes.items()}
        if len(touched) * TAIL_SHARE > base.rows:
            return None
        fresh = self._reader.of(table, touched, connection)
        codes = self._reader.codes(self._reader.ids, [id.hex for id in touched])
        replaced: Flags = np.isin(base.columns["entity_id"], codes)
        if gone is not None:
            replaced |= gone
        tail = _joined(_cut(tail, ~np.isin(tail.columns["entity_id"], codes)), fresh)
        if tail.rows * TAIL_SHARE > base.rows:
            base = in_order(_joined(_cut(base, ~replaced), tail), table)
            return TableColumns(base, None, _cut(tail, None), words)
        return TableColumns(base, replaced, tail, words)

    def _in_file(self, table: ReadTable) -> Sequence["_KeptColumns"]:
        """Return what the file of a table holds, if it is one of this table."""
        stored = None if self._files is None else self._files.read(table.name)
        if stored is None or stored.columns.keys() != {c.name for c in columns_in(table)}:
            return ()
        words_of = self._reader.words_of(table)
        columns, reader = dict(stored.columns), self._reader
        for words, texts in ((reader.words, stored.words), (reader.ids, stored.ids)):
            codes = np.append(reader.codes(words, texts), NOTHING)
            names = [name for name in columns if words_of.get(name) is words]
            if any(_is_beyond(columns[name], len(texts)) for name in names):
                return ()
            columns |= {name: narrowed(codes[columns[name]]) for name in names}
        part = Part(columns, len(columns["entity_id"]))
        rows = _RowsThere(stored.made_as, stored.notes)
        held = self._held(table, part)
        return (_KeptColumns(held, stored.stands, stored.last, rows),)

    def _file(self, table: ReadTable, new: "_KeptColumns") -> None:
        """Write all rows of a table that were read or put together just now."""
        base, words_of = new.columns.base, new.columns.words
        if isinstance(base, Checkpoints):
            base = base.part
        if self._files is None or base.rows < FILED_ROWS:
            return
        columns, texts = dict(base.columns), []
        for words in (self._reader.words, self._reader.ids):
            names = [name for name in columns if words_of.get(name) is words]
            used, numbered = _numbered([columns[name] for name in names], words)
            columns |= zip(names, numbered, strict=True)
            texts.append(used)
        self._files.write(
            table.name, StoredColumns(new.stands, new.last, *new.rows, columns, *texts)
        )


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
    last: int | None
    """The checksum of the event at that position."""
    rows: _RowsThere


def _numbered(columns: Sequence[Column], words: Words) -> tuple[list[str], list[Column]]:
    """Return the words or ids that are in columns, and for each row which of them it has."""
    there = np.zeros(len(words) + 1, np.bool_)
    for column in columns:
        there[column] = True
    there[NOTHING] = False
    number = np.where(there, np.cumsum(there) - 1, NOTHING)
    numbered = [narrowed(number[column]) for column in columns]
    return words.as_put_in(np.flatnonzero(there)), numbered


def _is_beyond(codes: Column, count: int) -> bool:
    """Return whether codes stand for more than so many words."""
    return bool(((codes < NOTHING) | (codes >= count)).any())


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
