"""Compares read tables with a fresh fold of the log: slices of streams, row by row.

Rows of an interval table lie together by entity and are compared slice by slice. Those of a
ledger lie by time: what each slice ought to hold is added up as one number (a sum of hashes,
whatever the order), the ledger is read once, and only a slice that differs is looked at again.

It is a module of its own, as `check` looks at the log and this at what is derived from it.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from operator import attrgetter
from random import SystemRandom
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.database.connections import gc_paused
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.projector.balances import Balancer
from salesflow.adapters.projector.projection_task import JointFold
from salesflow.adapters.projector.read_tables import LEFT_OUT, ProjectionPosition, TableFold
from salesflow.adapters.projector.rebuild import StreamRange, stream_ranges
from salesflow.domain.event import Event, Fact
from salesflow.domain.time import FOREVER, Instant
from salesflow.errors import ProjectionError
from salesflow.projections.core.balances import (
    BIN,
    BINNED,
    CARRIED,
    DAYS,
    OFFSET,
    SPAN,
    by_cell,
    legs_by_day,
)
from salesflow.projections.core.left_out import ProblemKind
from salesflow.projections.table import (
    FIGURES,
    Cell,
    Fold,
    IntervalTable,
    LedgerTable,
    Processes,
    ReadTable,
)

__all__ = ["Add", "TablesCheck", "balances_that_differ"]


Add = Callable[[ProblemKind, str, object], None]
Rows = Counter[tuple[Cell, ...]]

SAMPLE_SLICES = 4
"""So many slices of streams are compared where not all are; of a short log that is all."""

CLOSELY_MAX = 5
"""So many slices of a ledger that differ are looked at closely."""

AT_ONCE = 5_000
_stream_of = attrgetter("stream_id")


class TablesCheck:
    """The comparison of all read tables that can be compared, by label, in one snapshot."""

    def __init__(
        self,
        log: EventLog,
        folds: Mapping[str, Fold],
        positions: Mapping[str, ProjectionPosition],
        processes: Processes,
        connection: sa.Connection,
    ) -> None:
        self._log: Final = log
        self._connection: Final = connection
        self._stream: Sequence[Event] = ()
        self._checks = [
            _TableCheck(
                label,
                folds[label],
                stand,
                log,
                connection,
                self._folding(folds[label], processes),
            )
            for label, stand in positions.items()
        ]
        wanted: frozenset[type[Fact]] = frozenset()
        for each in self._checks:
            wanted |= each.folding.wanted
        self._without = log.catalogue.topics_besides(wanted)
        self._upto = max((stand.position for stand in positions.values()), default=0)

    def compare(self, add: Add, *, whole: bool, report: Callable[[int], None]) -> int:
        """Compare slices of streams, all or a sample; give how many streams that were."""
        if not self._upto:
            return 0
        slices = stream_ranges(self._log, self._upto, self._connection)
        chosen = slices
        if not whole and len(slices) > SAMPLE_SLICES:
            chosen = sorted(SystemRandom().sample(slices, SAMPLE_SLICES))
        streams = 0
        for number, slice in enumerate(chosen, 1):
            streams += self._compare(slice, add)
            report(self._upto * number // (len(chosen) + 1))
        for each in self._checks:
            each.compare_ledger(chosen, add, lambda slice: self._expected(each, slice))  # noqa: B023
        report(self._upto)
        return streams

    def _compare(self, slice: StreamRange, add: Add) -> int:
        streams = self._streams(slice)
        with gc_paused():
            for each in self._checks:
                try:
                    each.take(slice, self._rows(each, streams), add)
                except ProjectionError as error:
                    add("rows", each.label, error)
        return len(streams)

    def _expected(self, check: "_TableCheck", slice: StreamRange) -> Rows:
        return self._rows(check, self._streams(slice))

    def _streams(self, slice: StreamRange) -> list[list[Event]]:
        events = self._log.slice(
            *slice,
            through=self._upto,
            without=self._without,
            connection=self._connection,
            as_it_is=True,
        )
        return [list(stream) for _, stream in groupby(events, key=_stream_of)]

    def _rows(self, check: "_TableCheck", streams: Iterable[Sequence[Event]]) -> Rows:
        """Fold streams as a rebuild does."""
        folding, through = check.folding, check.stand.position
        [table] = folding.tables
        batch = table.new_batch()
        for stream in streams:
            known = [event for event in stream if event.position <= through]
            self._stream = folding.relevant(known)
            folding.apply_whole(stream[0].stream_id, self._stream, [batch])
        return Counter(table.writer.rows(table.values(batch)))

    def _folding(self, fold: Fold, processes: Processes) -> JointFold:
        table = TableFold(fold, (fold.table.name, self._log.tenant, self._log.database.dialect))
        return JointFold([table], processes, lambda _: self._stream, self._log.catalogue)


class _TableCheck:
    """One read table: what its rows ought to be, and what they are."""

    def __init__(
        self,
        label: str,
        fold: Fold,
        stand: ProjectionPosition,
        log: EventLog,
        connection: sa.Connection,
        folding: JointFold,
    ) -> None:
        self.label = label
        self.stand = stand
        self.folding = folding
        self._table = fold.table.table
        self._is_ledger = not isinstance(fold.table, IntervalTable)
        self._log = log
        self._connection = connection
        self._columns = folding.tables[0].writer.columns
        self._entity = self._columns.index("entity_id")
        self._sums: dict[StreamRange, int] = {}

    def take(self, slice: StreamRange, expected: Rows, add: Add) -> None:
        """Compare the rows of a slice, or remember what they come to."""
        self._compare_left_out(slice, add)
        if self._is_ledger:
            self._sums[slice] = sum(map(_weight, expected.elements()))
        else:
            self._compare_rows(expected, Counter(self._stored(slice)), add)

    def compare_ledger(
        self, slices: Sequence[StreamRange], add: Add, expected: Callable[[StreamRange], Rows]
    ) -> None:
        """Read a ledger once, and compare what its slices come to that could be folded."""
        if not self._is_ledger:
            return
        firsts, sums = [slice.first.int for slice in slices], dict.fromkeys(slices, 0)
        for row in self._stored(None):
            id = _int(row[self._entity])
            place = bisect_right(firsts, id) - 1
            if place >= 0 and id <= slices[place].last.int:
                sums[slices[place]] += _weight(row)
        wrong = [slice for slice, due in self._sums.items() if sums[slice] != due]
        for slice in wrong[:CLOSELY_MAX]:
            rows = Counter(row for row in self._stored(None) if self._lies_in(row, slice))
            self._compare_rows(expected(slice), rows, add)
        for slice in wrong[CLOSELY_MAX:]:
            add("rows", self.label, f"streams {slice.first} to {slice.last}")

    def _lies_in(self, row: Sequence[Cell], slice: StreamRange) -> bool:
        return slice.first.int <= _int(row[self._entity]) <= slice.last.int

    def _compare_rows(self, expected: Rows, stored: Rows, add: Add) -> None:
        wrong = Counter(_int(row[self._entity]) for row in (expected - stored).elements())
        extra = Counter(_int(row[self._entity]) for row in (stored - expected).elements())
        for id in sorted({*wrong, *extra}):
            text = f"{wrong[id]:,} rows missing, {extra[id]:,} rows too many"
            add("rows", self.label, f"entity {UUID(int=id)}: {text}")

    def _stored(self, slice: StreamRange | None) -> Iterator[tuple[Cell, ...]]:
        """Read the rows of this tenant, those of a slice or all, a few at a time."""
        c = self._table.c
        select = sa.select(*(_plain(c[name]) for name in self._columns))
        select = select.where(c.tenant == self._log.tenant)
        if slice is not None:
            select = select.where(c.entity_id.between(*slice))
        streamed = select.execution_options(yield_per=AT_ONCE)
        for row in self._connection.execute(streamed):
            yield tuple(row)

    def _compare_left_out(self, slice: StreamRange, add: Add) -> None:
        """Compare which events of a slice are known to be left out with those that are."""
        expected: dict[tuple[int, int], int] = {}
        for before, after, now in chain.from_iterable(self.folding.take_left_out()):
            for at in [at for at, end in expected.items() if end == FOREVER]:
                if before is not None and at[0] == before.position:
                    expected[at] = now
            if after is not None:
                expected[after.position, now] = FOREVER
        c = LEFT_OUT.c
        select = sa.select(c.position, c.known_from, c.known_to).where(
            c.tenant == self._log.tenant,
            c.name == self._table.name,
            c.stream_id.between(*slice),
        )
        stored = {(row[0], row[1]): row[2] for row in self._connection.execute(select)}
        for position, _ in sorted(stored.keys() - expected.keys()):
            add("readable", self.label, f"position {position:,}")
        for position, since in sorted(expected.keys() - stored.keys()):
            del since
            add("left_out", self.label, f"position {position:,}")


def _plain(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Read a column as the driver gives it, as rows are written."""
    return (
        sa.type_coerce(column, sa.types.NullType())
        if isinstance(column.type, sa.Uuid)
        else column
    )


