"""The figures of a forecast, worked out from what was read: sums, measures, shares.

What each figure means is said by the view. Everything is kept apart by group and currency and
exact until the last division. Filters have been applied by whoever read the rows.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, localcontext
from typing import Final, NamedTuple

from salesflow.domain.process import ForecastCategory, win_rate_of
from salesflow.domain.time import from_instant
from salesflow.domain.values import EXACT_DIGITS, Currency, SafeText, Value, tidy
from salesflow.projections.forecast.forecast_reading import (
    ChangeRow,
    ClosedRow,
    ForecastPoint,
    KnowledgeOf,
    OpenRow,
    OutcomeRow,
    PastForecastKey,
    When,
    WonRow,
)
from salesflow.projections.scope import unnamed_last
from salesflow.projections.table import AMOUNT_SCALE

__all__ = [
    "CategoryLine",
    "ChangesLine",
    "ForecastLine",
    "ForecastSums",
    "PastForecast",
    "SlippageLine",
    "category_lines",
    "changes_lines",
    "forecast_lines",
    "past_forecasts",
    "slippage_lines",
    "sums_of",
]


Group = str | None
Key = tuple[Group, str | None]
"""Group and currency."""

CATEGORIES: Final[tuple[ForecastCategory, ...]] = (
    "closed", "commit", "best_case", "pipeline", "omitted",
)  # fmt: skip
COMMIT: Final = ("closed", "commit")
BEST_CASE: Final = (*COMMIT, "best_case")
PIPELINE: Final = (*BEST_CASE, "pipeline")
RATIO_DIGITS: Final = 28


class ForecastLine(Value):
    """What is won and likely in the period, of one group and currency."""

    group: SafeText | None
    """The owner or process; None without `by`, and where nobody said it."""
    currency: Currency | None
    """None for deals without an amount."""
    deals: int
    """Open deals expected to close in the period; so are amount and weighted."""
    amount: Decimal
    weighted: Decimal
    won: Decimal
    """Booked in the period so far."""
    forecast_weighted: Decimal
    forecast_commit: Decimal
    forecast_best_case: Decimal
    forecast_pipeline: Decimal
    goal_remaining: Decimal | None
    """What is missing of the goal for sales of the same days, owner and process, in this
    currency; None where there is no such goal."""
    coverage: Decimal | None
    """Open amount ÷ what is missing; None without a goal, and once it is met."""
    coverage_required: Decimal | None
    """None where nothing was won in the trailing days."""
    win_rate_by_value: Decimal | None
    """Of the trailing days."""


class CategoryLine(Value):
    """The open deals expected to close in the period, of one forecast category."""

    group: SafeText | None
    currency: Currency | None
    forecast_category: ForecastCategory
    deals: int
    amount: Decimal
    weighted: Decimal


class SlippageLine(Value):
    """What became of the deals open at the start and expected in the period, by its end.

    Amounts are those of the start. The five fates add up to what was expected.
    """

    group: SafeText | None
    currency: Currency | None
    expected: int
    expected_amount: Decimal
    won: int
    left_otherwise: int
    """Lost, disqualified, merged, or not believed to have existed any more."""
    pending: int
    """Still open, and their day is still to come."""
    moved: int
    moved_amount: Decimal
    overdue: int
    overdue_amount: Decimal
    slipped: int
    """Moved out of the period or overdue."""
    slipped_amount: Decimal
    slippage: Decimal | None
    slippage_by_value: Decimal | None


class ChangesLine(Value):
    """How often the forecasts of open deals were changed in the period."""

    group: SafeText | None
    currency: Currency | None
    pushes: int
    deals_pushed: int
    deals_pushed_again: int
    """Deals pushed more than once."""
    increases: int
    decreases: int


class PastForecast(Value):
    """What was forecast of an earlier period, and what came of it."""

    group: SafeText | None
    currency: Currency
    first: date
    last: date
    """The last day of the period, included."""
    made: When
    known: KnowledgeOf
    made_at: datetime
    deals: int
    """Open deals expected in it."""
    forecast_weighted: Decimal
    forecast_commit: Decimal
    forecast_best_case: Decimal
    actual: Decimal
    accuracy_weighted: Decimal | None
    """None until the period is over, and where nothing was sold in it."""
    accuracy_commit: Decimal | None
    accuracy_best_case: Decimal | None


class ForecastPart(NamedTuple):
    """Some deals and what they are worth."""

    deals: int = 0
    amount: Decimal = Decimal(0)
    weighted: Decimal = Decimal(0)

    def plus(self, deals: int, amount: Decimal, probability: int = 0) -> "ForecastPart":
        """Add deals of one probability, given in millionths."""
        likely = amount * Decimal(probability) / AMOUNT_SCALE
        return ForecastPart(self.deals + deals, self.amount + amount, self.weighted + likely)


class ForecastSums:
    """What a forecast made at one forecast point adds up to, of one group and currency."""

    def __init__(self) -> None:
        self.won = Decimal(0)
        self.parts: dict[str, ForecastPart] = defaultdict(ForecastPart)
        """Open deals by forecast category."""

    def open(self) -> ForecastPart:
        """Add up all open deals expected to close in the period."""
        with localcontext(prec=EXACT_DIGITS):
            deals, amount, weighted = ForecastPart()
            for part in self.parts.values():
                deals, amount = deals + part.deals, amount + part.amount
                weighted += part.weighted
            return ForecastPart(deals, _tidy(amount), _tidy(weighted))

    def with_categories(self, categories: Sequence[str]) -> Decimal:
        """Forecast what was won and the open deals of these categories."""
        with localcontext(prec=EXACT_DIGITS):
            return _tidy(self.won + sum(self.parts[each].amount for each in categories))

    def with_weighted(self) -> Decimal:
        """Forecast what was won and what is likely of the open deals."""
        with localcontext(prec=EXACT_DIGITS):
            return _tidy(self.won + self.open().weighted)

    @property
    def counts(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.won or any(part.deals for part in self.parts.values()))


AllSums = Mapping[int, Mapping[Key, ForecastSums]]


def sums_of(opened: Iterable[OpenRow], won: Iterable[WonRow]) -> AllSums:
    """Add up what was read at every forecast point, by its number."""
    found: dict[int, dict[Key, ForecastSums]] = defaultdict(lambda: defaultdict(ForecastSums))
    with localcontext(prec=EXACT_DIGITS):
        for row in opened:
            parts = found[row.point][row.group, row.currency].parts
            part = parts[row.category].plus(row.deals, row.amount, row.probability)
            parts[row.category] = part
        for booked in won:
            sums = found[booked.point][booked.group, booked.currency]
            sums.won += booked.amount * Decimal(booked.share) / AMOUNT_SCALE
    return found


def forecast_lines(
    now: Mapping[Key, ForecastSums],
    closed: Iterable[ClosedRow],
    targets: Callable[[str | None, str], Decimal | None],
) -> Iterator[ForecastLine]:
    """Yield the forecasts of the period, the coverage of their goals and what they would need.

    The goal for sales of a group and a currency is said by `targets`.
    """
    trailing: dict[Key, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    with localcontext(prec=EXACT_DIGITS):
        for row in closed:
            trailing[row.group, row.currency][row.outcome] += row.amount
    for key in _in_order(key for key, sums in now.items() if sums.counts):
        sums, rates = now[key], trailing[key]
        part, (gained, counted) = sums.open(), win_rate_of(rates, Decimal(0))
        rate = _ratio(gained, counted)
        target = None if key[1] is None else targets(key[0], key[1])
        missing = None if target is None else max(target - _tidy(sums.won), Decimal(0))
        yield ForecastLine(
            group=key[0],
            currency=key[1],
            deals=part.deals,
            amount=part.amount,
            weighted=part.weighted,
            won=_tidy(sums.won),
            forecast_weighted=sums.with_weighted(),
            forecast_commit=sums.with_categories(COMMIT),
            forecast_best_case=sums.with_categories(BEST_CASE),
            forecast_pipeline=sums.with_categories(PIPELINE),
            goal_remaining=missing,
            coverage=_ratio(part.amount, missing) if missing else None,
            coverage_required=_ratio(counted, gained) if rate and rate > 0 else None,
            win_rate_by_value=rate,
        )


def category_lines(now: Mapping[Key, ForecastSums]) -> Iterator[CategoryLine]:
    """Yield the open deals by forecast category, the surest first."""
    for key in _in_order(now):
        for category in CATEGORIES:
            part = now[key].parts[category]
            if part.deals:
                yield CategoryLine(
                    group=key[0],
                    currency=key[1],
                    forecast_category=category,
                    deals=part.deals,
                    amount=_tidy(part.amount),
                    weighted=_tidy(part.weighted),
                )


def slippage_lines(rows: Iterable[OutcomeRow]) -> Iterator[SlippageLine]:
    """Count what became of the deals that were expected at the start."""
    found: dict[Key, dict[str, ForecastPart]] = defaultdict(lambda: defaultdict(ForecastPart))
    with localcontext(prec=EXACT_DIGITS):
        for row in rows:
            fates = found[row.group, row.currency]
            fates[row.fate] = fates[row.fate].plus(row.deals, row.amount)
    for key in _in_order(found):
        fates = found[key]
        moved, overdue = fates["moved"], fates["overdue"]
        everything = sum(part.deals for part in fates.values())
        with localcontext(prec=EXACT_DIGITS):
            amount = _tidy(sum((part.amount for part in fates.values()), Decimal(0)))
            slipped_amount = _tidy(moved.amount + overdue.amount)
        slipped = moved.deals + overdue.deals
        yield SlippageLine(
            group=key[0],
            currency=key[1],
            expected=everything,
            expected_amount=amount,
            won=fates["won"].deals,
            left_otherwise=fates["otherwise"].deals,
            pending=fates["pending"].deals,
            moved=moved.deals,
            moved_amount=_tidy(moved.amount),
            overdue=overdue.deals,
            overdue_amount=_tidy(overdue.amount),
            slipped=slipped,
            slipped_amount=slipped_amount,
            slippage=_ratio(Decimal(slipped), Decimal(everything)),
            slippage_by_value=_ratio(slipped_amount, amount),
        )


def changes_lines(rows: Iterable[ChangeRow]) -> Iterator[ChangesLine]:
    """Count how often closing dates and amounts were changed."""
    found: dict[Key, dict[str, ChangeRow]] = defaultdict(dict)
    for row in rows:
        found[row.group, row.currency][row.kind] = row
    for key in _in_order(found):
        kinds = found[key]
        none = ChangeRow(*key, kind="", times=0, deals=0, deals_again=0)
        pushed = kinds.get("pushed", none)
        yield ChangesLine(
            group=key[0],
            currency=key[1],
            pushes=pushed.times,
            deals_pushed=pushed.deals,
            deals_pushed_again=pushed.deals_again,
            increases=kinds.get("increased", none).times,
            decreases=kinds.get("decreased", none).times,
        )


def past_forecasts(
    past: Sequence[PastForecastKey], points: Sequence[ForecastPoint], sums: AllSums
) -> Iterator[PastForecast]:
    """Set every forecast of an earlier period beside what was sold in it."""
    for made in past:
        forecast, actual = sums.get(made.point, {}), sums.get(made.actual, {})
        counted_keys = {key for book in (forecast, actual) for key in book if book[key].counts}
        for key in _in_order(counted_keys):
            if key[1] is not None:
                pair = forecast.get(key, ForecastSums()), actual.get(key, ForecastSums()).won
                yield _past(made, points, key, *pair)


def _past(
    made: PastForecastKey,
    points: Sequence[ForecastPoint],
    key: Key,
    sums: ForecastSums,
    actual: Decimal,
) -> PastForecast:
    point, judged = points[made.point], points[made.actual]
    over = judged.read_point.as_of >= judged.span.end - 1
    weighted = sums.with_weighted()
    commit, best_case = sums.with_categories(COMMIT), sums.with_categories(BEST_CASE)
    accuracy = [
        _accuracy(each, actual) if over else None for each in (weighted, commit, best_case)
    ]
    assert key[1] is not None
    return PastForecast(
        group=key[0],
        currency=key[1],
        first=point.span.first,
        last=point.span.last,
        made=made.made,
        known=made.known,
        made_at=from_instant(point.read_point.as_of),
        deals=sums.open().deals,
        forecast_weighted=weighted,
        forecast_commit=commit,
        forecast_best_case=best_case,
        actual=_tidy(actual),
        accuracy_weighted=accuracy[0],
        accuracy_commit=accuracy[1],
        accuracy_best_case=accuracy[2],
    )


def _accuracy(forecast: Decimal, actual: Decimal) -> Decimal | None:
    """Return 1 − |forecast − actual| ÷ actual; None where nothing was sold on balance."""
    if actual <= 0:
        return None
    with localcontext(prec=EXACT_DIGITS):
        right = actual - abs(forecast - actual)
    return _ratio(right, actual)


def _ratio(part: Decimal, whole: Decimal) -> Decimal | None:
    """Divide, rounded to 28 digits; None where there is nothing to divide by."""
    with localcontext(prec=RATIO_DIGITS):
        return _tidy(part / whole) if whole else None


def _tidy(amount: Decimal) -> Decimal:
    with localcontext(prec=EXACT_DIGITS):
        return tidy(amount)


def _in_order(keys: Iterable[Key]) -> list[Key]:
    """Sort by group, then currency; those nobody named come last."""
    return sorted(keys, key=lambda key: [*map(unnamed_last, key)])
