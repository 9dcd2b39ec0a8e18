"""One batch of deals: compared with what the log holds now, drafted, and counted."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from uuid import UUID

from salesflow.adapters.eventlog import Draft, EventLog
from salesflow.adapters.importing.known import Known
from salesflow.adapters.importing.merging import Survivors
from salesflow.adapters.importing.plan import Plan
from salesflow.adapters.importing.problems import RowProblem
from salesflow.adapters.importing.recording import Compared, Writer
from salesflow.adapters.importing.regularity import groundless
from salesflow.adapters.importing.report import ImportReport, Inferred, Irregular
from salesflow.adapters.importing.retelling import retelling
from salesflow.adapters.importing.settling import settle
from salesflow.adapters.importing.telling import NO_DATE
from salesflow.adapters.importing.told import DealTold, Told
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.facts import Event
from salesflow.domain.history import refuse_unreadable

__all__ = ["Batch"]


class Batch:
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
        self._part = report.part()
        self._met = met
        self._apply = apply_changes
        self._results: list[tuple[DealTold, Compared]] = []
        self._streams: Mapping[UUID, Sequence[Event]] = {}
        self._other_rules: Counter[str] = Counter()
        self._not_told: Counter[str] = Counter()
        self.customers: set[UUID] = set()
        self.appends: list[Sequence[Draft]] = []

    def compare(
        self, groups: Sequence[Sequence[DealTold]], survivors: Survivors | None = None
    ) -> None:
        """Find out what is new of these deals; what hangs together becomes one append."""
        source = self._plan.context.mapping.source
        deals = list(chain.from_iterable(groups))
        streams = self._log.streams(_streams(deals), upto=self._log.head().position)
        for events in streams.values():  # what cannot be read cannot be compared
            refuse_unreadable(events)
        self._streams = streams
        known = Known(source, streams, self._plan.context.day_zone)
        for deal in deals:
            settle(deal, self._plan, streams.get(deal.stream_id, ()))
        if survivors is not None:
            survivors.leave_out_impossible(deals, known, self._plan)
        writer = Writer(source, self._part.import_id, known, apply_changes=self._apply)
        for group in groups:
            drafts: list[Draft] = []
            for deal in group:
                customers = [told for told in deal.customers if self._is_first(told)]
                found = retelling(deal, customers, known, self._plan)
                self._other_rules.update(found.other_rules)
                self._not_told.update(found.not_told)
                compared = writer.write(deal.object, found)
                self._results.append((deal, compared))
                drafts += compared.drafts
            if drafts:
                self.appends.append(drafts)

    def refuse(self, deals: Sequence[DealTold], problem: RowProblem) -> None:
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
        return report

    def _is_first(self, told: Told) -> bool:
        if told.stream_id in self._met or told.stream_id in self.customers:
            return False
        self.customers.add(told.stream_id)
        return True

    def _infer(self, deal: DealTold, new: Sequence[Told]) -> None:
        for told in new:
            if told.fact.inferred is not None:
                self._part.facts_inferred += 1
                self._part.objects_undated += told.fact.opens and told.fact.inferred == NO_DATE
                self._part.inferred.append(
                    Inferred(
                        file=self._part.file,
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
            self._part.irregular.append(
                Irregular(
                    file=self._part.file,
                    line=told.line,
                    object=deal.object,
                    kind=told.fact.kind,
                    source_id=told.source_id,
                    reason=reason,
                )
            )

    def _count_rows(self, deal: DealTold, compared: Compared) -> None:
        report = self._part
        for number, rows in deal.rules.items():
            title = self._plan.rules[number].title
            report.rules[title] = report.rules.get(title, 0) + rows
        report.rows_tied += len(deal.tied - set(deal.refused))
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
