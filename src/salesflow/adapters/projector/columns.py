"""Read tables in memory as columns: loaded once, and kept level with the log by what it tells.

What a table held at some position is kept for a few positions, so that snapshots that were
opened at different times each find theirs. From one position to the next only the rows of those
entities are read anew of which the log tells something between; of a ledger, the movements that
were recorded between, since one that is there never changes. Who has nothing to go on from
looks for a file first.

What is kept is bounded: over so many bytes the columns that were asked for longest ago are let
go of, and read again when somebody asks. It loads numpy, which nobody needs who asks
about one thing.
"""

import ctypes
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, count, islice
from threading import RLock
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np
import sqlalchemy as sa

from salesflow.adapters.database.forks import FORKABLE, Forkable
from salesflow.adapters.database.sqlite_file import READ_STAMP, STAMP
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.projector.column_files import (
    ColumnFiles,
    StoredColumns,
    is_beyond,
    numbered,
)
from salesflow.adapters.projector.read_tables import ProjectionPosition, StoredPosition
from salesflow.adapters.projector.sliced_columns import (
    MANY_ROWS,
    OutgrownError,
    TableInSlices,
    warn_of_slices,
    within,
)
from salesflow.domain.time import Instant
from salesflow.errors import InputError
from salesflow.projections.core.columns import (
    EVENT_ID,
    NOTHING,
    Flags,
    HeldTable,
    HexadecimalIds,
    Kind,
    Part,
    RowsRead,
    TableColumns,
    Words,
    columns_of,
    narrowed,
)
from salesflow.projections.core.ledger_columns import Checkpoints, LedgerColumns
from salesflow.projections.table import EventIds, IntervalTable, LedgerTable, ReadTable

__all__ = ["ColumnCache", "Held", "SnapshotColumns", "part_of"]

KEPT: Final = 8
"""So many positions of a table are kept, nearly all of whose rows are the same in memory."""
TAIL_SHARE: Final = 8
"""Once one in so many rows stands in the tail, base and tail are made one."""
FILED_ROWS: Final = 5_000
"""Tables of fewer rows, and those of logs of fewer events, are read as fast as their files."""
BATCH: Final = 2_000
"""So many rows are turned into columns at a time: few enough for the caches of a processor."""
IN_ONE: Final = 500
"""So many ids go into one query."""

SCHEMA_AND_STAMP: Final = (
    f"SELECT schema_version, ({READ_STAMP} LIMIT 1) FROM pragma_schema_version"
)

USES: Final = count()
"""Numbers the times at which columns were asked for."""
CURSORS: Final = count()
"""Numbers the cursors of this process."""

Held = TableColumns | LedgerColumns


