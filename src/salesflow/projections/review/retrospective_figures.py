"""What moved: the main figures of a period beside those of the period before.

The figures are those of the KPIs and of the flow of the pipeline, whose views say what each of
them means; here they are only laid side by side.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Annotated, Final, Literal

import numpy as np

from salesflow.domain.deal.after_sales import Scale
from salesflow.domain.time import Instant
from salesflow.domain.values import EXACT_DIGITS, Currency, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Estimate, Total
from salesflow.projections.core.columns import Column, Flags, HeldRows
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.feedback.feedback import (
    GROUPED_BY,
    PASSIVE,
    Answers,
    FeedbackFigures,
    Verbatim,
    WordedRow,
    answers_alike,
    counted,
    feedback_groups,
    newest_words,
    read_words,
)
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.folds.pipeline import KINDS
from salesflow.projections.forecast.forecast import forecasts_of
from salesflow.projections.forecast.forecast_figures import (
    PastForecast,
    past_forecasts,
    sums_of,
)
from salesflow.projections.forecast.forecast_reading import (
    ForecastPoint,
    Scope,
    When,
    WonRow,
    read_open,
)
from salesflow.projections.metrics.kpi_figures import KpiLine, ValueRate
from salesflow.projections.metrics.kpi_rows import Booked, read_booked
from salesflow.projections.pipeline.flow import FlowAccount, FlowFigures
from salesflow.projections.scope import Teams, stage_name, unnamed_last

__all__ = [
    "MOVEMENTS",
    "FigureMoved",
    "ForecastJudged",
    "Measure",
    "MovementBeside",
    "ReviewScope",
    "ScoreMoved",
    "Theme",
    "Unit",
    "Voices",
    "judged_forecasts",
    "moved_figures",
    "movements_beside",
]


# Which part of sales a retrospective looks back on: a rep's, a team's, a process's, or all.
#
# What happened belongs to whoever had the deal when it happened, what stands to whoever has it
# at the time asked about; the team is the one that rep was in then.


class ReviewScope:
    """Says what belongs to the part asked about."""

    def __init__(
        self, teams: Teams, *, owner: str | None, team: str | None, process: str | None
    ) -> None:
        self._teams = teams
        self._owner = owner
        self._team = team
        self._process = process

    @property
    def scope(self) -> Scope:
        """Return what a forecast has to read: rep by rep, so that teams can be told apart."""
        return Scope("owner", self._process, self._owner)

    @property
    def before_joining(self) -> bool:
        """Whether a rep's first team stands for a time before they joined it."""
        return self._teams.before_joining > 0

    def has_rep(self, rep: str | None, at: Instant) -> bool:
        """Return whether what a rep had at an instant belongs to it."""
        if self._owner not in (None, rep):
            return False
        return self._team is None or self._teams.of(rep, at) == self._team

    def has(self, rep: str | None, process: str, at: Instant) -> bool:
        """Say the same of what a rep had under a process."""
        return self._process in (None, process) and self.has_rep(rep, at)

    def of_process(self, rows: HeldRows) -> Flags:
        """Return which rows are under the process."""
        return rows.fitting({"process": self._process})

    def owned(self, rows: HeldRows, at: Column) -> Flags:
        """Return which rows belonged to it by whom they are, each at an instant."""
        owned = rows.fitting({"owner": self._owner})
        if self._team is not None:
            mine, teams = np.flatnonzero(owned), self._teams
            numbers = teams.numbers(rows["owner"][mine], rows.words["owner"], at[mine])
            is_team = np.array([*(name == self._team for name in teams.names), False])
            owned[mine] = is_team[numbers]  # no team stands last
        return owned


Unit = Literal["count", "money", "share", "days"]
Sums = Mapping[str | None, Decimal]
"""A figure by currency; under None where it has none."""

COUNTS: Final = ("orders", "created", "won", "lost", "disqualified", "new_customers")
MOVEMENTS: Final = ("opening", *KINDS, "reorganised", "closing")
NOTHING: Final = FlowFigures(deals=0, amount=Decimal(0), weighted=Decimal(0))


class FigureMoved(Value):
    """One figure of the period, and what it was in the period before."""

    figure: Annotated[Reference, FieldRole.KEY]
    currency: Annotated[Currency | None, FieldRole.KEY]
    """None for a figure that is no money, nor by value."""
    unit: Annotated[Unit, FieldRole.TRAIT]
    value: Decimal | None
    value_before: Decimal | None
    difference: Decimal | None
    """None where either is undefined."""


