"""Bottlenecks: where deals go on least and stand longest, and whether that can be told.

Answers "which stage holds us up, and is it worse than before?" for any past moment. Of each
open stage: which share of the deals that entered it in the period went on, and how long visits
that ended in the period had lasted, each with its interval and the same of the period before,
and the deals that stand there now. A stage is named a bottleneck only where it and another one
of its process rest on ten deals or more; whether it is told apart from the next one is said
too. Leaves out why: that is for people to find out, and for `win-loss` to give hints.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from salesflow.domain.time import Moment, Period
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import (
    NO_VALUE,
    Estimate,
    Interval,
    Total,
    days_text,
    estimate_text,
    number_text,
    totals,
    totals_text,
)
from salesflow.presentation.messages import Language, in_language, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.amounts import Amounts
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import Column, HeldRows
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.question import PeriodQuestion, Reader, Span, View
from salesflow.projections.core.statistics import Share, difference, in_days, spread
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.metrics.conversion_figures import Passages, Wanted, conversions
from salesflow.projections.metrics.visits import (
    StageKey,
    Steps,
    names_of_stages,
    read_steps,
)
from salesflow.projections.scope import Attribution, Grouping, MetricScope
from salesflow.projections.stages.stage_time_figures import causes_of, read_stalled

__all__ = ["Bottlenecks", "BottlenecksView", "NarrowStage", "StageStay", "median_interval"]


ENOUGH: Final = 10
"""Of fewer deals or visits nothing is claimed."""
EXACT_UP_TO: Final = 1_000
Z: Final = 1.959963984540054
VISITED: Final = Attribution("valid_from", "owner", "customer_id", "process")
HELD: Final = Attribution("valid_from", "owner", "customer_id", "process")


class StageStay(Value):
    """What became of a stage in one period."""

    entered: int
    """Deals that entered it in the period."""
    left: int
    """Those of them that went on, or left otherwise, by the moment."""
    conversion: Estimate | None
    """Which share of those went on to a later stage or were won, with its Wilson interval."""
    visits: int
    """Visits that ended in the period, as far as anybody knows how long they lasted."""
    days_median: Estimate | None
    """Of those, in days, with the interval that order statistics give; None of none."""


class NarrowStage(Value):
    """One open stage in the period and in the one before, and who stands there now."""

    process: Annotated[Reference, FieldRole.KEY]
    stage: Annotated[Reference, FieldRole.KEY]
    stage_en: SafeText
    stage_zh: SafeText
    figures: StageStay
    figures_before: StageStay
    conversion_change: Estimate | None
    """The conversion less that of the period before, with its Newcombe interval."""
    stay_change: Decimal | None
    """The median stay less that of the period before, in days."""
    stay_changed: Literal["longer", "shorter"] | None
    """Where both rest on ten visits or more and their intervals do not overlap."""
    few: bool
    """Whether conversion or stay rests on fewer than ten deals or visits."""
    lowest_conversion: bool
    """Whether the fewest of its process went on from here, of stages with ten deals or more."""
    longest_stay: bool
    """Whether visits of its process lasted longest here, of stages with ten visits or more."""
    next_conversion: Estimate | None
    """Of the stage of lowest conversion: how far the next lowest lies above it."""
    told_apart: bool | None
    """Whether that interval lies above 0; None for all other stages."""
    deals: int
    """Open deals that stand there at the moment."""
    deals_overdue: int
    """Those of them that stand there for longer than the stage limit."""
    amounts: tuple[Total, ...]


class BottlenecksView(View):
    """The open stages of each process, in their order."""

    population: ClassVar[str] = (
        "open stages; deals that entered one in the period, and visits that ended in it, by the"
        " moment, of deals not merged then, whoever owned the deal when it entered; deals that"
        " stand there: open at the moment, whoever owns them then"
    )
    formula: ClassVar[str] = (
        "conversion = moved on / (moved on + left otherwise) of the deals that entered, with"
        " its 95% Wilson interval; stay = median days of the visits that ended otherwise than"
        " by a merge or a migration, its 95% interval between two visits in order of their"
        " length (binomial); change of conversion with its 95% Newcombe interval; lowest and"
        " longest: only among stages of a process that rest on ten or more, and only where"
        " there are two of them; told apart = the Newcombe interval of the distance to the next"
        " lowest conversion lies above 0; overdue = moment - entered > the stage limit"
    )
    period: Period
    before: Period
    process: Reference | None
    owner: Reference | None
    team: Reference | None
    stages: tuple[NarrowStage, ...]

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the stages out, what can be said of bottlenecks below them."""
        zone = ZoneInfo(self.timezone)
        rows = tuple(_row(each, language) for each in self.stages)
        columns = (
            "Stage", "Entered", "Conversion (left)", "Conversion (left), prior",
            "Change of conversion, points (95% CI)", "Visits ended", "Median days",
            "Median days, prior", "Stay changed", "Deals", "Overdue", "Amount",
        )  # fmt: skip
        days = f"{days_text(self.period, zone)} · {in_language('prior period', language)}"
        about = f"{days} {days_text(self.before, zone)}"
        notes = tuple(_notes(self.stages, language))
        return [
            TableOfView(
                "Bottlenecks", columns, rows, notes=notes, about=about, words=("Stay changed",)
            )
        ]


