"""What an improvement moved: the figures of teams or reps around the starts, and what follows.

For a concluded improvement it is worked out twice, now and as of the conclusion. It is a module
of its own for its length: the question says all of this, and asks for nothing more.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Final, Literal, NamedTuple

import numpy as np

from salesflow.domain.improvement import EVERYWHERE, ImprovementProposed, ImprovementState
from salesflow.domain.metric import Metric, metric_of
from salesflow.domain.time import from_instant
from salesflow.domain.values import Reference, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Estimate
from salesflow.projections.core.currency import CurrencyConverter
from salesflow.projections.core.effect_estimates import rounded
from salesflow.projections.core.effects import Effect, estimate_effect, mean_change
from salesflow.projections.core.question import Reader, Span, span_of
from salesflow.projections.core.statistics import Share, difference
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.improvement.improvement_verdicts import (
    ImprovementVerdict,
    MovedTowards,
    Unmatched,
    moved_towards,
)
from salesflow.projections.metrics.effect_windows import (
    WINDOWS,
    EffectWindows,
    FiguresAround,
    MetricAt,
    compared_around,
    figures_around,
    windows_around,
)
from salesflow.projections.metrics.metric_values import Measurement
from salesflow.projections.scope import MetricScope, Teams

__all__ = [
    "BeforeAfter",
    "ImprovementMeasured",
    "Unit",
    "UnitAround",
    "UnitsMean",
    "VersionRate",
    "figures_moved",
    "version_rates",
    "what_was_measured",
]


Unit = Literal["team", "rep"]
BY_VALUE: Final = ("win_rate_by_value",)
"""Rates of amounts: no count of deals stands behind them, and so no interval of a rate."""


class UnitAround(Value):
    """A team or a rep in the windows of one start, with the figures that count."""

    start: Annotated[date, FieldRole.KEY]
    unit: Annotated[Reference, FieldRole.KEY]
    group: Literal["started", "not_yet_started"]
    earlier: Decimal | None
    before: Decimal
    after: Decimal
    change: Decimal


class UnitsMean(Value):
    """The mean of the figures of teams or reps that started, of those that have both."""

    count: int
    """Of how many."""
    before: Decimal
    after: Decimal
    change: Estimate
    """Their mean change, with its interval by Student's t."""


class BeforeAfter(Value):
    """The figure before the first start and after it; it says nothing of cause.

    It is of those that started then and were there in both windows, all their deals together;
    of the whole company where everybody changed at once.
    """

    start: Annotated[date, FieldRole.TRAIT]
    everybody: bool
    """Whether everybody changed at once: then it is of the whole company."""
    started: tuple[Reference, ...]
    """Else the teams or reps that it is of."""
    before: Decimal | None
    n_before: int
    """How many deals, visits or answers it rests on."""
    after: Decimal | None
    n_after: int
    change: Estimate | None
    """After less before; of a rate of deals, customers or answers with its Newcombe interval,
    of anything else (a rate of amounts too) without one."""
    mean: UnitsMean | None
    """None where no team or rep that started has figures in both windows."""

    @property
    def judged(self) -> Estimate | None:
        """The change whose interval says whether the figure changed; else that of all."""
        mean = None if self.mean is None else self.mean.change
        both = (it for it in (self.change, mean) if it is not None and it.interval is not None)
        return next(both, self.change)


class ImprovementMeasured(NamedTuple):
    """What an improvement moved, as far as can be said."""

    effect: Effect | None
    units: tuple[UnitAround, ...]
    before_after: BeforeAfter | None
    currency: str | None
    verdict: ImprovementVerdict
    unmatched: Unmatched | None = None
    towards: MovedTowards | None = None


def figures_moved(
    improvement: ImprovementState,
    reader: Reader,
    exchange: CurrencyConverter,
    *,
    by: Unit,
    days: int,
) -> ImprovementMeasured:
    """Measure everybody in the windows around the starts, and estimate."""
    began = _began(improvement, reader)
    if not began:
        return ImprovementMeasured(None, (), None, None, "not_started")
    teams = Teams.read(reader).until(reader.read_point.as_of)
    windows = _windows(began, teams, reader, by, days)
    if not windows.starts:
        return ImprovementMeasured(None, (), None, None, "window_not_over")
    fact = improvement.proposed
    assert fact is not None, "it was proposed"
    measured = MetricAt(fact.metric, fact.stage)
    [[around]] = figures_around(
        reader, [windows], [measured], exchange, by=by, process=fact.process
    )
    effect = estimate_effect(around.figures)
    at_once = _at_once(began, teams, windows)
    beside = _BeforeAfter(reader, exchange, fact, windows, around).of(by, everybody=at_once)
    verdict = _verdict(effect, beside, at_once=at_once)
    return ImprovementMeasured(
        effect,
        tuple(_units(windows, around)),
        beside,
        around.currency,
        verdict,
        _why_unmatched(windows, around) if verdict.endswith("_unmatched") else None,
        moved_towards(
            verdict,
            what_was_measured(effect, beside),
            fact.expected_effect,
            metric_of(fact.metric),
        ),
    )


