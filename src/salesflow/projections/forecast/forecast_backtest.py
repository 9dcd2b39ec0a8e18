"""How far ranges of forecasts held: made anew for every week of past quarters, as known then.

Answers "can I believe the range, and a probability of 70 %?" for any past moment: at the
beginning of each quarter and of every week in it a range is drawn from what was known at that
instant, and laid beside what the quarter came to. Of the deals that were open then it is
counted how many of those given about 70 % were won by its end. Leaves out quarters that are not
over.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import Field

from salesflow.domain.time import ONE_DAY, Instant, Moment, from_instant, start_of_day
from salesflow.domain.values import Currency, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import NO_VALUE, percent_text
from salesflow.presentation.messages import Language, key_text, say_count
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.column_figures import places_among
from salesflow.projections.core.columns import Column
from salesflow.projections.core.currency import (
    MoneyQuestion,
    MoneyView,
    RateRule,
    unscaled,
)
from salesflow.projections.core.question import Reader, Span, span_of
from salesflow.projections.core.statistics import decimal_of, ratio
from salesflow.projections.forecast.forecast_range import (
    METHODS,
    RANGE_FORMULA,
    RangeMade,
    Whose,
    amounts_won,
)
from salesflow.projections.forecast.known_deals import (
    FOLDS_OF_RANGES,
    RangeBasis,
    RangeScope,
    closed_deals,
    won_in,
)
from salesflow.projections.forecast.range_model import RangeMethod
from salesflow.projections.forecast.weeks_drawn import PartDrawn, WeekDrawn, WeeksDrawn
from salesflow.projections.scope import unnamed_last
from salesflow.projections.table import AMOUNT_SCALE, ReadPoint

__all__ = [
    "BacktestedRange",
    "CalibrationBand",
    "ForecastBacktest",
    "ForecastBacktestView",
    "HeldByRep",
    "HeldByTeam",
    "HeldByWeek",
    "RangesHeld",
]


QUARTERS_MOST: Final = 40
WEEK: Final = 7 * ONE_DAY
BANDS: Final = 10
KeyT = TypeVar("KeyT", tuple[RangeMethod, str], tuple[RangeMethod, int])


class BacktestedRange(Value):
    """A range that was made at the beginning of a week, and what the quarter came to."""

    method: Annotated[RangeMethod, FieldRole.KEY]
    currency: Annotated[Currency, FieldRole.KEY]
    first: Annotated[date, FieldRole.KEY]
    """The first day of the quarter."""
    week: Annotated[int, FieldRole.KEY]
    made_at: Annotated[datetime, FieldRole.TRAIT]
    low: Decimal
    middle: Decimal
    high: Decimal
    actual: Decimal
    held: Annotated[bool, FieldRole.TRAIT]


class RangesHeld(Value):
    """How often ranges held, of one method and currency; what came lay below or above else."""

    method: Annotated[RangeMethod, FieldRole.KEY]
    currency: Annotated[Currency, FieldRole.KEY]
    ranges: int
    held: int
    held_share: Decimal | None
    came_below: int
    came_above: int
    error: Decimal | None
    """Mean of |middle − actual| ÷ actual, of the ranges whose quarter came to more than 0."""
    bias: Decimal | None
    """Sum of middles ÷ sum of what came − 1."""


class HeldByWeek(Value):
    """How often ranges held that were made in the same week of their quarters."""

    method: Annotated[RangeMethod, FieldRole.KEY]
    week: Annotated[int, FieldRole.KEY]
    ranges: int
    held: int
    held_share: Decimal | None
    error: Decimal | None


class HeldByRep(Value):
    """How often ranges held that were made of the deals of one rep, by history."""

    owner: Annotated[SafeText | None, FieldRole.KEY]
    ranges: int
    """Those in which anything was open, or came; in all currencies."""
    held: int
    held_share: Decimal | None
    came_below: int
    came_above: int


class HeldByTeam(Value):
    """How often ranges held of the deals of those who were in a team then, by history."""

    team: Annotated[Reference | None, FieldRole.KEY]
    """None for reps who were in none."""
    ranges: int
    held: int
    held_share: Decimal | None
    came_below: int
    came_above: int


class CalibrationBand(Value):
    """Of the deals that were given about so much, how many were won in time."""

    method: Annotated[RangeMethod, FieldRole.KEY]
    band: Annotated[SafeText, FieldRole.KEY]
    forecasts: int
    """A deal counts in every week in which it was open."""
    deals: int
    given: Decimal | None
    """The mean of what they were given."""
    won: Decimal | None
    """The share of the forecasts whose deal was won by the end of the quarter."""


class ForecastBacktestView(MoneyView):
    """How far past ranges held, and how right the probabilities of deals were."""

    population: ClassVar[str] = (
        "a range for the first instant of every week of the last quarters that are over; what"
        " came: deals that stood won at the quarter's end and closed in it, as known at the"
        " moment; reps and teams: those in which a deal was open, expected or won, a team being"
        " those who were in it at the instant of the range"
    )
    formula: ClassVar[str] = (
        "held = what came lies within the range, for which 80% is aimed at; error = mean of"
        " |middle − actual| ÷ actual; bias = sum of middles ÷ sum of actuals − 1; calibration:"
        " deals open in a week, by the probability given to them, and the share won by the end"
        " of the quarter; weeks of a quarter look at the same deals and are not independent, so"
        " no interval is given; " + RANGE_FORMULA
    )
    known: Literal["then", "moment"]
    quarters: int
    weeks_unknown: int
    """Weeks left out, since nothing was known of any deal."""
    totals: tuple[RangesHeld, ...]
    weeks: tuple[HeldByWeek, ...]
    reps: tuple[HeldByRep, ...]
    teams: tuple[HeldByTeam, ...]
    calibration: tuple[CalibrationBand, ...]
    ranges: tuple[BacktestedRange, ...]

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay it out: how often ranges held, by week and rep, then the calibration."""
        notes = (*self._notes(language),)
        held = _held_table("Ranges that held", ("Method", "Currency"), self.totals, language)
        found = [
            held._replace(notes=notes),
            self._calibration(language),
            self._weeks(language),
            _parts_table("Ranges that held by rep", "Owner", self._reps()),
            _parts_table("Ranges that held by team", "Team", self._teams()),
        ]
        return [found[0], *(table for table in found[1:] if table.rows)]

    def _notes(self, language: Language) -> Iterator[str]:
        yield say_count(
            "{count:,} quarter that is over", "{count:,} quarters that are over",
            self.quarters, language,
        )  # fmt: skip
        if self.weeks_unknown and self.known == "moment":
            yield say_count(
                "{count:,} week left out: no deal that is known now was open or won by then",
                "{count:,} weeks left out: no deal that is known now was open or won by then",
                self.weeks_unknown,
                language,
            )
        elif self.weeks_unknown:
            yield say_count(
                "{count:,} week left out: nothing was known then; --known moment takes what is"
                " known of it now",
                "{count:,} weeks left out: nothing was known then; --known moment takes what is"
                " known of them now",
                self.weeks_unknown,
                language,
            )

    def _calibration(self, language: Language) -> TableOfView:
        rows = tuple(
            (
                key_text(each.method, language),
                each.band,
                f"{each.forecasts:,}",
                f"{each.deals:,}",
                percent_text(each.given),
                percent_text(each.won),
            )
            for each in self.calibration
        )
        columns = ("Method", "Probability given", "Forecasts", "Deals", "Mean given", "Won")
        return TableOfView("Calibration of deals", columns, rows)

    def _weeks(self, language: Language) -> TableOfView:
        rows = tuple(
            (
                key_text(each.method, language),
                str(each.week),
                f"{each.ranges:,}",
                f"{each.held:,}",
                percent_text(each.held_share),
                percent_text(each.error),
            )
            for each in self.weeks
        )
        columns = ("Method", "Week", "Ranges", "Held", "Share that held", "Error of the middle")
        return TableOfView("Ranges that held by week", columns, rows)

    def _reps(self) -> Iterator[tuple[str | None, HeldByRep]]:
        return ((each.owner, each) for each in self.reps)

    def _teams(self) -> Iterator[tuple[str | None, HeldByTeam]]:
        return ((each.team, each) for each in self.teams)


