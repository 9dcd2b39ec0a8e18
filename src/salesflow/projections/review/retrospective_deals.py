"""The stages deals passed in a period, and the bottleneck among them.

The bottleneck is the open stage in which deals spent most time beyond the longest stay that the
stage has in its process. A stay that nobody limited is never too long, so a process without
limits has no bottleneck. Beside it stand the number of deals, the median of the visits that
ended in the period, and the conversion of the cohort that entered in it, which settle how bad
it is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

import numpy as np

from salesflow.domain.time import DAY, FOREVER, Instant
from salesflow.domain.values import Currency, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Estimate, Total, totals
from salesflow.projections.core.amounts import Amounts
from salesflow.projections.core.column_figures import exact_sum, runs_of
from salesflow.projections.core.column_groups import foremost
from salesflow.projections.core.columns import Column
from salesflow.projections.core.currency import unscaled
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
from salesflow.projections.metrics.conversion_figures import (
    Passages,
    StageConversion,
    Wanted,
    conversions,
)
from salesflow.projections.metrics.visits import (
    StageKey,
    StageNames,
    StageStanding,
    StageVisit,
    Steps,
    names_of_stages,
)
from salesflow.projections.review.retrospective_figures import ReviewScope
from salesflow.projections.scope import stage_name, unnamed_last
from salesflow.projections.stages.stage_time_figures import (
    Stalled,
    causes_of,
    days_max,
    describe_stalled,
    read_stalled,
)
from salesflow.projections.table import Processes

__all__ = [
    "Bottleneck",
    "DealSlipped",
    "DealStalled",
    "StageFigures",
    "StagePassed",
    "StalledDeals",
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

Order = tuple[bool, str, Decimal | int, UUID]


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


def slipped_deals(
    span: Span, part: ReviewScope, reader: Reader, limit: int
) -> tuple[list[DealSlipped], int]:
    """Name so many of the deals that slipped at most: per currency, the dearest first.

    Return also how many there are in all.
    """
    point = _start(span, reader)
    if point is None:
        return [], 0
    end, over = end_of(span, reader)
    rows = read_slipped(reader, point, end, over, part.scope)
    mine = [row for row in rows if part.has_rep(row.owner, point.read_point.as_of)]
    mine.sort(key=_order)
    return [_slipped(row, reader) for row in mine[:limit]], len(mine)


class StalledDeals(NamedTuple):
    """The deals that stalled by a period's end, or by the moment."""

    listed: tuple[DealStalled, ...]
    """Per currency, the dearest first; of more than were asked for, so many."""
    total: int
    amounts: tuple[Total, ...]


def stalled_deals(
    steps: Steps, span: Span, part: ReviewScope, reader: Reader, limit: int
) -> StalledDeals:
    """Find the deals that stalled by a period's end, and name so many at most."""
    steps = steps.until(span.closing(reader.read_point.as_of))
    stalled = read_stalled(steps, reader)
    stalled = stalled.chosen(np.flatnonzero(part.of_process(steps.rows)[stalled.steps]))
    at = np.full(len(stalled.steps), steps.as_of)
    stalled = stalled.chosen(np.flatnonzero(part.owned(stalled.deals, at)))
    amounts = Amounts.of(stalled.deals)
    currencies = amounts.currencies
    rank = [sorted(currencies, key=unnamed_last).index(each) for each in currencies]
    first = foremost(limit, np.array(rank, np.int64)[amounts.currency], -amounts.amount)
    listed = sorted(_listed(stalled.chosen(first), steps, reader), key=_order)
    [sums] = amounts.sums(np.zeros_like(amounts.currency), 1)
    worth = totals((currency, unscaled(its), Decimal(1)) for currency, its in sums.items())
    return StalledDeals(tuple(listed[:limit]), len(stalled.steps), worth)


def _start(span: Span, reader: Reader) -> ForecastPoint | None:
    """Cut the period's start; None where it lies ahead."""
    if span.opening > reader.read_point.as_of:
        return None
    return ForecastPoint(reader.read_point._replace(as_of=span.opening), span)


def _order(deal: SlippedRow | DealStalled) -> Order:
    return *unnamed_last(deal.currency), -(deal.amount or 0), deal.deal


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


def _listed(stalled: Stalled, steps: Steps, reader: Reader) -> Iterator[DealStalled]:
    def named(visit: StageVisit) -> StageNames:
        its = stage_name(visit.stage or "", visit.process, visit.version, reader.processes)
        return StageNames(its.name_en, its.name_zh)

    worth = map(stalled.deals.cells, ("amount", "currency", "expected_close"))
    found = describe_stalled(stalled, steps, named)
    for deal, amount, currency, expected in zip(found, *worth, strict=True):
        yield DealStalled(
            **dict(deal),
            amount=_amount(amount),
            currency=currency,
            expected_close=_day(expected),
        )


