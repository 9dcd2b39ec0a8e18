"""How far goals are attained at a moment: actual, pace, projection, and what is still needed.

Everything is measured by the goal's own scope and period, never by adding up the goals below
it, so that credit which reps share counts once. Days are working days of the settings; a day
counts as over when it has ended. A metric of money is converted into the goal's currency at the
last rate on or before the day of each booking.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from salesflow.domain.computed_once import computed_once
from salesflow.domain.metric import Metric
from salesflow.domain.settings import SETTINGS_ID, settings_after
from salesflow.domain.smart import GoalScope, is_beyond_target, is_higher_better
from salesflow.domain.time import ONE_DAY, from_instant
from salesflow.errors import InputError
from salesflow.projections.core.currency import CurrencyConverter, RatesUsed
from salesflow.projections.core.question import Reader, Span, span_of
from salesflow.projections.core.statistics import decimal_of
from salesflow.projections.metrics.goal_rows import GoalRow
from salesflow.projections.metrics.metric_values import KpiTables, Measurement, MetricFigure
from salesflow.projections.metrics.outside_figures import OutsideFigures
from salesflow.projections.scope import By, Customers, MetricScope

__all__ = [
    "Actual",
    "ExpectedBy",
    "GoalActuals",
    "GoalStatus",
    "Progress",
    "WorkDays",
    "measured",
    "progress_of",
    "scope_of",
]

ExpectedBy = Literal["working_days", "seasonality"]
GoalStatus = Literal[
    "not_started", "on_track", "behind", "attained", "missed", "unknown", "abandoned"
]
GROUPS: Final[Mapping[str, By]] = {
    "team": "team",
    "rep": "rep",
    "customer": "customer",
    "channel": "channel",
}
WEEK: Final = 7
EARLIEST: Final = date(2, 1, 1)
LATEST: Final = date(9998, 12, 31)


class WorkDays:
    """The working days of the settings, and which of them are over at a moment."""

    def __init__(self, weekdays: Iterable[int], last_over: date) -> None:
        self._weekdays = frozenset(weekdays)
        self.last_over: Final = last_over
        """The last day that has ended by the moment."""

    @classmethod
    def read(cls, reader: Reader) -> "WorkDays":
        """Read them at the moment of a question."""
        settings = settings_after(reader.events(SETTINGS_ID))
        next_instant = from_instant(reader.read_point.as_of + 1).astimezone(reader.timezone)
        return cls(settings.working_days, next_instant.date() - ONE_DAY)

    def count(self, first: date, last: date) -> int:
        """Count the working days from one day to another, both included."""
        days = (last - first).days + 1
        if days <= 0:
            return 0
        weeks, rest = divmod(days, WEEK)
        begun = first.isoweekday() - 1
        some = sum((begun + n) % WEEK + 1 in self._weekdays for n in range(rest))
        return weeks * len(self._weekdays) + some

    def over(self, first: date, last: date) -> tuple[int, int]:
        """Return how many of some working days are over, and how many there are.

        Where none of the days is a working day, all of them are taken for some.
        """
        over = min(self.last_over, last)
        whole = self.count(first, last)
        if whole:
            return self.count(first, over), whole
        return max((over - first).days + 1, 0), (last - first).days + 1

    def day_after(self, first: date, last: date, over: int) -> date:
        """Return the last of some days by which so many working days of them are over."""
        day = first - ONE_DAY
        while day < last and self.count(first, day + ONE_DAY) <= over:
            day += ONE_DAY
        return day


class Actual(NamedTuple):
    """What a goal's metric came to by the moment, and how many it rests on."""

    value: Decimal | None
    n: int
    source: str | None = None
    """Of an outside figure: who says so."""


class GoalActuals(NamedTuple):
    """What goals came to, by their places, and at which rates amounts were converted."""

    actuals: list[Actual]
    seasons: list[Fraction | None]
    """Which share of a goal is expected by now, by what the year before was like."""
    rates: tuple[RatesUsed, ...]


def scope_of(scope: GoalScope, *but: str) -> MetricScope:
    """Return what figures of a goal are narrowed to, leaving out what they are grouped by."""
    names = {"rep": "owner"}
    named = {names.get(name, name): it for name, it in scope if name not in but}
    return MetricScope(**named)


class _Batch(NamedTuple):
    """What goals have in common that are measured together."""

    by: str | None
    within: MetricScope
    currency: str | None


