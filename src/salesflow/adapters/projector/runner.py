"""The projection runner: keeps every fold's table level with the log, exactly once.

A batch is a page of the log cut at an append's edge; its rows and the new position are
written in one transaction, and those of a short page for all folds together. A fold that
fails stops its own projection at the event's position and keeps its last good rows; the
others go on. A fact that cannot be read stops its own stream alone, which is noted
(`read_tables`); where it could be read before, or can be read now, the rows of that stream
are begun anew. A rebuild fills a table beside the live one, by the same code, and swaps them
at the end; it takes no part in what the live ones do.

A table that does not agree with the log is named, with the way out, and not gone on with: one
that stands beyond the head, or at an event that is another one now. A missing one is made anew.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from salesflow.adapters import logs
from salesflow.adapters.database.database import Database
from salesflow.adapters.database.forks import FORKABLE, Forkable
from salesflow.adapters.event_store.gaps import ensure_no_gaps
from salesflow.adapters.event_store.log import EventLog, Head
from salesflow.adapters.logs import Progress
from salesflow.adapters.projector.catching_up import CatchUp
from salesflow.adapters.projector.projection_task import (
    ProjectionTask,
)
from salesflow.adapters.projector.read_tables import (
    ProjectionPosition,
    StoredPosition,
    left_out_at,
    move_positions,
    positions_of,
    stored_positions,
)
from salesflow.adapters.projector.rebuild import HELPERS_MAX, Filling, ShadowTables, fill
from salesflow.adapters.projector.sql_views import Mending
from salesflow.errors import DatabaseError, HistoryError, ProjectionError, UnwritableError
from salesflow.projections.core.left_out import LeftOut
from salesflow.projections.table import Fold, Processes, ReadTable

if TYPE_CHECKING:
    from salesflow.adapters.projector.columns import ColumnCache

__all__ = ["KEPT_BYTES", "Runner"]

KEPT_BYTES: Final = 1_000_000_000
"""So many bytes of read tables are kept in memory, unless somebody says otherwise."""


FILLED_EVENTS: Final = 200_000
"""Of a log of so many events tables that hold nothing yet are filled stream by stream, as by a
rebuild: in the order of the log every page would look for rows all over them."""


class _Tasks(dict[str, ProjectionTask]):
    """The tasks of projections, each made when it is first asked for."""

    def __init__(self, make: Callable[[str], ProjectionTask]) -> None:
        self._make = make

    def __missing__(self, name: str) -> ProjectionTask:
        task = self[name] = self._make(name)
        return task


class Runner(Forkable):
    """Keeps the tables of a set of folds level with one log."""

    def __init__(
        self,
        log: EventLog,
        folds: Mapping[str, Fold],
        processes: Processes,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self._log = log
        self._kept_bytes = kept_bytes
        self._database: Database = log.database
        self._folds = folds
        self._processes = processes
        self._lock = threading.RLock()
        self._projections = _Tasks(
            lambda name: ProjectionTask(folds[name], log, processes, name)
        )
        self._columns: ColumnCache | None = None
        self._asked: set[str] = set()
        """The ledgers whose balances were asked for."""
        self._making = threading.RLock()
        self._mending = Mending(log, folds)
        self._absent: UnwritableError | None = None
        """Why tables could not be made that are missing."""
        self._whole_at: int | None = None
        """The version of the database's tables at which none was missing."""
        self._looked = False
        """Whether it was looked for tables that are missing."""
        FORKABLE.add(self)

    @property
    def columns(self) -> "ColumnCache":
        """The tables as columns in memory, for questions over sets.

        Whoever asks has a snapshot open, so nobody waits here who catches up.
        """
        with self._making:
            if self._columns is None:
                from salesflow.adapters.projector.columns import ColumnCache  # loads numpy

                self._columns = ColumnCache(self._log, self._kept_bytes)
            return self._columns

    def is_asked_again(self, ledger: str) -> bool:
        """Return whether a ledger is worth being held in memory, and note that it is asked for.

        It is where it was asked for before, or is held for other questions.
        """
        columns, again = self._columns, ledger in self._asked
        self._asked.add(ledger)
        if columns is None:
            return again
        return (again or columns.holds(ledger)) and not columns.outgrows(ledger)

    def after_fork_in_child(self) -> None:
        """Let nobody wait for a thread that lives in the parent alone."""
        self._lock, self._making = threading.RLock(), threading.RLock()

    def standing(self, name: str) -> ProjectionPosition:
        """Return where a projection stands."""
        return self.standings([name])[name]

    def standings(self, names: Iterable[str] | None = None) -> dict[str, ProjectionPosition]:
        """Return where projections stand (None: all)."""
        self.mend_once()
        chosen = list(self._folds if names is None else names)
        found = {} if self._were_never_made() else positions_of(self._log, chosen)
        return {name: found.get(name) or self._never_begun(name).stands for name in chosen}

    def stored(
        self, names: Sequence[str], connection: sa.Connection
    ) -> dict[str, StoredPosition]:
        """Return where projections stand in a snapshot, and what they leave out."""
        made = [] if self._were_never_made() else names
        found = stored_positions(self._log, made, connection)
        return {name: found.get(name) or self._never_begun(name) for name in names}

    def _never_begun(self, name: str) -> StoredPosition:
        revision = self._folds[name].table.revision
        return StoredPosition(ProjectionPosition(revision), None, None, {})

    def catch_up(
        self, names: Iterable[str] | None = None, *, progress: Progress | None = None
    ) -> dict[str, ProjectionPosition]:
        """Bring the projections named (None: all of them) to where the log's head is now.

        Gives where they stand then.

        Raises:
            ProjectionError: when a fold failed, or a table does not agree with the log; the
                others have been brought up all the same.
            HistoryError: when the log does not agree with itself.
            UnwritableError: when there is something to write, and nothing can be written.
            BusyError: when others were waited for longer than `wait_seconds` in all.
        """
        chosen = list(self._folds if names is None else names)
        begun = monotonic()
        try:
            with self._database.whole(), self._lock:
                self._make_missing()
                self.ensure_exists(chosen)
                found = stored_positions(self._log, chosen)  # before the head, which grows
                goal = self._log.head_borne_out()
                if self._fill_first(chosen, found, goal, progress):
                    found = stored_positions(self._log, chosen)
                    goal = self._log.head_borne_out()
                level = {
                    name: found[name].stands
                    for name in chosen
                    if self._is_level(name, found, goal)
                }
                behind = [self._projections[name] for name in chosen if name not in level]
                positions, failed = self._bring_to_head(behind, found, goal, progress)
        finally:
            seconds = monotonic() - begun
            if seconds >= logs.SLOW_SECONDS:
                logs.tell_slow_catch_up(seconds, len(chosen), self._position)
        if failed is not None:
            raise failed
        return level | {each.name: at for each, at in positions.items()}

    def rebuild(
        self,
        names: Sequence[str],
        *,
        progress: Progress | None = None,
        filling: Filling | None = None,
    ) -> dict[str, int]:
        """Fill tables anew from the log beside the live ones, swap them, give their rows.

        The log is read once for all of them, in processes of this machine or by what is given.

        Raises:
            ProjectionError: when a fold failed; its live table stands as it was.
            HistoryError: when the log does not agree with itself; all stands as it was.
        """
        with self._database.whole(), logs.tell_rebuild(names, self._position) as rows:
            rows.update(self._rebuild(names, progress, filling or _with_helpers))
        return rows

    def _fill_first(
        self,
        chosen: Iterable[str],
        found: Mapping[str, StoredPosition],
        goal: Head,
        progress: Progress | None,
    ) -> bool:
        """Fill tables of a long log that hold nothing yet as a rebuild does; return whether.

        In this process alone, since nobody asked for others. Where that cannot be, as where no
        table may be made, they catch up as all do, which keeps those that are well.
        """
        if goal.position < FILLED_EVENTS:
            return False
        empty = [name for name in chosen if name in found and not found[name].stands.position]
        if not empty:
            return False
        try:
            self._rebuild(empty, progress, _alone)
        except (DatabaseError, ProjectionError) as error:
            logs.REBUILD.warning("tables are not filled at once: %s", error)
            return False
        return True

    def _rebuild(
        self,
        names: Sequence[str],
        progress: Progress | None,
        filling: Filling,
    ) -> dict[str, int]:
        tables = [self._folds[name].table for name in names]
        with self._database.whole(), self._lock:
            self._make_missing()
        goal = self._log.head_borne_out()
        ensure_no_gaps(self._log, goal.position)
        shadows = ShadowTables(self._log)
        started: list[ProjectionTask] = []
        try:
            with self._database.whole():
                for fold in [self._folds[name] for name in names]:
                    shadow = shadows.begin(fold.table)
                    started.append(ProjectionTask(fold, self._log, self._processes, shadow))
                self._fill(started, goal, progress, filling)
                self._swap(started, shadows, progress)
        finally:
            for each in started:
                shadows.remove(each.fold.table, each.name)
        with self._lock:  # what is held of entities was believed of the rows before
            for name in names:
                self._projections[name].forget()
        with self._database.read() as connection:
            return {table.name: self._count(connection, table) for table in tables}

    def _position(self) -> int:
        return self._log.head().position

    def _fill(
        self,
        started: Iterable[ProjectionTask],
        goal: Head,
        progress: Progress | None,
        filling: Filling,
    ) -> None:
        """Fill tables beside the live ones up to a goal, and note where they stand."""
        if goal.position == 0:
            return
        folds = {each.name: each.fold for each in started}
        filling(self._log, folds, self._processes, goal.position, progress)
        for each in started:
            after = each.begun._replace(position=goal.position, recorded=goal.recorded)
            with self._database.derive() as connection:
                here = (self._database, self._log.tenant)
                move_positions(*here, {each.name: each.begun}, after, connection)
            each.settle_all(self._database)

    def _swap(
        self,
        started: Sequence[ProjectionTask],
        shadows: ShadowTables,
        progress: Progress | None,
    ) -> None:
        """Put all in the place of the live ones, each once it has come as far."""
        while started:
            names = [each.name for each in started]
            found = stored_positions(self._log, names)  # before the head, which grows
            goal = self._log.head_borne_out()
            _, failed = self._bring_to_head(started, found, goal, progress)
            if failed is not None:
                raise failed
            started = [each for each in started if not shadows.swap(each.fold.table, each.name)]

    def _count(self, connection: sa.Connection, table: ReadTable) -> int:
        mine = sa.select(sa.func.count()).where(table.c.tenant == self._log.tenant)
        return connection.execute(mine).scalar_one()

    def disagreements(self) -> list[str]:
        """Return how read tables do not agree with the log, and the log with its head."""
        self.mend_once()
        made = [] if self._were_never_made() else list(self._folds)
        found = stored_positions(self._log, made)
        try:
            head = self._log.head_borne_out()
        except HistoryError as error:
            return [str(error)]
        errors = (_disagreement(self._folds[name], at, head) for name, at in found.items())
        return [str(error) for error in errors if error is not None]

    def ensure_exists(self, names: Sequence[str]) -> None:
        """Refuse to go on without read tables that are missing and cannot be made.

        Raises:
            UnwritableError: naming the first of them.
        """
        if self._absent is None:
            return
        found = {} if self._were_never_made() else positions_of(self._log, names)
        absent = next((name for name in names if name not in found), None)
        if absent is not None:
            label = self._folds[absent].table.label
            raise UnwritableError(
                f"read table {label} is missing and cannot be made: {self._absent}; copy the"
                " database to where it may be written, and ask the copy"
            ) from self._absent

    def unfinished(self) -> dict[str, datetime]:
        """Return the tables of rebuilds that have not ended, and when each was begun."""
        self.mend_once()
        shadows, found = ShadowTables(self._log), dict[str, datetime]()
        if not self._were_never_made():
            with self._database.read() as connection:
                for name in self._folds:
                    found |= shadows.begun(name, connection)
        return found

    def left_out(self) -> tuple[LeftOut, ...]:
        """Return which streams projections leave out now."""
        self.mend_once()
        return left_out_at(self._log, [] if self._were_never_made() else list(self._folds))

    def _were_never_made(self) -> bool:
        """Return whether there is not even what says where tables stand, nor can be made."""
        return self._absent is not None and not self._mending.has_positions()

    def mend_once(self) -> None:
        """Make what is missing, unless that was looked for before."""
        if not self._looked:
            with self._database.whole(), self._lock:
                self._make_missing()

    def _make_missing(self) -> None:
        """Make what is missing; where nothing can be written, say so to who asks for it.

        Where the database says that its tables are still those among which nothing was missing
        there is nothing to look for; what was made is looked at once more.
        """
        version: int | None = None
        try:
            for _ in range(2):
                version = self._database.tables_version()
                if version is not None and version == self._whole_at:
                    return
                made = self._mending.mend()
                for name in made:
                    self._projections[name].forget()
                    self._projections[name].settle_all(self._database)
                if not made:
                    break
        except UnwritableError as error:
            self._absent, self._whole_at = error, None
        else:
            self._absent, self._whole_at = None, version
        self._looked = True

    def _is_level(self, name: str, found: Mapping[str, StoredPosition], goal: Head) -> bool:
        """Return whether there is nothing to fold, nor to read again, for a projection."""
        at, task = found.get(name), self._projections.get(name)
        if at is None or at.notes or (task is not None and task.notes):
            return False
        return at.stands.position == goal.position and not _disagreement(
            self._folds[name], at, goal
        )

    def _bring_to_head(
        self,
        projections: Sequence[ProjectionTask],
        found: Mapping[str, StoredPosition],
        goal: Head,
        progress: Progress | None,
    ) -> tuple[dict[ProjectionTask, ProjectionPosition], ProjectionError | None]:
        """Bring projections to the head from where they were found to stand.

        Returns where they stand then, without those that failed, and how one of these did.
        """
        failed: ProjectionError | None = None
        agreeing: dict[ProjectionTask, StoredPosition] = {}
        for each in projections:
            at = found.get(each.name) or self._begin_first(each)
            wrong = _disagreement(each.fold, at, goal)
            if wrong is None:
                agreeing[each] = at
            failed = failed or wrong
        if not agreeing:
            return {}, failed
        catching_up = CatchUp(self._log, self._processes, agreeing)
        failed = catching_up.bring_to(goal.position, progress) or failed
        return catching_up.positions, failed

    def _begin_first(self, projection: ProjectionTask) -> StoredPosition:
        """Begin a projection of which nobody knows any more where it stands."""
        self._mending.restart()
        self._whole_at = None
        self._make_missing()
        projection.forget()
        self.ensure_exists([projection.name])
        return StoredPosition(projection.begun, None, None, {})


def _disagreement(fold: Fold, at: StoredPosition, head: Head) -> ProjectionError | None:
    """Return how a table does not agree with the log; None when it does."""
    label, (_, position, recorded) = fold.table.label, at.stands
    if position > head.position:
        wrong = f"beyond the head of the log at {head.position:,}"
    elif position and at.recorded_there != recorded:
        wrong = "where the log has another event now"
    else:
        return None
    return ProjectionError(
        f"read table {label} stands at position {position:,}, {wrong}: events were"
        " removed from the log, or the log was put back without its read tables. See what"
        f" `salesflow check` says of the log, then run `salesflow rebuild {label}`"
    )


_with_helpers: Final[Filling] = partial(fill, helpers_max=HELPERS_MAX)
_alone: Final[Filling] = partial(fill, helpers_max=0)
