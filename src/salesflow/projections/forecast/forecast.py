"""The forecast of a period: what is won, what is likely, what slipped, how right we were.

Answers "what will this period bring, and how far can that be believed?" for any period and any
past moment. Open deals are those expected to close in the period, as they stand at the moment;
slippage follows those that were expected at its start. Beside them stand the forecasts of the
periods before, made at their start and in their middle. Coverage sets the open amount against
what is missing of the goal for sales. Leaves out forecasts that people submit.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import Field

from salesflow.domain.time import (
    ONE_DAY,
    Instant,
    Moment,
    Period,
    from_instant,
    start_of_day,
)
from salesflow.domain.values import Reference
from salesflow.presentation.format import NO_VALUE, days_text, money_text, percent_text
from salesflow.presentation.messages import Language, in_language, key_text
from salesflow.presentation.table import TableOfView, constant_in_title
from salesflow.projections.core.currency import (
    CurrencyConverter,
    MoneyQuestion,
    MoneyView,
    RateApplied,
    RateRule,
)
from salesflow.projections.core.question import (
    PeriodQuestion,
    Reader,
    Span,
    span_before,
    span_of,
)
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.goal import GOAL
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.forecast.forecast_figures import (
    CategoryLine,
    ChangesLine,
    ForecastLine,
    PastForecast,
    SlippageLine,
    category_lines,
    changes_lines,
    forecast_lines,
    past_forecasts,
    slippage_lines,
    sums_of,
)
from salesflow.projections.forecast.forecast_reading import (
    ClosedRow,
    ForecastPoint,
    KnowledgeOf,
    OneTeam,
    OpenRow,
    OutcomeRow,
    PastForecastKey,
    Scope,
    When,
    WonRow,
    read_changes,
    read_closed,
    read_open,
    read_outcomes,
    read_won,
)
from salesflow.projections.metrics.goal_rows import read_goals
from salesflow.projections.metrics.period_goals import sales_goal
from salesflow.projections.scope import MetricScope, early_reps_note
from salesflow.projections.table import ReadPoint

__all__ = [
    "Forecast",
    "ForecastView",
    "end_of",
    "forecasts_of",
    "in_one_currency",
    "sums_in_one_currency",
]


# What a forecast is worked out from, in one currency.
#
# Open deals and bookings are converted at the end of their forecast's period, or at its own
# moment where that comes first: a forecast made earlier takes the rate of the day it was made
# on, what came of it that of the period's end. All rates are those known at the question's
# moment. Leaves out changes of forecasts, which are counted and not summed.

DealsT = TypeVar("DealsT", OpenRow, OutcomeRow)
SumsT = TypeVar("SumsT", WonRow, ClosedRow)


def in_one_currency(
    rows: Iterable[DealsT], exchange: CurrencyConverter, end: Callable[[DealsT], Instant]
) -> Iterator[DealsT]:
    """Convert what deals are worth; those without a rate stay, without an amount."""
    for row in rows:
        into = _into(exchange, row.currency, end(row), row.deals)
        yield row._replace(currency=into.currency, millionths=into.millionths(row.millionths))


def sums_in_one_currency(
    rows: Iterable[SumsT], exchange: CurrencyConverter, end: Callable[[SumsT], Instant]
) -> Iterator[SumsT]:
    """Convert sums of money; those without a rate are left out."""
    for row in rows:
        into = _into(exchange, row.currency, end(row), 1)
        if into.currency is not None:
            millionths = into.millionths(row.millionths)
            yield row._replace(currency=into.currency, millionths=millionths)


def _into(
    exchange: CurrencyConverter, currency: str | None, end: Instant, times: int
) -> RateApplied:
    return exchange.into(currency, exchange.day(end, event=None, closing=None), times=times)


By = Literal["owner", "process"]
Line = ForecastLine | CategoryLine | SlippageLine | ChangesLine | PastForecast
TRAILING_DAYS: Final = 90
DAYS_MOST: Final = 3_650
PERIODS_MOST: Final = 40
KNOWN: Final[tuple[KnowledgeOf, ...]] = ("then", "moment")


class ForecastView(MoneyView):
    """Forecasts, categories, slippage, changes and past forecasts, per group and currency."""

    population: ClassVar[str] = (
        "open deals expected to close in the period, as they stand at the moment, and bookings"
        " of the period by then; slippage: deals open and expected in it at its start, grouped"
        " and valued as at the start; changes: of deals open at the time; owner and process of"
        " a booking or closing are those credited with it, its team the one they were in then"
    )
    formula: ClassVar[str] = (
        "forecast = booked so far + measure of open deals expected in the period: weighted ="
        " amount x probability of all of them; commit = category commit (or closed), best case"
        " = that + best_case, pipeline = that + pipeline, omitted in none of these three;"
        " coverage = open amount ÷ what is missing of the goal for sales of the same days,"
        " owner and process (null without one, and once it is met); required = 1 ÷ win rate by"
        " value, won ÷ (won + lost), of the trailing days; slippage rate = (pushed"
        " out of the period + overdue) at the period's end or the moment ÷ due at its start;"
        " pushes = forecasts that moved the close date later; increases, decreases = forecasts"
        " or agreed lines that moved a known amount in its currency; accuracy = 1 − |forecast −"
        " actual bookings| ÷ actual bookings, null unless those are above 0 and the period is"
        " over; per currency"
    )
    period: Period
    win_rate_period: Period
    """The trailing days that the win rate by value is of."""
    opening_known_at: Literal["moment", "then"]
    """Whether the start is that known at the moment, or that known at the start itself."""
    by: By | None
    lines: tuple[ForecastLine, ...]
    categories: tuple[CategoryLine, ...]
    slippage: tuple[SlippageLine, ...]
    """Nothing before the period has begun."""
    changes: tuple[ChangesLine, ...]
    accuracy: tuple[PastForecast, ...]
    before_joining: int
    """Of how many reps the first team stands for a time before they joined it."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the forecast out; what there is nothing to say of is left out."""
        days = days_text(self.period, ZoneInfo(self.timezone))
        forecast = self._forecast()._replace(about=days)
        if self.before_joining:
            notes = (*forecast.notes, early_reps_note(self.before_joining, language))
            forecast = forecast._replace(notes=notes)
        rest = (self._categories(), self._slippage(), self._changes(), self._accuracy(language))
        return [forecast, *(table for table in rest if table.rows)]

    def _forecast(self) -> TableOfView:
        rows = (
            (
                *self._head(line),
                f"{line.deals:,}",
                *(money_text(each, line.currency) for each in (line.amount, line.won)),
                *(
                    money_text(each, line.currency)
                    for each in (
                        line.forecast_weighted, line.forecast_commit,
                        line.forecast_best_case, line.forecast_pipeline,
                    )
                ),
                _times(line.coverage),
                _times(line.coverage_required),
            )
            for line in self.lines
        )  # fmt: skip
        columns = (
            "Open deals", "Amount", "Booked so far", "Weighted forecast", "Commit forecast",
            "Best-case forecast", "Pipeline forecast", "Coverage", "Coverage required",
        )  # fmt: skip
        return TableOfView("Forecast", (*self._first(), *columns), tuple(rows))

    def _categories(self) -> TableOfView:
        rows = (
            (
                *self._head(line),
                line.forecast_category,
                f"{line.deals:,}",
                *(money_text(each, line.currency) for each in (line.amount, line.weighted)),
            )
            for line in self.categories
        )
        columns = (*self._first(), "Forecast category", "Deals", "Amount", "Weighted amount")
        words = ("Forecast category",)
        return TableOfView("Forecast by category", columns, tuple(rows), words=words)

    def _slippage(self) -> TableOfView:
        rows = (
            (
                *self._head(line),
                f"{line.expected:,}",
                money_text(line.expected_amount, line.currency),
                f"{line.won:,}",
                f"{line.left_otherwise:,}",
                f"{line.moved:,}",
                f"{line.overdue:,}",
                f"{line.pending:,}",
                money_text(line.slipped_amount, line.currency),
                percent_text(line.slippage),
                percent_text(line.slippage_by_value),
            )
            for line in self.slippage
        )
        columns = (
            "Due at period start", "Amount", "Won", "Lost or dropped", "Pushed out of period",
            "Overdue", "Not yet due", "Amount slipped", "Slippage rate (deals)",
            "Slippage rate (value)",
        )  # fmt: skip
        return TableOfView("Slippage", (*self._first(), *columns), tuple(rows))

    def _changes(self) -> TableOfView:
        rows = (
            (
                *self._head(line),
                line.currency or NO_VALUE,
                *(f"{each:,}" for each in (line.pushes, line.deals_pushed)),
                *(f"{line.deals_pushed_again:,}", f"{line.increases:,}"),
                f"{line.decreases:,}",
            )
            for line in self.changes
        )
        columns = (
            "Currency", "Close-date pushes", "Deals pushed", "Deals pushed 2+ times",
            "Amount increases (count)", "Amount decreases (count)",
        )  # fmt: skip
        return TableOfView("Forecast changes", (*self._first(), *columns), tuple(rows))

    def _accuracy(self, language: Language) -> TableOfView:
        known = {"then": "as recorded then", "moment": "as recorded now"}
        rows = (
            (
                *self._head(line),
                f"{line.first} … {line.last}",
                key_text(line.made, language),
                in_language(known[line.known], language),
                money_text(line.actual, line.currency),
                _judged(line.forecast_weighted, line.accuracy_weighted),
                _judged(line.forecast_commit, line.accuracy_commit),
                _judged(line.forecast_best_case, line.accuracy_best_case),
            )
            for line in self.accuracy
        )
        columns = (
            "Period", "Made at", "Data used", "Actual bookings",
            "Weighted forecast (accuracy)", "Commit forecast (accuracy)",
            "Best-case forecast (accuracy)",
        )  # fmt: skip
        title = "Accuracy of past forecasts"
        told = TableOfView(title, (*self._first(), *columns), tuple(rows))
        return constant_in_title(told, "Period")

    def _first(self) -> tuple[str, ...]:
        return () if self.by is None else (self.by.capitalize(),)

    def _head(self, line: Line) -> tuple[str, ...]:
        return () if self.by is None else (line.group or NO_VALUE,)


