"""The stages deals passed in a period, and the bottleneck among them.

The bottleneck is the open stage in which deals spent most time beyond the longest stay that the
stage has in its process. A stay that nobody limited is never too long, so a process without
limits has no bottleneck. Beside it stand the number of deals, the median of the visits that
ended in the period, and the conversion of the cohort that entered in it, which settle how bad
it is.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal
from uuid import UUID

from salesflow.domain.time import DAY, Instant
from salesflow.domain.values import Currency, Reference, SafeText, Value, tidy
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Estimate
from salesflow.projections.core.currency import exact
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.core.statistics import decimal_of, spread
from salesflow.projections.forecast.forecast import end_of
from salesflow.projections.forecast.forecast_figures import SlippageLine, slippage_lines
from salesflow.projections.forecast.forecast_reading import (
    ForecastPoint,
    SlippedRow,
    read_outcomes,
    read_slipped,
)
from salesflow.projections.review.retrospective_figures import ReviewScope
from salesflow.projections.scope import stage_name
from salesflow.projections.stages.conversion_figures import (
    StageConversion,
    StageOrders,
    conversions,
)
from salesflow.projections.stages.stage_time_figures import (
    StalledStanding,
    cause_of,
    read_stalled,
    stalled_deal,
)
from salesflow.projections.stages.visits import (
    StageKey,
    StageNames,
    StageVisit,
    StepClock,
    VisitPath,
    spans,
    stages_of,
)
from salesflow.projections.table import Processes

__all__ = [
    "Bottleneck",
    "DealSlipped",
    "DealStalled",
    "StageFigures",
    "StagePassed",
    "bottleneck",
    "slippage_of",
    "slipped_deals",
    "stages_passed",
    "stalled_deals",
]


# The deals a retrospective names: those that slipped out of the period, those that stalled.
#
# What slippage and stalling are is said by the questions about them (`Forecast`, `StageTimes`);
# here the deals behind the figures are listed, those of a part of sales alone.

Order = tuple[bool, str, Decimal, UUID]


class DealSlipped(Value):
    """A deal open at the period's start and expected in it that did not close in it."""

    deal: Annotated[UUID, FieldRole.KEY]
    owner: Reference | None
    """At the period's start; so are amount and the date expected."""
    amount: Decimal | None
    currency: Currency | None
    expected_close: date
    expected_after: date | None
    """The date at the period's end, or at the moment; None where it was taken away."""
    slipped: Literal["moved", "overdue"]
    process: Reference
    stage: Reference
    """Where it stood at the period's end."""
    stage_en: SafeText
    stage_zh: SafeText
    outcome: Reference | None
    """What has become of it by the moment."""


class DealStalled(Value):
    """A deal that stood in its stage for too long at the period's end, or at the moment."""

    deal: Annotated[UUID, FieldRole.KEY]
    owner: Reference | None
    amount: Decimal | None
    currency: Currency | None
    expected_close: date | None
    process: Reference
    stage: Reference
    stage_en: SafeText
    stage_zh: SafeText
    entered_at: datetime
    days: Decimal
    days_max: int


def slippage_of(span: Span, part: ReviewScope, reader: Reader) -> list[SlippageLine]:
    """Return what became of the deals expected at a period's start, per currency."""
    point = _start(span, reader)
    if point is None:
        return []
    end, over = end_of(span, reader)
    fates = read_outcomes(reader, point, end, over, part.scope)
    mine = (
        row._replace(group=None)
        for row in fates
        if part.has_rep(row.group, point.read_point.as_of)
    )
    return list(slippage_lines(mine))


def slipped_deals(span: Span, part: ReviewScope, reader: Reader) -> list[DealSlipped]:
    """Name the deals that slipped: per currency, the dearest first."""
    point = _start(span, reader)
    if point is None:
        return []
    end, over = end_of(span, reader)
    rows = read_slipped(reader, point, end, over, part.scope)
    mine = (row for row in rows if part.has_rep(row.owner, point.read_point.as_of))
    return sorted((_slipped(row, reader) for row in mine), key=_order)


def stalled_deals(
    paths: Iterable[VisitPath], span: Span, part: ReviewScope, reader: Reader
) -> list[DealStalled]:
    """Name the deals that stalled by a period's end: per currency, the dearest first."""
    at = span.closing(reader.read_point.as_of)
    by_then = ([step for step in path if step.at <= at] for path in paths)
    found = read_stalled([path for path in by_then if path], reader, at)
    mine = [
        _stalled(step, standing, at, reader)
        for step, standing in found
        if part.has(step.owner, step.process, at)
    ]
    return sorted(mine, key=_order)


