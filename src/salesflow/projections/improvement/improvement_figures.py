"""What an improvement moved: the figures of teams or reps around the starts, and what follows.

For a concluded improvement it is worked out twice, now and as of the conclusion.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Final, Literal, NamedTuple, cast

import numpy as np

from salesflow.domain.improvement import EVERYWHERE, ImprovementState
from salesflow.domain.metric import metric_of
from salesflow.domain.time import from_instant
from salesflow.domain.values import Reference, Value
from salesflow.domain.wording import Message
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Estimate
from salesflow.projections.core.currency import CurrencyConverter
from salesflow.projections.core.effects import (
    Effect,
    Verdict,
    estimate_effect,
    mean_change,
    verdict_text,
)
from salesflow.projections.core.question import Reader, Span, span_of
from salesflow.projections.core.statistics import Share, difference
from salesflow.projections.folds.closing import CLOSING
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
    "ImprovementVerdict",
    "Unit",
    "UnitAround",
    "VersionRate",
    "figures_moved",
    "verdict_of_improvement",
    "version_rates",
]


Unit = Literal["team", "rep"]
ImprovementVerdict = Literal[
    "evidence", "no_evidence", "differed_before", "no_placebo", "too_few", "changed_since",
    "no_change_since", "changed_unmatched", "no_change_unmatched", "window_not_over",
    "not_started",
]  # fmt: skip
OWN_VERDICTS: Final[Mapping[str, Message]] = {
    "changed_since": Message(
        "Everybody changed at once: this is before and after. The figure changed, and nothing"
        " tells whether it would have changed anyway"
    ),
    "no_change_since": Message(
        "Everybody changed at once: this is before and after. No evidence: the interval of the"
        " change includes 0, or there is none"
    ),
    "changed_unmatched": Message(
        "Nobody is there to compare with who had figures and had not started by the end of the"
        " same windows: this is before and after. The figure changed, and nothing tells whether"
        " it would have changed anyway. A shorter window may leave somebody"
    ),
    "no_change_unmatched": Message(
        "Nobody is there to compare with who had figures and had not started by the end of the"
        " same windows: this is before and after. No evidence: the interval of the change"
        " includes 0, or there is none. A shorter window may leave somebody"
    ),
    "window_not_over": Message("No window after a start is over yet"),
    "not_started": Message("It has not started yet"),
}
"""What is said where nothing is compared; else the verdict of the effect is said."""


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


class BeforeAfter(Value):
    """The figure of everybody before the first start and after it; it says nothing of cause."""

    start: Annotated[date, FieldRole.TRAIT]
    before: Decimal | None
    n_before: int
    """How many deals, visits or answers it rests on."""
    after: Decimal | None
    n_after: int
    change: Estimate | None
    """Of a rate of deals, customers or answers with its Newcombe interval; of anything else (a
    rate of amounts too) the mean change of those who started, with an interval by Student's
    t."""


class ImprovementMeasured(NamedTuple):
    """What an improvement moved, as far as can be said."""

    effect: Effect | None
    units: tuple[UnitAround, ...]
    before_after: BeforeAfter | None
    currency: str | None
    verdict: ImprovementVerdict


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
    windows = _windows(began, reader, by, days)
    if not windows.starts:
        return ImprovementMeasured(None, (), None, None, "window_not_over")
    fact = improvement.proposed
    assert fact is not None, "it was proposed"
    measured = MetricAt(fact.metric, fact.stage)
    [[around]] = figures_around(
        reader, [windows], [measured], exchange, by=by, process=fact.process
    )
    effect = estimate_effect(around.figures)
    beside = _before_after(
        improvement, windows, around, _ReadWith(reader, exchange, around.currency)
    )
    return ImprovementMeasured(
        effect,
        tuple(_units(windows, around)),
        beside,
        around.currency,
        _verdict(effect, beside, at_once=_at_once(began, reader)),
    )


def verdict_of_improvement(verdict: ImprovementVerdict) -> Message:
    """Return what follows, as a sentence."""
    return OWN_VERDICTS.get(verdict) or verdict_text(cast(Verdict, verdict))


def _at_once(began: Mapping[str, date], reader: Reader) -> bool:
    """Whether all teams there are began on one day."""
    teams = {began.get(team, began.get(EVERYWHERE)) for team in Teams.read(reader).names}
    return len(teams | {*began.values()}) == 1


def _verdict(effect: Effect, beside: BeforeAfter, *, at_once: bool) -> ImprovementVerdict:
    """Return what follows; where nobody can be compared, what before and after can say."""
    if effect.verdict != "no_comparison":
        return effect.verdict
    interval = None if beside.change is None else beside.change.interval
    if interval is None or interval.low <= 0 <= interval.high:
        return "no_change_since" if at_once else "no_change_unmatched"
    return "changed_since" if at_once else "changed_unmatched"


def _began(improvement: ImprovementState, reader: Reader) -> Mapping[str, date]:
    """Return the day from which each team does it so; under "" all those not named."""
    return {
        team: from_instant(event.effective).astimezone(reader.timezone).date()
        for team, event in improvement.starts.items()
    }


def _windows(began: Mapping[str, date], reader: Reader, by: Unit, days: int) -> EffectWindows:
    teams = Teams.read(reader)
    if by == "rep":
        return windows_around(reader, _by_rep(began, teams, reader), days)
    whole = {team: began.get(team, began.get(EVERYWHERE)) for team in teams.names}
    mine = {team: day for team, day in whole.items() if day is not None}
    found = windows_around(reader, mine, days)
    there = {team: _was_there(teams, team, found.spans) for team in teams.names}
    return found._replace(reps=list(teams.names), was_there=there)


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


class _ReadWith(NamedTuple):
    """What figures are read with."""

    reader: Reader
    exchange: CurrencyConverter
    currency: str | None


def _before_after(
    improvement: ImprovementState,
    windows: EffectWindows,
    around: FiguresAround,
    measuring: _ReadWith,
) -> BeforeAfter:
    """Set the figure of everybody after the first start beside that before it."""
    fact = improvement.proposed
    assert fact is not None, "it was proposed"
    metric = metric_of(fact.metric)
    spans = windows.spans[WINDOWS.index("before") : WINDOWS.index("after") + 1]
    within = MetricScope(process=fact.process, stage=fact.stage)
    measured = Measurement(measuring.reader, spans, within, exchange=measuring.exchange)
    sides = {each.span: each for each in measured.of(fact.metric)}
    both = [sides.get(number) for number in range(2)]
    before, after = (
        metric.of_nothing if each is None else each.in_unit(metric, measuring.currency)
        for each in both
    )
    counts = [0 if each is None else each.n for each in both]
    if metric.unit == "share" and metric.key not in BY_VALUE:
        shares = [
            Share(0 if value is None else round(value * n), n)
            for value, n in zip((before, after), counts, strict=True)
        ]
        change = difference(shares[1], shares[0])
    else:
        started = around.figures.is_treated()[:, 0]
        change = mean_change(
            around.figures.before[started, 0], around.figures.after[started, 0]
        )
    return BeforeAfter(
        start=windows.starts[0],
        before=before,
        n_before=counts[0],
        after=after,
        n_after=counts[1],
        change=change,
    )


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
