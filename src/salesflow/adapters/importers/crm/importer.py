"""Imports the export of a CRM: a folder, a zip archive or one file, with all its tables.

    report = import_crm(Salesforce, "export/", log=flow.log, timezone="Europe/Vienna")

A first reading numbers the records, looks which pipelines and stages there are and puts the
records of each deal together; then deals are extracted, compared and recorded batch by batch,
as by every importer. Facts are recorded as they are: no exit criterion or rule of a process is
applied.
"""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from salesflow.adapters.event_store.append import SKEW
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.published import LayeredProcesses, PublishedProcesses
from salesflow.adapters.importers.crm.beside_deals import BesideDeals
from salesflow.adapters.importers.crm.deal_facts import (
    ROW_ID,
    Reading,
    extract_deal,
    rules_of,
)
from salesflow.adapters.importers.crm.exports import CrmExport, CrmRecord, ExportTable
from salesflow.adapters.importers.crm.present_state import add_present_state
from salesflow.adapters.importers.crm.stages import unweighed, version_of
from salesflow.adapters.importers.crm.system import BESIDE, CrmContext, CrmSystem, refusing
from salesflow.adapters.importers.csv import BadRow, FileFormat
from salesflow.adapters.importers.errors import RowError
from salesflow.adapters.importers.extracted import ExtractedDeal, ExtractedFact
from salesflow.adapters.importers.ids import fact_source_id, object_id
from salesflow.adapters.importers.pipeline import ImportParts, ImportPipeline, is_one_batch
from salesflow.adapters.importers.process_versions import publish_process, published_versions
from salesflow.adapters.importers.report import ImportReport
from salesflow.adapters.importers.report_entries import SourceFile
from salesflow.adapters.importers.resume import KeptParts, fingerprint
from salesflow.adapters.importers.rows import ObjectRows, RowsByObject
from salesflow.adapters.importers.source import ImportSource
from salesflow.adapters.logs import Progress
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.ids import new_id
from salesflow.domain.process import ProcessVersion
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.domain.time import same_rules, zone
from salesflow.domain.wording import Message
from salesflow.errors import InputError

__all__ = ["import_crm"]

UNWEIGHED: Final = (
    "nothing says how likely a sale is from these stages; amounts in them are weighted by"
    " 50 %: {stages}"
)


