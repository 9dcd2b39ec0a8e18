"""The projection runner: keeps every fold's table level with the log, exactly once.

A batch is a page of the log cut at an append's edge; its rows and the new position are
written in one transaction. A fold that fails stops its own projection at the event's
position and keeps its last good rows; the others go on. A rebuild fills a table beside the
live one, by the same code, and swaps them at the end.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.balancing import balancer_of
from salesflow.adapters.beside import Beside
from salesflow.adapters.collector import collector_off
from salesflow.adapters.database import Database
from salesflow.adapters.eventlog import EventLog, Head
from salesflow.adapters.folding import Folding
from salesflow.adapters.forking import Forkable, survive_forks
from salesflow.adapters.logs import tell_catch_up, tell_rebuild
from salesflow.adapters.posting import LedgerBatch
from salesflow.adapters.readtables import (
    PROJECTIONS,
    Standing,
    move_position,
    standings_of,
    start_position,
)
from salesflow.adapters.rebuilding import fill
from salesflow.adapters.refolding import IntervalBatch
from salesflow.adapters.sql_views import refresh_views
from salesflow.domain.facts import Event
from salesflow.errors import ProjectionError
from salesflow.projections.tables import Processes, ReadFold, ReadTable

__all__ = ["Progress", "Runner"]

PAGE_EVENTS = 10_000

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
        self.begun = Standing(fold.table.revision, 0, 0)
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

    def settle_all(self, database: Database) -> None:
        """Keep balances level with a table just filled, in transactions that are short."""
        while self._balancer is not None:
            with database.begin() as connection:
                if not self._balancer.keep(connection):
                    return

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


class Runner(Forkable):
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
        self._beside = Beside(log.database, log.tenant)
        self._prepare()
        survive_forks(self)

    def after_fork_in_child(self) -> None:
        """Let nobody wait for a thread that lives in the parent alone."""
        self._lock = threading.RLock()

    def standing(self, name: str) -> Standing:
        """Say where a projection stands."""
        return self.standings([name])[name]

    def standings(
        self, names: Iterable[str] | None = None, connection: sa.Connection | None = None
    ) -> dict[str, Standing]:
        """Say where projections stand (None: all), in the caller's snapshot when given one."""
        chosen = list(self._folds if names is None else names)
        with self._database.whole():
            found = self._find(chosen, connection)
        return {name: found.get(name, self._projections[name].begun) for name in chosen}

    def catch_up(
        self, names: Iterable[str] | None = None, *, progress: Progress | None = None
    ) -> None:
        """Bring the projections named (None: all of them) to where the log's head is now.

        Raises:
            ProjectionError: when a fold failed; the others have been brought up all the same.
        """
        chosen = [self._projections[name] for name in (self._folds if names is None else names)]
        done = tell_catch_up(self._position, len(chosen))
        with self._database.whole(), done, self._lock:
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
        with tell_rebuild(names, self._position) as rows:
            rows.update(self._rebuild(names, progress))
        return rows

    def _rebuild(self, names: Sequence[str], progress: Progress | None) -> dict[str, int]:
        tables = [self._folds[name].table for name in names]
        with self._database.whole(), self._lock:
            goal = self._log.head()
            fresh: list[Projection] = []
            try:
                fresh.extend(self._begin_beside(self._folds[name]) for name in names)
                self._fill(fresh, goal, progress)
                self._swap(fresh, progress)
            finally:
                for each in fresh:
                    self._beside.remove(each.fold.table, each.name)
        with self._database.read() as connection:
            return {table.name: self._count(connection, table) for table in tables}

    def _position(self) -> int:
        return self._log.head().position

    def _begin_beside(self, fold: ReadFold) -> Projection:
        beside = self._beside.begin(fold.table)
        return Projection(fold, self._log, self._processes, beside)

    def _fill(self, fresh: Iterable[Projection], goal: Head, progress: Progress | None) -> None:
        """Fill tables beside the live ones up to a goal, and note where they stand."""
        if goal.position == 0:
            return
        folds = {each.name: each.fold for each in fresh}
        fill(self._log, folds, self._processes, goal.position, progress)
        for each in fresh:
            after = each.begun._replace(position=goal.position, recorded=goal.recorded)
            with self._database.begin() as connection:
                move_position(connection, self._log.tenant, each.name, each.begun, after)
            each.settle_all(self._database)

    def _swap(self, fresh: Sequence[Projection], progress: Progress | None) -> None:
        """Put all in the place of the live ones, each once it has come as far."""
        while fresh:
            failed = self._catch_up(fresh, progress)
            if failed is not None:
                raise failed
            fresh = [
                each for each in fresh if not self._beside.swap(each.fold.table, each.name)
            ]

    def _count(self, connection: sa.Connection, table: ReadTable) -> int:
        mine = sa.select(sa.func.count()).where(table.c.tenant == self._log.tenant)
        return connection.execute(mine).scalar_one()

    def _prepare(self) -> None:
        """Make the tables and positions that are missing; another process may do so too.

        Where nothing is missing nothing is locked, so that a question never waits for writers.
        """
        with self._database.read() as connection:
            made = sa.inspect(connection).has_table(PROJECTIONS.name)
        if not made:
            self._database.create_tables(PROJECTIONS.metadata)
        found = self._find(self._folds)
        for name, fold in self._folds.items():
            if name not in found:
                self._database.create_tables(fold.table.shape_all(name))
                with self._database.begin() as connection:
                    start_position(connection, self._log.tenant, name, fold.table.revision)
        refresh_views(self._database, [fold.table for fold in self._folds.values()])

    def _find(
        self, names: Iterable[str], connection: sa.Connection | None = None
    ) -> dict[str, Standing]:
        if connection is None:
            with self._database.read() as snapshot:
                return self._find(names, snapshot)
        return standings_of(connection, self._log.tenant, names)

    def _catch_up(
        self, projections: Sequence[Projection], progress: Progress | None
    ) -> ProjectionError | None:
        """Bring projections to the head, those that stand alike page by page together."""
        goal = self._log.head().position
        failed: ProjectionError | None = None
        found = self._find(each.name for each in projections)
        stands = {each: found.get(each.name, each.begun) for each in projections}
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
        return self._find([projection.name]).get(projection.name, after)

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
