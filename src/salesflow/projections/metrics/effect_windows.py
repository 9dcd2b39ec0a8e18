"""The figures of reps in equal windows around the days from which something was done to them.

For whoever estimates an effect: which reps were there in which window, and what a metric came
to for each of them. A rep counts in a window who was in a team all the time of it; else the
figure would be of fewer days than those it is compared with. Leaves out what follows from the
figures: that is `core.effects`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, NamedTuple

import numpy as np
import sqlalchemy as sa
from pydantic import BeforeValidator, Field

from salesflow.domain.metric import metric_of
from salesflow.domain.time import FOREVER, Instant
from salesflow.errors import InputError
from salesflow.projections.core.currency import CurrencyConverter
from salesflow.projections.core.effects import EffectFigures
from salesflow.projections.core.question import Reader, Span, ensure_no_flag, span_of
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.metrics.metric_values import Measurement, MetricFigure
from salesflow.projections.scope import MetricScope, Teams

__all__ = [
    "WINDOWS",
    "EffectWindows",
    "FiguresAround",
    "MetricAt",
    "UnitCompared",
    "WindowDays",
    "compared_around",
    "figures_around",
    "windows_around",
]

WINDOWS: Final = ("earlier", "before", "after")
"""In their order: each ends where the next one begins, `after` begins on the day of a start."""
NEVER: Final = 1 << 40
Days = int
WindowDays = Annotated[Days, BeforeValidator(ensure_no_flag), Field(ge=7, le=1_095)]
"""How long the windows are, as a question takes it."""


class MetricAt(NamedTuple):
    """Which metric is looked at, and where."""

    metric: str
    stage: str | None = None


class EffectWindows(NamedTuple):
    """The windows around each start, and who was there."""

    reps: list[str]
    """All who were ever in a team, in order of their ids."""
    began: Mapping[str, date]
    """The day from which something was done to each to whom it was."""
    starts: list[date]
    """The different ones whose windows are over, in order."""
    days: Days
    spans: list[Span]
    """Three for each start, in the order of WINDOWS."""
    was_there: dict[str, list[bool]]
    """Of each rep, for each span, whether they were in a team all the time."""


def windows_around(reader: Reader, began: Mapping[str, date], days: Days) -> EffectWindows:
    """Cut the windows around the days from which something was done, where they are over."""
    as_of = reader.read_point.as_of
    starts, spans = [], []
    for start in sorted(set(began.values())):
        cut = [*_cut(start, days, reader)]
        if cut[-1].end - 1 <= as_of:
            starts.append(start)
            spans += cut
    teams, reps = Teams.read(reader), _reps(reader)
    there = {rep: _was_there(teams, rep, spans) for rep in {*reps, *began}}
    return EffectWindows(sorted(there), began, starts, days, spans, there)


def _cut(start: date, days: Days, reader: Reader) -> Iterable[Span]:
    for place in range(len(WINDOWS)):
        first = start + timedelta(days=(place - 2) * days)
        yield span_of(first, first + timedelta(days=days - 1), reader)


def _reps(reader: Reader) -> list[str]:
    """Return who was ever in a team, as known at the moment."""
    c, always = MEMBERSHIP.c, reader.read_point._replace(as_of=FOREVER)
    named: sa.Select[Any] = sa.select(c.rep).distinct().where(MEMBERSHIP.started_by(always))
    return sorted(row.rep for row in reader.rows(named))


def _was_there(teams: Teams, rep: str, spans: Sequence[Span]) -> list[bool]:
    """Return in which spans a rep was in a team all the time, in whichever team."""
    away: list[tuple[Instant, Instant]] = []
    since: Instant | None = -FOREVER
    for stay in teams.stays(rep):
        if stay.team is None:
            since = stay.start if since is None else since
        elif since is not None:
            away.append((since, stay.start))
            since = None
    if since is not None:
        away.append((since, FOREVER))
    return [
        all(end <= span.start or start >= span.end for start, end in away) for span in spans
    ]


class FiguresAround(NamedTuple):
    """What a metric came to for each rep in each window."""

    values: dict[str, list[Decimal | None]]
    """Of each rep, for each span; None where they were not there or nothing is defined."""
    currency: str | None
    """Of amounts; None of anything else, and where there is none."""
    figures: EffectFigures

    def of(self, rep: str, start: int) -> tuple[Decimal | None, ...]:
        """Return the figures of a rep in the windows of a start, in the order of WINDOWS."""
        width = len(WINDOWS)
        return tuple(self.values[rep][width * start : width * (start + 1)])


class UnitCompared(NamedTuple):
    """A rep or a team in the windows of one start, with figures in both."""

    start: date
    unit: str
    has_started: bool
    earlier: Decimal | None
    before: Decimal
    after: Decimal


def compared_around(windows: EffectWindows, around: FiguresAround) -> Iterator[UnitCompared]:
    """Yield who is compared at each start, those who started first."""
    figures = around.figures
    sides = {True: figures.is_treated(), False: figures.is_compared()}
    for place, start in enumerate(windows.starts):
        for has_started, members in sides.items():
            for number, unit in enumerate(windows.reps):
                earlier, before, after = around.of(unit, place)
                if members[number, place] and before is not None and after is not None:
                    yield UnitCompared(start, unit, has_started, earlier, before, after)


def figures_around(
    reader: Reader,
    windows: Sequence[EffectWindows],
    measured: Sequence[MetricAt],
    exchange: CurrencyConverter | None = None,
    *,
    by: Literal["rep", "team"] = "rep",
    process: str | None = None,
) -> list[list[FiguresAround]]:
    """Measure metrics for every rep or team: of each windows, in their order, each metric.

    What is measured at one stage, or at none, is read in one pass for all windows.

    Raises:
        InputError: for a metric that cannot be measured so, and for amounts in several
            currencies.
    """
    spans = [span for its in windows for span in its.spans]
    found = {
        stage: Measurement(
            reader, spans, MetricScope(stage=stage, process=process), by=by, exchange=exchange
        )
        for stage in dict.fromkeys(each.stage for each in measured)
    }
    of_metrics = [found[each.stage].of(each.metric) for each in measured]
    return [*_by_windows(windows, measured, of_metrics)]


def _by_windows(
    windows: Sequence[EffectWindows],
    measured: Sequence[MetricAt],
    of_metrics: Sequence[Sequence[MetricFigure]],
) -> Iterator[list[FiguresAround]]:
    """Part what was measured in one pass by the windows that it is of."""
    first = 0
    for its in windows:
        after = first + len(its.spans)
        yield [
            _around(
                its,
                each.metric,
                [
                    figure._replace(span=figure.span - first)
                    for figure in figures
                    if first <= figure.span < after
                ],
            )
            for each, figures in zip(measured, of_metrics, strict=True)
        ]
        first = after


def _around(windows: EffectWindows, key: str, found: Sequence[MetricFigure]) -> FiguresAround:
    metric = metric_of(key)
    currency = _currency_of(metric.key, found) if metric.unit == "money" else None
    values: dict[str, list[Decimal | None]] = {
        rep: [metric.of_nothing if there else None for there in windows.was_there[rep]]
        for rep in windows.reps
    }
    for each in found:
        rep = each.group
        if rep in values and windows.was_there[rep][each.span]:
            values[rep][each.span] = each.in_unit(metric, currency)
    return FiguresAround(values, currency, _arrays(windows, values))


def _currency_of(key: str, found: Iterable[MetricFigure]) -> str | None:
    currencies = sorted({total.currency for each in found for total in each.amounts})
    if len(currencies) > 1:
        raise InputError(
            f"{key} is in {' and '.join(currencies)}, which are never added up; name one"
            " currency for all of it with report_currency"
        )
    return currencies[0] if currencies else None


def _arrays(
    windows: EffectWindows, values: Mapping[str, Sequence[Decimal | None]]
) -> EffectFigures:
    cells = [
        [np.nan if value is None else float(value) for value in values[rep]]
        for rep in windows.reps
    ]
    shape = (len(windows.reps), len(windows.starts), len(WINDOWS))
    earlier, before, after = np.moveaxis(np.array(cells, np.float64).reshape(shape), 2, 0)
    began = [windows.began.get(rep) for rep in windows.reps]
    return EffectFigures(
        started=np.array([NEVER if d is None else d.toordinal() for d in began], np.int64),
        starts=np.array([day.toordinal() for day in windows.starts], np.int64),
        window=windows.days,
        before=before,
        after=after,
        earlier=earlier,
    )