def _start(span: Span, reader: Reader) -> ForecastPoint | None:
    """Cut the period's start; None where it lies ahead."""
    if span.opening > reader.read_point.as_of:
        return None
    return ForecastPoint(reader.read_point._replace(as_of=span.opening), span)


def _order(deal: DealSlipped | DealStalled) -> Order:
    return deal.currency is None, deal.currency or "", -(deal.amount or Decimal(0)), deal.deal


def _slipped(row: SlippedRow, reader: Reader) -> DealSlipped:
    place = (row.stage, row.process, row.process_version)
    stage = stage_name(*place, reader.processes)
    return DealSlipped(
        deal=row.deal,
        owner=row.owner,
        amount=_amount(row.amount),
        currency=row.currency,
        expected_close=date.fromisoformat(row.expected),
        expected_after=_day(row.expected_after),
        slipped="overdue" if row.fate == "overdue" else "moved",
        process=row.process,
        stage=row.stage,
        stage_en=stage.name_en,
        stage_zh=stage.name_zh,
        outcome=row.outcome,
    )


def _stalled(
    step: StageVisit, standing: StalledStanding, at: int, reader: Reader
) -> DealStalled:
    name = stage_name(step.stage or "", step.process, step.version, reader.processes)
    names = StageNames(name.name_en, name.name_zh)
    found = stalled_deal(step, names, at, standing.days_max)
    return DealStalled(
        **dict(found),
        amount=_amount(standing.amount),
        currency=standing.currency,
        expected_close=_day(standing.expected_close),
    )


def _amount(millionths: int | None) -> Decimal | None:
    return None if millionths is None else tidy(exact(None, millionths))


def _day(written: str | None) -> date | None:
    return None if written is None else date.fromisoformat(written)


class StageFigures(Value):
    """What happened in one open stage in a period."""

    deals: int
    """Deals that were there at some time of the period."""
    deals_over: int
    """Those of them that were there for longer than the longest stay in the period."""
    days_over: Decimal
    """How long they were there beyond it, within the period, all together."""
    days_median: Decimal | None
    """Of the visits that ended in the period."""
    entered: int
    """Deals that entered it in the period."""
    conversion: Estimate | None
    """Of those: moved on ÷ (moved on + left otherwise) by the moment."""


class StagePassed(Value):
    """One open stage in the period and in the period before."""

    process: Annotated[Reference, FieldRole.KEY]
    stage: Annotated[Reference, FieldRole.KEY]
    stage_en: SafeText
    stage_zh: SafeText
    days_max: int | None
    """The longest stay, of the newest version deals were there under; None without a limit."""
    figures: StageFigures
    figures_before: StageFigures


class Bottleneck(Value):
    """The open stage in which deals stood too long for the longest time."""

    process: Reference
    stage: Reference
    stage_en: SafeText
    stage_zh: SafeText
    days_over: Decimal
    days_over_share: Decimal
    """Of the days over in all stages."""
    deals_over: int
    conversion: Decimal | None


class _Tally:
    """The visits to one stage in one period."""

    def __init__(self) -> None:
        self.over: Counter[UUID] = Counter()
        """Microseconds too long, by deal; 0 for one that was there in time."""
        self.ended: list[int] = []


def stages_passed(
    paths: Sequence[VisitPath], periods: tuple[Span, Span], part: ReviewScope, reader: Reader
) -> list[StagePassed]:
    """Set the open stages of a period beside those of the period before, in their order."""
    names = stages_of(paths, reader.processes)
    tallies = [_tallies(paths, span, part, reader) for span in periods]
    cohorts = [_cohorts(paths, names, span, part, reader.processes) for span in periods]
    limits = _limits(paths, reader.processes)
    found = []
    for key in names:
        if not any(key in tally for tally in tallies):
            continue
        figures, before = (
            _figures(tally.get(key), cohort.get(key))
            for tally, cohort in zip(tallies, cohorts, strict=True)
        )
        passed = StagePassed(
            process=key[0],
            stage=key[1],
            stage_en=names[key].en,
            stage_zh=names[key].zh,
            days_max=limits.get(key),
            figures=figures,
            figures_before=before,
        )
        found.append(passed)
    return found


def bottleneck(
    stages: Iterable[StagePassed], of: Callable[[StagePassed], StageFigures]
) -> Bottleneck | None:
    """Find the stage with the most days over; of several, where fewest deals go on.

    None where no deal stood too long anywhere.
    """
    rows = [(stage, of(stage)) for stage in stages]
    everything = sum((Fraction(figures.days_over) for _, figures in rows), Fraction(0))
    if not everything:
        return None
    stage, figures = min(rows, key=lambda row: (-row[1].days_over, _rate(row[1])))
    return Bottleneck(
        process=stage.process,
        stage=stage.stage,
        stage_en=stage.stage_en,
        stage_zh=stage.stage_zh,
        days_over=figures.days_over,
        days_over_share=decimal_of(Fraction(figures.days_over) / everything),
        deals_over=figures.deals_over,
        conversion=None if figures.conversion is None else figures.conversion.value,
    )


def _rate(figures: StageFigures) -> Decimal:
    """Return the conversion; one of nothing is as good as any."""
    return Decimal(1) if figures.conversion is None else figures.conversion.value


def _tallies(
    paths: Iterable[VisitPath], span: Span, part: ReviewScope, reader: Reader
) -> dict[StageKey, _Tally]:
    """Put the visits to open stages that lie in a period to their stages."""
    closing = span.closing(reader.read_point.as_of)
    until = min(span.end, reader.read_point.as_of)
    clock = StepClock(reader.read_point.as_of, reader.timezone)
    found: dict[StageKey, _Tally] = defaultdict(_Tally)
    for step, end in _open_visits(paths, part):
        if step.at > closing or (end is not None and end.at < span.start):
            continue
        if end is None or max(end.at, step.at + 1) > span.start:  # else it only ended there
            left = until if end is None else min(end.at, until)
            over = _over(step, left, span.start, reader.processes)
            found[step.key].over[step.deal] += over
        if end is not None and end.at <= closing and cause_of(end) is not None:
            found[step.key].ended.append(clock.lasted(step, end))
    return found


def _over(step: StageVisit, left: Instant, start: Instant, processes: Processes) -> int:
    """Return for how long from an instant on a visit was too long, in microseconds."""
    days_max = _days_max(step, processes)
    return 0 if days_max is None else max(left - max(step.at + days_max * DAY, start), 0)


def _days_max(step: StageVisit, processes: Processes) -> int | None:
    stage = processes[step.process, step.version].by_key.get(step.stage or "")
    return None if stage is None else stage.max_days


def _limits(paths: Iterable[VisitPath], processes: Processes) -> dict[StageKey, int | None]:
    """Return the longest stay in each stage, of the newest version it was entered under."""
    newest: dict[StageKey, StageVisit] = {}
    for path in paths:
        for step in path:
            if step.stage is not None and step.outcome == "open":
                known = newest.setdefault(step.key, step)
                newest[step.key] = max(known, step, key=lambda each: each.version)
    return {key: _days_max(step, processes) for key, step in newest.items()}


def _open_visits(
    paths: Iterable[VisitPath], part: ReviewScope
) -> Iterator[tuple[StageVisit, StageVisit | None]]:
    for path in paths:
        for step, end in spans(path):
            if step.stage is not None and step.outcome == "open" and part.has_step(step):
                yield step, end


def _cohorts(
    paths: Iterable[VisitPath],
    names: Mapping[StageKey, StageNames],
    span: Span,
    part: ReviewScope,
    processes: Processes,
) -> dict[StageKey, StageConversion]:
    unmerged = [path for path in paths if path[-1].outcome != "merged"]
    found = conversions(unmerged, names, StageOrders(processes), span.holds, part.has_step)
    return {(each.process, each.stage): each for each in found}


def _figures(tally: _Tally | None, cohort: StageConversion | None) -> StageFigures:
    over = Counter[UUID]() if tally is None else tally.over
    return StageFigures(
        deals=len(over),
        deals_over=sum(too_long > 0 for too_long in over.values()),
        days_over=decimal_of(Fraction(sum(over.values()), DAY)),
        days_median=spread(() if tally is None else tally.ended).days_median,
        entered=0 if cohort is None else cohort.entered,
        conversion=None if cohort is None else cohort.resolved,
    )
