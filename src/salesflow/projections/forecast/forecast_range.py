"""A forecast with its range: what a period may bring, and how far apart that lies.

Answers "what will close in this period, at least, most likely and at most?" for any past
moment, from nothing but what was known then: how often deals that stood as these do were won in
time, what was won in windows as long of deals nobody had opened yet, and what the deals are
worth. How far such ranges held is another question, `forecast-backtest`. Leaves out repeat
orders, amended contracts and refunds: it is about deals that close.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from salesflow.domain.time import Moment, Period
from salesflow.domain.values import Currency, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import NO_VALUE, days_text, money_text
from salesflow.presentation.messages import Language, in_language, key_text, say_count
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import Column, HeldRows
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.question import PeriodQuestion, Reader, View
from salesflow.projections.forecast.range_model import (
    FOLDS_OF_RANGES,
    Drawn,
    KnownDeals,
    Line,
    RangeMethod,
    RangeScope,
    drawn,
    known_deals,
    probabilities,
    won_in,
)
from salesflow.projections.scope import unnamed_last

__all__ = [
    "METHODS",
    "RANGE_FORMULA",
    "ForecastRange",
    "ForecastRangeView",
    "MadeRanges",
    "RangeLine",
    "RangeMade",
    "amounts_won",
    "ranges_at",
]


METHODS: Final[tuple[RangeMethod, ...]] = ("history", "process")
RANGE_FORMULA: Final = (
    "range = 10th to 90th percentile of 999 runs, drawn with a seed that follows from the"
    " moment and the period; history: probability of a deal = share won within the rest of the"
    " period, of visits to its stage that had lasted as long, drawn towards its stage, its"
    " process and what is stated as if each were 4 visits; each run takes one past"
    " window as long (52 at most, a week apart): what was won then of deals opened in it, and"
    " how much more or less than usual open deals were won; process: stated probability of"
    " deals expected to close in the period, and nothing else; a deal without an amount brings"
    " what one of the last wins of its process brought"
)


class RangeMade(NamedTuple):
    """A range of one line, in whole millionths."""

    of_all: bool
    """Whether it is of all reps together."""
    owner: str | None
    currency: str
    deals: int
    """Open deals that are asked about."""
    expected: int
    """How many of them are won on average, in millionths."""
    won_deals: int
    won: int
    low: int
    middle: int
    high: int


class MadeRanges(NamedTuple):
    """What was drawn by one method at one moment."""

    method: RangeMethod
    likely: Column
    """How likely each open deal is won in the period, in millionths."""
    lines: list[RangeMade]
    drawn: Drawn
    won: Mapping[Line, tuple[int, int]]
    """How many deals are won already and for how much, in millionths."""

    def of_lines(self) -> Iterator[tuple[Line, int, int]]:
        """Yield low and high of each owner and currency, by their codes."""
        drawn = zip(self.drawn.lines, self.drawn.each_percentiles(), strict=True)
        for line, (low, _, high) in drawn:
            amount = self.won[line][1] if line in self.won else 0
            yield line, amount + low, amount + high
        for line in self.won.keys() - set(self.drawn.lines):
            yield line, self.won[line][1], self.won[line][1]


class RangeLine(Value):
    """What a period may bring, of one method, rep and currency."""

    method: Annotated[RangeMethod, FieldRole.KEY]
    owner: Annotated[SafeText | None, FieldRole.KEY]
    """None for all together, and for deals of nobody, in lines by rep."""
    currency: Annotated[Currency, FieldRole.KEY]
    deals: int
    """Open deals; those without an amount in the currency of the wins of their process."""
    deals_expected: Decimal
    """How many of them are won in the period on average."""
    won_deals: int
    won: Decimal
    """Won in the period by the moment."""
    low: Decimal
    middle: Decimal
    high: Decimal


class ForecastRangeView(View):
    """What a period may bring: low, middle and high of all, then by rep."""

    population: ClassVar[str] = (
        "deals won in the period so far, open deals at the as-of time, and by history also"
        " deals that are not opened yet; all as known at the moment, each deal for its owner"
    )
    formula: ClassVar[str] = RANGE_FORMULA
    period: Period
    windows: int
    """How many past windows there were to draw from; with none, new deals are left out."""
    without_amount: int
    """Open deals left out: without an amount, in processes without a win to take one from."""
    lines: tuple[RangeLine, ...]
    reps: tuple[RangeLine, ...]

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the ranges out: all together by method, then each rep."""
        notes = (*self._notes(language),)
        days = days_text(self.period, ZoneInfo(self.timezone))
        whole = _table("Forecast range", self.lines, ("Method",), language)
        found = [whole._replace(about=days, notes=notes)]
        if self.reps:
            found.append(_table("Forecast range by rep", self.reps, ("Owner",), language))
        return found

    def _notes(self, language: Language) -> Iterator[str]:
        if not self.windows:
            yield in_language(
                "no past window of this length is over yet: deals that are not opened yet are"
                " left out, and the range is too narrow",
                language,
            )
            return
        yield say_count(
            "drawn from {count:,} past window of this length",
            "drawn from {count:,} past windows of this length",
            self.windows,
            language,
        )
        if self.without_amount:
            yield say_count(
                "{count:,} open deal without an amount is left out: its process has no win yet",
                "{count:,} open deals without an amount are left out: their process has no win"
                " yet",
                self.without_amount,
                language,
            )


def _table(
    title: str, lines: Sequence[RangeLine], first: tuple[str, ...], language: Language
) -> TableOfView:
    rows = tuple(
        (
            key_text(line.method, language) if "Method" in first else line.owner or NO_VALUE,
            f"{line.deals:,}",
            f"{line.deals_expected:,.1f}",
            f"{line.won_deals:,}",
            *(
                money_text(each, line.currency)
                for each in (line.won, line.low, line.middle, line.high)
            ),
        )
        for line in lines
    )
    columns = (
        *first, "Open deals", "Expected wins", "Won deals so far", "Won so far",
        "Low (P10)", "Middle (P50)", "High (P90)",
    )  # fmt: skip
    return TableOfView(title, columns, rows)


class ForecastRange(PeriodQuestion[ForecastRangeView]):
    """What will close in a period, at least, most likely and at most?"""

    name: ClassVar[str] = "forecast-range"
    folds: ClassVar[tuple[str, ...]] = tuple(sorted(FOLDS_OF_RANGES))
    process: Reference | None = None
    """Only deals of this process (its key); all when left out."""
    owner: Reference | None = None
    """Only deals of this rep; all when left out."""
    by: Literal["owner"] | None = None
    """Lines of their own for each owner, by history."""

    def answer(self, reader: Reader, moment: Moment) -> ForecastRangeView:
        """Draw both methods from what was known at the moment."""
        span, scope = self.span(reader), RangeScope(self.process, self.owner)
        known = known_deals(reader, reader.read_point, span, scope)
        made = [ranges_at(known, method, by_rep=self.by is not None) for method in METHODS]
        return ForecastRangeView(
            moment=moment,
            period=span.period(),
            windows=max(each.drawn.windows for each in made),
            without_amount=max(each.drawn.without_amount for each in made),
            lines=tuple(_lines(made, of_all=True)),
            reps=tuple(_lines(made[:1], of_all=False)),
        )


def ranges_at(known: KnownDeals, method: RangeMethod, *, by_rep: bool) -> MadeRanges:
    """Return the ranges of all together by currency, and those of each rep."""
    likely = probabilities(known, method)
    found = drawn(known, likely, method)
    won = amounts_won(won_in(known.closing, known.scope.owner, known.span, known.horizon.at))
    owner_of, currency_of = known.open.words["owner"], known.open.words["currency"]
    place = {line: number for number, line in enumerate(found.lines)}
    alike: dict[int, list[Line]] = defaultdict(list)
    for key in {*place, *won}:
        alike[key[1]].append(key)
    each_rep = found.each_percentiles() if by_rep else ()
    lines = []
    for code in sorted(alike, key=currency_of.__getitem__):
        keys, currency = alike[code], currency_of[code]
        if by_rep:
            keys.sort(key=lambda each: unnamed_last(owner_of[each[0]]))
        places = [place[key] for key in keys if key in place]
        together = found.percentiles(places)
        lines.append(_made((None, currency), [*map(won.get, keys)], found, places, together))
        for key in keys if by_rep else ():
            number, whose = place.get(key), (owner_of[key[0]], currency)
            if number is None:
                made = _made(whose, [won.get(key)], found, [], (0, 0, 0))
            else:
                made = _made(whose, [won.get(key)], found, [number], each_rep[number])
            lines.append(made._replace(of_all=False))
    return MadeRanges(method, likely, lines, found, won)


def amounts_won(won: HeldRows) -> Mapping[Line, tuple[int, int]]:
    """Return how many deals were won and for how much, in millionths, by owner and currency."""
    won = won.where(won.known("currency"))
    alike = grouped(won["owner"], won["currency"])
    codes = np.stack([won["owner"], won["currency"]])[:, alike.first].T.tolist()
    sums = zip(alike.counts().tolist(), alike.sums(won["amount"]).tolist(), strict=True)
    return {(o, c): each for (o, c), each in zip(codes, sums, strict=True)}


def _made(
    whose: tuple[str | None, str],
    won: Sequence[tuple[int, int] | None],
    found: Drawn,
    places: Sequence[int],
    rest: tuple[int, int, int],
) -> RangeMade:
    """Put what is won already and the range of the rest together, of owner and currency."""
    deals, amount = (sum(each[n] for each in won if each is not None) for n in (0, 1))
    low, middle, high = rest
    return RangeMade(
        True,
        *whose,
        sum(found.deals[n] for n in places),
        sum(found.expected[n] for n in places),
        deals,
        amount,
        *(amount + low, amount + middle, amount + high),
    )


def _lines(made: Iterable[MadeRanges], *, of_all: bool) -> Iterator[RangeLine]:
    for ranges in made:
        for each in ranges.lines:
            if each.of_all is of_all:
                yield RangeLine(
                    method=ranges.method,
                    owner=each.owner,
                    currency=each.currency,
                    deals=each.deals,
                    deals_expected=unscaled(each.expected),
                    won_deals=each.won_deals,
                    won=unscaled(each.won),
                    low=unscaled(each.low),
                    middle=unscaled(each.middle),
                    high=unscaled(each.high),
                )
