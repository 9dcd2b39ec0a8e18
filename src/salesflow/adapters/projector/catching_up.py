"""Brings tables to the head of the log, page by page: the way of one catch-up.

A module of its own beside the runner, which says which tables there are and where they are
begun: here is what happens to those that stand alike, whoever moves them meanwhile, and
whichever of them fail.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from itertools import compress
from operator import attrgetter, lt
from typing import Final
from uuid import UUID

from salesflow.adapters.database.connections import WORTH_A_PAUSE, Patience, gc_paused
from salesflow.adapters.event_store.gaps import gap_said
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.reading import BACKUP
from salesflow.adapters.logs import Progress
from salesflow.adapters.projector.projection_task import (
    AppliedPage,
    Page,
    ProjectionTask,
    Streams,
    TablesTogether,
)
from salesflow.adapters.projector.read_tables import (
    OvertakenError,
    ProjectionPosition,
    StoredPosition,
    hold,
    open_notes,
    stored_positions,
)
from salesflow.domain.event import Event
from salesflow.domain.time import Instant
from salesflow.errors import HistoryError, ProjectionError
from salesflow.projections.table import Processes

__all__ = ["CatchUp", "page_after"]


PAGE_EVENTS = 20_000
"""So many events are folded and written at a time, those of one append together."""

READ_EVENTS = 500
"""So many events of a page are read at once, so that rows lie in the processor's cache until
events are made of them."""

TOGETHER_MAX = 500
"""Of so many events what they come to is written for all folds in one transaction."""

_position, _recorded = attrgetter("position"), attrgetter("recorded")


class CatchUp:
    """Where projections stand on their way, and how long others are waited for in all."""

    def __init__(
        self,
        log: EventLog,
        processes: Processes,
        stored: Mapping[ProjectionTask, StoredPosition],
    ) -> None:
        self.positions: Final = {each: at.stands for each, at in stored.items()}
        """Where they stand; one that failed is in it no more."""
        for each, at in stored.items():
            each.take_notes(at.notes)
        self._log = log
        self._database = log.database
        self._processes = processes
        self._patience = Patience(log.database.wait_seconds)

    def bring_to(self, goal: int, progress: Progress | None) -> ProjectionError | None:
        """Bring projections to a goal, and return what went wrong with one of them."""
        failed = self._read_again()
        return self._fold_to(goal, progress) or failed

    def _read_again(self) -> ProjectionError | None:
        """Begin streams anew that were left out and can be read now."""
        failed: ProjectionError | None = None
        for each, at in [(each, at) for each, at in self.positions.items() if each.notes]:
            try:
                found = each.readable_again(at.position)
                if found:
                    self._begin_anew(each, found, at)
            except OvertakenError:
                stored = self._look([each]).get(each.name)
                self.positions[each] = at if stored is None else stored.stands
            except ProjectionError as error:
                failed = failed or error
                del self.positions[each]
        return failed

    def _begin_anew(
        self,
        projection: ProjectionTask,
        streams: Sequence[UUID],
        standing: ProjectionPosition,
    ) -> None:
        """Put what is read of streams up to where the table stands in the place of their rows.

        Raises:
            OvertakenError: when somebody else was first.
            ProjectionError: when the fold failed.
        """
        name = projection.name
        projection.forget()
        for some, started in projection.fold_anew(streams, standing.position):
            with self._database.derive(self._patience) as connection:
                positions, notes = {name: standing}, {name: projection.notes}
                hold(self._log, positions, notes, standing, connection, self._patience)
                projection.write_anew(connection, some, started)
                fresh_notes = open_notes(self._log, [name], connection)[name]
            projection.take_notes(fresh_notes)

    def _fold_to(self, goal: int, progress: Progress | None) -> ProjectionError | None:
        """Bring projections to a goal, those that stand alike page by page together."""

        def report() -> None:
            if progress is not None and self.positions:
                reached = min(at.position for at in self.positions.values())
                progress(reached, max(goal, reached))

        failed: ProjectionError | None = None
        least = min(map(_position, self.positions.values()), default=goal)
        with gc_paused() if goal - least > WORTH_A_PAUSE else nullcontext():
            while behind := [at for at in self.positions.values() if at.position < goal]:
                wrong = self._fold_next(min(behind, key=_position))
                failed = failed or wrong
                report()
        return failed

    def _fold_next(self, standing: ProjectionPosition) -> ProjectionError | None:
        """Bring those that stand at a position past the page behind it."""
        page = page_after(self._log, standing)
        alike = [e for e in self.positions if self.positions[e].position == standing.position]
        return self._fold_page(page, alike)

    def _fold_page(self, page: Page, alike: Sequence[ProjectionTask]) -> ProjectionError | None:
        """Bring those that stand before a page past it, folded together.

        Where a fold fails each is folded by itself, so that the others go on.
        """
        try:
            applied = self._apply_page(alike, page)
        except OvertakenError:
            self._look_again(page, alike)
            return None
        except ProjectionError as error:
            return self._fail(error, alike) or self._one_by_one(
                lambda each: self._fold_page(page, each), alike
            )
        if len(page.events) <= TOGETHER_MAX:
            return self._write_page(page, applied)
        return self._one_by_one(
            lambda each: self._write_page(page, {e: applied[e] for e in each}),
            alike,
        )

    def _write_page(
        self,
        page: Page,
        applied: Mapping[ProjectionTask, AppliedPage],
    ) -> ProjectionError | None:
        """Write what a page comes to in one transaction.

        Where that fails each is folded again by itself, from what the log says now.
        """
        try:
            self._write(page, applied)
        except OvertakenError:
            self._look_again(page, list(applied))
        except ProjectionError as error:
            return self._fail(error, list(applied)) or self._one_by_one(
                lambda each: self._fold_page(page, each), list(applied)
            )
        return None

    def _write(
        self,
        page: Page,
        applied: Mapping[ProjectionTask, AppliedPage],
    ) -> None:
        """Bring projections past a page in one transaction; all, or none.

        Raises:
            OvertakenError: when somebody else was first.
            ProjectionError: when a table cannot hold its rows, or lacks some.
        """
        with self._database.derive(self._patience) as connection:
            before = {each.name: self.positions[each] for each in applied}
            notes = {each.name: each.notes for each in applied}
            after = ProjectionPosition(0, page.position, page.recorded)
            hold(self._log, before, notes, after, connection, self._patience)
            for each, rows in applied.items():
                each.write(connection, rows, len(page.events))
        for each, rows in applied.items():
            each.follow(rows, page.position, page.recorded)
            self.positions[each] = after._replace(revision=self.positions[each].revision)

    def _apply_page(
        self,
        projections: Sequence[ProjectionTask],
        page: Page,
    ) -> dict[ProjectionTask, AppliedPage]:
        """Fold a page; streams whose rows are not what is read of them are begun anew first.

        Raises:
            OvertakenError: when somebody else was first to begin them anew.
            ProjectionError: when a fold failed.
        """
        together = projections[0].together
        if together is None or together.tasks != projections:
            together = TablesTogether(projections, self._log, self._processes)
        standing = self.positions[projections[0]]
        applied = together.apply_page(page, standing)
        unlike = [each for each in projections if each.to_refill]
        if unlike:
            for each in unlike:
                self._begin_anew(each, list(each.to_refill), self.positions[each])
            applied = together.apply_page(page, standing)
            for each in projections:
                each.ensure_alike()
        return applied

    def _look(self, projections: Sequence[ProjectionTask]) -> dict[str, StoredPosition]:
        """Read where projections stand, and tell them what their rows leave out."""
        found = stored_positions(self._log, [each.name for each in projections])
        for each in projections:
            each.take_notes(found[each.name].notes if each.name in found else {})
        return found

    def _look_again(
        self,
        page: Page,
        projections: Sequence[ProjectionTask],
    ) -> None:
        """Read where projections stand that somebody else was first to move."""
        found = self._look(projections)
        for each in projections:
            revision = self.positions[each].revision
            after = ProjectionPosition(revision, page.position, page.recorded)
            self.positions[each] = found[each.name].stands if each.name in found else after

    def _fail(
        self, error: ProjectionError, projections: Sequence[ProjectionTask]
    ) -> ProjectionError | None:
        """Let a projection stop that failed by itself; None where several were at it."""
        if len(projections) > 1:
            return None
        del self.positions[projections[0]]
        return error

    @staticmethod
    def _one_by_one(
        bring: Callable[[list[ProjectionTask]], ProjectionError | None],
        projections: Sequence[ProjectionTask],
    ) -> ProjectionError | None:
        """Bring each further by itself, and give what went wrong first."""
        wrong = [bring([each]) for each in projections]
        return next((error for error in wrong if error is not None), None)


def page_after(log: EventLog, after: ProjectionPosition) -> Page:
    """Read a page that ends with a whole append, part by part.

    Raises:
        HistoryError: when positions are missing, or times do not grow.
    """
    events, limit = list[Event](), min(READ_EVENTS, PAGE_EVENTS)
    position, recorded = after.position, after.recorded + 1
    while True:
        part = log.page(position, limit)
        if not part and not events:
            raise HistoryError(gap_said(position + 1, position + 1))
        _ensure_in_order(position, recorded, part)
        events += part
        position, recorded = events[-1].position, events[-1].recorded
        if len(part) < limit:
            return _page_of(events, log)
        if len(events) >= PAGE_EVENTS:  # the last append may go on
            whole = events[: bisect_left(events, recorded, key=_recorded)]
            if whole:
                return _page_of(whole, log)


def _page_of(events: list[Event], log: EventLog) -> Page:
    position, recorded = events[-1].position, events[-1].recorded
    return Page(events, position, recorded, Streams(log, position))


def _ensure_in_order(position: int, recorded: Instant, events: Sequence[Event]) -> None:
    """Refuse events that do not follow a position, or were recorded before an instant."""
    if events and events[-1].position != position + len(events):
        first, found = next(
            (n, event.position)
            for n, event in enumerate(events, position + 1)
            if event.position != n
        )
        raise HistoryError(gap_said(first, found - 1))
    times = [recorded, *map(_recorded, events)]
    wrong = next(compress(events, map(lt, times[1:], times)), None)
    if wrong is not None:
        raise HistoryError(
            f"the event at position {wrong.position:,} was recorded before the one before it:"
            f" times in the log were changed. {BACKUP}"
        )
