"""Fills new tables from the whole log, stream by stream, on all cores.

A rebuild need not go through the log in its order: streams are independent of one another. So
it takes slices of the ids of streams, folds all that was recorded of a stream up to a goal in
one go, by the same code as live, and writes rows that are final at once. What lies behind the
goal is for the runner to catch up. At hand are the events and rows of one slice a process,
however long the log is.

Where the log is long, processes of their own help (`rebuild_helper`): whoever is free takes
the next slice. This process takes its share too. A helper that fails or dies fails the whole.
"""

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from tempfile import TemporaryFile
from threading import Thread
from time import time
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow import errors
from salesflow.adapters.database.connections import gc_paused
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.logs import REBUILD, Progress
from salesflow.adapters.projector.read_tables import (
    PROJECTIONS,
    forget_left_out,
    note_left_out,
    positions_of,
    rename_left_out,
    start_position,
)
from salesflow.adapters.projector.whole_streams import StreamFolding, TableSlice
from salesflow.domain.catalogue import CATALOGUE
from salesflow.errors import BusyError, DatabaseError, ProjectionError, SalesflowError
from salesflow.projections.registry import FOLDS
from salesflow.projections.table import Fold, Processes, ReadTable

__all__ = [
    "HELPERS_MAX",
    "Filling",
    "Helpers",
    "ShadowTables",
    "StreamRange",
    "StreamRanges",
    "TableFiller",
    "fill",
    "helping",
    "in_one_transaction",
    "stream_ranges",
    "task",
]


SLICE_EVENTS, SLICE_EVENTS_MAX = 10_000, 20_000
"""About so many events of the log lie in a slice, those no fold asks for included: more of them
in a long log, where they fill the pages of a ledger better, which lies in the order of time."""

SLICES = 64
"""A log is cut into so many slices before they become larger."""

SAMPLES = 8
"""So many events a slice are looked at to find slices of like size."""

WAITS_MAX = 12
"""How often a slice waits for the database, each time as long as any writer does."""

LAST_ID = 2**128 - 1


class StreamRange(NamedTuple):
    """Streams by their ids, the first and the last that may be in it."""

    first: UUID
    last: UUID


class TableFiller:
    """The tables that are filled, by the names of the tables beside the live ones."""

    def __init__(
        self, log: EventLog, folds: Mapping[str, Fold], processes: Processes, through: int
    ) -> None:
        self._log = log
        self._upto = through
        dialect = log.database.dialect
        self._folding = StreamFolding(folds, processes, log.catalogue, log.tenant, dialect)

    def fill(self, slice: StreamRange) -> None:
        """Fold the streams of a slice, and write their rows in one transaction.

        Raises:
            ProjectionError: when a fold failed, or its table cannot hold what it gives.
        """
        with gc_paused():  # until all that was made of the slice is let go of
            self._fill(slice)

    def _fill(self, slice: StreamRange) -> None:
        without = self._folding.without
        events = self._log.slice(*slice, through=self._upto, without=without)
        written = self._folding.fold(events)
        in_one_transaction(self._log, lambda connection: self._write(connection, written))

    def _write(self, connection: sa.Connection, written: Sequence[TableSlice]) -> None:
        for name, folding, values, left_out in written:
            folding.add(connection, values)
            note_left_out(connection, self._log.tenant, name, left_out)


def in_one_transaction(log: EventLog, write: Callable[[sa.Connection], None]) -> None:
    """Write rows beside the live ones, however long others write meanwhile, helpers too.

    Raises:
        BusyError: when they did so for longer than anybody does.
    """

    def attempt() -> None:
        with log.database.derive() as connection:
            write(connection)

    for _ in range(WAITS_MAX - 1):
        with suppress(BusyError):
            return attempt()
    return attempt()


class StreamRanges:
    """Slices handed out one by one, to whoever is free."""

    def __init__(self, slices: Sequence[StreamRange]) -> None:
        self._waiting = deque(slices)
        self._done: list[StreamRange] = []
        self.number: Final = len(slices)

    @property
    def done(self) -> int:
        """How many were done."""
        return len(self._done)

    def __iter__(self) -> Iterator[StreamRange]:
        """Yield slices until none is left; count one as done when the next is asked for."""
        while self._waiting:
            try:
                slice = self._waiting.popleft()
            except IndexError:  # another thread took the last one
                return
            yield slice
            self._done.append(slice)


