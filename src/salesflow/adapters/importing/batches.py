"""Takes the deals of a file through telling, comparing and recording, some hundred at a time.

A batch is told, compared with what is recorded of its deals, and appended in one transaction;
only then does it enter the report. When somebody else wrote to one of its streams meanwhile,
it is compared anew. What it costs in memory is one batch, and the deals that are merged: they
come last, when all that they may be merged into is recorded.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple
from uuid import UUID

from salesflow.adapters.eventlog import EventLog
from salesflow.adapters.foreign import try_again
from salesflow.adapters.importing.batch import Batch
from salesflow.adapters.importing.merging import Survivors, components, merges
from salesflow.adapters.importing.plan import Plan
from salesflow.adapters.importing.problems import RowProblem
from salesflow.adapters.importing.report import ImportReport
from salesflow.adapters.importing.spool import ObjectRows, Spool
from salesflow.adapters.importing.telling import tell
from salesflow.adapters.importing.told import DealTold
from salesflow.domain.moments import Instant
from salesflow.domain.wording import shortened
from salesflow.errors import HistoryError, InputError, RuleError

__all__ = ["Batches", "Part", "Parts", "bounds", "is_one_batch"]

ROWS_MAX = 5_000
OBJECTS_MAX = 1_000


class Part(NamedTuple):
    """What became of one batch."""

    report: ImportReport
    customers: frozenset[UUID]
    """Customers met in it."""
    waiting: tuple[str, ...]
    """Its deals that are merged, and so are taken last."""


class Parts:
    """What became of the batches of a file before; nothing is kept by this one."""

    def taken(self, number: int) -> Part | None:
        """Give what became of a batch that was recorded by an interrupted import."""
        del number
        return None

    def keep(self, number: int, part: Part) -> None:
        """Keep what became of a batch that is recorded."""

    def done(self) -> None:
        """Forget what was kept."""


class Batches:
    """The deals of one file, batch by batch."""

    def __init__(
        self,
        log: EventLog,
        plan: Plan,
        report: ImportReport,
        *,
        horizon: Instant,
        apply_changes: bool,
        newest_first: bool | None = None,
    ) -> None:
        self._log = log
        self._plan = plan
        self._report = report
        self._horizon = horizon
        self._apply = apply_changes
        self._newest_first = newest_first
        self._customers: set[UUID] = set()
        """Customers this import has met already."""

    def run(
        self,
        spool: Spool,
        *,
        record: bool,
        parts: Parts,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Take all deals through, recording them or only saying what would be recorded."""
        done = 0
        waiting: list[DealTold] = []
        for number, batch in enumerate(_batches(spool.by_object())):
            rows = sum(len(each.rows) for each in batch)
            part = parts.taken(number)
            if part is None:
                deals = [self._tell(each) for each in batch]
                waits = [deal for deal in deals if merges(deal)]
                now = [deal for deal in deals if not merges(deal)]
                part = self._take(now, tuple(deal.object for deal in waits), record=record)
                if record:
                    parts.keep(number, part)
            else:
                waits = [self._tell(each) for each in batch if each.object in part.waiting]
                self._report.rows_resumed += rows - sum(len(deal.lines) for deal in waits)
            waiting += waits
            self._report.add(part.report)
            self._customers |= part.customers
            done += rows - sum(len(deal.lines) for deal in waits)
            if progress is not None:
                progress(done, spool.rows)
        self._take_merged(waiting, spool, record=record)
        if progress is not None and waiting:
            progress(spool.rows, spool.rows)

    def _tell(self, rows: ObjectRows) -> DealTold:
        return tell(rows, self._plan, self._horizon, newest_first=self._newest_first)

    def _take_merged(self, waiting: list[DealTold], spool: Spool, *, record: bool) -> None:
        """Take the deals that are merged, all that hang together in one append."""
        survivors = Survivors(self._log)
        if waiting and not record:
            survivors.look(waiting, spool, self._tell, self._plan)
        batch: list[list[DealTold]] = []
        for each in components(waiting):
            if batch and sum(map(len, batch)) + len(each) > OBJECTS_MAX:
                self._report.add(self._take_together(batch, survivors, record=record))
                batch = []
            batch.append(each)
        if batch:
            self._report.add(self._take_together(batch, survivors, record=record))

    def _take(
        self, deals: list[DealTold], waiting: tuple[str, ...] = (), *, record: bool
    ) -> Part:
        report = self._report.part()
        met: set[UUID] = set()
        for taken in self._taken([[deal] for deal in deals], None, record=record):
            report.add(taken.counted())
            met |= taken.customers
        return Part(report, frozenset(met), waiting)

    def _take_together(
        self, groups: list[list[DealTold]], survivors: Survivors, *, record: bool
    ) -> ImportReport:
        report = self._report.part()
        for taken in self._taken(groups, survivors, record=record):
            report.add(taken.counted())
        return report

    def _taken(
        self, groups: list[list[DealTold]], survivors: Survivors | None, *, record: bool
    ) -> list[Batch]:
        """Take deals through; where the log refuses some, refuse their rows, not the others."""
        through = partial(self._through, groups, record=record, survivors=survivors)
        try:
            taken = try_again(through)
        except (InputError, RuleError, HistoryError) as error:
            if len(groups) > 1:
                middle = len(groups) // 2
                return [
                    *self._taken(groups[:middle], survivors, record=record),
                    *self._taken(groups[middle:], survivors, record=record),
                ]
            taken = self._batch()
            said = f"the log does not take the deal: {shortened(error)}"
            problem = RowProblem(said, for_now=True)
            taken.refuse([deal.copy() for deal in groups[0]], problem)
        self._customers |= taken.customers
        return [taken]

    def _batch(self) -> Batch:
        return Batch(self._log, self._plan, self._report, self._customers, self._apply)

    def _through(
        self,
        groups: Sequence[Sequence[DealTold]],
        *,
        record: bool,
        survivors: Survivors | None = None,
    ) -> Batch:
        """Compare deals with the log as it stands now, and append what is new."""
        batch = self._batch()
        copies = [[deal.copy() for deal in group] for group in groups]
        batch.compare(copies, survivors)
        if record:
            self._log.append_many(batch.appends)
        return batch


def bounds() -> tuple[int, int]:
    """Give what bounds a batch: how many rows, and of how many deals."""
    return ROWS_MAX, OBJECTS_MAX


def is_one_batch(spool: Spool) -> bool:
    """Say whether a file is taken at one go."""
    return spool.rows < ROWS_MAX and spool.objects < OBJECTS_MAX


def _batches(objects: Iterator[ObjectRows]) -> Iterator[list[ObjectRows]]:
    batch: list[ObjectRows] = []
    rows = 0
    for one in objects:
        batch.append(one)
        rows += len(one.rows)
        if rows >= ROWS_MAX or len(batch) >= OBJECTS_MAX:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch
