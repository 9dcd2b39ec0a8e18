"""The KPIs of stages, as process versions set them: each measured at its stage, with a target.

Answers "does each stage do what we want of it?" for a period and any past moment: lead
conversion of prospecting, follow-ups per prospect, win rate of negotiation, and whatever else a
process version names. Targets are those of the newest version under which any deal stands.
Goals that somebody sets for a period are in `GoalAttainment`.
"""

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar
from zoneinfo import ZoneInfo

from salesflow.domain.metric import METRICS, STAGE_KPIS, Metric
from salesflow.domain.process import ProcessVersion, Stage, StageKpi
from salesflow.domain.time import Moment, Period
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.figure_text import FigureText
from salesflow.presentation.format import NO_VALUE, Total, days_text, totals_text
from salesflow.presentation.messages import Language, in_language
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.currency import (
    CurrencyConverter,
    MoneyQuestion,
    MoneyView,
    RateRule,
)
from salesflow.projections.core.question import PeriodQuestion, Reader, Span
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.metrics.metric_values import (
    METRIC_FOLDS,
    KpiTables,
    Measurement,
    MetricFigure,
)
from salesflow.projections.scope import MetricScope

__all__ = ["StageKpiLine", "StageKpis", "StageKpisView"]


class StageKpiLine(Value):
    """A figure watched in a stage, what it came to, and its target."""

    process: Annotated[Reference, FieldRole.KEY]
    stage: Annotated[Reference, FieldRole.KEY]
    kpi: Annotated[Reference, FieldRole.KEY]
    """As the process version calls it."""
    version: int
    """The newest version under which any deal stands, whose target it is."""
    stage_en: SafeText
    stage_zh: SafeText
    metric: Reference | None
    """The metric it is; None where no metric is called so, which is not measured."""
    at_stage: bool
    """Whether it is measured at the stage, or of the whole process."""
    target: Decimal | None
    value: Decimal | None
    """Of money only where it is of one currency."""
    amounts: tuple[Total, ...]
    rests_on: int
    value_before: Decimal | None
    """That of the period before."""
    met: bool | None
    """Whether the target is reached; None without a target or a value."""


