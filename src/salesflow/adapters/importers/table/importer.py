"""Imports a table: any CSV file, as a mapping describes it, into the log.

    report = import_table("sales.csv", "sales.toml", log=flow.log)
    print(report.facts_recorded, report.rows_refused)

Facts are recorded as they are: no exit criterion or rule of a process is applied (see
`salesflow.domain.deal.state` for what then is irregular). The log's event ids, times of
recording and positions are its own; where each fact came from is in its envelope.

What it leaves out: opening the database in the right time zone, which is the caller's, who
passes `timezone or mapping.timezone` when opening a new one; read tables, which catch up by
themselves.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from salesflow.adapters.event_store.append import SKEW
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.published import LayeredProcesses, PublishedProcesses
from salesflow.adapters.importers.csv import BadRow, TableFile, TableRow
from salesflow.adapters.importers.errors import MappingError, RowError, row_error
from salesflow.adapters.importers.ids import split_source_id
from salesflow.adapters.importers.numbers import NumberReader
from salesflow.adapters.importers.pipeline import (
    ImportParts,
    ImportPipeline,
    is_one_batch,
)
from salesflow.adapters.importers.process_versions import publish_process
from salesflow.adapters.importers.report import ImportReport
from salesflow.adapters.importers.report_entries import findings_of
from salesflow.adapters.importers.resume import KeptParts, fingerprint
from salesflow.adapters.importers.rows import RowsByObject
from salesflow.adapters.importers.table.columns import (
    Context,
    FindingCounts,
    Layout,
    LookupTable,
    RowCleaner,
)
from salesflow.adapters.importers.table.extract import ROW_UNREADABLE, extract
from salesflow.adapters.importers.table.mapping import TableMapping
from salesflow.adapters.importers.table.mapping_file import (
    MappingFile,
    declared_process,
    find_process,
    read_mapping,
)
from salesflow.adapters.importers.table.plan import ImportPlan, compile_plan
from salesflow.adapters.importers.table.row_order import Direction
from salesflow.adapters.logs import Progress
from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.ids import new_id
from salesflow.domain.process import Category
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.domain.time import Instant, same_rules, zone
from salesflow.domain.wording import Message
from salesflow.errors import InputError

__all__ = ["OpenRows", "RowFile", "import_rows", "import_table"]


class RowFile(Protocol):
    """A file of rows, whatever it is written in: a header, and numbered rows below it."""

    at_rest: Path
    """What is read, and stays as it is while it is."""
    header: list[str]
    blank_lines: int
    """Lines without anything in them, counted by the last reading."""

    def rows(self) -> Iterator[TableRow | BadRow]:
        """Read the rows, one after the other; no two of a deal have one number."""

    def found(self) -> FindingCounts:
        """Return what columns held that is worth a line of the report."""

    def assumed(self) -> list[Message]:
        """Return what the file leaves open, or holds beside rows, in sentences."""


OpenRows = Callable[[Path, TableMapping, ZoneInfo | None], RowFile]
"""Opens a file, by a mapping and the zone of times that name none."""

OPENED_BY = (
    "SELECT position, source_id FROM salesflow_events WHERE tenant = ? AND position > ?"
    " AND source = ? AND topic >= 'deal.opened:' AND topic < 'deal.opened;'"
    " ORDER BY position LIMIT 10000"
)
ENTERED: Final[dict[str, tuple[Category, ...]]] = {
    "deal.won": ("after_sales", "won"),
    "deal.lost": ("lost",),
    "deal.disqualified": ("disqualified",),
}
"""Which stages closing facts enter, as `salesflow.domain.deal.state` settles it."""


def import_table(  # noqa: PLR0913 - what the command line offers, all by keyword
    path: str | Path,
    mapping: str | Path | TableMapping | MappingFile,
    *,
    log: EventLog,
    strict: bool = False,
    apply_changes: bool = False,
    trial: bool = False,
    timezone: str | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import a CSV file as a mapping says, and report what became of every row.

    With `strict` anything refused, adjusted or changed at the source refuses the whole file:
    the report says `recorded=False`. With `apply_changes` facts the source now tells
    differently are retracted and recorded anew. With `trial` nothing is recorded. `timezone`
    is the zone of days and of times without one, when the mapping names none.

    Raises:
        InputError: when file or mapping cannot be read, do not go together, or times need a
            zone that nobody named. Nothing is recorded then.
    """
    return import_rows(
        _open_table,
        path,
        mapping,
        log=log,
        strict=strict,
        apply_changes=apply_changes,
        trial=trial,
        timezone=timezone,
        progress=progress,
    )