def import_crm(  # noqa: PLR0913 - what the command line offers, all by keyword
    system: type[CrmSystem],
    path: str | Path,
    *,
    log: EventLog,
    timezone: str | None = None,
    currency: str | None = None,
    encoding: str | None = None,
    strict: bool = False,
    apply_changes: bool = False,
    trial: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Import the export of a system, and report what became of every record.

    `timezone` is the zone of days and of times without one, `currency` that of amounts without
    one, `encoding` that of files which are not UTF-8. With `strict` anything refused, adjusted
    or changed at the source refuses all of it; with `apply_changes` facts the source now tells
    differently are retracted and recorded anew; with `trial` nothing is recorded.

    Raises:
        InputError: when there is no table of the system, or times need a zone that nobody
            named. Nothing is recorded then.
    """
    business = _business_zone(log, timezone)
    horizon = max(log.now(), log.head().recorded) + SKEW
    context = CrmContext(
        business, currency, horizon, lambda source, id: bool(log.stream(object_id(source, id)))
    )
    form = FileFormat(encoding=encoding)
    with CrmExport(Path(path), system.shapes, form) as export, RowsByObject() as rows:
        export.ensure_has(system.needed, system.hint)
        work = _CrmImport(system(context), export, log, business)
        work.report.strict, work.report.applied_changes = strict, apply_changes
        return work.run(
            rows, strict=strict, apply_changes=apply_changes, trial=trial, progress=progress
        )


def _business_zone(log: EventLog, named: str | None) -> ZoneInfo | None:
    """Return the zone of the database's days, or the one named for a new one."""
    events = log.stream(SETTINGS_ID)
    recorded = Settings.replay(SETTINGS_ID, events).timezone if events else None
    if named is None:
        return recorded
    wanted = zone(named)
    if recorded is not None and not same_rules(recorded, wanted):
        raise InputError(
            f"this database keeps its days in {recorded.key}, not {wanted.key}; leave"
            " --timezone out, or import into a database of its own"
        )
    return wanted


class _CrmImport:
    """One export on its way into the log."""

    def __init__(
        self,
        system: CrmSystem,
        export: CrmExport,
        log: EventLog,
        business: ZoneInfo | None,
    ) -> None:
        self._system = system
        self._export = export
        self._log = log
        self._zone = business
        self._beside = BesideDeals(system, log)
        self._starts: list[int] = []
        self._processes: dict[str, ProcessVersion] = {}
        self._publish: list[ProcessVersion] = []
        self._unweighed: list[Message] = []
        self.report = ImportReport(
            import_id=f"import:{new_id()}",
            source=system.name,
            file=str(export.path),
            mapping=system.name,
        )

    def run(
        self,
        rows: RowsByObject,
        *,
        strict: bool,
        apply_changes: bool,
        trial: bool,
        progress: Progress | None,
    ) -> ImportReport:
        """Read, compare and record."""
        report = self.report
        self._system.columns = self._export.columns()
        self._read(rows)
        self._define_processes()
        report.assumed = [
            *self._system.assumed(),
            *self._unweighed,
            *self._beside.known_elsewhere(),
        ]
        parts = self._parts(rows)
        if strict or trial or self._zone is None:
            tried = report.model_copy(deep=True)
            pipeline = self._pipeline(tried, apply_changes=apply_changes)
            shown = progress if trial else None
            pipeline.run(rows, record=False, parts=parts, progress=shown)
            if trial or (strict and tried.problems):
                tried.recorded = False
                return self._finished(tried)
        for version in self._publish:
            publish_process(self._log, version, import_id=report.import_id)
        names = [f"{each.key} v{each.version}" for each in self._publish]
        report.process_published = ", ".join(names) or None
        pipeline = self._pipeline(report, apply_changes=apply_changes)
        pipeline.run(rows, record=True, parts=parts, progress=progress)
        parts.done()
        return self._finished(report)

    def _finished(self, report: ImportReport) -> ImportReport:
        report.finish(self._place)
        return report

    def _parts(self, rows: RowsByObject) -> ImportParts:
        """Return what an interrupted import kept, unless one batch is all there is."""
        if is_one_batch(rows):
            return ImportParts()
        report, context = self.report, self._system.context
        settings = (
            self._system.name,
            self._zone and self._zone.key,
            context.currency,
            report.strict,
            report.applied_changes,
            sorted(self._processes.items()),
        )
        files = [table.file.at_rest for table in self._export.tables]
        return KeptParts(self._log, fingerprint(files, *settings), report)

    def _pipeline(self, report: ImportReport, *, apply_changes: bool) -> ImportPipeline:
        return ImportPipeline(
            self._log, self._source(), report, self._extract, apply_changes=apply_changes
        )

    # Reading: every record is numbered, counted, and put with those of its deal.

    def _read(self, rows: RowsByObject) -> None:
        first = 0
        for table in self._export.tables:
            self._starts.append(first)
            last = self._read_table(table, rows, first)
            first = last
        report = self.report
        report.files += [SourceFile(name=name, table=None) for name in self._export.left]
        report.objects = sum(not name.startswith(BESIDE) for name in rows.names)

    def _read_table(self, table: ExportTable, rows: RowsByObject, first: int) -> int:
        """Read a table whose lines are numbered from `first`, and return the next number."""
        report, last, count = self.report, first, 0
        for record in self._export.records(table, first):
            report.rows_read += 1
            count += 1
            if isinstance(record, BadRow):
                last = record.line
                report.refuse(record.line, None, RowError(record.reason))
                continue
            last = record.place
            self._put(record, rows)
        report.files.append(
            SourceFile(
                name=table.name,
                table=table.shape.kind,
                rows=count,
                unknown_columns=table.unread(),
            )
        )
        report.blank_lines += table.file.blank_lines
        return last + 1

    def _put(self, record: CrmRecord, rows: RowsByObject) -> None:
        refused: dict[int, RowError] = {}
        object, text = None, ""
        with refusing(record, refused):
            record = self._system.told(record)
            left_out = self._system.leave_out(record)
            if left_out is not None:
                self.report.leave_out(record.place, left_out)
                return
            self._system.look(record)
            object = self._system.object_of(record)
            text = json.dumps(record.values, ensure_ascii=False)
        if refused:
            self.report.refuse(record.place, None, refused[record.place])
            return
        if object is None:
            self.report.rows_of_settings += 1
            return
        rows.add(object, record.place, [record.kind, text])

    def _place(self, number: int) -> tuple[str, int]:
        """Return in which file and line a record stands."""
        table = bisect_right(self._starts, number) - 1
        return self._export.tables[table].name, number - self._starts[table]

    # Pipelines: what they are here, and whether a version of them has to be published.

    def _define_processes(self) -> None:
        for pipeline in self._system.pipelines():
            published = published_versions(self._log, pipeline.key)
            latest = published[max(published)] if published else None
            version = version_of(pipeline.key, pipeline.name, pipeline.stages, latest)
            self._processes[pipeline.key] = version
            if version != latest and self.report.objects:
                self._publish.append(version)
            stages = unweighed(pipeline.stages, latest)
            if stages:
                self._unweighed.append(Message(UNWEIGHED, stages=", ".join(stages)))

    def _source(self) -> ImportSource:
        new = {(each.key, each.version): each for each in self._processes.values()}
        rules = rules_of(self._system.labels)
        self._rule_numbers: Mapping[str, int] = {
            rule.label: number for number, rule in enumerate(rules)
        }
        main = next(iter(self._processes.values()))
        return ImportSource(
            name=self._system.name,
            process=main,
            published=LayeredProcesses(new, PublishedProcesses(self._log)),
            day_zone=self._zone,
            rules=rules,
            row_id=ROW_ID,
            one_row=False,
            object_columns="id",
            opened_columns=None,
            opening="infer",
            closed_before_opened="open_earlier",
            open_deal=lambda object, because: DealOpened(
                process=main.key,
                process_version=main.version,
                stage=main.open_stages[0].key,
                title=object,
                inferred=because,
            ),
            complete=partial(add_present_state, self._processes),
        )

    # Extracting: the records of one deal, or of one thing beside deals, become facts.

    def _extract(self, rows: ObjectRows) -> ExtractedDeal:
        records = [
            CrmRecord(cells[0], place, json.loads(cells[1])) for place, cells in rows.rows
        ]
        lines = [place for place, _ in rows.rows]
        if rows.object.startswith(BESIDE):
            return self._beside.extract(rows, records, lines)
        return self._deal(rows.object, records, lines)

    def _deal(self, id: str, records: Sequence[CrmRecord], lines: list[int]) -> ExtractedDeal:
        refused: dict[int, RowError] = {}
        deal = self._system.deal(id, records, refused)
        process = self._processes[deal.process] if deal.process else None
        main = process or next(iter(self._processes.values()))
        reading = Reading(
            self._system.name, main.key, self._processes, self._rule_numbers, self._zone
        )
        found = extract_deal(deal, reading, lines)
        found.process = process
        found.tied |= deal.tied
        found.left_out.update(deal.left_out)
        found.named.update(deal.named)
        found.told_with.update(
            {
                place: found.told_with.get(other, other)
                for place, other in deal.told_with.items()
            }
        )
        for place, notes in deal.notes.items():
            for note in notes:
                found.adjust(place, note)
        for place, problem in refused.items():
            found.refuse(place, problem)
        customer = None if deal.is_unknown else deal.now.get("customer")
        if isinstance(customer, str) and not self._system.registers(customer):
            stream = object_id(self._system.name, customer, "customer")
            registered = self._system.customer_named(customer, deal)
            key = fact_source_id(customer, "customer")
            found.customers.append(ExtractedFact.of(stream, key, registered, None, found.place))
        if not deal.is_unknown and found.place not in found.refused:
            self._beside.name_owners(deal, found, found.place)
        return found