def _parts_table(
    title: str, head: str, parts: Iterable[tuple[str | None, HeldByRep | HeldByTeam]]
) -> TableOfView:
    rows = tuple(
        (
            name or NO_VALUE,
            f"{each.ranges:,}",
            f"{each.held:,}",
            percent_text(each.held_share),
            f"{each.came_below:,}",
            f"{each.came_above:,}",
        )
        for name, each in parts
    )
    columns = (head, "Ranges", "Held", "Share that held", "Came below", "Came above")
    return TableOfView(title, columns, rows)


def _held_table(
    title: str, first: tuple[str, ...], lines: Sequence[RangesHeld], language: Language
) -> TableOfView:
    rows = tuple(
        (
            key_text(each.method, language),
            each.currency,
            f"{each.ranges:,}",
            f"{each.held:,}",
            percent_text(each.held_share),
            f"{each.came_below:,}",
            f"{each.came_above:,}",
            percent_text(each.error),
            percent_text(each.bias),
        )
        for each in lines
    )
    columns = (
        *first, "Ranges", "Held", "Share that held", "Came below", "Came above",
        "Error of the middle", "Bias of the middle",
    )  # fmt: skip
    return TableOfView(title, columns, rows)


class ForecastBacktest(MoneyQuestion[ForecastBacktestView]):
    """How far did the ranges of past forecasts hold, and how right were probabilities?"""

    name: ClassVar[str] = "forecast-backtest"
    folds: ClassVar[tuple[str, ...]] = tuple(sorted(FOLDS_OF_RANGES))
    rates_usual: ClassVar[RateRule] = "period_end"
    rates: Literal["period_end", "fixed"] | None = None
    """Of which day the rate is, for ranges and what came: period_end (of each quarter) or
    fixed."""
    quarters: Annotated[int, Field(ge=1, le=QUARTERS_MOST, strict=True)] = 4
    """Of how many last fiscal quarters, those that are over. Default: 4."""
    known: Literal["then", "moment"] = "then"
    """Draw each range from what was known then, or of that time at the moment."""
    process: Reference | None = None
    """Only deals of this process (its key); all when left out."""
    owner: Reference | None = None
    """Only deals of this rep; all when left out."""

    def answer(self, reader: Reader, moment: Moment) -> ForecastBacktestView:
        """Draw the ranges of every week, and lay what came beside them."""
        spans, exchange = [*self._spans(reader)], self.exchange(reader)
        basis = RangeBasis(RangeScope(self.process, self.owner), exchange)
        tested, drawn = _Tested(), WeeksDrawn(reader, basis)
        for span in spans:
            came = _came(reader, span, basis)
            for week, at in enumerate(_weeks(span, reader), 1):
                tested.add(drawn.of(span, self._then(reader, at)), came, span, week)
        totals, weeks = tested.by(_method_and_currency), tested.by(_method_and_week)
        return ForecastBacktestView(
            moment=moment,
            known=self.known,
            quarters=len(spans),
            weeks_unknown=tested.unknown,
            totals=tuple(_held(key, found) for key, found in totals),
            weeks=tuple(_held_in_week(key, found) for key, found in weeks),
            reps=tuple(
                HeldByRep(owner=name, **held) for name, held in _held_by(tested.sides["rep"])
            ),
            teams=tuple(
                HeldByTeam(team=name, **held) for name, held in _held_by(tested.sides["team"])
            ),
            calibration=tuple(tested.calibration()),
            ranges=tuple(map(_past_range, tested.all)),
            rates=exchange.used,
        )

    def _spans(self, reader: Reader) -> Iterator[Span]:
        """Yield the quarters that are over, the oldest first."""
        day = from_instant(reader.read_point.as_of + 1).astimezone(reader.timezone).date()
        found = []
        for _ in range(self.quarters):
            days = reader.calendar.before("quarter", day)
            found.append(span_of(days.first, days.last, reader))
            day = days.first
        yield from reversed(found)

    def _then(self, reader: Reader, at: Instant) -> ReadPoint:
        """Return the moment at which a range is drawn."""
        point = reader.read_point
        known_at = min(at, point.known_at) if self.known == "then" else point.known_at
        return point._replace(as_of=at, known_at=known_at)