def import_rows(  # noqa: PLR0913 - what the command line offers, all by keyword
    opened: OpenRows,
    path: str | Path,
    mapping: str | Path | TableMapping | MappingFile,
    *,
    log: EventLog,
    strict: bool = False,
    apply_changes: bool = False,
    trial: bool = False,
    timezone: str | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import a file of another kind than CSV, as `import_table` does: `opened` reads its rows.

    Raises:
        InputError: as `import_table` does.
    """
    origin = _origin(mapping)
    try:
        work = _Import(opened, Path(path), origin, log, timezone)
        return work.run(
            strict=strict, apply_changes=apply_changes, trial=trial, progress=progress
        )
    except MappingError as error:
        raise origin.explain(error) from error


def _open_table(path: Path, mapping: TableMapping, zone: ZoneInfo | None) -> RowFile:
    del zone  # cells are texts, whatever the time in them
    return TableFile(path, mapping.file, _wanted(mapping))


def _origin(mapping: str | Path | TableMapping | MappingFile) -> MappingFile:
    if isinstance(mapping, MappingFile):
        return mapping
    if isinstance(mapping, TableMapping):
        return MappingFile(mapping, "the mapping")
    return read_mapping(mapping)


class _Import:
    """One file on its way into the log."""

    def __init__(
        self,
        opened: OpenRows,
        path: Path,
        origin: MappingFile,
        log: EventLog,
        timezone: str | None,
    ) -> None:
        mapping = origin.mapping
        self._mapping = mapping
        self._log = log
        self._zone = _zone(mapping, timezone)
        business = _business_zone(log, self._zone)
        lookups = _lookups(path, origin)
        times = mapping.times.timezone
        self._table = opened(path, mapping, zone(times) if times else self._zone or business)
        self._files = [self._table.at_rest, *(lookup.path for lookup in lookups.values())]
        layout = Layout(self._table.header, mapping, lookups)
        process = find_process(declared_process(mapping.process), log)
        version, numbers = process.version, mapping.numbers
        context = Context(
            mapping,
            layout,
            process,
            self._zone,
            NumberReader(numbers.decimal, numbers.thousands, numbers.strip),
            LayeredProcesses(
                {(version.key, version.version): version}, PublishedProcesses(log)
            ),
            business,
        )
        self._plan = compile_plan(context)
        self._cleaner = RowCleaner(layout, mapping, lookups, _checks(context))
        self._direction = Direction()
        self._horizon: Instant = max(log.now(), log.head().recorded) + SKEW
        self._report = _empty_report(path, origin, layout, self._plan)

    def run(
        self, *, strict: bool, apply_changes: bool, trial: bool, progress: Progress | None
    ) -> ImportReport:
        """Read, compare and record."""
        report = self._report
        report.strict, report.applied_changes = strict, apply_changes
        with RowsByObject() as rows_by_object:
            self._read(rows_by_object)
            report.objects = rows_by_object.objects
            parts = self._parts(rows_by_object)
            if strict or trial or self._zone is None:
                trial_report = report.model_copy(deep=True)
                extracted = progress if trial else None
                batches = self._batches(trial_report, apply_changes)
                batches.run(rows_by_object, record=False, parts=parts, progress=extracted)
                if trial or (strict and trial_report.problems):
                    trial_report.recorded = False
                    return self._finished(trial_report, rows_by_object)
            self._publish(report)
            batches = self._batches(report, apply_changes)
            batches.run(rows_by_object, record=True, parts=parts, progress=progress)
            parts.done()
            return self._finished(report, rows_by_object)

    def _parts(self, rows_by_object: RowsByObject) -> ImportParts:
        """Return what an interrupted import kept, unless one batch is all there is."""
        if is_one_batch(rows_by_object):
            return ImportParts()
        report = self._report
        settings = (
            self._mapping.model_dump(),
            self._zone and self._zone.key,
            report.strict,
            report.applied_changes,
            self._plan.context.process.version,
        )
        return KeptParts(self._log, fingerprint(self._files, *settings), report)

    def _batches(self, report: ImportReport, apply_changes: bool) -> ImportPipeline:
        extracted = partial(
            extract,
            plan=self._plan,
            horizon=self._horizon,
            newest_first=self._direction.newest_first,
        )
        return ImportPipeline(
            self._log, self._plan.source, report, extracted, apply_changes=apply_changes
        )

    def _read(self, rows_by_object: RowsByObject) -> None:
        report, plan = self._report, self._plan
        for row in self._table.rows():
            report.rows_read += 1
            if isinstance(row, BadRow):
                self._refuse(row.line, RowError(row.reason))
                continue
            try:
                cells, adjustments = self._cleaner.clean(row)
                object = plan.object(cells)
                if not object:
                    because = plan.why_left_out(cells)
                    if because is None:
                        columns = " or ".join(self._mapping.object.named)
                        raise RowError("has no deal id", columns)
                    report.leave_out(row.line, because)
                    continue
            except Exception as error:  # noqa: BLE001 - a row never ends an import
                self._refuse(row.line, row_error(error, ROW_UNREADABLE))
                continue
            self._look(object, cells)
            rows_by_object.add(object, row.line, cells)
            if adjustments:
                report.adjust(row.line, object, adjustments)
        report.blank_lines = self._table.blank_lines

    def _look(self, object: str, cells: Sequence[str]) -> None:
        """Compare the times of an event log's rows, until its direction is plain."""
        clock = self._plan.clock
        if clock is None or not self._direction.wants_more:
            return
        try:
            at = clock(cells, [])
        except (RowError, InputError):
            return
        if at is not None:
            self._direction.see(object, at.instant)

    def _refuse(self, line: int, problem: RowError) -> None:
        self._report.refuse(line, None, problem)

    def _publish(self, report: ImportReport) -> None:
        process = self._plan.context.process
        if process.defined and publish_process(
            self._log, process.version, import_id=report.import_id
        ):
            report.process_published = f"{process.version.key} v{process.version.version}"

    def _finished(self, report: ImportReport, rows_by_object: RowsByObject) -> ImportReport:
        report.objects_not_told = self._count_missing_deals(rows_by_object)
        report.findings = findings_of({**self._table.found(), **self._cleaner.findings})
        report.assumed = self._table.assumed()
        report.finish()
        return report

    def _count_missing_deals(self, rows_by_object: RowsByObject) -> int:
        """Count the deals recorded of this source that a table of deals does not hold."""
        if self._mapping.rows != "deals":
            return 0
        log, after, missing = self._log, 0, set[int]()
        while page := log.database.rows(OPENED_BY, (log.tenant, after, self._mapping.source)):
            objects = (split_source_id(source_id)[0] for _, source_id in page if source_id)
            missing.update(hash(object) for object in objects if object not in rows_by_object)
            after = page[-1][0]
        return len(missing)


def _lookups(path: Path, origin: MappingFile) -> dict[str, LookupTable]:
    folders = [*([origin.folder] if origin.folder else []), path.parent]
    mapping = origin.mapping
    return {
        name: LookupTable(name, spec, folders, mapping.maps)
        for name, spec in mapping.lookups.items()
    }


def _zone(mapping: TableMapping, timezone: str | None) -> ZoneInfo | None:
    named = timezone or mapping.timezone
    if timezone and mapping.timezone and not same_rules(zone(timezone), zone(mapping.timezone)):
        raise InputError(
            f"the mapping keeps its days in {mapping.timezone}, not {timezone}; leave one of"
            " the two out"
        )
    return zone(named) if named else None


def _business_zone(log: EventLog, zone: ZoneInfo | None) -> ZoneInfo | None:
    """Return the zone of the database's days, which mean the same everywhere in it."""
    events = log.stream(SETTINGS_ID)
    recorded = Settings.replay(SETTINGS_ID, events).timezone if events else None
    if zone is not None and recorded is not None and not same_rules(recorded, zone):
        raise InputError(
            f"this database keeps its days in {recorded.key}, not {zone.key}; where the table's"
            f' times are in another zone, write timezone = "{recorded.key}" at the top of the'
            f' mapping and [times] timezone = "{zone.key}"'
        )
    return recorded


def _wanted(mapping: TableMapping) -> list[str]:
    """Return column names by which to tell the delimiter."""
    whens = [rule.when for rule in mapping.facts if rule.when]
    names = [*mapping.object.named, *mapping.columns]
    names += [name for when in whens for name in when.column or ()]
    return names + (list(mapping.at.named) if mapping.at else [])


def _empty_report(
    path: Path, origin: MappingFile, layout: Layout, plan: ImportPlan
) -> ImportReport:
    """Return a report of all that is known before a row is read."""
    return ImportReport(
        import_id=f"import:{new_id()}",
        source=origin.mapping.source,
        file=str(path),
        mapping=origin.name,
        unknown_columns=layout.unused,
        rules=dict.fromkeys((rule.title for rule in plan.rules), 0),
        enters=_entered(plan),
        stays_open=_stays_open(plan),
    )


def _entered(plan: ImportPlan) -> dict[str, str]:
    """Return which stage each closing fact of the mapping makes a deal enter."""
    version = plan.context.process.version
    entered = {}
    for kind, categories in ENTERED.items():
        if any(rule.cls.kind == kind for rule in plan.rules):
            stage = version.first_of(*categories)
            entered[kind] = "(where it stood)" if stage is None else stage.key
    return entered


def _stays_open(plan: ImportPlan) -> list[str]:
    """Return the stages that close no deal, however late in the process they are."""
    if all(rule.cls is not StageMoved for rule in plan.rules):
        return []
    stages = plan.context.process.version.stages
    return [stage.key for stage in stages if stage.category == "after_sales"]


def _checks(context: Context) -> dict[str, Callable[[str], object]]:
    checks: dict[str, Callable[[str], object]] = {}
    for name, rule in context.layout.rules.items():
        match rule.type:
            case "number":
                checks[name] = context.numbers.read
            case "integer":
                checks[name] = _integer(context.numbers)
            case "time":
                checks[name] = context.times(rule.formats).read
            case "day":
                checks[name] = context.times(rule.formats).day
            case "text":
                pass
    return checks


def _integer(numbers: NumberReader) -> Callable[[str], object]:
    def check(text: str) -> object:
        number = numbers.read(text)
        if number != number.to_integral_value():
            raise RowError("is not a whole number")
        return number

    return check