class Forecast(MoneyQuestion[ForecastView], PeriodQuestion[ForecastView]):
    """What will a period bring, what slipped, and how right were the forecasts before?"""

    name: ClassVar[str] = "forecast"
    folds: ClassVar[tuple[str, ...]] = tuple(
        sorted(each.name for each in (BOOKING, CLOSING, DEAL_STATE, GOAL, MEMBERSHIP, PIPELINE))
    )
    rates_usual: ClassVar[RateRule] = "period_end"
    rates: Literal["period_end", "fixed"] | None = None
    """Of which day the rate is: period_end (of each period, or the day of the forecast,
    whichever comes first) or fixed."""
    by: By | None = None
    """Lines of their own for each owner or process."""
    process: Reference | None = None
    """Only deals of this process (its key); all when left out."""
    owner: Reference | None = None
    """Only deals of this rep, and sales credited to them; all when left out."""
    team: Reference | None = None
    """Only deals and sales of those who were in this team (its key) at the time."""
    periods: Annotated[int, Field(ge=0, le=PERIODS_MOST, strict=True)] = 1
    """How many earlier periods to judge the forecasts of. Default: 1."""
    trailing_days: Annotated[int, Field(gt=0, le=DAYS_MOST, strict=True)] = TRAILING_DAYS
    """The win rate behind the required coverage is that of so many last days. Default: 90."""
    as_known_then: bool = False
    """Take the start of the period, for slippage, as it was known at the start itself."""

    def answer(self, reader: Reader, moment: Moment) -> ForecastView:
        """Read every forecast together, then slippage, changes and the win rate."""
        span = self.span(reader)
        trailing, exchange = self._trailing(reader), self.exchange(reader)
        team = None if self.team is None else OneTeam(self.team, reader)
        scope = Scope(self.by, self.process, self.owner, team)
        points, past = self._past(reader, span)
        ends = [point.span.closing(point.read_point.as_of) for point in points]
        opened, won = read_open(reader, points, scope), read_won(reader, points, scope)
        closed = read_closed(reader, trailing.start, scope)
        sums = sums_of(
            in_one_currency(opened, exchange, lambda row: ends[row.point]),
            sums_in_one_currency(won, exchange, lambda row: ends[row.point]),
        )
        rates = sums_in_one_currency(closed, exchange, lambda _: trailing.end - 1)
        now = sums.get(0, {})
        return ForecastView(
            moment=moment,
            period=span.period(),
            win_rate_period=trailing.period(),
            opening_known_at="then" if self.as_known_then else "moment",
            by=self.by,
            lines=tuple(forecast_lines(now, rates, self._targets(reader, span))),
            categories=tuple(category_lines(now)),
            slippage=tuple(self._slippage(reader, span, scope, exchange)),
            changes=tuple(changes_lines(read_changes(reader, span, scope))),
            accuracy=tuple(past_forecasts(past, points, sums)),
            before_joining=0 if team is None else team.before_joining,
            rates=exchange.used,
        )

    def _targets(
        self, reader: Reader, span: Span
    ) -> Callable[[str | None, str], Decimal | None]:
        """Return what says the goal for sales of a group, in a currency."""
        goals = read_goals(reader)

        def target(group: str | None, currency: str) -> Decimal | None:
            if self.by is not None and group is None:
                return None
            scope = MetricScope(
                process=group if self.by == "process" else self.process,
                owner=group if self.by == "owner" else self.owner,
                team=self.team,
            )
            found = sales_goal(goals, span, scope, currency)
            return None if found is None else found.target

        return target

    def _past(
        self, reader: Reader, span: Span
    ) -> tuple[list[ForecastPoint], list[PastForecastKey]]:
        """Return the points to read, that of the period first, and the forecasts before."""
        points, past = [ForecastPoint(reader.read_point, span)], list[PastForecastKey]()
        for earlier in self._spans_before(reader, span):
            past += forecasts_of(earlier, reader, points, KNOWN)
        return points, past

    def _spans_before(self, reader: Reader, span: Span) -> Iterator[Span]:
        for _ in range(self.periods):
            span = span_before(span, reader)
            yield span

    def _slippage(
        self, reader: Reader, span: Span, scope: Scope, exchange: CurrencyConverter
    ) -> Iterator[SlippageLine]:
        if span.opening > reader.read_point.as_of:
            return
        known = reader.read_point.known_at
        known_then = min(span.opening, known) if self.as_known_then else known
        start = reader.read_point._replace(as_of=span.opening, known_at=known_then)
        end, over = end_of(span, reader)
        fates = read_outcomes(reader, ForecastPoint(start, span), end, over, scope)
        yield from slippage_lines(in_one_currency(fates, exchange, lambda _: end.as_of))

    def _trailing(self, reader: Reader) -> Span:
        last = _day_of(reader.read_point.as_of, reader)
        return span_of(last - (self.trailing_days - 1) * ONE_DAY, last, reader)


