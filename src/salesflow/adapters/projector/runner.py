"""The projection runner: keeps every fold's table level with the log, exactly once.

A batch is a page of the log cut at an append's edge; its rows and the new position are
written in one transaction, and those of a short page for all folds together. A fold that
fails stops its own projection at the event's position and keeps its last good rows; the
others go on. A fact that cannot be read stops its own stream alone, which is noted
(`leaving_out`); where it could be read before, or can be read now, the rows of that stream
are begun anew. A rebuild fills a table beside the live one,
by the same code, and swaps them at the end; it takes no part in what the live ones do.

A table that does not agree with the log is named, with the way out, and not gone on with: one
that stands beyond the head, or at an event that is another one now. A missing one is made anew.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from secrets import token_hex
from time import time

import sqlalchemy as sa

from salesflow.adapters.database.connections import Forkable, Patience, gc_paused, survive_forks
from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog, Head
from salesflow.adapters.event_store.reading import ensure_no_gaps, head_borne_out
from salesflow.adapters.logs import REBUILD, tell_catch_up, tell_rebuild
from salesflow.adapters.projector.projection_task import (
    OvertakenError,
    Page,
    ProjectionTask,
    hold,
    page_after,
)
from salesflow.adapters.projector.read_tables import (
    PROJECTIONS,
    ProjectionPosition,
    forget_left_out,
    left_out_at,
    move_positions,
    positions_of,
    rename_left_out,
    stands_and_notes,
    start_position,
)
from salesflow.adapters.projector.rebuild import fill
from salesflow.adapters.projector.sql_views import Mending
from salesflow.domain.time import Instant
from salesflow.errors import HistoryError, ProjectionError, SalesflowError, UnwritableError
from salesflow.projections.core.left_out import LeftOut
from salesflow.projections.table import Fold, Processes, ReadTable

__all__ = [
    "Progress",
    "Runner",
    "ShadowTables",
]


# Tables beside the live ones: begun, put in the place of the live ones, and removed.
#
# A table beside has a name that nobody else has and that says when it was begun. It takes the
# place of the live one in one transaction, with the position up to which its rows stand.
#
# On SQLite, where nobody else can write meanwhile, the two tables change names, however many
# rows they hold. PostgreSQL looks a name up as it is now even for a snapshot taken before,
# which would not see the new rows; there, and where tenants share the tables, the rows of the
# tenant are replaced by copies.

STALE_SECONDS = 86_400
"""After so long, what lies beside a live table is of a rebuild that was killed."""


class ShadowTables:
    """What lies beside the live tables of one tenant."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._database = log.database
        self._tenant = log.tenant

    def begin(self, table: ReadTable) -> str:
        """Begin an empty table beside a live one, and give its name."""
        beside = f"{table.name}__{int(time()):08x}{token_hex(2)}"
        with self._database.begin() as connection:
            for stale in self._stale(connection, table.name):
                self._drop(connection, table, stale)
            table.shape_all(beside).create_all(connection, checkfirst=False)
            start_position(connection, self._tenant, beside, table.revision)
        return beside

    def swap(self, table: ReadTable, beside: str) -> bool:
        """Put the new rows in the place of the old; False when the old have gone further.

        A table never goes back, but to a log that has gone back itself. What lies beside
        afterwards is of no use any more.

        Raises:
            ProjectionError: when the table beside is gone, since this took longer than a day.
        """
        name, tenant = table.name, self._tenant
        with self._database.begin() as connection:
            self._hold(connection, name)
            self._hold(connection, beside)
            found = positions_of(connection, tenant, [name, beside])
            before, after = found.get(name), found.get(beside)
            if after is None:
                raise ProjectionError(
                    f"another rebuild took {beside} for left behind and removed it; {name}"
                    " stands as it was. Rebuild it again"
                )
            if before is not None and after.position < before.position:
                there = self._log.recorded_at(before.position, connection)
                if there == before.recorded:
                    return False
            self._replace(connection, table, beside)
            rename_left_out(connection, tenant, beside, name)
            c = PROJECTIONS.c
            moved = sa.update(PROJECTIONS).where(c.tenant == tenant, c.name == name)
            connection.execute(moved.values(**after._asdict()))
        REBUILD.info("read table %s took its new rows at position %d", name, after.position)
        return True

    def remove(self, table: ReadTable, beside: str) -> None:
        """Remove what lies beside, now or, where that fails, a day later."""
        with suppress(SalesflowError), self._database.begin() as connection:
            self._drop(connection, table, beside)

    def _stale(self, connection: sa.Connection, name: str) -> list[str]:
        """Find what rebuilds have left beside a live table that were killed in the middle."""
        c = PROJECTIONS.c
        beside = sa.select(c.name).where(
            c.tenant == self._tenant, c.name.startswith(f"{name}__", autoescape=True)
        )
        begun = len(name) + 2
        long_ago = int(time()) - STALE_SECONDS
        found = connection.execute(beside).scalars()
        return [each for each in found if int(each[begun : begun + 8], 16) < long_ago]

    def _hold(self, connection: sa.Connection, name: str) -> None:
        """Keep everybody else from moving or swapping a projection until we commit.

        Always the live one before the one beside it, and the position before its table, as
        batches do: nobody waits in a circle.
        """
        c = PROJECTIONS.c
        mine = sa.and_(c.tenant == self._tenant, c.name == name)
        connection.execute(sa.select(c.position).where(mine).with_for_update())

    def _replace(self, connection: sa.Connection, table: ReadTable, beside: str) -> None:
        live, new = table.shape_all(table.name), table.shape_all(beside)
        pairs = list(zip(live.tables.values(), new.tables.values(), strict=True))
        if connection.dialect.name == "sqlite" and self._has_alone(connection, live):
            _change_names(connection, pairs)
            return
        for old, fresh in pairs:
            columns = [column.name for column in fresh.columns]
            connection.execute(sa.delete(old).where(old.c.tenant == self._tenant))
            connection.execute(sa.insert(old).from_select(columns, sa.select(fresh)))

    def _has_alone(self, connection: sa.Connection, live: sa.MetaData) -> bool:
        """Say whether no other tenant has rows in these tables."""
        ends = (
            sa.select(end(each.c.tenant)).scalar_subquery()  # each a search in its index
            for each in live.tables.values()
            for end in (sa.func.min, sa.func.max)
        )
        found = connection.execute(sa.select(*ends)).one()
        return {*found} <= {None, self._tenant}

    def _drop(self, connection: sa.Connection, table: ReadTable, beside: str) -> None:
        c = PROJECTIONS.c
        connection.execute(
            sa.delete(PROJECTIONS).where(c.tenant == self._tenant, c.name == beside)
        )
        forget_left_out(connection, beside)
        table.shape_all(beside).drop_all(connection)