class ColumnCache(Forkable):
    """The tables of one log as columns; safe to share between threads."""

    def __init__(self, log: EventLog, kept_bytes: int) -> None:
        self._log = log
        self._sqlite = log.database.dialect == "sqlite"
        self._rows = _RowReader(log)
        place = log.database.columns_place
        self._files = None if place is None else ColumnFiles(place, log.tenant)
        self._kept_bytes = kept_bytes
        self._tables: defaultdict[str, _Table] = defaultdict(_Table)
        FORKABLE.add(self)

    def after_fork_in_child(self) -> None:
        """Let nobody wait for a thread that lives in the parent alone."""
        for words in (self._rows.words, self._rows.ids):
            words.lock = RLock()
        for table in self._tables.values():
            table.lock = RLock()

    def in_snapshot(
        self, stored: Mapping[str, StoredPosition], connection: sa.Connection
    ) -> "SnapshotColumns":
        """Return what reads columns in a snapshot, and where tables stand in it."""
        return SnapshotColumns(self, self._log, stored, connection)

    def holds(self, table: str) -> bool:
        """Return whether any columns of a table are kept."""
        return bool(self._tables[table].kept)

    def outgrows(self, table: str) -> bool:
        """Return whether a table was found to take more room than all may."""
        return self._tables[table].outgrows

    def columns(self, table: ReadTable, snapshot: "SnapshotColumns") -> HeldTable:
        """Return a table as it stands in a snapshot.

        Where it is at hand nobody waits; else others may be reading rows of this table.
        """
        stands, held = snapshot.stored[table.name].stands, self._tables[table.name]
        rows = _RowsThere(self._made_as(table, snapshot), snapshot.stored[table.name].notes)
        found = held.at_hand(rows, stands)
        if found is None:
            with held.lock:
                found = held.at_hand(rows, stands)
                if found is None and not held.outgrows:
                    found = self._read(table, rows, snapshot)
        if found is not None:
            return found.columns
        slices = partial(self._rows.batches, table, snapshot.connection)
        return TableInSlices(table, slices, _keys_of(table), self._rows.words_of(table))

    def columns_of(self, table: ReadTable, entity: UUID, connection: sa.Connection) -> Held:
        """Return what a table holds of one entity, in a snapshot; no other row is held."""
        return self._held(table, self._rows.of(table, [entity], connection))

    def in_file(self, table: ReadTable, snapshot: "SnapshotColumns") -> Held | None:
        """Return a table as who begins to ask takes it from its file, level with a snapshot.

        None where the file is of no use, so that all rows are read.
        """
        rows = _RowsThere(self._made_as(table, snapshot), snapshot.stored[table.name].notes)
        before = self._newest_before(self._in_file(table, snapshot), rows, table, snapshot)
        return None if before is None else self._gone_on_from(before, rows, table, snapshot)

    def batches(self, table: ReadTable, connection: sa.Connection) -> Iterator[Part]:
        """Yield all rows of a table as the database holds them, so many at a time."""
        return self._rows.batches(table, connection)

    def _read(
        self, table: ReadTable, rows: "_RowsThere", snapshot: "SnapshotColumns"
    ) -> "_KeptColumns | None":
        """Go on from the newest columns before a snapshot, or read all rows.

        None where they take more room than all tables may.
        """
        there, connection = snapshot.stored[table.name], snapshot.connection
        held = self._tables[table.name]
        kept = held.kept or self._in_file(table, snapshot)
        before = self._newest_before(kept, rows, table, snapshot)
        found = self._gone_on_from(before, rows, table, snapshot) if before else None
        if found is None:
            most = self._kept_bytes if there.stands.position > MANY_ROWS else None
            part = self._rows.all(table, connection, most)
            _give_back_memory()
            if part is None:
                self._outgrown(table.name)
                return None
            found = self._held(table, part)
        new = _KeptColumns(found, there.stands, there.checksum_there, rows)
        if before is None or found.base is not before.columns.base:
            self._file(table, new)
        held.keep(new)
        self._let_go()
        return new

    def _let_go(self) -> None:
        """Let go of the columns asked for longest ago, until what is kept is within bounds.

        A table that outgrows them by itself is let go of too, and read in slices from now on.
        """
        kept = sorted(
            ((each, name) for name, held in [*self._tables.items()] for each in held.kept),
            key=lambda it: it[0].used,
        )
        while kept and _size_of(each for each, _ in kept) > self._kept_bytes:
            oldest, name = kept.pop(0)
            self._tables[name].let_go(oldest)
            _give_back_memory()
            if not kept:
                self._outgrown(name)

    def _outgrown(self, table: str) -> None:
        """Note of a table that it cannot be held."""
        self._tables[table].outgrows = True
        warn_of_slices(table, self._kept_bytes)

    def _made_as(self, table: ReadTable, snapshot: "SnapshotColumns") -> str:
        """Return what changes when all rows are written anew: by which transaction they were.

        On SQLite a rebuild changes the schema, and a backup has a stamp of its own. Both may
        change otherwise too, seldom.
        """
        if self._sqlite:
            return snapshot.schema_and_stamp
        key = ", ".join(column.name for column in table.table.primary_key)
        first = f"SELECT xmin::text::bigint FROM {table.name} WHERE tenant = ?"
        select = f"{first} ORDER BY {key} LIMIT 1"
        found = self._log.database.rows(select, (self._log.tenant,), snapshot.connection)
        return str(found[0][0]) if found else ""

    def _newest_before(
        self,
        kept: Iterable["_KeptColumns"],
        rows: "_RowsThere",
        table: ReadTable,
        snapshot: "SnapshotColumns",
    ) -> "_KeptColumns | None":
        """Return the newest columns to go on from: of this log, no newer than a snapshot.

        When an event was recorded does not tell it from another one alone: where the clock
        stands behind the log the next event is always a microsecond later than the last one.
        """
        stands = snapshot.stored[table.name].stands
        for each in sorted(kept, key=lambda each: -each.stands.position):
            at = each.stands
            if (
                at.position <= stands.position
                and each.rows.made_as == rows.made_as
                and snapshot.mark_at(at.position) == (at.recorded, each.last)
            ):
                return each
        return None

    def _held(self, table: ReadTable, part: Part) -> Held:
        """Return a table all of whose rows are in one part."""
        words = self._rows.words_of(table)
        if isinstance(table, LedgerTable):
            return LedgerColumns(Checkpoints(part, table, words), words)
        return TableColumns(part, words)

    def _gone_on_from(
        self,
        before: "_KeptColumns",
        rows: "_RowsThere",
        table: ReadTable,
        snapshot: "SnapshotColumns",
    ) -> Held | None:
        """Add what was told since to columns; None where all rows are better read."""
        if isinstance(table, LedgerTable):
            return self._follow(table, before, rows, snapshot.connection)
        stands = snapshot.stored[table.name].stands
        return self._level(table, before, rows, stands, snapshot.connection)

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
        base, words, former = before.columns
        tail = self._rows.since(table, before.stands.recorded, connection)
        if not tail.rows:
            return before.columns
        if former is not None:
            tail = former.part.joined(tail).in_order(_keys_of(table))
        if tail.rows * TAIL_SHARE > base.part.rows:
            whole = Part.packed([base.part.joined(tail)]).in_order(_keys_of(table))
            return LedgerColumns(Checkpoints(whole, table, words), words)
        return LedgerColumns(base, words, Checkpoints(tail, table, words))

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
        base, words, gone, former = before.columns
        since = before.stands.position
        touched = {*self._log.streams_told_of(since, stands.position, connection)}
        touched |= {stream for stream, _ in before.rows.notes.items() ^ rows.notes.items()}
        if len(touched) * TAIL_SHARE > base.rows:
            return None
        tail = self._rows.of(table, touched, connection)
        codes = self._rows.ids.codes([id.hex for id in touched])
        is_touched = np.bincount(codes, minlength=len(self._rows.ids)) > 0
        replaced: Flags = is_touched[base.columns["entity_id"]]
        if gone is not None:
            replaced |= gone
        if former is not None:
            tail = former.where(~is_touched[former.columns["entity_id"]]).joined(tail)
        if tail.rows * TAIL_SHARE > base.rows:
            whole = Part.packed([base.where(~replaced).joined(tail)])
            whole = whole.in_order(_keys_of(table))
            return TableColumns(whole, words)
        return TableColumns(base, words, replaced, tail)

    def _in_file(
        self, table: ReadTable, snapshot: "SnapshotColumns"
    ) -> Sequence["_KeptColumns"]:
        """Return what the file of a table holds, if it is one of this table."""
        if self._files is None or snapshot.stored[table.name].stands.position < FILED_ROWS:
            return ()
        stored = self._files.read(table)
        if stored is None:
            return ()
        part, reader, words_of = stored.part, self._rows, self._rows.words_of(table)
        columns = part.columns
        assert isinstance(columns, dict)  # in which few are there twice
        if columns.keys() != reader.kinds(table).keys() or any(
            is_beyond(columns[name], len(part.listed), 0) for name in part.by_place
        ):
            return ()
        for words, texts in ((reader.words, stored.words), (reader.ids, stored.ids)):
            codes = np.append(words.codes(texts), NOTHING)
            names = [name for name in columns if words_of.get(name) is words]
            if any(is_beyond(columns[name], len(texts)) for name in names):
                return ()
            for name in names:
                columns[name] = narrowed(codes[columns[name]])
        rows = _RowsThere(stored.made_as, stored.notes)
        held = self._held(table, part)
        return (_KeptColumns(held, stored.stands, stored.last, rows),)

    def _file(self, table: ReadTable, new: "_KeptColumns") -> None:
        """Write all rows of a table that were read or put together just now."""
        base, words_of = part_of(new.columns.base), new.columns.words
        if self._files is None or min(base.rows, new.stands.position) < FILED_ROWS:
            return
        columns, texts = dict(base.columns), []
        for words in (self._rows.words, self._rows.ids):
            names = [name for name in columns if words_of.get(name) is words]
            used, numbers = numbered([columns[name] for name in names], words)
            columns |= zip(names, numbers, strict=True)
            texts.append(used)
        part = base._replace(columns=columns)
        self._files.write(table, StoredColumns(new.stands, new.last, *new.rows, part, *texts))