def stream_ranges(
    log: EventLog, through: int, connection: sa.Connection | None = None
) -> list[StreamRange]:
    """Cut the ids of all streams into slices of about the same number of events."""
    events = max(SLICE_EVENTS, min(through // SLICES, SLICE_EVENTS_MAX))
    step = max(1, events // SAMPLES)
    found = sorted(log.streams_at(range(step, through + 1, step), connection))
    firsts = [UUID(int=0), *dict.fromkeys(found[SAMPLES::SAMPLES])]
    lasts = [UUID(int=first.int - 1) for first in firsts[1:]]
    return [
        StreamRange(*ends) for ends in zip(firsts, [*lasts, UUID(int=LAST_ID)], strict=True)
    ]


# Fills tables beside the live ones up to a goal, in this process and in others that help.

EVENTS_A_HELPER = 100_000
"""A log must be so long for each helper; starting one takes a second."""

HELPERS_MAX = 8

Filling = Callable[
    [EventLog, Mapping[str, Fold], Processes, int, Progress | None],
    None,
]
"""Fills empty tables, by their names, with what their folds say up to a position."""


def fill(
    log: EventLog,
    folds: Mapping[str, Fold],
    processes: Processes,
    goal: int,
    progress: Progress | None,
    helpers_max: int,
) -> None:
    """Fill empty tables, by their names, with what their folds say up to a position.

    Raises:
        ProjectionError: when a fold failed.
        DatabaseError: when a process that helped has died.
    """
    ends = stream_ranges(log, goal)
    ours = {name: fold for name, fold in folds.items() if _is_ours(fold)}
    others = {name: fold for name, fold in folds.items() if name not in ours}
    groups = [group for group in (ours, others) if group]
    for number, group in enumerate(groups):
        slices = StreamRanges(ends)

        def report(slices: StreamRanges = slices, before: int = number * len(ends)) -> None:
            if progress is not None:
                progress(goal * (before + slices.done) // (len(groups) * len(ends)), goal)

        tables = TableFiller(log, group, processes, goal)
        helpers_wanted = min(_helpers_for(log, goal), helpers_max) if group is ours else 0
        with helping(helpers_wanted, task(log, group, goal), slices) as helpers:
            for slice in slices:
                tables.fill(slice)
                helpers.check()
                report()
            helpers.wait(report)
            report()


def task(log: EventLog, folds: Mapping[str, Fold], goal: int) -> dict[str, object]:
    """Return what a helper has to know."""
    url = log.database.engine.url
    return {
        "url": {**url._asdict(), "query": dict(url.query)},
        "tenant": log.tenant,
        "tables": {name: fold.table.label for name, fold in folds.items()},
        "through": goal,
    }


def _is_ours(fold: Fold) -> bool:
    """Return whether a process of its own would know a fold."""
    return FOLDS.get(fold.table.label) is fold


def _helpers_for(log: EventLog, goal: int) -> int:
    """Return how many processes are worth it; none where they could not read the log."""
    if log.catalogue is not CATALOGUE or not sys.executable:
        return 0
    return min(_cores() - 1, goal // EVENTS_A_HELPER, HELPERS_MAX)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# Processes that help with a rebuild: started, handed slices, and ended.
#
# A helper is `python -m salesflow.adapters.projector.rebuild_helper`, told over its input what
# to do, so that nothing of the program that rebuilds is run again. It ends with its input. Only
# folds of the package can be named to it; a service's own are folded in its own process.

HELPER = "salesflow.adapters.projector.rebuild_helper"
LOOK_SECONDS = 0.1


class Helper:
    """A process that takes slices, and the thread that hands them to it."""

    def __init__(self, task: Mapping[str, object], slices: StreamRanges) -> None:
        self.error: SalesflowError | None = None
        self.thread = Thread(target=self._hand_out, args=(task, slices), daemon=True)
        self._words = TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", HELPER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for this process to heed
            text=True,
        )
        self.thread.start()

    def end(self) -> None:
        """End the process, whatever it is at."""
        self._process.kill()
        self._process.wait()
        self.thread.join()
        for pipe in (self._process.stdin, self._process.stdout, self._words):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _hand_out(self, task: Mapping[str, object], slices: StreamRanges) -> None:
        try:
            self._say(task)
            for slice in slices:
                self._fill(slice)
        except SalesflowError as error:
            self.error = error

    def _fill(self, slice: StreamRange) -> None:
        self._say([id.hex for id in slice])
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise DatabaseError(
                f"a process that helped to rebuild ended with exit code {self._last_words()};"
                " the read tables stand as they were"
            )
        text = json.loads(answer)
        if text is not None:
            raise getattr(errors, text["error"], DatabaseError)(text["message"])

    def _last_words(self) -> str:
        """Return the exit code of a process that has died, and the last line it wrote."""
        code = self._process.wait()
        self._words.seek(0)
        return ": ".join([str(code), *self._words.read().splitlines()[-1:]])

    def _say(self, words: object) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it has died, which is heard of next
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()


class Helpers:
    """The helpers of one rebuild."""

    def __init__(self) -> None:
        self.all: list[Helper] = []

    def check(self) -> None:
        """Raise what has gone wrong in one of them."""
        for helper in self.all:
            if helper.error is not None:
                raise helper.error

    def wait(self, meanwhile: Callable[[], object]) -> None:
        """Wait until each has filled its last slice."""
        for helper in self.all:
            while helper.thread.is_alive():
                helper.thread.join(LOOK_SECONDS)
                self.check()
                meanwhile()
        self.check()


@contextmanager
def helping(number: int, task: Mapping[str, object], slices: StreamRanges) -> Iterator[Helpers]:
    """Start helpers, and end them with the block, however that ends."""
    helpers = Helpers()
    try:
        for _ in range(number):
            helpers.all.append(Helper(task, slices))
        yield helpers
    finally:
        for helper in helpers.all:
            helper.end()


# Tables beside the live ones: begun, put in the place of the live ones, and removed.
#
# A table beside has a name that nobody else has and that says when it was begun. It takes the
# place of the live one in one transaction, with the position up to which its rows stand.
#
# On SQLite, where nobody else can write meanwhile, the two tables change names, however many
# rows they hold; where they are few they are copied, since SQLite reads its whole schema anew
# for each name. PostgreSQL looks a name up as it is now even for a snapshot taken before,
# which would not see the new rows; there, and where tenants share the tables, the rows of the
# tenant are replaced by copies.

STALE: Final = timedelta(days=1)
"""After so long, what lies beside a live table is of a rebuild that was killed."""

COPIED_ROWS = 1_000
"""So many rows, old or new, are copied in less time than tables of SQLite change names."""


class ShadowTables:
    """What lies beside the live tables of one tenant."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._database = log.database
        self._tenant = log.tenant
        self._shapes: dict[str, sa.MetaData] = {}

    def begin(self, table: ReadTable) -> str:
        """Begin an empty table beside a live one, and give its name."""
        shadow = f"{table.name}__{int(time()):08x}{token_hex(2)}"
        with self._database.begin() as connection:
            for stale in self._stale(connection, table.name):
                self._drop(connection, table, stale)
            self._shape(table, shadow).create_all(connection, checkfirst=False)
            start_position(connection, self._tenant, shadow, table.revision)
        return shadow

    def swap(self, table: ReadTable, shadow: str) -> bool:
        """Put the new rows in the place of the old; False when the old have gone further.

        A table never goes back, but to a log that has gone back itself. What lies beside
        afterwards is of no use any more.

        Raises:
            ProjectionError: when the table beside is gone, since this took longer than a day.
        """
        name, tenant = table.name, self._tenant
        with self._database.begin() as connection:
            self._hold(connection, name)
            self._hold(connection, shadow)
            found = positions_of(self._log, [name, shadow], connection)
            before, after = found.get(name), found.get(shadow)
            if after is None:
                raise ProjectionError(
                    f"another rebuild took {shadow} for left behind and removed it; {name}"
                    " stands as it was. Rebuild it again"
                )
            if before is not None and after.position < before.position:
                existing = self._log.recorded_at(before.position, connection)
                if existing == before.recorded:
                    return False
            self._replace(connection, table, shadow)
            rename_left_out(connection, tenant, shadow, name)
            c = PROJECTIONS.c
            moved = sa.update(PROJECTIONS).where(c.tenant == tenant, c.name == name)
            connection.execute(moved.values(**after._asdict()))
        REBUILD.info("read table %s took its new rows at position %d", name, after.position)
        return True

    def remove(self, table: ReadTable, shadow: str) -> None:
        """Remove what lies beside, now or, where that fails, a day later."""
        with suppress(SalesflowError), self._database.begin() as connection:
            self._drop(connection, table, shadow)

    def begun(self, name: str, connection: sa.Connection) -> dict[str, datetime]:
        """Return what lies beside a live table, and when each was begun.

        It is being filled, or was left by a rebuild that was killed in the middle.
        """
        c = PROJECTIONS.c
        shadow = sa.select(c.name).where(
            c.tenant == self._tenant, c.name.startswith(f"{name}__", autoescape=True)
        )
        at = slice(len(name) + 2, len(name) + 10)
        found = connection.execute(shadow).scalars()
        return {each: datetime.fromtimestamp(int(each[at], 16), UTC) for each in found}

    def _stale(self, connection: sa.Connection, name: str) -> list[str]:
        long_ago = datetime.now(UTC) - STALE
        begun = self.begun(name, connection)
        return [each for each, when in begun.items() if when < long_ago]

    def _hold(self, connection: sa.Connection, name: str) -> None:
        """Keep everybody else from moving or swapping a projection until we commit.

        Always the live one before the one beside it, and the position before its table, as
        batches do: nobody waits in a circle.
        """
        c = PROJECTIONS.c
        mine = sa.and_(c.tenant == self._tenant, c.name == name)
        connection.execute(sa.select(c.position).where(mine).with_for_update())

    def _replace(self, connection: sa.Connection, table: ReadTable, shadow: str) -> None:
        live, new = table.parts, self._shape(table, shadow)
        pairs = list(zip(live.tables.values(), new.tables.values(), strict=True))
        if self._may_change_names(connection, live, new):
            _change_names(connection, pairs)
            return
        for old, fresh in pairs:
            columns = [column.name for column in fresh.columns]
            connection.execute(sa.delete(old).where(old.c.tenant == self._tenant))
            connection.execute(sa.insert(old).from_select(columns, sa.select(fresh)))
        if connection.dialect.name == "sqlite":  # whose schema then tells that rows are others
            new.drop_all(connection)

    def _may_change_names(
        self, connection: sa.Connection, live: sa.MetaData, new: sa.MetaData
    ) -> bool:
        """Return whether whole tables can be exchanged, and hold enough for that to pay."""
        if connection.dialect.name != "sqlite":
            return False
        tables = (*live.tables.values(), *new.tables.values())
        many = any(_has_more(connection, each, COPIED_ROWS) for each in tables)
        return many and self._has_alone(connection, live)

    def _has_alone(self, connection: sa.Connection, live: sa.MetaData) -> bool:
        """Return whether no other tenant has rows in these tables."""
        ends = (
            sa.select(end(each.c.tenant)).scalar_subquery()  # each a search in its index
            for each in live.tables.values()
            for end in (sa.func.min, sa.func.max)
        )
        found = connection.execute(sa.select(*ends)).one()
        return {*found} <= {None, self._tenant}

    def _drop(self, connection: sa.Connection, table: ReadTable, shadow: str) -> None:
        c = PROJECTIONS.c
        connection.execute(
            sa.delete(PROJECTIONS).where(c.tenant == self._tenant, c.name == shadow)
        )
        forget_left_out(connection, shadow)
        self._shape(table, shadow).drop_all(connection)

    def _shape(self, table: ReadTable, shadow: str) -> sa.MetaData:
        """Describe what lies beside a live table, once for all that is done with it."""
        if shadow not in self._shapes:
            self._shapes[shadow] = table.shape_all(shadow)
        return self._shapes[shadow]


def _has_more(connection: sa.Connection, table: sa.Table, rows: int) -> bool:
    """Return whether a table holds more rows than that, without counting all of them."""
    one = f"SELECT 1 FROM {table} LIMIT 1 OFFSET {rows}"
    return connection.exec_driver_sql(one).first() is not None


def _change_names(
    connection: sa.Connection, pairs: Sequence[tuple[sa.Table, sa.Table]]
) -> None:
    """Let tables of SQLite change names; those of their indexes stay."""
    with _views_left_alone(connection):
        for live, shadow in pairs:
            between = f"{shadow}_between"
            for old, new in ((live, between), (shadow, live), (between, shadow)):
                connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")


@contextmanager
def _views_left_alone(connection: sa.Connection) -> Iterator[None]:
    """Keep SQLite from letting views follow the table that is renamed."""
    connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA legacy_alter_table = OFF")