def _weeks(span: Span, reader: Reader) -> Iterator[Instant]:
    """Yield the last instant before each week of a period."""
    day = span.first
    while day <= span.last:
        yield start_of_day(day, reader.timezone) - 1
        day += WEEK


class _Came(NamedTuple):
    """What a quarter came to."""

    by_owner: Mapping[tuple[str | None, str], int]
    """For how much deals were won, by owner and currency; the same of all owners."""
    of_all: Mapping[str, int]
    deals: Column
    """The codes of the deals won."""
    closed: Column

    def by_team(self, drawn: WeekDrawn) -> dict[tuple[str | None, str], int]:
        """Return the same by the team that each owner was in when a range was drawn."""
        found: dict[tuple[str | None, str], int] = defaultdict(int)
        for (owner, currency), amount in self.by_owner.items():
            found[drawn.team_of(owner), currency] += amount
        return found


def _came(reader: Reader, span: Span, basis: RangeBasis) -> _Came:
    end = reader.read_point._replace(as_of=span.end - 1)
    won = won_in(closed_deals(reader, end, span, basis), basis.scope.owner, span, span.end - 1)
    owners, currencies = won.words["owner"], won.words["currency"]
    by_owner = {
        (owners[owner], currencies[currency]): amount
        for (owner, currency), (_, amount) in amounts_won(won).items()
    }
    of_all: dict[str, int] = defaultdict(int)
    for (_, currency), amount in by_owner.items():
        of_all[currency] += amount
    return _Came(by_owner, of_all, won["entity_id"], won["closed"])