class MovementBeside(Value):
    """One line of the books of open deals, and what it was in the period before."""

    currency: Annotated[Currency | None, FieldRole.KEY]
    """None for deals without an amount."""
    movement: Annotated[Reference, FieldRole.KEY]
    """A kind of movement; opening and closing for what stood at the edges."""
    figures: FlowFigures
    figures_before: FlowFigures


def moved_figures(
    lines: tuple[KpiLine | None, KpiLine | None],
    accounts: tuple[Iterable[FlowAccount], Iterable[FlowAccount]],
) -> Iterator[FigureMoved]:
    """Set the figures of a period beside those before; a line is None where all is nothing."""
    now, before = (_figures(*each) for each in zip(lines, accounts, strict=True))
    for figure, unit in UNITS.items():
        current, earlier = now[figure], before[figure]
        missing = Decimal(0) if figure in ADDED_UP else None
        for currency in _in_order({*current, *earlier}) if figure in IN_MONEY else [None]:
            sides = current.get(currency, missing), earlier.get(currency, missing)
            yield _moved(figure, currency, unit, *sides)


UNITS: Final[Mapping[str, Unit]] = {
    "sales": "money",
    "orders": "count",
    "created": "count",
    "won": "count",
    "lost": "count",
    "disqualified": "count",
    "win_rate": "share",
    "win_rate_by_value": "share",
    "cycle_days_median": "days",
    "new_customers": "count",
    "repeat_purchase_rate": "share",
    "contacts": "count",
    "first_response_days": "days",
    "CSAT_top_box": "share",
    "velocity_per_day": "money",
    "open_deals": "count",
    "open_amount": "money",
    "open_weighted": "money",
}
"""The figures in their order, and what each is counted in."""
IN_MONEY: Final = frozenset(
    {"sales", "win_rate_by_value", "velocity_per_day", "open_amount", "open_weighted"}
)
"""Figures that stand in every currency by themselves."""
ADDED_UP: Final = frozenset({"sales", "open_amount", "open_weighted"})
"""Sums of money: what is not there is nothing, and not undefined."""


def movements_beside(
    now: Iterable[FlowAccount], before: Iterable[FlowAccount]
) -> Iterator[MovementBeside]:
    """Set the books of a period beside those of the period before, currency by currency."""
    current, earlier = ({a.currency: _book(a) for a in accounts} for accounts in (now, before))
    for currency in _in_order({*current, *earlier}):
        book, other = current.get(currency, {}), earlier.get(currency, {})
        for movement in sorted({*book, *other}, key=MOVEMENTS.index):
            yield MovementBeside(
                currency=currency,
                movement=movement,
                figures=book.get(movement, NOTHING),
                figures_before=other.get(movement, NOTHING),
            )


def _book(account: FlowAccount) -> dict[str, FlowFigures]:
    return {
        "opening": account.opening,
        **{each.kind: _plain(each) for each in account.movements},
        "closing": account.closing,
    }


def _plain(figures: FlowFigures) -> FlowFigures:
    """Leave out the events behind a movement."""
    return FlowFigures(deals=figures.deals, amount=figures.amount, weighted=figures.weighted)


def _figures(line: KpiLine | None, accounts: Iterable[FlowAccount]) -> dict[str, Sums]:
    books = list(accounts)
    worth = [(a.currency, a.closing) for a in books if a.currency is not None]
    return {
        **_counts(line),
        **_rates(line),
        "sales": _totals(line, lambda of: of.sales),
        "velocity_per_day": _totals(line, lambda of: of.velocity.per_day),
        "win_rate_by_value": {} if line is None else _by_value(line.win_rate_by_value),
        "open_deals": {None: Decimal(sum(account.closing.deals for account in books))},
        "open_amount": {currency: closing.amount for currency, closing in worth},
        "open_weighted": {currency: closing.weighted for currency, closing in worth},
    }


def _counts(line: KpiLine | None) -> dict[str, Sums]:
    counts = {name: 0 if line is None else getattr(line, name) for name in COUNTS}
    counts["contacts"] = 0 if line is None else line.follow_ups.contacts
    return {name: {None: Decimal(count)} for name, count in counts.items()}


