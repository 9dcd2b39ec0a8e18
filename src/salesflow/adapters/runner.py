"""The projection runner: keeps every fold's table level with the log, exactly once.

A batch is a page of the log cut at an append's edge; its rows and the new position are
written in one transaction. A fold that fails stops its own projection at the event's
position and keeps its last good rows; the others go on. A rebuild fills a table beside the
live one, by the same code, and swaps them at the end.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from secrets import token_hex
from time import time
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.balancing import balancer_of
from salesflow.adapters.collector import collector_off
from salesflow.adapters.database import Database
from salesflow.adapters.eventlog import EventLog, Head
from salesflow.adapters.folding import Folding
from salesflow.adapters.posting import LedgerBatch
from salesflow.adapters.readtables import (
    PROJECTIONS,
    Standing,
    move_position,
    standing_of,
    start_position,
)
from salesflow.adapters.rebuilding import fill
from salesflow.adapters.refolding import IntervalBatch
from salesflow.adapters.sql_views import refresh_views
from salesflow.domain.facts import Event
from salesflow.errors import ProjectionError, SalesflowError
from salesflow.projections.tables import Processes, ReadFold

__all__ = ["Progress", "Runner"]

PAGE_EVENTS = 10_000
STALE_SECONDS = 86_400
"""After so long, what lies beside a live table is of a rebuild that was killed."""

Progress = Callable[[int, int], None]
"""Called with the position reached and the position aimed at."""


class Page(NamedTuple):
    """Whole appends from the log, and where the log stands behind them."""

    events: list[Event]
    position: int
    recorded: int


class Projection:
    """One fold, its table of that name, and the entities it has at hand."""

    def __init__(self, fold: ReadFold, log: EventLog, processes: Processes, name: str) -> None:
        self.fold = fold
        self.name = name
        self._log = log
        self._streams: dict[UUID, list[Event]] = {}
        self._upto = 0
        told = (name, log.tenant, log.database.dialect)
        self._folding = Folding(fold, processes, self._stream, told)
        self.writer = self._folding.writer
        self._balancer = balancer_of(fold.table, name, log)
        self.position: int | None = None
        """The position up to which the absorber has followed; None when it holds nothing."""

    def absorb(self, page: Page, after: int) -> IntervalBatch | LedgerBatch:
        """Fold the page after a position into row changes.

        What is held of entities is good only where the rows stand as it left them; when
        somebody else has moved them, it is dropped and recalled from the log.
        """
        if self.position != after:
            self._folding.absorber.forget()
        self.position = None
        self._streams.clear()  # of a page that failed: more may have been recorded since
        batch: IntervalBatch | LedgerBatch = self._folding.new_batch()
        self._upto = page.position
        wanted = self._relevant(page.events)
        self._recall_together(wanted)
        for _, append in groupby(wanted, key=lambda event: event.recorded):
            by_entity: dict[UUID, list[Event]] = {}
            for event in append:
                by_entity.setdefault(event.stream_id, []).append(event)
            for entity, events in by_entity.items():
                self._folding.absorb(entity, events, batch)
        self._streams.clear()
        return batch

    def settle(self, connection: sa.Connection, events: int) -> None:
        """Keep balances level with what was written for so many events.

        The table must hold everything there is up to its last row.
        """
        if self._balancer is not None:
            self._balancer.folded(connection, events)

    def _recall_together(self, events: Sequence[Event]) -> None:
        """Fetch in few queries the streams of all entities that are not at hand."""
        first: dict[UUID, Event] = {}
        for event in events:
            first.setdefault(event.stream_id, event)
        cold = [
            entity
            for entity, event in first.items()
            if event.version > 1 and not self._folding.absorber.knows(entity)
        ]
        if cold:
            self._streams = {
                entity: self._relevant(stream)
                for entity, stream in self._log.streams(cold, upto=self._upto).items()
            }

    def _stream(self, entity: UUID) -> Sequence[Event]:
        if entity not in self._streams:
            found = self._log.streams([entity], upto=self._upto)
            self._streams[entity] = self._relevant(found.get(entity, []))
        return self._streams[entity]

    def _relevant(self, events: list[Event]) -> list[Event]:
        wanted = self._folding.wanted
        return [event for event in events if type(event.fact) in wanted]


class Runner:
    """Keeps the tables of a set of folds level with one log."""

    def __init__(
        self, log: EventLog, folds: Mapping[str, ReadFold], processes: Processes
    ) -> None:
        self._log = log
        self._database: Database = log.database
        self._folds = folds
        self._processes = processes
        self._lock = threading.RLock()
        self._projections = {
            name: Projection(fold, log, processes, name) for name, fold in folds.items()
        }
        self._prepare()

    def standing(self, name: str, connection: sa.Connection | None = None) -> Standing:
        """Say where a projection stands, in the caller's snapshot when given one."""
        if connection is None:
            with self._database.read() as snapshot:
                return self.standing(name, snapshot)
        found = standing_of(connection, self._log.tenant, name)
        return found or Standing(self._folds[name].table.revision, 0, 0)

    def catch_up(
        self, names: Iterable[str] | None = None, *, progress: Progress | None = None
    ) -> None:
        """Bring the projections named (None: all of them) to where the log's head is now.

        Raises:
            ProjectionError: when a fold failed; the others have been brought up all the same.
        """
        chosen = [self._projections[name] for name in (self._folds if names is None else names)]
        with self._lock:
            failed = self._catch_up(chosen, progress)
        if failed is not None:
            raise failed

    def rebuild(
        self, names: Sequence[str], *, progress: Progress | None = None
    ) -> dict[str, int]:
        """Fill tables anew from the log beside the live ones, swap them, give their rows.

        The log is read once for all of them.

        Raises:
            ProjectionError: when a fold failed; its live table stands as it was.
        """
        rows: dict[str, int] = {}
        with self._lock:
            goal = self._log.head()
            fresh: dict[str, Projection] = {}
            try:
                for name in names:
                    fresh[name] = self._beside(name)
                self._fill(fresh.values(), goal, progress)
                while fresh:  # until each has come as far as the live one
                    failed = self._catch_up(list(fresh.values()), progress)
                    if failed is not None:
                        raise failed
                    for name, projection in list(fresh.items()):
                        with self._database.begin() as connection:
                            swapped = self._swap(connection, projection.fold, projection.name)
                        if swapped is not None:
                            rows[name] = swapped
                            del fresh[name]
            finally:
                self._give_up(fresh.values())
        return rows

    def _beside(self, name: str) -> Projection:
        """Begin an empty table beside a live one, which nobody else touches."""
        fold = self._folds[name]
        beside = f"{name}__{int(time()):08x}{token_hex(2)}"
        metadata = sa.MetaData()
        fold.table.shape_all(beside, metadata)
        with self._database.begin() as connection:
            for stale in self._stale(connection, name):
                self._drop(connection, fold, stale)
            metadata.create_all(connection, checkfirst=False)
            self._begin(connection, fold, beside)
        return Projection(fold, self._log, self._processes, beside)

    def _stale(self, connection: sa.Connection, name: str) -> list[str]:
        """Find what rebuilds have left beside a live table that were killed in the middle."""
        c = PROJECTIONS.c
        beside = sa.select(c.name).where(
            c.tenant == self._log.tenant, c.name.startswith(f"{name}__", autoescape=True)
        )
        begun = len(name) + 2
        long_ago = int(time()) - STALE_SECONDS
        found = connection.execute(beside).scalars()
        return [each for each in found if int(each[begun : begun + 8], 16) < long_ago]

    def _fill(self, fresh: Iterable[Projection], goal: Head, progress: Progress | None) -> None:
        """Fill tables beside the live ones up to a goal, and note where they stand."""
        if goal.position == 0:
            return
        folds = {each.name: each.fold for each in fresh}
        fill(self._log, folds, self._processes, goal.position, progress)
        for each in fresh:
            before = Standing(each.fold.table.revision, 0, 0)
            after = before._replace(position=goal.position, recorded=goal.recorded)
            with self._database.begin() as connection:
                move_position(connection, self._log.tenant, each.name, before, after)
                each.settle(connection, goal.position)

    def _give_up(self, left: Iterable[Projection]) -> None:
        """Remove the tables of a rebuild that has failed."""
        for projection in left:
            with suppress(SalesflowError), self._database.begin() as connection:
                self._drop(connection, projection.fold, projection.name)

    def _prepare(self) -> None:
        """Make the tables and positions that are missing; another process may do so too.

        Where nothing is missing nothing is locked, so that a question never waits for writers.
        """
        with self._database.read() as connection:
            made = sa.inspect(connection).has_table(PROJECTIONS.name)
        if not made:
            self._database.create_tables(PROJECTIONS.metadata)
        for name, fold in self._folds.items():
            if self._find(name) is None:
                metadata = sa.MetaData()
                fold.table.shape_all(name, metadata)
                self._database.create_tables(metadata)
                with self._database.begin() as connection:
                    self._begin(connection, fold, name)
        refresh_views(self._database, [fold.table for fold in self._folds.values()])

    def _find(self, name: str) -> Standing | None:
        with self._database.read() as connection:
            return standing_of(connection, self._log.tenant, name)

    def _begin(self, connection: sa.Connection, fold: ReadFold, name: str) -> None:
        start_position(connection, self._log.tenant, name, fold.table.revision)

    def _hold(self, connection: sa.Connection, name: str) -> None:
        """Keep everybody else from moving or swapping a projection until we commit.

        Always the live one before the one beside it, and the position before its table, as
        batches do: nobody waits in a circle.
        """
        c = PROJECTIONS.c
        mine = sa.and_(c.tenant == self._log.tenant, c.name == name)
        connection.execute(sa.select(c.position).where(mine).with_for_update())

    def _drop(self, connection: sa.Connection, fold: ReadFold, name: str) -> None:
        c = PROJECTIONS.c
        connection.execute(
            sa.delete(PROJECTIONS).where(c.tenant == self._log.tenant, c.name == name)
        )
        metadata = sa.MetaData()
        fold.table.shape_all(name, metadata)
        metadata.drop_all(connection)

    def _swap(self, connection: sa.Connection, fold: ReadFold, beside: str) -> int | None:
        """Put the new rows of this tenant in the place of the old, in one transaction.

        None when the old rows have gone further meanwhile: a table never goes back.

        Raises:
            ProjectionError: when the table beside is gone, since this took longer than a day.
        """
        name, tenant = fold.table.name, self._log.tenant
        self._hold(connection, name)
        self._hold(connection, beside)
        live = fold.table.table
        mine = live.c.tenant == tenant
        before, after = (standing_of(connection, tenant, each) for each in (name, beside))
        if after is None:
            raise ProjectionError(
                f"another rebuild took {beside} for left behind and removed it; {name} stands"
                " as it was. Rebuild it again"
            )
        if before is not None and after.position < before.position:
            return None
        self._replace(connection, fold, beside)
        c = PROJECTIONS.c
        moved = sa.update(PROJECTIONS).where(c.tenant == tenant, c.name == name)
        connection.execute(moved.values(**after._asdict()))
        self._drop(connection, fold, beside)
        count = sa.select(sa.func.count()).select_from(live).where(mine)
        return connection.execute(count).scalar_one()

    def _replace(self, connection: sa.Connection, fold: ReadFold, beside: str) -> None:
        """Put the rows beside in the place of this tenant's, and all kept with them."""
        live, new = sa.MetaData(), sa.MetaData()
        fold.table.shape_all(fold.table.name, live)
        fold.table.shape_all(beside, new)
        for old, fresh in zip(live.tables.values(), new.tables.values(), strict=True):
            columns = [column.name for column in fresh.columns]
            connection.execute(sa.delete(old).where(old.c.tenant == self._log.tenant))
            connection.execute(sa.insert(old).from_select(columns, sa.select(fresh)))

    def _catch_up(
        self, projections: Sequence[Projection], progress: Progress | None
    ) -> ProjectionError | None:
        """Bring projections to the head, those that stand alike page by page together."""
        goal = self._log.head().position
        failed: ProjectionError | None = None
        stands = {each: self._stand_of(each) for each in projections}
        while behind := [stand.position for stand in stands.values() if stand.position < goal]:
            with collector_off():
                page = self._page(min(behind))
                for each in [e for e in stands if stands[e].position == min(behind)]:
                    try:
                        stands[each] = self._batch(each, stands[each], page)
                    except ProjectionError as error:
                        failed = failed or error
                        del stands[each]
            if progress is not None and stands:
                reached = min(stand.position for stand in stands.values())
                progress(reached, max(goal, reached))
        return failed

    def _stand_of(self, projection: Projection) -> Standing:
        found = self._find(projection.name)
        return found or Standing(projection.fold.table.revision, 0, 0)

    def _batch(self, projection: Projection, standing: Standing, page: Page) -> Standing:
        after = Standing(standing.revision, page.position, page.recorded)
        batch: Any = projection.absorb(page, standing.position)
        with self._database.begin() as connection:
            tenant = self._log.tenant
            moved = move_position(connection, tenant, projection.name, standing, after)
            if moved:
                projection.writer.write(connection, batch)
                projection.settle(connection, len(page.events))
        if moved:
            projection.position = after.position
            return after
        return self._find(projection.name) or after

    def _page(self, after: int) -> Page:
        """Read a page that ends with a whole append."""
        limit = PAGE_EVENTS
        while True:
            events = self._log.page(after, limit)
            if len(events) == limit:
                cut = events[-1].recorded
                whole = [event for event in events if event.recorded != cut]
                if not whole:
                    limit *= 4
                    continue
                events = whole
            return Page(events, events[-1].position, events[-1].recorded)
