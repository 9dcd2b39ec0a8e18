"""Extracts, compares and records the deals of a source, some hundred at a time.

A batch is extracted, compared with what is recorded of its deals, and appended in one
transaction; only then does it enter the report. When somebody else wrote to one of its streams
meanwhile, it is compared anew. What it costs in memory is one batch, and the deals that are
merged: they come last, when all that they may be merged into is recorded.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple
from uuid import UUID

from salesflow.adapters.event_store.external_events import retry_on_conflict
from salesflow.adapters.event_store.log import EventLog, NewEvent
from salesflow.adapters.importers.errors import RowError
from salesflow.adapters.importers.extracted import NO_DATE, ExtractedDeal, ExtractedFact
from salesflow.adapters.importers.order_facts import (
    RecordedFacts,
    Survivors,
    components,
    irregular_facts,
    merges,
    order_facts,
)
from salesflow.adapters.importers.reconcile import AppendPlan, Compared, reconcile
from salesflow.adapters.importers.report import ImportReport, Inferred, Irregular
from salesflow.adapters.importers.rows import ObjectRows, RowsByObject
from salesflow.adapters.importers.source import ImportSource
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.event import Event, ensure_readable
from salesflow.domain.wording import Message, shortened
from salesflow.errors import HistoryError, InputError, RuleError

__all__ = [
    "ImportBatch",
    "ImportPart",
    "ImportParts",
    "ImportPipeline",
    "bounds",
    "is_one_batch",
]


# One batch of deals: compared with what the log holds now, drafted, and counted.


class ImportBatch:
    """One batch, compared with what the log holds now."""

    def __init__(
        self,
        log: EventLog,
        source: ImportSource,
        report: ImportReport,
        known_customers: set[UUID],
        apply_changes: bool,
    ) -> None:
        self._log = log
        self._source = source
        self._part = report.part()
        self._known_customers = known_customers
        self._apply = apply_changes
        self._results: list[tuple[ExtractedDeal, Compared]] = []
        self._streams: Mapping[UUID, Sequence[Event]] = {}
        self._other_rules: Counter[str] = Counter()
        self._not_told: Counter[str] = Counter()
        self.customers: set[UUID] = set()
        self.appends: list[Sequence[NewEvent]] = []

    def compare(
        self, groups: Sequence[Sequence[ExtractedDeal]], survivors: Survivors | None = None
    ) -> None:
        """Compare deals with the log; those that hang together become one append."""
        source = self._source
        deals = list(chain.from_iterable(groups))
        streams = self._log.streams(_streams(deals), through=self._log.head().position)
        for events in streams.values():  # what cannot be read cannot be compared
            ensure_readable(events)
        self._streams = streams
        known = RecordedFacts(source.name, streams, self._source.day_zone)
        for deal in deals:
            order_facts(deal, self._source, streams.get(deal.stream_id, ()))
        if survivors is not None:
            survivors.leave_out_impossible(deals, known, self._source)
        writer = AppendPlan(source.name, self._part.import_id, known, apply_changes=self._apply)
        for group in groups:
            drafts: list[NewEvent] = []
            for deal in group:
                customers = [
                    extracted for extracted in deal.customers if self._is_first(extracted)
                ]
                reconciled = reconcile(deal, customers, known, self._source)
                self._other_rules.update(reconciled.other_rules)
                self._not_told.update(reconciled.not_told)
                compared = writer.write(deal.object, reconciled)
                self._results.append((deal, compared))
                drafts += compared.drafts
            if drafts:
                self.appends.append(drafts)

    def refuse(self, deals: Sequence[ExtractedDeal], problem: RowError) -> None:
        """Refuse all rows of deals that the log does not take."""
        for deal in deals:
            for line in deal.lines:
                if line not in deal.left_out:
                    deal.refuse(line, problem)
            self._results.append((deal, Compared([], [], [], [], [], [], [])))

    def counted(self) -> ImportReport:
        """Report what became of the batch."""
        report = self._part
        report.other_rules.update(self._other_rules)
        report.not_told.update(self._not_told)
        report.facts_not_told = self._not_told.total()
        for deal, compared in self._results:
            report.facts_recorded += len(compared.new)
            report.facts_known += len(compared.known)
            report.facts_retracted += len(compared.retracted)
            report.facts_restored += len({event.source_id for event in compared.undone})
            is_new = deal.facts and compared.new and deal.stream_id not in self._streams
            report.objects_new += bool(is_new)
            report.customers_registered += sum(
                isinstance(one.fact, CustomerRegistered) for one in compared.new
            )
            for change in compared.changes:
                report.change(change)
            report.facts_told += len(compared.new) + len(compared.known)
            self._infer(deal, compared.recorded)
            self._list_irregular(deal, compared)
            self._count_rows(deal, compared)
        return report

    def _is_first(self, extracted: ExtractedFact) -> bool:
        """Return whether no earlier row of the import registered the same customer."""
        if not extracted.fact.is_opening or extracted.fact.is_entry:
            return True
        if (
            extracted.stream_id in self._known_customers
            or extracted.stream_id in self.customers
        ):
            return False
        self.customers.add(extracted.stream_id)
        return True

    def _infer(self, deal: ExtractedDeal, new: Sequence[ExtractedFact]) -> None:
        for extracted in new:
            if extracted.fact.inferred is not None:
                self._part.facts_inferred += 1
                self._part.objects_undated += (
                    extracted.fact.is_opening and extracted.fact.inferred == NO_DATE
                )
                self._part.inferred.append(
                    Inferred(
                        file=self._part.file,
                        line=extracted.line,
                        object=deal.object,
                        kind=extracted.fact.kind,
                        reason=extracted.fact.inferred,
                    )
                )

    def _list_irregular(self, deal: ExtractedDeal, compared: Compared) -> None:
        own = [one for one in compared.recorded if one.stream_id == deal.stream_id]
        if not own or not deal.facts:
            return
        stored = self._streams.get(deal.stream_id, ())
        published = self._source.published
        for extracted, reason in irregular_facts(own, stored, compared.without, published):
            self._part.irregular.append(
                Irregular(
                    file=self._part.file,
                    line=extracted.line,
                    object=deal.object,
                    kind=extracted.fact.kind,
                    source_id=extracted.source_id,
                    reason=Message(reason),
                )
            )

    def _count_rows(self, deal: ExtractedDeal, compared: Compared) -> None:
        report = self._part
        for number, rows in deal.rules.items():
            title = self._source.rules[number].title
            report.rules[title] = report.rules.get(title, 0) + rows
        report.rows_tied += len(deal.tied - set(deal.refused))
        new = {extracted.line for extracted in compared.new}
        changed = {change.line for change in compared.changes}
        for line in deal.lines:
            if line in deal.refused:
                report.refuse(line, deal.object, deal.refused[line])
                continue
            if line in deal.adjusted:
                report.adjust(line, deal.object, deal.adjusted[line])
            if line in deal.left_out:
                report.leave_out(line, deal.left_out[line])
            elif deal.told_with.get(line, line) in new:
                report.rows_recorded += 1
            elif deal.told_with.get(line, line) in changed:
                report.rows_changed += 1
            else:
                report.rows_known += 1


def _streams(deals: Sequence[ExtractedDeal]) -> Iterator[UUID]:
    for deal in deals:
        yield deal.stream_id
        for extracted in chain(deal.facts, deal.customers):
            yield extracted.stream_id


ROWS_MAX = 5_000
OBJECTS_MAX = 1_000


class ImportPart(NamedTuple):
    """What became of one batch."""

    report: ImportReport
    customers: frozenset[UUID]
    """Customers met in it."""
    waiting: tuple[str, ...]
    """Its deals that are merged, and so are taken last."""


class ImportParts:
    """What became of the batches of a file before; nothing is kept by this one."""

    def taken(self, number: int) -> ImportPart | None:
        """Return what became of a batch that was recorded by an interrupted import."""
        del number
        return None

    def keep(self, number: int, part: ImportPart) -> None:
        """Keep what became of a batch that is recorded."""

    def done(self) -> None:
        """Delete what was kept."""


class ImportPipeline:
    """The deals of one file, batch by batch."""

    def __init__(
        self,
        log: EventLog,
        source: ImportSource,
        report: ImportReport,
        extract: Callable[[ObjectRows], ExtractedDeal],
        *,
        apply_changes: bool,
    ) -> None:
        """`extract` reads the facts of a deal off its rows."""
        self._log = log
        self._source = source
        self._report = report
        self._extract = extract
        self._apply = apply_changes
        self._customers: set[UUID] = set()
        """Customers this import has met already."""

    def run(
        self,
        rows_by_object: RowsByObject,
        *,
        record: bool,
        parts: ImportParts,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Extract, compare and record all deals, or report only what would be recorded."""
        done = 0
        waiting: list[ExtractedDeal] = []
        for number, batch in enumerate(_batches(rows_by_object.by_object())):
            rows = sum(len(each.rows) for each in batch)
            part = parts.taken(number)
            if part is None:
                deals = [self._extract(each) for each in batch]
                merged = [deal for deal in deals if merges(deal)]
                ready = [deal for deal in deals if not merges(deal)]
                part = self._take(ready, tuple(deal.object for deal in merged), record=record)
                if record:
                    parts.keep(number, part)
            else:
                merged = [self._extract(each) for each in batch if each.object in part.waiting]
                self._report.rows_resumed += rows - sum(len(deal.lines) for deal in merged)
            waiting += merged
            self._report.add(part.report)
            self._customers |= part.customers
            done += rows - sum(len(deal.lines) for deal in merged)
            if progress is not None:
                progress(done, rows_by_object.rows)
        self._take_merged(waiting, rows_by_object, record=record)
        if progress is not None and waiting:
            progress(rows_by_object.rows, rows_by_object.rows)

    def _take_merged(
        self, waiting: list[ExtractedDeal], rows_by_object: RowsByObject, *, record: bool
    ) -> None:
        """Record the deals that are merged, all that hang together in one append."""
        survivors = Survivors(self._log)
        if waiting and not record:
            survivors.look(waiting, rows_by_object, self._extract, self._source)
        batch: list[list[ExtractedDeal]] = []
        for each in components(waiting):
            if batch and sum(map(len, batch)) + len(each) > OBJECTS_MAX:
                self._report.add(self._take_together(batch, survivors, record=record))
                batch = []
            batch.append(each)
        if batch:
            self._report.add(self._take_together(batch, survivors, record=record))

    def _take(
        self, deals: list[ExtractedDeal], waiting: tuple[str, ...] = (), *, record: bool
    ) -> ImportPart:
        report = self._report.part()
        known_customers: set[UUID] = set()
        for taken in self._taken([[deal] for deal in deals], None, record=record):
            report.add(taken.counted())
            known_customers |= taken.customers
        return ImportPart(report, frozenset(known_customers), waiting)

    def _take_together(
        self, groups: list[list[ExtractedDeal]], survivors: Survivors, *, record: bool
    ) -> ImportReport:
        report = self._report.part()
        for taken in self._taken(groups, survivors, record=record):
            report.add(taken.counted())
        return report

    def _taken(
        self, groups: list[list[ExtractedDeal]], survivors: Survivors | None, *, record: bool
    ) -> list[ImportBatch]:
        """Record deals; where the log refuses some, refuse their rows, not the others."""
        attempt = partial(self._append, groups, record=record, survivors=survivors)
        try:
            taken = retry_on_conflict(attempt)
        except (InputError, RuleError, HistoryError) as error:
            if len(groups) > 1:
                middle = len(groups) // 2
                return [
                    *self._taken(groups[:middle], survivors, record=record),
                    *self._taken(groups[middle:], survivors, record=record),
                ]
            taken = self._batch()
            problem = RowError(
                "the log does not take the deal: {why}", for_now=True, why=shortened(error)
            )
            taken.refuse([deal.copy() for deal in groups[0]], problem)
        self._customers |= taken.customers
        return [taken]

    def _batch(self) -> ImportBatch:
        return ImportBatch(self._log, self._source, self._report, self._customers, self._apply)

    def _append(
        self,
        groups: Sequence[Sequence[ExtractedDeal]],
        *,
        record: bool,
        survivors: Survivors | None = None,
    ) -> ImportBatch:
        """Compare deals with the log as it stands now, and append what is new."""
        batch = self._batch()
        copies = [[deal.copy() for deal in group] for group in groups]
        batch.compare(copies, survivors)
        if record:
            self._log.append_many(batch.appends)
        return batch


def bounds() -> tuple[int, int]:
    """Return what bounds a batch: how many rows, and of how many deals."""
    return ROWS_MAX, OBJECTS_MAX


def is_one_batch(rows_by_object: RowsByObject) -> bool:
    """Return whether a file is taken at one go."""
    return rows_by_object.rows < ROWS_MAX and rows_by_object.objects < OBJECTS_MAX


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