def _change_names(
    connection: sa.Connection, pairs: Sequence[tuple[sa.Table, sa.Table]]
) -> None:
    """Let tables of SQLite change names; those of their indexes stay."""
    with _views_left_alone(connection):
        for live, beside in pairs:
            between = f"{beside}_between"
            for old, new in ((live, between), (beside, live), (between, beside)):
                connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")


@contextmanager
def _views_left_alone(connection: sa.Connection) -> Iterator[None]:
    """Keep SQLite from letting views follow the table that is renamed."""
    connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA legacy_alter_table = OFF")


Progress = Callable[[int, int], None]
"""Called with the position reached and the position aimed at."""


TOGETHER_MAX = 500
"""Of so many events what they come to is written for all folds in one transaction."""


class RecordedTimes:
    """When the events were recorded at which projections stand, each looked up once."""

    def __init__(self, log: EventLog, head: Head) -> None:
        self.head = head
        self._log = log
        self._found: dict[int, Instant | None] = {head.position: head.recorded}

    def of(self, position: int) -> Instant | None:
        """Give when the event at a position was recorded; None when there is none."""
        if position not in self._found:
            self._found[position] = self._log.recorded_at(position)
        return self._found[position]


class _Tasks(dict[str, ProjectionTask]):
    """The tasks of projections, each made when it is first asked for."""

    def __init__(self, make: Callable[[str], ProjectionTask]) -> None:
        self._make = make

    def __missing__(self, name: str) -> ProjectionTask:
        task = self[name] = self._make(name)
        return task