def _weight(row: Sequence[Cell]) -> int:
    return hash(repr(tuple(row)))


def _int(id: object) -> int:
    return id.int if isinstance(id, UUID) else int(str(id), 16)


# Compares the balances of a ledger with sums made afresh: bins, what is carried, spans.

SAMPLE_BINS = 32
"""So many of the last bins are summed afresh where not all are."""

BEFORE_ALL: Final = -(2**62)


def balances_that_differ(
    log: EventLog, table: ReadTable, connection: sa.Connection, add: Add, *, whole: bool
) -> int:
    """Name the balances that are not the sums of their movements; give how many bins were."""
    assert isinstance(table, LedgerTable)
    return _Balances(log, table, connection, add).compare(whole=whole)


class _Balances:
    def __init__(
        self, log: EventLog, ledger: LedgerTable, connection: sa.Connection, add: Add
    ) -> None:
        self._ledger = ledger
        self._balance = ledger.balance
        self._balancer = Balancer(ledger, ledger.name, log)
        self._tenant = log.tenant
        self._connection = connection
        self._add = add
        self._shown = [self._balance.c[n] for n in ("day", *ledger.cells, *FIGURES)]

    def compare(self, *, whole: bool) -> int:
        """Compare bins, and what was carried forward."""
        binned, carried = self._marks(BINNED), self._marks(CARRIED)
        edges = list(zip([BEFORE_ALL, *binned], binned, strict=False))
        chosen = edges if whole else edges[-SAMPLE_BINS:]
        offset = next(iter(self._marks(OFFSET)), 0)
        for first, last in chosen:
            self._compare_bin(first, last, offset)
        for level, marks in ((BIN, binned), (DAYS, carried), (SPAN, carried)):
            for through in sorted({*self._uptos(level)} - {*marks}):
                self._wrong(level, through)
        for through in carried if whole else carried[-1:]:
            self._compare_carry(through)
        return len(chosen)

    def _compare_bin(self, first: Instant, last: Instant, offset: Instant) -> None:
        c = self._ledger.table.c
        new = (c.tenant == self._tenant, c.recorded > first, c.recorded <= last)
        expected = by_cell(
            legs_by_day(self._ledger, self._ledger.table, offset, *new), self._ledger
        )
        self._compare(BIN, last, expected)

    def _compare_carry(self, through: Instant) -> None:
        """Compare what was carried with all bins up to it, and spans with what was carried."""
        c = self._balance.c
        bins = sa.select(*self._shown).where(*self._mine(BIN), c.upto <= through)
        self._compare(DAYS, through, by_cell([bins], self._ledger))
        self._compare(SPAN, through, by_cell([self._balancer.spans(through)], self._ledger))

    def _compare(self, level: int, through: Instant, expected: sa.Select[Any]) -> None:
        c = self._balance.c
        stored = sa.select(*self._shown).where(*self._mine(level), c.upto == through)
        if self._rows(stored) != self._rows(expected):
            self._wrong(level, through)

    def _rows(self, select: sa.Select[Any]) -> Counter[tuple[Any, ...]]:
        return Counter(tuple(row) for row in self._connection.execute(select))

    def _wrong(self, level: int, through: Instant) -> None:
        what = {BIN: "bin", DAYS: "days carried", SPAN: "spans carried"}[level]
        self._add("balance", self._ledger.label, f"{what} up to {through}")

    def _marks(self, level: int) -> Sequence[Instant]:
        return sorted(self._uptos(level))

    def _uptos(self, level: int) -> list[Instant]:
        select = sa.select(self._balance.c.upto).where(*self._mine(level)).distinct()
        return list(self._connection.scalars(select))

    def _mine(self, level: int) -> tuple[sa.ColumnElement[bool], ...]:
        c = self._balance.c
        return c.tenant == self._tenant, c.level == level