class SnapshotColumns:
    """The tables as columns in one snapshot; what says where they stand is read once."""

    def __init__(
        self,
        cache: ColumnCache,
        log: EventLog,
        stored: Mapping[str, StoredPosition],
        connection: sa.Connection,
    ) -> None:
        self.stored: Final = stored
        self.connection: Final = connection
        self.schema_and_stamp = ""
        """What changes on SQLite when a table is built anew, or all from a backup."""
        if log.database.dialect == "sqlite":
            self.schema_and_stamp = _schema_and_stamp(log, connection)
        self._cache = cache
        self._log = log
        self._found: dict[str, HeldTable] = {}
        self._marks = {
            each.stands.position: (each.recorded_there, each.checksum_there)
            for each in stored.values()
        }

    def of(self, table: ReadTable) -> HeldTable:
        """Return a table as columns; all that ask in this snapshot have the same ones."""
        if table.name not in self._found:
            self._found[table.name] = self._cache.columns(table, self)
        return self._found[table.name]

    def mark_at(self, position: int) -> tuple[Instant | None, int | None]:
        """Return what tells the event at a position from others, where there is one."""
        if position not in self._marks:
            mark = self._log.mark_at(position, self.connection)
            self._marks[position] = mark or (None, None)
        return self._marks[position]


