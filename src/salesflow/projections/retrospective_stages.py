"""The stages deals passed in a period, and the bottleneck among them.

The bottleneck is the open stage in which deals spent most time beyond the longest stay that the
stage has in its process. A stay that nobody limited is never too long, so a process without
limits has no bottleneck. Beside it stand the number of deals, the median of the visits that
ended in the period, and the conversion of the cohort that entered in it, which settle how bad
it is.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Annotated
from uuid import UUID

from salesflow.domain.moments import DAY, Instant
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.projections.conversion_figures import Orders, StageConversion, conversions
from salesflow.projections.estimates import Estimate, decimal_of
from salesflow.projections.periods import Span
from salesflow.projections.questions import Reader
from salesflow.projections.records import Role
from salesflow.projections.retrospective_part import Part
from salesflow.projections.spread import spread
from salesflow.projections.stage_time_figures import cause_of
from salesflow.projections.tables import Processes
from salesflow.projections.visits import (
    StageKey,
    StageNames,
    Step,
    StepClock,
    Way,
    spans,
    stages_of,
)

__all__ = ["Bottleneck", "StageFigures", "StagePassed", "bottleneck", "stages_passed"]


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

    process: Annotated[Reference, Role.KEY]
    stage: Annotated[Reference, Role.KEY]
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
    ways: Sequence[Way], periods: tuple[Span, Span], part: Part, reader: Reader
) -> list[StagePassed]:
    """Set the open stages of a period beside those of the period before, in their order."""
    names = stages_of(ways, reader.processes)
    tallies = [_tallies(ways, span, part, reader) for span in periods]
    cohorts = [_cohorts(ways, names, span, part, reader.processes) for span in periods]
    limits = _limits(ways, reader.processes)
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
    """Give the conversion; one of nothing is as good as any."""
    return Decimal(1) if figures.conversion is None else figures.conversion.value


def _tallies(
    ways: Iterable[Way], span: Span, part: Part, reader: Reader
) -> dict[StageKey, _Tally]:
    """Put the visits to open stages that lie in a period to their stages."""
    closing = span.closing(reader.cut.as_of)
    until = min(span.end, reader.cut.as_of)
    clock = StepClock(reader.cut.as_of, reader.timezone)
    found: dict[StageKey, _Tally] = defaultdict(_Tally)
    for step, end in _open_visits(ways, part):
        if step.at > closing or (end is not None and end.at < span.start):
            continue
        if end is None or max(end.at, step.at + 1) > span.start:  # else it only ended there
            left = until if end is None else min(end.at, until)
            over = _over(step, left, span.start, reader.processes)
            found[step.key].over[step.deal] += over
        if end is not None and end.at <= closing and cause_of(end) is not None:
            found[step.key].ended.append(clock.lasted(step, end))
    return found


def _over(step: Step, left: Instant, start: Instant, processes: Processes) -> int:
    """Give the microseconds from an instant on that a visit was too long, until it was left."""
    days_max = _days_max(step, processes)
    return 0 if days_max is None else max(left - max(step.at + days_max * DAY, start), 0)


def _days_max(step: Step, processes: Processes) -> int | None:
    stage = processes[step.process, step.version].by_key.get(step.stage or "")
    return None if stage is None else stage.max_days


def _limits(ways: Iterable[Way], processes: Processes) -> dict[StageKey, int | None]:
    """Give the longest stay in each stage, of the newest version it was entered under."""
    newest: dict[StageKey, Step] = {}
    for way in ways:
        for step in way:
            if step.stage is not None and step.outcome == "open":
                known = newest.setdefault(step.key, step)
                newest[step.key] = max(known, step, key=lambda each: each.version)
    return {key: _days_max(step, processes) for key, step in newest.items()}


def _open_visits(ways: Iterable[Way], part: Part) -> Iterator[tuple[Step, Step | None]]:
    for way in ways:
        for step, end in spans(way):
            if step.stage is not None and step.outcome == "open" and part.has_step(step):
                yield step, end


def _cohorts(
    ways: Iterable[Way],
    names: Mapping[StageKey, StageNames],
    span: Span,
    part: Part,
    processes: Processes,
) -> dict[StageKey, StageConversion]:
    unmerged = [way for way in ways if way[-1].outcome != "merged"]
    found = conversions(unmerged, names, Orders(processes), span.holds, part.has_step)
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