def measured(
    goals: Sequence[GoalRow], reader: Reader, expected_by: ExpectedBy = "working_days"
) -> GoalActuals:
    """Measure goals, those of a kind together, over all of their periods at once."""
    actuals = [Actual(None, 0)] * len(goals)
    seasons: list[Fraction | None] = [None] * len(goals)
    exchanges: dict[str | None, CurrencyConverter] = {None: CurrencyConverter(reader)}
    figures = OutsideFigures.read(reader)
    batches: dict[_Batch, list[int]] = defaultdict(list)
    for number, goal in enumerate(goals):
        if goal.metric.is_figure:
            actuals[number] = _reported(goal, figures)
            continue
        batches[_batch(goal)].append(number)
        if goal.currency is not None and goal.currency not in exchanges:
            exchanges[goal.currency] = CurrencyConverter(reader, goal.currency)
    days, tables = WorkDays.read(reader), KpiTables(reader)
    for batch, numbers in batches.items():
        mine = [goals[number] for number in numbers]
        found = _Measuring(reader, batch, mine, exchanges[batch.currency], tables)
        values = found.of([goal.days for goal in mine])
        for number, value in zip(numbers, values, strict=True):
            actuals[number] = value
        if expected_by == "seasonality":
            for number, season in zip(numbers, found.seasons(days), strict=True):
                seasons[number] = season
    used = (exchange.used for exchange in exchanges.values())
    return GoalActuals(actuals, seasons, tuple(it for it in used if it is not None))


def _batch(goal: GoalRow) -> _Batch:
    """Return with which others a goal is measured: grouped by the one thing it is of."""
    grouped = [name for name in goal.scope.named if name in GROUPS]
    by = GROUPS[grouped[0]] if len(grouped) == 1 else None
    within = scope_of(goal.scope, *(() if by is None else grouped))
    return _Batch(by, within, goal.currency)


def _reported(goal: GoalRow, figures: OutsideFigures) -> Actual:
    found = figures.within(goal.metric.key, *goal.days)
    if found is None or found.unit != goal.unit:
        return Actual(None, 0)
    return Actual(found.value, 1, found.source)


class _Measuring:
    """Measures goals that have much in common, in whatever days."""

    def __init__(
        self,
        reader: Reader,
        batch: _Batch,
        goals: Sequence[GoalRow],
        exchange: CurrencyConverter,
        tables: KpiTables,
    ) -> None:
        self._reader = reader
        self._batch = batch
        self._tables = tables
        self._goals = goals
        self._exchange = exchange
        self._groups = [self._group(goal) for goal in goals]

    def _group(self, goal: GoalRow) -> str | None:
        """Return under which group a goal's figures are found."""
        by = self._batch.by
        if by is None:
            return None
        if by == "customer":
            assert goal.scope.customer is not None
            return str(self._customers.survivor(goal.scope.customer))
        return goal.scope.named[by]

    @computed_once
    def _customers(self) -> Customers:
        return Customers.read(self._reader)

    def of(self, days: Sequence[tuple[date, date]]) -> list[Actual]:
        """Measure each goal in the days that are named for it."""
        places = {each: number for number, each in enumerate(dict.fromkeys(days))}
        spans = [_span(*each, self._reader) for each in places]
        by: By | None = self._batch.by  # type: ignore[assignment]
        measurement = Measurement(
            self._reader,
            spans,
            self._batch.within,
            by=by,
            exchange=self._exchange,
            tables=self._tables,
        )
        measurement.ask_only(
            [(places[mine], group) for mine, group in zip(days, self._groups, strict=True)]
        )
        found = {
            metric: {(it.span, it.group): it for it in measurement.of(metric)}
            for metric in dict.fromkeys(goal.metric.key for goal in self._goals)
        }
        return [
            _actual(goal, found[goal.metric.key].get((places[mine], group)))
            for goal, group, mine in zip(self._goals, self._groups, days, strict=True)
        ]

    def seasons(self, days: WorkDays) -> list[Fraction | None]:
        """Return which share of each goal's metric the year before had come to by then."""
        whole = [_year_before(goal, self._reader) for goal in self._goals]
        begun = [
            (first, days.day_after(first, last, days.over(*goal.days)[0]))
            for goal, (first, last) in zip(self._goals, whole, strict=True)
        ]
        part = [(first, max(first, last)) for first, last in begun]
        all_of, some_of = self.of(whole), self.of(part)
        return [
            _season(goal, last < first, some.value, whole_.value)
            for goal, (first, last), some, whole_ in zip(
                self._goals, begun, some_of, all_of, strict=True
            )
        ]


def _span(first: date, last: date, reader: Reader) -> Span:
    """Cut the days of a goal, whatever an import says; the calendar ends before they do."""
    return span_of(max(first, EARLIEST), max(min(last, LATEST), first, EARLIEST), reader)


def _season(
    goal: GoalRow, not_begun: bool, part: Decimal | None, whole: Decimal | None
) -> Fraction | None:
    if goal.metric.kind == "level" or not whole or part is None:
        return None
    return Fraction(0) if not_begun else Fraction(part) / Fraction(whole)


def _year_before(goal: GoalRow, reader: Reader) -> tuple[date, date]:
    """Return the same fiscal span of the year before, or the days 52 weeks before."""
    calendar = reader.calendar
    for kind, back in (("month", 12), ("quarter", 4), ("year", 1)):
        span = calendar.span(kind, goal.first_day)  # type: ignore[arg-type]
        if tuple(span) == goal.days:
            for _ in range(back):
                span = calendar.before(kind, span.first)  # type: ignore[arg-type]
            return span.first, span.last
    year = timedelta(days=52 * WEEK)
    try:
        return goal.first_day - year, goal.last_day - year
    except OverflowError as error:
        raise InputError(f"there is no year before {goal.first_day}") from error