def what_was_measured(effect: Effect | None, beside: BeforeAfter | None) -> Estimate | None:
    """Return the change that the verdict is about: compared with others where somebody is."""
    if effect is not None and effect.verdict != "no_comparison":
        return effect.changes
    return None if beside is None else beside.judged


def _at_once(began: Mapping[str, date], teams: Teams, windows: EffectWindows) -> bool:
    """Whether all teams there are began on one day: those of both windows, if there are any."""
    _, before, after, *_ = windows.spans
    there = [teams.names[number] for number in teams.staffed(before.start, after.end - 1)]
    days = {began.get(team, began.get(EVERYWHERE)) for team in there or teams.names}
    return len(days | {*began.values()}) == 1


def _verdict(effect: Effect, beside: BeforeAfter, *, at_once: bool) -> ImprovementVerdict:
    """Return what follows; where nobody can be compared, what before and after can say."""
    if effect.verdict != "no_comparison":
        return effect.verdict
    interval = None if beside.judged is None else beside.judged.interval
    if interval is None or interval.low <= 0 <= interval.high:
        return "no_change_since" if at_once else "no_change_unmatched"
    return "changed_since" if at_once else "changed_unmatched"


def _why_unmatched(windows: EffectWindows, around: FiguresAround) -> Unmatched:
    """Return why nobody could be compared at any start."""
    figures, shape = around.figures, (len(windows.reps), len(windows.starts), len(WINDOWS))
    there = np.array([windows.was_there[unit] for unit in windows.reps], np.bool_)
    was_there = there.reshape(shape)[:, :, 1:].all(axis=2)
    known = np.isfinite(figures.before) & np.isfinite(figures.after)
    treated, compared = figures.is_treated(), figures.is_compared()
    has_figures = (treated & known).any(axis=0)
    if not has_figures.any():
        started = (treated & was_there).any()
        return "started_without_figures" if started else "started_not_there"
    left = (compared & was_there)[:, has_figures].any()
    return "others_without_figures" if left else "others_started"


def _began(improvement: ImprovementState, reader: Reader) -> Mapping[str, date]:
    """Return the day from which each team does it so; under "" all those not named."""
    return {
        team: from_instant(event.effective).astimezone(reader.timezone).date()
        for team, event in improvement.starts.items()
    }


def _windows(
    began: Mapping[str, date], teams: Teams, reader: Reader, by: Unit, days: int
) -> EffectWindows:
    """Cut the windows; where no team is known that started, the days are all the same."""
    if by == "rep":
        mine = _by_rep(began, teams, reader)
        found = windows_around(reader, mine or began, days)
        return found._replace(began=mine, reps=[*teams.reps])
    whole = {team: began.get(team, began.get(EVERYWHERE)) for team in teams.names}
    mine = {team: day for team, day in whole.items() if day is not None}
    found = windows_around(reader, mine or began, days)
    there = {team: _was_there(teams, team, found.spans) for team in teams.names}
    return found._replace(began=mine, reps=[*teams.names], was_there=there)


def _by_rep(began: Mapping[str, date], teams: Teams, reader: Reader) -> dict[str, date]:
    """Return from which day each rep does it so: by the team they were in on that day."""
    found: dict[str, date] = {}
    for rep in _reps(teams):
        days = []
        for team, day in began.items():
            start = span_of(day, day, reader).start
            mine = teams.of(rep, start)
            if mine is not None and (mine == team or (not team and mine not in began)):
                days.append(day)
        if days:
            found[rep] = min(days)
    return found


def _reps(teams: Teams) -> list[str]:
    return sorted({rep for team in teams.names for rep in teams.members(team)})


def _was_there(teams: Teams, team: str, spans: Sequence[Span]) -> list[bool]:
    """Return in which spans somebody was in a team at the first instant and at the last."""
    reps = teams.members(team)
    return [
        all(
            any(_member(teams, rep, at) == team for rep in reps)
            for at in (span.start, span.end - 1)
        )
        for span in spans
    ]


def _member(teams: Teams, rep: str, at: int) -> str | None:
    stay = teams.stay(rep, at)
    return None if stay is None or stay.start > at else stay.team


def _units(windows: EffectWindows, around: FiguresAround) -> Iterator[UnitAround]:
    """Yield who is compared at each start, those who started first."""
    for each in compared_around(windows, around):
        yield UnitAround(
            start=each.start,
            unit=each.unit,
            group="started" if each.has_started else "not_yet_started",
            earlier=each.earlier,
            before=each.before,
            after=each.after,
            change=each.after - each.before,
        )