class _Made(NamedTuple):
    """A range that was made, beside what came, in whole millionths."""

    method: RangeMethod
    span: Span
    week: int
    at: Instant
    made: RangeMade
    actual: int

    @property
    def side(self) -> int:
        """Where what came lies: 0 within the range, -1 below it, 1 above."""
        return _side(self.actual, self.made.low, self.made.high)


def _side(actual: int, low: int, high: int) -> int:
    return (actual > high) - (actual < low)


class _Tested:
    """All ranges that were made, and what deals were given."""

    def __init__(self) -> None:
        self.all: list[_Made] = []
        self.unknown = 0
        self.sides: dict[Whose, dict[str | None, list[int]]] = {
            "rep": defaultdict(list),
            "team": defaultdict(list),
        }
        """Where what came lies, of the ranges of each rep and team, by history."""
        self._given: dict[RangeMethod, list[Column]] = {method: [] for method in METHODS}
        self._won: list[Column] = []
        self._deals: list[Column] = []

    def add(self, drawn: WeekDrawn, came: _Came, span: Span, week: int) -> None:
        """Lay what came beside the ranges of a week."""
        if not drawn.is_known:
            self.unknown += 1
            return
        for method, made in drawn.of_all:
            actual = came.of_all.get(made.currency, 0)
            self.all.append(_Made(method, span, week, drawn.at, made, actual))
        self._lay("rep", drawn.of_reps, came.by_owner)
        self._lay("team", drawn.of_teams, came.by_team(drawn))
        for method, likely in drawn.likely.items():
            self._given[method].append(likely)
        place = places_among(came.deals, drawn.deals)
        closed = np.append(came.closed, drawn.at)[place]
        self._won.append((place >= 0) & (closed > drawn.at))
        self._deals.append(drawn.deals)

    def _lay(
        self,
        whose: Whose,
        ranges: Iterable[PartDrawn],
        came: Mapping[tuple[str | None, str], int],
    ) -> None:
        """Lay what came beside the ranges of parts; nothing is said where there is nothing."""
        for part, low, high in ranges:
            side = _side(came.get(part, 0), low, high)
            if low < high or side:
                self.sides[whose][part[0]].append(side)

    def by(self, key: Callable[[_Made], KeyT]) -> list[tuple[KeyT, list[_Made]]]:
        """Return the ranges of all reps together, in groups."""
        found: dict[KeyT, list[_Made]] = defaultdict(list)
        for each in sorted(self.all, key=lambda made: METHODS.index(made.method)):
            found[key(each)].append(each)
        return sorted(found.items(), key=lambda pair: pair[0])

    def calibration(self) -> Iterator[CalibrationBand]:
        """Yield what deals were given, band by band, and how many of them were won."""
        if not self._won:
            return
        won, deals = (np.concatenate(each) for each in (self._won, self._deals))
        for method in METHODS:
            given = np.concatenate(self._given[method])
            band = np.minimum(given * BANDS // AMOUNT_SCALE, BANDS - 1)
            for number in range(BANDS):
                here = np.flatnonzero(band == number)
                if len(here):
                    yield CalibrationBand(
                        method=method,
                        band=f"{number * 10}–{number * 10 + 10}%",
                        forecasts=len(here),
                        deals=len(np.unique(deals[here])),
                        given=ratio(int(given[here].sum()), len(here) * AMOUNT_SCALE),
                        won=ratio(int(won[here].sum()), len(here)),
                    )


def _method_and_currency(each: _Made) -> tuple[RangeMethod, str]:
    return each.method, each.made.currency


def _method_and_week(each: _Made) -> tuple[RangeMethod, int]:
    return each.method, each.week


def _counts(sides: Sequence[int]) -> tuple[int, int, int]:
    """Return how many held, and of how many what came lay below and above."""
    return sides.count(0), sides.count(-1), sides.count(1)


def _sides(found: Iterable[_Made]) -> tuple[int, int, int]:
    return _counts([each.side for each in found])


def _error(found: Iterable[_Made]) -> Decimal | None:
    errors = [
        Fraction(abs(each.made.middle - each.actual), each.actual)
        for each in found
        if each.actual > 0
    ]
    return decimal_of(sum(errors, Fraction(0)) / len(errors)) if errors else None


def _held(key: tuple[RangeMethod, str], found: Sequence[_Made]) -> RangesHeld:
    held, below, above = _sides(found)
    actual = sum(each.actual for each in found)
    middle = sum(each.made.middle for each in found)
    return RangesHeld(
        method=key[0],
        currency=key[1],
        ranges=len(found),
        held=held,
        held_share=ratio(held, len(found)),
        came_below=below,
        came_above=above,
        error=_error(found),
        bias=decimal_of(Fraction(middle, actual) - 1) if actual > 0 else None,
    )


def _held_in_week(key: tuple[RangeMethod, int], found: Sequence[_Made]) -> HeldByWeek:
    held, _, _ = _sides(found)
    return HeldByWeek(
        method=key[0],
        week=key[1],
        ranges=len(found),
        held=held,
        held_share=ratio(held, len(found)),
        error=_error(found),
    )


def _held_by(
    sides: Mapping[str | None, Sequence[int]],
) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Yield how often the ranges of each rep or team held, by name, nobody's last."""
    for name in sorted(sides, key=unnamed_last):
        ranges, (held, below, above) = len(sides[name]), _counts(sides[name])
        yield (
            name,
            {
                "ranges": ranges,
                "held": held,
                "held_share": ratio(held, ranges),
                "came_below": below,
                "came_above": above,
            },
        )


def _past_range(each: _Made) -> BacktestedRange:
    return BacktestedRange(
        method=each.method,
        currency=each.made.currency,
        first=each.span.first,
        week=each.week,
        made_at=from_instant(each.at),
        low=unscaled(each.made.low),
        middle=unscaled(each.made.middle),
        high=unscaled(each.made.high),
        actual=unscaled(each.actual),
        held=each.side == 0,
    )