def _rates(line: KpiLine | None) -> dict[str, Sums]:
    """Return the figures that can be undefined."""
    rates: dict[str, Decimal | None] = {
        "win_rate": None if line is None else _value(line.win_rate),
        "cycle_days_median": None if line is None else line.cycle.days_median,
        "repeat_purchase_rate": None if line is None else line.repeat_rate,
        "first_response_days": None if line is None else line.first_response.days_median,
        "CSAT_top_box": None if line is None else _value(line.csat),
    }
    return {name: {} if value is None else {None: value} for name, value in rates.items()}


def _totals(
    line: KpiLine | None, of: Callable[[KpiLine], Iterable[Total]]
) -> dict[str | None, Decimal]:
    return {} if line is None else {total.currency: total.amount for total in of(line)}


def _by_value(rates: Iterable[ValueRate]) -> dict[str | None, Decimal]:
    return {each.currency: each.rate for each in rates}


def _value(estimate: Estimate | None) -> Decimal | None:
    return None if estimate is None else estimate.value


def _moved(
    figure: str,
    currency: str | None,
    unit: Unit,
    now: Decimal | None,
    before: Decimal | None,
) -> FigureMoved:
    difference = None
    if now is not None and before is not None:
        with localcontext(prec=EXACT_DIGITS):
            difference = now - before
    return FigureMoved(
        figure=figure,
        currency=currency,
        unit=unit,
        value=now,
        value_before=before,
        difference=difference,
    )


def _in_order(currencies: Iterable[str | None]) -> list[str | None]:
    return sorted(currencies, key=unnamed_last)


# What customers said in a period: scores by survey, themes, and the words of detractors.
#
# A theme is a stage or a product, as the deal stood when the customer answered; nothing is read
# out of the words themselves. The figures are those of the question `Feedback`.

Kind = Literal["stage", "product"]
THEME_KINDS: Final[tuple[Kind, ...]] = ("stage", "product")


class ScoreMoved(Value):
    """The score of one survey on one scale, and what it was in the period before."""

    survey: Annotated[Reference | None, FieldRole.KEY]
    """None for feedback that no survey asked for."""
    scale: Annotated[Scale, FieldRole.KEY]
    score: Estimate | None
    """NPS; the top box of CSAT; the mean of CES. None where nobody answered."""
    score_before: Estimate | None
    difference: Decimal | None


class Theme(Value):
    """What was said on deals in one stage, or about one product."""

    kind: Annotated[Kind, FieldRole.KEY]
    process: Annotated[Reference | None, FieldRole.KEY]
    """The stage's process; None for a product."""
    key: Annotated[SafeText | None, FieldRole.KEY]
    """None where no product is known."""
    name_en: SafeText | None
    name_zh: SafeText | None
    figures: FeedbackFigures
    figures_before: FeedbackFigures


class Voices:
    """The feedback on a part of sales in a period and in the one before."""

    def __init__(self, now: HeldRows, before: HeldRows, reader: Reader) -> None:
        self._now = now
        self._before = before
        self._reader = reader

    @classmethod
    def read(cls, periods: tuple[Span, Span], part: ReviewScope, reader: Reader) -> "Voices":
        """Read surveys sent and feedback received in two periods that follow one another."""
        rows, (span, before) = reader.columns(FEEDBACK), periods
        rows = rows.between("occurred", before.start, span.end)
        rows = rows.where(part.of_process(rows))
        rows = rows.where(part.owned(rows, rows["occurred"]))
        now, earlier = (rows.between("occurred", its.start, its.end) for its in periods)
        return cls(now, earlier, reader)

    def scores(self) -> Iterator[ScoreMoved]:
        """Yield the score of each survey on each scale it was answered on."""
        now, before = _by_survey(self._now), _by_survey(self._before)
        for key in sorted({*now, *before}, key=lambda key: (key[0] is None, *key)):
            survey, scale = key
            current, earlier = (_score(its.get(key, ()), scale) for its in (now, before))
            yield ScoreMoved(
                survey=survey,
                scale=scale,
                score=current,
                score_before=earlier,
                difference=None
                if current is None or earlier is None
                else current.value - earlier.value,
            )

    def themes(self) -> Iterator[Theme]:
        """Yield what was said by stage, in the order of their process, then by product."""
        for kind in THEME_KINDS:
            current, earlier = (
                answers_alike(rows, GROUPED_BY[kind]) for rows in (self._now, self._before)
            )
            now, before, every = (
                {
                    (group.process, group.key): group
                    for group in feedback_groups(answers, kind, self._reader)
                }
                for answers in (current, earlier, [*current, *earlier])
            )
            for key, group in every.items():
                yield Theme(
                    kind=kind,
                    process=group.process,
                    key=group.key,
                    name_en=group.name_en,
                    name_zh=group.name_zh,
                    figures=now[key].figures if key in now else counted(()),
                    figures_before=before[key].figures if key in before else counted(()),
                )

    def detractors(self, limit: int) -> tuple[list[Verbatim], int]:
        """Return the newest words of detractors, by stage, and how many there are in all."""
        rows = self._now.among("kind", "received").among("scale", "nps")
        is_low = rows.known("score") & (rows["score"] < PASSIVE) & rows.say("worded")
        rows = rows.where(is_low)
        newest = newest_words(rows, limit)
        newest.sort(key=self._place)
        return read_words(self._reader, newest), len(rows)

    def _place(self, row: WordedRow) -> tuple[str, int, str]:
        """Return where a stage stands; of one stage the newest stay first."""
        place = (row.stage, row.process, row.process_version)
        return row.process, stage_name(*place, self._reader.processes).order, row.stage


