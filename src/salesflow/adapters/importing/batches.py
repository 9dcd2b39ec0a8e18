"""Takes the deals of a file through telling, comparing and recording, some hundred at a time.

A batch is told, compared with what is recorded of its deals, and appended in one transaction;
only then does it enter the report. When somebody else wrote to one of its streams meanwhile,
it is compared anew. What it costs in memory is one batch.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from uuid import UUID

from salesflow.adapters.eventlog import Draft, EventLog
from salesflow.adapters.foreign import try_again
from salesflow.adapters.importing.known import Known
from salesflow.adapters.importing.plan import Plan
from salesflow.adapters.importing.recording import Compared, Writer
from salesflow.adapters.importing.regularity import groundless
from salesflow.adapters.importing.report import ImportReport, Inferred, Irregular
from salesflow.adapters.importing.retelling import retelling
from salesflow.adapters.importing.settling import settle
from salesflow.adapters.importing.spool import ObjectRows, Spool
from salesflow.adapters.importing.telling import tell
from salesflow.adapters.importing.told import DealTold, Told
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.facts import Event
from salesflow.domain.moments import Instant

__all__ = ["Batches"]

ROWS_MAX = 5_000
OBJECTS_MAX = 1_000


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
    ) -> None:
        self._log = log
        self._plan = plan
        self._report = report
        self._horizon = horizon
        self._apply = apply_changes
        self._customers: set[UUID] = set()
        """Customers this import has met already."""

    def run(
        self,
        spool: Spool,
        *,
        record: bool,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Take all deals through, recording them or only saying what would be recorded."""
        done = 0
        for batch in _batches(spool.by_object()):
            deals = [tell(rows, self._plan, self._horizon) for rows in batch]
            taken = try_again(partial(self._through, deals, record=record))
            taken.count()
            self._customers |= taken.customers
            done += sum(len(rows.rows) for rows in batch)
            if progress is not None:
                progress(done, spool.rows)

    def _through(self, deals: list[DealTold], *, record: bool) -> "_Batch":
        """Compare deals with the log as it stands now, and append what is new."""
        batch = _Batch(self._log, self._plan, self._report, self._customers, self._apply)
        batch.compare([deal.copy() for deal in deals])
        if record:
            self._log.append_many(batch.appends)
        return batch


class _Batch:
    """One batch, compared with what the log holds now."""

    def __init__(
        self,
        log: EventLog,
        plan: Plan,
        report: ImportReport,
        met: set[UUID],
        apply_changes: bool,
    ) -> None:
        self._log = log
        self._plan = plan
        self._report = report
        self._met = met
        self._apply = apply_changes
        self._results: list[tuple[DealTold, Compared]] = []
        self._streams: Mapping[UUID, Sequence[Event]] = {}
        self._other_rules: Counter[str] = Counter()
        self.customers: set[UUID] = set()
        self.appends: list[Sequence[Draft]] = []

    def compare(self, deals: list[DealTold]) -> None:
        """Find out what is new of these deals."""
        source = self._plan.context.mapping.source
        streams = self._log.streams(_streams(deals), upto=self._log.head().position)
        self._streams = streams
        known = Known(source, streams, self._plan.context.zone)
        writer = Writer(source, self._report.import_id, known, apply_changes=self._apply)
        for deal in deals:
            settle(deal, self._plan, streams.get(deal.stream_id, ()))
            customers = [told for told in deal.customers if self._is_first(told)]
            found = retelling(deal, customers, known, self._plan)
            self._other_rules.update(found.other_rules)
            compared = writer.write(deal.object, found)
            self._results.append((deal, compared))
            if compared.drafts:
                self.appends.append(compared.drafts)

    def count(self) -> None:
        """Enter what was recorded into the report."""
        report = self._report
        for rule, facts in self._other_rules.items():
            report.other_rules[rule] = report.other_rules.get(rule, 0) + facts
        for deal, compared in self._results:
            report.facts_recorded += len(compared.new)
            report.facts_known += len(compared.known)
            report.facts_retracted += len(compared.retracted)
            report.facts_restored += len({event.source_id for event in compared.undone})
            report.objects_new += bool(compared.new) and deal.stream_id not in self._streams
            report.customers_registered += sum(
                isinstance(one.fact, CustomerRegistered) for one in compared.new
            )
            for change in compared.changes:
                report.change(change)
            report.facts_told += len(compared.new) + len(compared.known)
            self._infer(deal, compared.recorded)
            self._judge(deal, compared)
            self._count_rows(deal, compared)

    def _is_first(self, told: Told) -> bool:
        if told.stream_id in self._met or told.stream_id in self.customers:
            return False
        self.customers.add(told.stream_id)
        return True

    def _infer(self, deal: DealTold, new: Sequence[Told]) -> None:
        for told in new:
            if told.fact.inferred is not None:
                self._report.facts_inferred += 1
                self._report.inferred.append(
                    Inferred(
                        file=self._report.file,
                        line=told.line,
                        object=deal.object,
                        kind=told.fact.kind,
                        reason=told.fact.inferred,
                    )
                )

    def _judge(self, deal: DealTold, compared: Compared) -> None:
        own = [one for one in compared.recorded if one.stream_id == deal.stream_id]
        if not own:
            return
        stored = self._streams.get(deal.stream_id, ())
        published = self._plan.context.published
        for told, reason in groundless(own, stored, compared.without, published):
            self._report.irregular.append(
                Irregular(
                    file=self._report.file,
                    line=told.line,
                    object=deal.object,
                    kind=told.fact.kind,
                    source_id=told.source_id,
                    reason=reason,
                )
            )

    def _count_rows(self, deal: DealTold, compared: Compared) -> None:
        report = self._report
        new = {told.line for told in compared.new}
        changed = {change.line for change in compared.changes}
        for line in deal.lines:
            if line in deal.refused:
                report.refuse(line, deal.object, deal.refused[line])
                continue
            if line in deal.adjusted:
                report.adjust(line, deal.object, deal.adjusted[line])
            if line in deal.left_out:
                report.leave_out(line, deal.left_out[line])
            elif line in new:
                report.rows_recorded += 1
            elif line in changed:
                report.rows_changed += 1
            else:
                report.rows_known += 1


def _streams(deals: Sequence[DealTold]) -> Iterator[UUID]:
    for deal in deals:
        yield deal.stream_id
        for told in chain(deal.facts, deal.customers):
            yield told.stream_id


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