class Bottlenecks(PeriodQuestion[BottlenecksView]):
    """From which stages do deals go on least, and in which do they stand longest?"""

    name: ClassVar[str] = "bottlenecks"
    folds: ClassVar[tuple[str, ...]] = (
        *(CUSTOMER.name, DEAL_STATE.name, MEMBERSHIP.name, STAGE_VISIT.name),
    )
    process: Reference | None = None
    """Only stages of this process (its key); all when left out."""
    owner: Reference | None = None
    """Only what this rep owned; all when left out."""
    team: Reference | None = None
    """Only what reps of this team (its key) owned while they were in it; all when left out."""

    def answer(self, reader: Reader, moment: Moment) -> BottlenecksView:
        """Walk the ways of all deals up to the moment."""
        span, before = self.spans(reader)
        steps = read_steps(reader)
        within = MetricScope(process=self.process, owner=self.owner, team=self.team)
        grouping = Grouping(reader, None, steps.rows.words, within)
        ways = _Ways(steps, grouping, reader)
        now, then = (ways.stays(each) for each in (span, before))
        standing = _standing(steps, grouping, reader)
        stages = [
            _stage(key, ways, (now[key], then[key]), standing.get(key, NOBODY))
            for key in ways.open_stages
            if _is_met(now[key], then[key]) or key in standing
        ]
        return BottlenecksView(
            moment=moment,
            period=span.period(),
            before=before.period(),
            process=self.process,
            owner=self.owner,
            team=self.team,
            stages=tuple(_judged(stages)),
        )


class _Ways:
    """The ways of deals, as far as they are asked about."""

    def __init__(self, steps: Steps, grouping: Grouping, reader: Reader) -> None:
        self._steps = steps
        self._names = names_of_stages(steps.versions, steps.visited, reader.processes)
        rows = steps.rows
        asked = rows.fitting(grouping.wanted(VISITED))
        in_team = grouping.in_team(rows, VISITED)
        asked = (asked if in_team is None else asked & in_team) & ~steps.merged
        process = rows.fitting({"process": grouping.within.process}) & ~steps.merged
        wanted = Wanted(process, lambda chosen: asked[chosen])  # without self: that is a circle
        self._asked = asked
        self._passages = Passages(steps, self._names, wanted, reader.processes)
        self._causes = causes_of(steps)

    @property
    def names(self) -> Mapping[StageKey, tuple[str, str]]:
        """What the stages are called."""
        return self._names

    @property
    def open_stages(self) -> list[StageKey]:
        """The stages in which a deal stood while it was open, in their order."""
        steps = self._steps
        seen = {
            (each.process, each.stage or "")
            for each in steps.standings
            if each.outcome == "open" and each.stage is not None
        }
        return [key for key in self._names if key in seen]

    def stays(self, span: Span) -> dict[StageKey, StageStay]:
        """Return what became of each stage in a period."""
        lasted = self._ended(span)
        return {
            key: _stay(found, lasted[number])
            for number, (key, found) in enumerate(
                zip(self._names, conversions(self._passages, span), strict=True)
            )
        }

    def _ended(self, span: Span) -> list[Column]:
        """Return how long the visits to each stage lasted that ended in a period, in order."""
        steps, stages = self._steps, self._passages.stages
        known = (self._causes >= 0) & self._asked & (stages >= 0)
        visits = np.flatnonzero(known & steps.rows.has("outcome", "open"))
        ended = steps.at[steps.ends[visits]]
        visits = visits[(ended >= span.start) & (ended < span.end)]
        of, lasted = stages[visits], steps.lasted[visits]
        order = np.lexsort([lasted, of])
        firsts = np.searchsorted(of[order], np.arange(len(self._names) + 1))
        return [lasted[order][a:b] for a, b in pairwise(firsts.tolist())]