def _by_survey(rows: HeldRows) -> Mapping[tuple[str | None, Scale], list[Answers]]:
    found: dict[tuple[str | None, Scale], list[Answers]] = defaultdict(list)
    for each in answers_alike(rows.where(rows.known("score")), ("survey",)):
        if each.scale is not None:
            found[each.group[0], each.scale].append(each)
    return found


def _score(answers: Iterable[Answers], scale: Scale) -> Estimate | None:
    figures = counted(answers)
    of: dict[Scale, Estimate | None] = {
        "nps": figures.nps,
        "csat": figures.csat_top_box,
        "ces": figures.ces_mean,
    }
    return of[scale]


# What was forecast of a period while it lay ahead, beside what was sold in it.
#
# A row for each measure, so that forecasts that people submit stand beside the others once they
# are kept. Forecasts and accuracy are those of the question `Forecast`.

Measure = Literal["weighted", "commit", "best_case"]
MEASURES: Final[tuple[Measure, ...]] = ("weighted", "commit", "best_case")


class ForecastJudged(Value):
    """One measure of a forecast of the period, and what was sold in it by the moment."""

    currency: Annotated[Currency, FieldRole.KEY]
    made: Annotated[When, FieldRole.KEY]
    """At the period's start, or in its middle."""
    measure: Annotated[Measure, FieldRole.KEY]
    made_at: datetime
    deals: int
    """Open deals that were expected in the period then."""
    forecast: Decimal
    actual: Decimal
    difference: Decimal
    """actual − forecast"""
    accuracy: Decimal | None
    """None until the period is over, and where nothing was sold in it."""


def judged_forecasts(span: Span, part: ReviewScope, reader: Reader) -> Iterator[ForecastJudged]:
    """Judge the forecasts made at the start and in the middle, from what is known now."""
    points: list[ForecastPoint] = []
    made = list(forecasts_of(span, reader, points, ("moment",)))
    opened = [
        row._replace(group=None)
        for row in read_open(reader, points, part.scope)
        if part.has_rep(row.group, points[row.point].read_point.as_of)
    ]
    booked = [
        row
        for row in read_booked(reader, span.start, span.end)
        if part.has(row.person, row.process, row.credited)
    ]
    sums = sums_of(opened, _won(booked, points))
    for past in past_forecasts(made, points, sums):
        if past.deals or past.actual or any(_forecasts(past)):
            yield from _judged(past)


def _won(booked: Iterable[Booked], points: Sequence[ForecastPoint]) -> Iterator[WonRow]:
    """Yield to each stand what was booked in the period by then."""
    for row in booked:
        for number, point in enumerate(points):
            if row.occurred <= point.read_point.as_of and row.currency is not None:
                amount = row.sign * (row.amount or 0)
                yield WonRow(number, None, row.currency, row.share, amount)


def _forecasts(past: PastForecast) -> list[Decimal]:
    return [getattr(past, f"forecast_{measure}") for measure in MEASURES]


def _judged(past: PastForecast) -> Iterator[ForecastJudged]:
    for measure, forecast in zip(MEASURES, _forecasts(past), strict=True):
        with localcontext(prec=EXACT_DIGITS):
            difference = past.actual - forecast
        yield ForecastJudged(
            currency=past.currency,
            made=past.made,
            measure=measure,
            made_at=past.made_at,
            deals=past.deals,
            forecast=forecast,
            actual=past.actual,
            difference=difference,
            accuracy=getattr(past, f"accuracy_{measure}"),
        )