class StageKpisView(MoneyView):
    """The KPIs of all stages in the order of their processes."""

    population: ClassVar[str] = (
        "what happened in the period at each stage by the moment: deals that entered it,"
        " contacts and answers while the deal stood there, deals that closed from there; what"
        " has no stage is of the whole process; whoever's the deals were when it happened"
    )
    formula: ClassVar[str] = (
        "lead conversion, stage conversion = moved on ÷ entered, by the moment; contact count ="
        " contacts ÷ deals contacted, at the stage; win rate = won / (won + lost) of deals that"
        " closed from the stage; all others as in the KPIs; met = at or above the target, at or"
        " below it where less is better"
    )
    period: Period
    before: Period
    kpis: tuple[StageKpiLine, ...]

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the figures out beside their targets."""
        rows = tuple(self._row(line, language) for line in self.kpis)
        columns = (
            "Stage", "KPI", "Result", "Target value", "Target reached", "Rests on",
            "Result, prior period",
        )  # fmt: skip
        days = days_text(self.period, ZoneInfo(self.timezone))
        unknown = ", ".join(sorted({it.kpi for it in self.kpis if it.metric is None}))
        notes: tuple[str, ...] = ()
        if unknown:
            notes = (f"{in_language('no metric is called so:', language)} {unknown}",)
        return [TableOfView("Stage KPIs", columns, rows, notes=notes, about=days)]

    def _row(self, line: StageKpiLine, language: Language) -> tuple[str, ...]:
        several = len({each.process for each in self.kpis}) > 1
        name = line.stage_zh if language == "zh" else line.stage_en
        metric = None if line.metric is None else METRICS[line.metric]
        text = FigureText(None if metric is None else metric.unit, language)
        reached = {True: "yes", False: "no"}
        return (
            f"{line.process}: {name}" if several else name,
            line.kpi if metric is None else metric.name(language),
            totals_text(line.amounts) if line.amounts else text.beside_target(line.value),
            text.beside_target(line.target),
            NO_VALUE if line.met is None else in_language(reached[line.met], language),
            f"{line.rests_on:,}",
            text.beside_target(line.value_before),
        )


class StageKpis(MoneyQuestion[StageKpisView], PeriodQuestion[StageKpisView]):
    """Does each stage reach the targets that its process sets for it?"""

    name: ClassVar[str] = "stage-kpis"
    folds: ClassVar[tuple[str, ...]] = tuple(sorted(METRIC_FOLDS))
    rates_usual: ClassVar[RateRule] = "event"
    process: Reference | None = None
    """Only stages of this process (its key); all when left out."""
    owner: Reference | None = None
    """Only what happened while this rep owned the deal."""
    team: Reference | None = None
    """Only what happened while its owner was in this team (its key)."""

    def answer(self, reader: Reader, moment: Moment) -> StageKpisView:
        """Measure each KPI at its stage."""
        span, before = self.spans(reader)
        exchange, tables = self.exchange(reader), KpiTables(reader)
        measuring = _StageKpis(self, reader, (span, before), exchange, tables)
        lines = [line for each in _newest(reader, self.process) for line in measuring.of(each)]
        return StageKpisView(
            moment=moment,
            period=span.period(),
            before=before.period(),
            kpis=tuple(lines),
            rates=exchange.used,
        )


class _StageKpis:
    """Measures the KPIs of the stages of process versions, in a period and the one before."""

    def __init__(
        self,
        asked: StageKpis,
        reader: Reader,
        spans: tuple[Span, Span],
        exchange: CurrencyConverter,
        tables: KpiTables,
    ) -> None:
        self._asked = asked
        self._reader = reader
        self._spans = spans
        self._exchange = exchange
        self._tables = tables

    def of(self, version: ProcessVersion) -> Iterator[StageKpiLine]:
        """Yield the KPIs of a process version, in the order of its stages."""
        for stage in version.stages:
            for kpi in stage.kpis:
                yield self._line(version, stage, kpi)

    def _line(self, version: ProcessVersion, stage: Stage, kpi: StageKpi) -> StageKpiLine:
        metric = METRICS.get(STAGE_KPIS.get(kpi.metric, kpi.metric))
        now, before = self._figures(version.key, stage.key, metric)
        value = None if metric is None else now.in_unit(metric)
        return StageKpiLine(
            process=version.key,
            stage=stage.key,
            kpi=kpi.metric,
            version=version.version,
            stage_en=stage.name_en,
            stage_zh=stage.name_zh,
            metric=None if metric is None else metric.key,
            at_stage=metric is not None and metric.at_stage != "never",
            target=kpi.target,
            value=value,
            amounts=now.amounts,
            rests_on=now.n,
            value_before=None if metric is None else before.in_unit(metric),
            met=_met(value, kpi.target, metric),
        )

    def _figures(
        self, process: str, stage: str, metric: Metric | None
    ) -> tuple[MetricFigure, MetricFigure]:
        if metric is None:
            nothing = MetricFigure(0, None, None, (), 0)
            return nothing, nothing
        within = MetricScope(
            process=process,
            owner=self._asked.owner,
            team=self._asked.team,
            stage=None if metric.at_stage == "never" else stage,
        )
        measurement = Measurement(
            self._reader, self._spans, within, exchange=self._exchange, tables=self._tables
        )
        now, before = measurement.of(metric.key)
        return now, before


def _newest(reader: Reader, process: str | None) -> Iterator[ProcessVersion]:
    """Yield the newest version of each process under which any deal stands."""
    deals = reader.columns(DEAL_STATE)
    alike = grouped(*deals.cut("process", "process_version")).first
    versions: dict[str, int] = defaultdict(int)
    for key, version in deals.records("process", "process_version", rows=alike):
        if process in (None, key):
            versions[key] = max(versions[key], version)
    for key in sorted(versions):
        found = reader.processes.get((key, versions[key]))
        if found is not None:
            yield found


def _met(value: Decimal | None, target: Decimal | None, metric: Metric | None) -> bool | None:
    if value is None or target is None or metric is None:
        return None
    return value <= target if metric.better == "lower" else value >= target