def _stay(found: Any, lasted: Column) -> StageStay:  # noqa: ANN401 - a StageConversion
    return StageStay(
        entered=found.entered,
        left=found.moved_on + found.left,
        conversion=found.resolved,
        visits=len(lasted),
        days_median=_median(lasted),
    )


def _median(lasted: Column) -> Estimate | None:
    """Return the median of durations that are in order, with its interval in days."""
    middle = spread(lasted).days_median
    if middle is None:
        return None
    interval, place = None, median_interval(len(lasted))
    if place is not None:
        low, high = int(lasted[place]), int(lasted[len(lasted) - 1 - place])
        interval = Interval(low=in_days(low), high=in_days(high))
    return Estimate(value=middle, interval=interval, count=len(lasted))


def median_interval(count: int) -> int | None:
    """Return how many of so many observations lie outside an interval of the median, each side.

    The most for which the interval between the next ones covers the median with 95 % or more,
    whatever the distribution; None where there is no such interval. Beyond a thousand the
    binomial is taken for normal.
    """
    if count > EXACT_UP_TO:
        return max(math.floor((count - 1 - Z * math.sqrt(count)) / 2), 0)
    outside, ways = -1, 0
    for number in range(count // 2):
        ways += math.comb(count, number)
        if 40 * ways > 2**count:  # more than 2.5 % of all ways
            break
        outside = number
    return outside if outside >= 0 else None


class _Standing(NamedTuple):
    """The open deals that stand in one stage at the moment."""

    deals: int
    overdue: int
    amounts: tuple[Total, ...]


NOBODY: Final = _Standing(0, 0, ())


def _standing(steps: Steps, grouping: Grouping, reader: Reader) -> dict[StageKey, _Standing]:
    """Return who stands where, of those whom is asked about at the moment."""
    deals = _asked(reader.columns(DEAL_STATE).among("outcome", "open"), grouping, reader)
    stalled = read_stalled(steps, reader).deals
    overdue = _asked(stalled.among("outcome", "open"), grouping, reader)
    alike, late = (grouped(rows["process"], rows["stage"]) for rows in (deals, overdue))
    keys, keys_late = (
        [*rows.records("process", "stage", rows=its.first)]
        for rows, its in ((deals, alike), (overdue, late))
    )
    counts_late = dict(zip(keys_late, late.counts().tolist(), strict=True))
    sums = Amounts.of(deals).sums(alike.of, len(keys))
    return {
        key: _Standing(
            count,
            counts_late.get(key, 0),
            totals((name, unscaled(its), Decimal(1)) for name, its in worth.items()),
        )
        for key, count, worth in zip(keys, alike.counts().tolist(), sums, strict=True)
    }


def _asked(deals: HeldRows, grouping: Grouping, reader: Reader) -> HeldRows:
    deals = deals.where(deals.fitting(grouping.wanted(HELD)))
    at = np.full(len(deals), reader.read_point.as_of)
    in_team = grouping.in_team(deals, HELD, at)
    return deals if in_team is None else deals.where(in_team)


def _is_met(*sides: StageStay) -> bool:
    return any(side.entered or side.visits for side in sides)


def _stage(
    key: StageKey, ways: _Ways, sides: tuple[StageStay, StageStay], standing: _Standing
) -> NarrowStage:
    now, before = sides
    names = ways.names[key]
    medians = now.days_median, before.days_median
    return NarrowStage(
        process=key[0],
        stage=key[1],
        stage_en=names[0],
        stage_zh=names[1],
        figures=now,
        figures_before=before,
        conversion_change=difference(_share(now), _share(before)),
        stay_change=None
        if medians[0] is None or medians[1] is None
        else medians[0].value - medians[1].value,
        stay_changed=_changed(*medians),
        few=min(now.left, now.visits) < ENOUGH,
        lowest_conversion=False,
        longest_stay=False,
        next_conversion=None,
        told_apart=None,
        deals=standing.deals,
        deals_overdue=standing.overdue,
        amounts=standing.amounts,
    )


def _share(stay: StageStay) -> Share:
    part = 0 if stay.conversion is None else round(stay.conversion.value * stay.left)
    return Share(part, stay.left)


def _changed(
    now: Estimate | None, before: Estimate | None
) -> Literal["longer", "shorter"] | None:
    if now is None or before is None or min(now.count, before.count) < ENOUGH:
        return None
    if now.interval is None or before.interval is None:
        return None
    if now.interval.low > before.interval.high:
        return "longer"
    return "shorter" if now.interval.high < before.interval.low else None


def _judged(stages: Sequence[NarrowStage]) -> Iterator[NarrowStage]:
    """Name the bottlenecks of each process, where there is enough to tell any."""
    found: dict[tuple[str, str], dict[str, object]] = {}
    for process in dict.fromkeys(each.process for each in stages):
        mine = [each for each in stages if each.process == process]
        narrow = [each for each in mine if each.figures.left >= ENOUGH]
        if len(narrow) > 1:
            narrow.sort(key=_conversion)
            lowest, following = narrow[:2]
            apart = difference(_share(following.figures), _share(lowest.figures))
            interval = None if apart is None else apart.interval
            found.setdefault((process, lowest.stage), {}).update(
                lowest_conversion=True,
                next_conversion=apart,
                told_apart=interval is not None and interval.low > 0,
            )
        slow = [each for each in mine if each.figures.visits >= ENOUGH]
        if len(slow) > 1:
            longest = max(slow, key=_days)
            found.setdefault((process, longest.stage), {}).update(longest_stay=True)
    for each in stages:
        changes = found.get((each.process, each.stage))
        yield each.model_copy(update=changes) if changes else each


def _conversion(stage: NarrowStage) -> Decimal:
    assert stage.figures.conversion is not None, "ten deals left it"
    return stage.figures.conversion.value


def _days(stage: NarrowStage) -> Decimal:
    assert stage.figures.days_median is not None, "ten visits ended"
    return stage.figures.days_median.value


def _row(each: NarrowStage, language: Language) -> tuple[str, ...]:
    name = each.stage_zh if language == "zh" else each.stage_en
    now, before = each.figures, each.figures_before
    change = estimate_text(each.conversion_change, percent=True).replace("%", "")
    return (
        name + (" *" if each.few else ""),
        f"{now.entered:,}",
        estimate_text(now.conversion, percent=True),
        estimate_text(before.conversion, percent=True),
        change,
        f"{now.visits:,}",
        estimate_text(now.days_median, places=1),
        estimate_text(before.days_median, places=1),
        each.stay_changed or NO_VALUE,
        f"{each.deals:,}",
        f"{each.deals_overdue:,}",
        totals_text(each.amounts),
    )


def _notes(stages: Sequence[NarrowStage], language: Language) -> Iterator[str]:
    """Say which stages are bottlenecks, and of which nothing can be said."""
    for each in stages:
        name = each.stage_zh if language == "zh" else each.stage_en
        if each.lowest_conversion:
            conversion = estimate_text(each.figures.conversion, percent=True)
            told = say(
                "Lowest conversion: {stage}, {conversion}",
                language,
                stage=name,
                conversion=conversion,
            )
            clear = (
                "clearly lower than the next"
                if each.told_apart
                else "not told apart from the next"
            )
            yield f"{told} · {in_language(clear, language)}"
        if each.longest_stay and each.figures.days_median is not None:
            days = number_text(each.figures.days_median.value)
            yield say(
                "Longest stay: {stage}, {days} days (median)", language, stage=name, days=days
            )
    if not any(each.lowest_conversion or each.longest_stay for each in stages):
        yield in_language(
            "No bottleneck is named: no two stages of a process rest on ten deals or more",
            language,
        )
    if any(each.few for each in stages):
        yield in_language("* fewer than ten deals left it or visits ended", language)