class Runner(Forkable):
    """Keeps the tables of a set of folds level with one log."""

    def __init__(self, log: EventLog, folds: Mapping[str, Fold], processes: Processes) -> None:
        self._log = log
        self._database: Database = log.database
        self._folds = folds
        self._processes = processes
        self._lock = threading.RLock()
        self._projections = _Tasks(
            lambda name: ProjectionTask(folds[name], log, processes, name)
        )
        self._beside = ShadowTables(log)
        self._mending = Mending(log, folds)
        self._absent: UnwritableError | None = None
        """Why tables could not be made that are missing."""
        self._mend()
        survive_forks(self)

    def after_fork_in_child(self) -> None:
        """Let nobody wait for a thread that lives in the parent alone."""
        self._lock = threading.RLock()

    def standing(self, name: str) -> ProjectionPosition:
        """Say where a projection stands."""
        return self.standings([name])[name]

    def standings(
        self, names: Iterable[str] | None = None, connection: sa.Connection | None = None
    ) -> dict[str, ProjectionPosition]:
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
            ProjectionError: when a fold failed, or a table does not agree with the log; the
                others have been brought up all the same.
            HistoryError: when the log does not agree with itself.
            UnwritableError: when there is something to write, and nothing can be written.
            BusyError: when others were waited for longer than `wait_seconds` in all.
        """
        chosen = [self._projections[name] for name in (self._folds if names is None else names)]
        done = tell_catch_up(self._position, len(chosen))
        with self._database.whole(), done, self._lock:
            self._mend()
            self.ensure_exists([each.name for each in chosen])
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
            HistoryError: when the log does not agree with itself; all stands as it was.
        """
        with self._database.whole(), tell_rebuild(names, self._position) as rows:
            rows.update(self._rebuild(names, progress))
        return rows

    def _rebuild(self, names: Sequence[str], progress: Progress | None) -> dict[str, int]:
        tables = [self._folds[name].table for name in names]
        with self._database.whole(), self._lock:
            self._mend()
        goal = head_borne_out(self._log)
        ensure_no_gaps(self._log, goal.position)
        fresh: list[ProjectionTask] = []
        try:
            with self._database.whole():
                fresh.extend(self._begin_beside(self._folds[name]) for name in names)
                self._fill(fresh, goal, progress)
                self._swap(fresh, progress)
        finally:
            for each in fresh:
                self._beside.remove(each.fold.table, each.name)
        with self._lock:  # what is held of entities was believed of the rows before
            for name in names:
                self._projections[name].position = None
        with self._database.read() as connection:
            return {table.name: self._count(connection, table) for table in tables}

    def _position(self) -> int:
        return self._log.head().position

    def _begin_beside(self, fold: Fold) -> ProjectionTask:
        beside = self._beside.begin(fold.table)
        return ProjectionTask(fold, self._log, self._processes, beside)

    def _fill(
        self, fresh: Iterable[ProjectionTask], goal: Head, progress: Progress | None
    ) -> None:
        """Fill tables beside the live ones up to a goal, and note where they stand."""
        if goal.position == 0:
            return
        folds = {each.name: each.fold for each in fresh}
        fill(self._log, folds, self._processes, goal.position, progress)
        for each in fresh:
            after = each.begun._replace(position=goal.position, recorded=goal.recorded)
            with self._database.begin() as connection:
                here = (self._database, self._log.tenant)
                move_positions(*here, {each.name: each.begun}, after, connection)
            each.settle_all(self._database)

    def _swap(self, fresh: Sequence[ProjectionTask], progress: Progress | None) -> None:
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

    def disagreements(self) -> list[str]:
        """Say how read tables do not agree with the log, and the log with its head."""
        found = self._find(self._folds)
        try:
            head = head_borne_out(self._log)
        except HistoryError as error:
            return [str(error)]
        stands = ((self._projections[name], stand) for name, stand in found.items())
        times = RecordedTimes(self._log, head)
        told = (self._disagreement(each, stand, times) for each, stand in stands)
        return [str(error) for error in told if error is not None]

    def ensure_exists(self, names: Iterable[str]) -> None:
        """Refuse to go on without read tables that are missing and cannot be made.

        Raises:
            UnwritableError: naming the first of them.
        """
        if self._absent is None:
            return
        found = self._find(names) if self._mending.has_positions() else {}
        absent = next((name for name in names if name not in found), None)
        if absent is not None:
            label = self._folds[absent].table.label
            raise UnwritableError(
                f"read table {label} is missing and cannot be made: {self._absent}"
            ) from self._absent

    def left_out(self) -> tuple[LeftOut, ...]:
        """Say which streams projections leave out now."""
        return left_out_at(self._log, list(self._folds))

    def _mend(self) -> None:
        """Make what is missing; where nothing can be written, say so to who asks for it."""
        try:
            for name in self._mending.mend():
                self._projections[name].position = None
                self._projections[name].settle_all(self._database)
        except UnwritableError as error:
            self._absent = error
        else:
            self._absent = None

    def _find(
        self, names: Iterable[str], connection: sa.Connection | None = None
    ) -> dict[str, ProjectionPosition]:
        if connection is None:
            with self._database.read() as snapshot:
                return self._find(names, snapshot)
        return positions_of(connection, self._log.tenant, names)

    def _catch_up(
        self, projections: Sequence[ProjectionTask], progress: Progress | None
    ) -> ProjectionError | None:
        """Bring projections to the head, those that stand alike page by page together."""
        failed: ProjectionError | None = None
        found = self._stand(projections)  # before the head, which grows
        stands: dict[ProjectionTask, ProjectionPosition] = {}
        goal = head_borne_out(self._log)
        times = RecordedTimes(self._log, goal)
        for each in projections:
            stands[each] = found.get(each.name) or self._never_begun(each)
            wrong = self._disagreement(each, stands[each], times)
            if wrong is not None:
                failed = failed or wrong
                del stands[each]
        patience = Patience(self._database.wait_seconds)
        failed = self._read_again(stands, patience) or failed
        return self._go_on(stands, goal.position, patience, progress) or failed

    def _stand(self, projections: Sequence[ProjectionTask]) -> dict[str, ProjectionPosition]:
        """Read where projections stand, and tell them what their rows leave out."""
        found, notes = stands_and_notes(self._log, [each.name for each in projections])
        for each in projections:
            each.take_notes(notes[each.name])
        return found

    def _read_again(
        self, stands: dict[ProjectionTask, ProjectionPosition], patience: Patience
    ) -> ProjectionError | None:
        """Begin streams anew that were left out and can be read now."""
        failed: ProjectionError | None = None
        for each, stand in list(stands.items()):
            try:
                found = each.readable_again(stand.position)
                if found:
                    each.begin_anew(found, stand, patience)
            except OvertakenError:
                stands[each] = self._stand([each]).get(each.name, stand)
            except ProjectionError as error:
                failed = failed or error
                del stands[each]
        return failed

    def _never_begun(self, projection: ProjectionTask) -> ProjectionPosition:
        """Begin a projection of which nobody knows any more where it stands."""
        self._mending.restart()
        self._mend()
        projection.position = None
        self.ensure_exists([projection.name])
        return projection.begun

    def _disagreement(
        self, projection: ProjectionTask, stand: ProjectionPosition, times: "RecordedTimes"
    ) -> ProjectionError | None:
        """Say how a table does not agree with the log; None when it does."""
        label = projection.fold.table.label
        if stand.position > times.head.position:
            wrong = f"beyond the head of the log at {times.head.position:,}"
        elif stand.position and times.of(stand.position) != stand.recorded:
            wrong = "where the log has another event now"
        else:
            return None
        return ProjectionError(
            f"read table {label} stands at position {stand.position:,}, {wrong}: events were"
            " removed from the log, or the log was put back without its read tables. See what"
            f" `salesflow check` says of the log, then run `salesflow rebuild {label}`"
        )

    def _go_on(
        self,
        stands: dict[ProjectionTask, ProjectionPosition],
        goal: int,
        patience: Patience,
        progress: Progress | None,
    ) -> ProjectionError | None:
        """Bring projections to a goal, those that stand alike page by page together."""
        failed: ProjectionError | None = None
        while behind := [stand for stand in stands.values() if stand.position < goal]:
            least = min(behind, key=lambda stand: stand.position)
            with gc_paused():
                page = page_after(self._log, least)
                alike = [e for e in stands if stands[e].position == least.position]
                wrong = self._go_past(page, alike, stands, patience)
            failed = failed or wrong
            if progress is not None and stands:
                reached = min(stand.position for stand in stands.values())
                progress(reached, max(goal, reached))
        return failed

    def _go_past(
        self,
        page: Page,
        alike: Sequence[ProjectionTask],
        stands: dict[ProjectionTask, ProjectionPosition],
        patience: Patience,
    ) -> ProjectionError | None:
        """Bring those that stand before a page past it, in one transaction when it is short."""
        if len(alike) == 1 or len(page.events) <= TOGETHER_MAX:
            try:
                self._batch(page, alike, stands, patience)
            except OvertakenError:
                found = self._stand(alike)
                for each in alike:
                    after = ProjectionPosition(
                        stands[each].revision, page.position, page.recorded
                    )
                    stands[each] = found.get(each.name, after)
                return None
            except ProjectionError as error:
                if len(alike) == 1:
                    del stands[alike[0]]
                    return error
            else:
                return None
        failed: ProjectionError | None = None
        for each in alike:
            wrong = self._go_past(page, [each], stands, patience)
            failed = failed or wrong
        return failed

    def _batch(
        self,
        page: Page,
        projections: Sequence[ProjectionTask],
        stands: dict[ProjectionTask, ProjectionPosition],
        patience: Patience,
    ) -> None:
        """Bring projections past a page in one transaction; all, or none.

        Raises:
            OvertakenError: when somebody else was first.
            ProjectionError: when a fold failed.
        """
        batches = {
            each: self._absorb(each, stands[each], page, patience) for each in projections
        }
        with self._database.begin(patience) as connection:
            before = {each: stands[each] for each in projections}
            after = ProjectionPosition(0, page.position, page.recorded)
            hold(connection, self._log, before, after, patience)
            for each, batch in batches.items():
                each.write(connection, batch, len(page.events))
        for each in projections:
            each.written(page.position)
            stands[each] = after._replace(revision=stands[each].revision)

    def _absorb(
        self,
        projection: ProjectionTask,
        standing: ProjectionPosition,
        page: Page,
        patience: Patience,
    ) -> object:
        """Fold a page; streams whose rows are not what is read of them are begun anew first."""
        batch = projection.apply_page(page, standing.position)
        if projection.unlike:
            projection.begin_anew(projection.unlike, standing, patience)
            batch = projection.apply_page(page, standing.position)
            projection.ensure_alike()
        return batch
