"""The stages deals passed in a period, and the bottleneck among them.

The bottleneck is the open stage in which deals spent most time beyond the longest stay that the
stage has in its process. A stay that nobody limited is never too long, so a process without
limits has no bottleneck. Beside it stand the number of deals, the median of the visits that
ended in the period, and the conversion of the cohort that entered in it, which settle how bad
it is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, NamedTuple

import numpy as np

from salesflow.domain.time import DAY, FOREVER, Instant
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Estimate
from salesflow.projections.core.column_figures import exact_sum, runs_of
from salesflow.projections.core.columns import Column
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.core.statistics import decimal_of, spread
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
    Steps,
    names_of_stages,
)
from salesflow.projections.review.review_scope import ReviewScope
from salesflow.projections.stages.stage_time_figures import (
    causes_of,
    days_max,
)
from salesflow.projections.table import Processes

__all__ = [
    "Bottleneck",
    "StageFigures",
    "StagePassed",
    "bottleneck",
    "stages_passed",
]


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