def forecasts_of(
    span: Span, reader: Reader, points: list[ForecastPoint], known: Sequence[KnowledgeOf]
) -> Iterator[PastForecastKey]:
    """Add the points that judge a period: what came of it, and its forecasts made by now."""
    read_point, actual = reader.read_point, len(points)
    points.append(ForecastPoint(read_point, span))
    at: dict[When, Instant] = {"start": span.opening, "middle": _middle(span, reader)}
    for made, as_of in at.items():
        if as_of > read_point.as_of:
            continue
        for each in known:
            known_at = (
                min(as_of, read_point.known_at) if each == "then" else read_point.known_at
            )
            yield PastForecastKey(len(points), actual, made, each)
            points.append(ForecastPoint(ReadPoint(read_point.tenant, as_of, known_at), span))


def end_of(span: Span, reader: Reader) -> tuple[ReadPoint, date]:
    """Cut where a period ends, or at the moment; give also the last day that is over then."""
    closing = span.closing(reader.read_point.as_of)
    return reader.read_point._replace(as_of=closing), _day_of(closing + 1, reader) - ONE_DAY


def _middle(span: Span, reader: Reader) -> Instant:
    """Return the end of the first half of a period, in whole days."""
    days = (span.last - span.first).days + 1
    return start_of_day(span.first + days // 2 * ONE_DAY, reader.timezone) - 1


def _day_of(at: Instant, reader: Reader) -> date:
    return from_instant(at).astimezone(reader.timezone).date()


def _times(coverage: Decimal | None) -> str:
    return NO_VALUE if coverage is None else f"{coverage:.1f}x"


def _judged(forecast: Decimal, accuracy: Decimal | None) -> str:
    """Write a forecast and how right it was: "1,200 (80%)"."""
    rounded = round(forecast, 2)
    digits = ",.0f" if rounded == rounded.to_integral_value() else ",.2f"
    return f"{rounded:{digits}} ({percent_text(accuracy)})"