def _actual(goal: GoalRow, figure: MetricFigure | None) -> Actual:
    """Return a figure as the value of a goal; where there is none nothing happened."""
    metric: Metric = goal.metric
    if figure is None:
        return Actual(metric.of_nothing, 0)
    value = figure.in_unit(metric, goal.currency)
    rests_on_none = value is None and metric.unit == "money"
    return Actual(value, 0 if rests_on_none else figure.n)


class Progress(NamedTuple):
    """How far a goal is attained, and how that compares with the time that is over."""

    attainment: Decimal | None
    gap: Decimal | None
    """target - actual; below 0 where more was reached."""
    share_elapsed: Decimal
    expected_by: ExpectedBy
    expected_now: Decimal | None
    pace: Decimal | None
    projected: Decimal | None
    status: GoalStatus
    days: int
    days_left: int
    needed_per_day: Decimal | None


def progress_of(
    goal: GoalRow, actual: Decimal | None, days: WorkDays, season: Fraction | None = None
) -> Progress:
    """Work out how far a goal is attained.

    Accumulating metrics are expected to grow with the days; levels to go from the baseline to
    the target, where a baseline is known that does not lie beyond it. What is not on a way to
    its target, a limit or a level to be held, has no attainment and no pace.
    """
    over, whole = days.over(*goal.days)
    elapsed = Fraction(over, whole) if season is None else season
    grows = goal.metric.kind == "accumulating"
    figures = _growing(goal, actual, elapsed) if grows else _level(goal, actual, elapsed)
    left = whole - over
    return Progress(
        attainment=_decimal(figures.attainment),
        gap=None if actual is None else goal.target - actual,
        share_elapsed=decimal_of(elapsed),
        expected_by="working_days" if season is None else "seasonality",
        expected_now=_decimal(figures.expected),
        pace=_decimal(figures.pace),
        projected=_decimal(figures.projected),
        status=_status(goal, actual, figures, days.last_over),
        days=whole,
        days_left=left,
        needed_per_day=_needed(goal, actual, left) if grows else None,
    )


class _Figures(NamedTuple):
    attainment: Fraction | None
    expected: Fraction | None
    pace: Fraction | None
    projected: Fraction | None


def _growing(goal: GoalRow, actual: Decimal | None, elapsed: Fraction) -> _Figures:
    target, value = Fraction(goal.target), Fraction(actual or 0)
    expected = target * elapsed
    is_part = target > 0 and goal.metric.better != "lower"  # a limit is kept or not kept
    return _Figures(
        attainment=value / target if is_part else None,
        expected=expected,
        pace=value / expected if is_part and expected else None,
        projected=value / elapsed if elapsed else None,
    )


def _level(goal: GoalRow, actual: Decimal | None, elapsed: Fraction) -> _Figures:
    projected = None if actual is None else Fraction(actual)
    if goal.baseline is None or is_beyond_target(goal.metric, goal.target, goal.baseline):
        return _Figures(None, None, None, projected)  # it is held or not held
    baseline, target = Fraction(goal.baseline), Fraction(goal.target)
    expected = baseline + (target - baseline) * elapsed
    if projected is None or target == baseline:
        return _Figures(None, expected, None, projected)
    attainment = (projected - baseline) / (target - baseline)
    return _Figures(attainment, expected, attainment / elapsed if elapsed else None, projected)


def _status(
    goal: GoalRow, actual: Decimal | None, figures: _Figures, last_over: date
) -> GoalStatus:
    """Say how it stands: by the target once its days are over, before by what is projected."""
    if goal.standing == "abandoned":
        return "abandoned"
    if last_over < goal.first_day and not actual:
        return "not_started"
    if actual is None:
        return "unknown"
    more = is_higher_better(goal.metric, goal.target, goal.baseline)
    reached = actual >= goal.target if more else actual <= goal.target
    if last_over >= goal.last_day:
        return "attained" if reached else "missed"
    if goal.metric.kind == "accumulating" and more and reached:
        return "attained"
    return "on_track" if _is_on_track(goal, figures, more, reached) else "behind"


def _is_on_track(goal: GoalRow, figures: _Figures, more: bool, reached: bool) -> bool:
    if goal.metric.kind == "level":
        pace = figures.pace
        return reached or (pace is not None and pace >= 1)
    if figures.projected is None:
        return more or reached
    target = Fraction(goal.target)
    return figures.projected >= target if more else figures.projected <= target


def _needed(goal: GoalRow, actual: Decimal | None, left: int) -> Decimal | None:
    """Return what is needed on each day that is left; None where less is better."""
    if goal.metric.better == "lower" or actual is None:
        return None
    missing = max(Fraction(goal.target) - Fraction(actual), Fraction(0))
    if not left:
        return None if missing else Decimal(0)
    return decimal_of(missing / left)


def _decimal(exact: Fraction | None) -> Decimal | None:
    return None if exact is None else decimal_of(exact)