def _schema_and_stamp(log: EventLog, connection: sa.Connection) -> str:
    [(version, stamp)] = log.database.rows(SCHEMA_AND_STAMP, STAMP, connection)
    return str(version) if stamp is None else f"{version} {bytes(stamp).hex()}"


class _Table:
    """What is kept of one table."""

    def __init__(self) -> None:
        self.lock = RLock()
        """Held while its rows are read."""
        self.kept: list[_KeptColumns] = []
        self.outgrows = False
        """Whether it was found to take more room than all tables may."""

    def at_hand(self, rows: "_RowsThere", stands: ProjectionPosition) -> "_KeptColumns | None":
        """Return the table as it stands in a snapshot, where it was read so."""
        for each in self.kept:
            if (each.stands, each.rows) == (stands, rows):
                each.used = next(USES)
                return each
        return None

    def keep(self, new: "_KeptColumns") -> None:
        """Keep it, and let go of what nobody has asked for longest."""
        others = [each for each in self.kept if each.stands.position != new.stands.position]
        self.kept = [*sorted(others, key=lambda each: each.used), new][-KEPT:]

    def let_go(self, gone: "_KeptColumns") -> None:
        """Keep it no longer; whoever has it goes on with it."""
        self.kept = [each for each in self.kept if each is not gone]


class _RowsThere(NamedTuple):
    """What says whether rows are still the ones that were read, beside their position."""

    made_as: str
    """Another one once all rows were written anew, or put back from a backup."""
    notes: Mapping[UUID, int]
    """From which position on streams are left out."""


@dataclass(eq=False)
class _KeptColumns:
    """A table as columns, and where it stood when its rows were read."""

    columns: Held
    stands: ProjectionPosition
    last: int | None
    """The checksum of the event at that position."""
    rows: _RowsThere
    used: int = field(default_factory=lambda: next(USES))
    """When it was asked for last."""


def _size_of(kept: Iterable[_KeptColumns]) -> int:
    """Return how many bytes columns take, of which many are the same."""
    both = (held for each in kept for held in (each.columns.base, each.columns.tail))
    parts = {id(part): part for part in (part_of(held) for held in both if held is not None)}
    arrays = ((*part.columns.values(), part.listed) for part in parts.values())
    return sum(array.nbytes for each in arrays for array in each)


def _give_back_memory() -> None:
    """Give the system back what is free now; the allocator of glibc keeps it otherwise.

    Of what reading a million rows took half would stay.
    """
    with suppress(AttributeError, OSError, TypeError):  # another allocator knows no such call
        ctypes.CDLL(None).malloc_trim(0)


def part_of(held: Part | Checkpoints) -> Part:
    """Return the rows of a part of a table, or of a ledger."""
    return held.part if isinstance(held, Checkpoints) else held