class _BeforeAfter(NamedTuple):
    """Sets figures after the first start beside those before it."""

    reader: Reader
    exchange: CurrencyConverter
    fact: ImprovementProposed
    windows: EffectWindows
    around: FiguresAround

    def of(self, by: Unit, *, everybody: bool) -> BeforeAfter:
        """Measure the whole company where everybody changed at once, else those who did."""
        units = () if everybody else (*self._started(),)
        before, after = self._sides(by, units) if everybody or units else [_Side(None, 0)] * 2
        return BeforeAfter(
            start=self.windows.starts[0],
            everybody=everybody,
            started=units,
            before=before.value,
            n_before=before.n,
            after=after.value,
            n_after=after.n,
            change=self._change(before, after),
            mean=self._mean(),
        )

    @property
    def _metric(self) -> Metric:
        return metric_of(self.fact.metric)

    def _started(self) -> Iterator[str]:
        """Yield who started first and was there in both windows."""
        its = self.windows
        for unit in its.reps:
            if its.began.get(unit) == its.starts[0] and all(its.was_there[unit][1:3]):
                yield unit

    def _sides(self, by: Unit, units: tuple[str, ...]) -> list["_Side"]:
        """Measure both windows of the first start, of some teams or reps, or of all."""
        spans = self.windows.spans[WINDOWS.index("before") : WINDOWS.index("after") + 1]
        within = MetricScope(
            process=self.fact.process,
            stage=self.fact.stage,
            team=(units or None) if by == "team" else None,
            owner=(units or None) if by == "rep" else None,
        )
        measured = Measurement(self.reader, spans, within, exchange=self.exchange)
        found = {each.span: each for each in measured.of(self.fact.metric)}
        return [
            _Side(found[n].in_unit(self._metric, self.around.currency), found[n].n)
            if n in found
            else _Side(self._metric.of_nothing, 0)
            for n in range(len(spans))
        ]

    def _change(self, before: "_Side", after: "_Side") -> Estimate | None:
        if before.value is None or after.value is None:
            return None
        if self._metric.unit == "share" and self._metric.key not in BY_VALUE:
            return difference(after.share(), before.share())
        count = before.n + after.n
        return Estimate(value=after.value - before.value, interval=None, count=count)

    def _mean(self) -> UnitsMean | None:
        figures = self.around.figures
        started = figures.is_treated()[:, 0]
        before, after = figures.before[started, 0], figures.after[started, 0]
        change = mean_change(before, after)
        if change is None:
            return None
        both = np.isfinite(before) & np.isfinite(after)
        means = (rounded(math.fsum(it[both].tolist()) / change.count) for it in (before, after))
        first, last = (Decimal(0) if it is None else it for it in means)
        return UnitsMean(count=change.count, before=first, after=last, change=change)


class _Side(NamedTuple):
    """A figure of one window, and how many it rests on."""

    value: Decimal | None
    n: int

    def share(self) -> Share:
        """Return a rate as the count it is of."""
        return Share(0 if self.value is None else round(self.value * self.n), self.n)


class VersionRate(Value):
    """How many of the deals that closed under a process version since the start were won."""

    version: Annotated[int, FieldRole.KEY]
    won: int
    lost: int
    win_rate: Decimal | None


def version_rates(
    improvement: ImprovementState, reader: Reader
) -> tuple[list[VersionRate], Estimate | None]:
    """Count the closings since the first start by version of the process, where one is named.

    And how far the win rate under the version that brings the change lies above that under all
    others, with its Newcombe interval.
    """
    fact = improvement.proposed
    assert fact is not None, "it was proposed"
    began = _began(improvement, reader)
    if fact.process is None or fact.process_version is None or not began:
        return [], None
    start = span_of(min(began.values()), min(began.values()), reader).start
    rows = reader.columns(CLOSING).among("process", fact.process)
    rows = rows.between("closed", start, reader.read_point.as_of + 1)
    won, lost = rows.has("outcome", "won"), rows.has("outcome", "lost")
    version = rows["process_version"]
    counts = {
        int(each): (
            int(np.count_nonzero(won & (version == each))),
            int(np.count_nonzero(lost & (version == each))),
        )
        for each in np.unique(version[won | lost]).tolist()
    }
    found = [
        VersionRate(
            version=number, won=w, lost=x, win_rate=Decimal(w) / (w + x) if w + x else None
        )
        for number, (w, x) in sorted(counts.items())
    ]
    new = counts.get(fact.process_version, (0, 0))
    old = _summed(its for number, its in counts.items() if number != fact.process_version)
    return found, difference(Share(new[0], sum(new)), Share(old[0], sum(old)))


def _summed(counts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    found = [*counts]
    return sum(won for won, _ in found), sum(lost for _, lost in found)