def _amount(millionths: int | None) -> Decimal | None:
    return None if millionths is None else unscaled(millionths)


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


def stages_passed(
    steps: Steps, periods: tuple[Span, Span], part: ReviewScope, reader: Reader
) -> list[StagePassed]:
    """Set the open stages of a period beside those of the period before, in their order."""
    processes = reader.processes
    names = names_of_stages(steps.versions, steps.visited, processes)
    visits, limits = _OpenVisits(steps, names, part, processes), _limits(steps, processes)
    wanted = Wanted(
        part.of_process(steps.rows) & ~steps.merged,
        lambda chosen: part.owned(steps.rows.ordered(chosen), steps.at[chosen]),
    )
    passages = Passages(steps, names, wanted, processes)
    now, before = (
        zip(visits.spent(span), conversions(passages, span), strict=True) for span in periods
    )
    return [
        StagePassed(
            process=key[0],
            stage=key[1],
            stage_en=names[key].en,
            stage_zh=names[key].zh,
            days_max=limits.get(key),
            figures=_figures(*figures),
            figures_before=_figures(*earlier),
        )
        for key, figures, earlier in zip(names, now, before, strict=True)
        if any(map(len, (*figures[0], *earlier[0])))
    ]


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


class _Spent(NamedTuple):
    """The visits to one stage in one period."""

    over: Column
    """Microseconds too long, of each deal that was there; 0 for one that was there in time."""
    ended: Column
    """How long those lasted that ended in it."""


class _OpenVisits:
    """The visits to open stages that belong to the part looked back on."""

    def __init__(
        self,
        steps: Steps,
        names: Mapping[StageKey, StageNames],
        part: ReviewScope,
        processes: Processes,
    ) -> None:
        is_open = steps.rows.has("outcome", "open") & (steps.stage >= 0)
        chosen = np.flatnonzero(is_open & part.of_process(steps.rows))
        chosen = chosen[part.owned(steps.rows.ordered(chosen), steps.at[chosen])]
        self._steps = steps
        self._chosen = chosen
        self._stages = len(names)
        self._stage = steps.stage_numbers(names)
        self._ended = causes_of(steps) >= 0
        self._limit = steps.by_standing(lambda its: _longest(its, processes) or 0)

    def spent(self, span: Span) -> Iterator[_Spent]:
        """Yield what lies in a period, stage by stage."""
        steps, visits = self._steps, self._in(span)
        start, end = steps.at[visits], self._end(visits)
        there = np.maximum(end, start + 1) > span.start  # else it only ended there
        until = np.minimum(end, min(span.end, steps.as_of))
        over = _over(start, until, span.start, self._limit[visits])
        ended = self._ended[visits] & (end <= span.closing(steps.as_of))
        for number in range(self._stages):
            mine = self._stage[visits] == number
            stayed, left = mine & there, mine & ended
            first, _ = runs_of(steps.deal[visits[stayed]])
            too_long = over[stayed]
            if len(first):
                too_long = np.add.reduceat(too_long, first)
            yield _Spent(too_long, steps.lasted[visits[left]])

    def _in(self, span: Span) -> Column:
        chosen, closing = self._chosen, span.closing(self._steps.as_of)
        begun = self._steps.at[chosen] <= closing
        return chosen[begun & (self._end(chosen) >= span.start)]

    def _end(self, visits: Column) -> Column:
        """Return when visits ended; behind all instants where they go on."""
        ends = self._steps.ends[visits]
        return np.where(ends < 0, FOREVER, self._steps.at[ends])


def _over(start: Column, until: Column, begun: Instant, limit: Column) -> Column:
    """Return for how long from an instant on visits were too long, in microseconds.

    They are when they last longer than so many days; 0 for no limit.
    """
    over = until - np.maximum(start + limit * DAY, begun)
    return np.where(limit > 0, np.maximum(over, 0), 0)


def _longest(standing: StageStanding, processes: Processes) -> int | None:
    return days_max(standing.process, standing.version, standing.stage or "", processes)


def _limits(steps: Steps, processes: Processes) -> dict[StageKey, int | None]:
    """Return the longest stay in each stage, of the newest version it was entered under."""
    stood = [each for each in steps.standings if each.stage and each.outcome == "open"]
    stood.sort(key=lambda each: each.version)
    return {(each.process, each.stage or ""): _longest(each, processes) for each in stood}


def _figures(spent: _Spent, cohort: StageConversion) -> StageFigures:
    over, ended = spent
    return StageFigures(
        deals=len(over),
        deals_over=int(np.count_nonzero(over)),
        days_over=decimal_of(Fraction(exact_sum(over), DAY)),
        days_median=spread(ended).days_median,
        entered=cohort.entered,
        conversion=cohort.resolved,
    )