class _RowReader:
    """Reads rows of one tenant; words and ids have the same codes in all that it reads."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._sqlite = log.database.dialect == "sqlite"
        self.words: Final = Words()
        self.ids: Final = HexadecimalIds()

    def all(self, table: ReadTable, connection: sa.Connection, most: int | None) -> Part | None:
        """Return all rows of a table; None where they take more bytes than are allowed."""
        with self._read(self._select(table), connection, {}) as rows, suppress(OutgrownError):
            batches = rows if most is None else within(rows, self.kinds(table), most)
            return self._part(table, batches)
        return None

    def since(self, table: LedgerTable, recorded: Instant, connection: sa.Connection) -> Part:
        """Return the movements of a ledger that were recorded after an instant."""
        select = f"{self._select(table)} AND recorded > :recorded"
        with self._read(select, connection, {"recorded": recorded}) as batches:
            return self._part(table, batches)

    def of(self, table: ReadTable, entities: Iterable[UUID], connection: sa.Connection) -> Part:
        """Return the rows of some entities."""
        return self._part(table, self._read_of(table, entities, connection))

    def batches(self, table: ReadTable, connection: sa.Connection) -> Iterator[Part]:
        """Yield all rows of a table, so many at a time, and none of them first."""
        kinds = self.kinds(table)
        with self._read(self._select(table), connection, {}) as batches:
            for rows in chain([()], batches):
                yield Part(columns_of(rows, kinds), len(rows))

    def words_of(self, table: ReadTable) -> Mapping[str, Words]:
        """Return what the codes of each column of words or ids stand for, by its name."""
        kinds = self.kinds(table).items()
        return {name: kind for name, kind in kinds if isinstance(kind, Words)}

    def kinds(self, table: ReadTable) -> Mapping[str, Kind]:
        """Return how each column is held, by its name.

        Raises:
            InputError: for one that holds no whole numbers, texts or ids.
        """
        return {column.name: self._kind_of(column) for column in _columns_in(table)}

    def _kind_of(self, column: sa.Column[Any]) -> Kind:
        if isinstance(column.type, EventIds):
            return EVENT_ID
        if isinstance(column.type, sa.Uuid):
            return self.ids
        if isinstance(column.type, sa.String):
            return self.words
        if not isinstance(column.type, sa.Integer):
            raise InputError(
                f"column {column.name} is of type {column.type!r}; columns in memory hold whole"
                " numbers, texts and ids: read such a table by `reader.rows`"
            )
        return np.dtype(np.int64)

    def _select(self, table: ReadTable, tenant: str = ":tenant") -> str:
        names = ", ".join(map(self._read_as, _columns_in(table)))
        return f"SELECT {names} FROM {table.name} WHERE tenant = {tenant}"

    def _read_as(self, column: sa.Column[Any]) -> str:
        """Return what to select for a column: ids as hexadecimal digits, as SQLite has them."""
        if self._sqlite or not isinstance(column.type, sa.Uuid):
            return column.name
        return f"encode(uuid_send({column.name}), 'hex')"

    @contextmanager
    def _read(
        self, select: str, connection: sa.Connection, given: Mapping[str, Any]
    ) -> Iterator[Iterable[RowsRead]]:
        """Open the rows of a select, of which few are fetched at a time.

        On PostgreSQL by a cursor that is declared in SQL: one of the driver has a destructor,
        and a Ctrl-C that meets it is lost.
        """
        parameters = {"tenant": self._log.tenant, **given}
        if self._sqlite:
            with connection.execute(sa.text(select), parameters) as found:
                yield found.partitions(BATCH)
            return
        cursor = f"salesflow_columns_{next(CURSORS)}"
        connection.execute(sa.text(f"DECLARE {cursor} CURSOR FOR {select}"), parameters)
        yield self._fetched(cursor, connection)
        connection.execute(sa.text(f"CLOSE {cursor}"))

    def _fetched(self, cursor: str, connection: sa.Connection) -> Iterator[RowsRead]:
        fetch, read = f"FETCH {BATCH} FROM {cursor}", BATCH
        while read == BATCH:
            rows = self._log.database.rows(fetch, (), connection)
            read = len(rows)
            yield rows

    def _read_of(
        self, table: ReadTable, entities: Iterable[UUID], connection: sa.Connection
    ) -> Iterator[RowsRead]:
        select, waiting = f"{self._select(table, '?')} AND entity_id IN (...)", iter(entities)
        while chunk := [id.hex if self._sqlite else id for id in islice(waiting, IN_ONE)]:
            among, listed = self._log.listing(select, chunk)
            yield self._log.database.rows(among, (self._log.tenant, *listed), connection)

    def _part(self, table: ReadTable, batches: Iterable[RowsRead]) -> Part:
        return Part.read(batches, self.kinds(table), _keys_of(table))


def _columns_in(table: ReadTable) -> list[sa.Column[Any]]:
    """Return which columns of a table are held."""
    return [column for column in table.table.columns if column.name != "tenant"]


def _keys_of(table: ReadTable) -> Sequence[str]:
    """Return the columns in whose order parts hold rows, which tell them from one another."""
    if isinstance(table, IntervalTable):
        return ["entity_id", "valid_from", *(key.name for key in table.keys), "known_from"]
    return [column.name for column in table.table.primary_key if column.name != "tenant"]
