"""A forecast with its range: what a period may bring, and how far apart that lies.

Answers "what will close in this period, at least, most likely and at most?" for any past
moment, from nothing but what was known then: how often deals that stood as these do were won in
time, what was won in windows as long of deals nobody had opened yet, and what the deals are
worth. How far such ranges held is another question, `forecast-backtest`. Leaves out repeat
orders, amended contracts and refunds: it is about deals that close.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from salesflow.domain.time import MICROSECOND, Moment, Period
from salesflow.domain.values import Currency, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import (
    NO_VALUE,
    days_text,
    money_text,
    percent_text,
    short_id,
)
from salesflow.presentation.messages import Language, in_language, key_text, say, say_count
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import Column, HeldRows
from salesflow.projections.core.currency import (
    MoneyQuestion,
    MoneyView,
    RateRule,
    unscaled,
)
from salesflow.projections.core.question import PeriodQuestion, Reader
from salesflow.projections.forecast.known_deals import (
    FOLDS_OF_RANGES,
    KnownDeals,
    RangeBasis,
    RangeScope,
    known_deals,
    valid_members,
    won_in,
)
from salesflow.projections.forecast.range_model import (
    Drawn,
    Line,
    RangeMethod,
    drawn,
    probabilities,
)
from salesflow.projections.scope import Teams, unnamed_last

__all__ = [
    "METHODS",
    "RANGE_FORMULA",
    "ForecastRange",
    "ForecastRangeView",
    "MadeRanges",
    "RangeLine",
    "RangeMade",
    "Whose",
    "WinInDoubt",
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
    " how much more or less than usual open deals were won; the odds of a deal are as many"
    " times as usual as weeks so far before the end of a quarter brought more wins than the"
    " time deals stood in their stages, less what chance explains; a win for more than 3 times"
    " what its deal stood at just before, or less than a third, counts for that instead in"
    " (corrected + 1) ÷ (such wins + 2) of the runs, of the 4 times 91 days before as known"
    " then; process: stated probability of"
    " deals expected to close in the period, and nothing else; a deal without an amount brings"
    " what one of the last wins of its process brought"
)


Whose = Literal["all", "rep", "team"]
GroupT = TypeVar("GroupT")


class RangeMade(NamedTuple):
    """A range of one line, in whole millionths."""

    whose: Whose
    name: str | None
    """Of the rep or of the team."""
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

    def of_groups(
        self, group_of: Callable[[Line], GroupT]
    ) -> Iterator[tuple[GroupT, int, int]]:
        """Yield low and high of each group of lines."""
        places: dict[GroupT, list[int]] = defaultdict(list)
        amounts: dict[GroupT, int] = defaultdict(int)
        for number, line in enumerate(self.drawn.lines):
            places[group_of(line)].append(number)
        for line, (_, amount) in self.won.items():
            amounts[group_of(line)] += amount
        for group in {**places, **amounts}:
            low, _, high = self.drawn.percentiles(places.get(group, []))
            yield group, amounts.get(group, 0) + low, amounts.get(group, 0) + high

    def of(self, whose: Whose) -> list[RangeMade]:
        """Return the lines of all together, of the reps or of the teams."""
        return [line for line in self.lines if line.whose == whose]


class WinInDoubt(Value):
    """A win whose amount is far from what the deal stood at just before."""

    deal: Annotated[UUID, FieldRole.KEY]
    owner: Annotated[SafeText | None, FieldRole.TRAIT]
    currency: Annotated[Currency, FieldRole.TRAIT]
    won: Decimal
    stood: Decimal
    """What the deal stood at just before it was won."""


class RangeLine(Value):
    """What a period may bring, of one method, rep and currency."""

    method: Annotated[RangeMethod, FieldRole.KEY]
    owner: Annotated[SafeText | None, FieldRole.KEY]
    """None for all together and for teams, and for deals of nobody, in lines by rep."""
    team: Annotated[Reference | None, FieldRole.KEY]
    """None but in lines by team, and there for reps who are in none."""
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


class ForecastRangeView(MoneyView):
    """What a period may bring: low, middle and high of all, then by rep or team."""

    population: ClassVar[str] = (
        "deals won in the period so far, open deals at the as-of time, and by history also"
        " deals that are not opened yet; all as known at the moment, each deal for its owner;"
        " a team: the reps who are in it at the moment"
    )
    formula: ClassVar[str] = RANGE_FORMULA
    period: Period
    windows: int
    """How many past windows there were to draw from; with none, new deals are left out."""
    without_amount: int
    """Open deals left out: without an amount, in processes without a win to take one from."""
    lines: tuple[RangeLine, ...]
    reps: tuple[RangeLine, ...]
    teams: tuple[RangeLine, ...]
    in_doubt: tuple[WinInDoubt, ...]
    """Wins in the period whose amounts are to be looked at."""
    corrected: Decimal | None
    """The share of runs in which they are corrected; None where there are none or nothing is
    drawn any more."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the ranges out: all together by method, then each rep."""
        notes = (*self._notes(language),)
        days = days_text(self.period, ZoneInfo(self.timezone))
        whole = _table("Forecast range", self.lines, ("Method",), language)
        found = [whole._replace(about=days, notes=notes)]
        if self.reps:
            found.append(_table("Forecast range by rep", self.reps, ("Owner",), language))
        if self.teams:
            found.append(_table("Forecast range by team", self.teams, ("Team",), language))
        if self.in_doubt:
            found.append(self._in_doubt(language))
        return found

    def _in_doubt(self, language: Language) -> TableOfView:
        rows = tuple(
            (
                short_id(each.deal),
                each.owner or NO_VALUE,
                money_text(each.won, each.currency),
                money_text(each.stood, each.currency),
            )
            for each in self.in_doubt
        )
        note = in_language("far from what the deal stood at just before", language)
        if self.corrected is not None:
            note = say(
                "far from what the deal stood at, for which it counts in {share} of the runs",
                language,
                share=percent_text(self.corrected),
            )
        columns = ("Deal", "Owner", "Won for", "Stood at before")
        return TableOfView("Wins in doubt", columns, rows, notes=(note,))

    def _notes(self, language: Language) -> Iterator[str]:
        if self.period.end - MICROSECOND <= self.moment.as_of:
            yield in_language(
                "the period is over: what was won in it is all there is, and nothing is drawn"
                " any more",
                language,
            )
            return
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
            key_text(line.method, language)
            if "Method" in first
            else line.owner or line.team or NO_VALUE,
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


class ForecastRange(MoneyQuestion[ForecastRangeView], PeriodQuestion[ForecastRangeView]):
    """What will close in a period, at least, most likely and at most?"""

    name: ClassVar[str] = "forecast-range"
    folds: ClassVar[tuple[str, ...]] = tuple(sorted(FOLDS_OF_RANGES))
    rates_usual: ClassVar[RateRule] = "period_end"
    rates: Literal["period_end", "fixed"] | None = None
    """Of which day the rate is: period_end (or the moment, whichever comes first) or fixed."""
    process: Reference | None = None
    """Only deals of this process (its key); all when left out."""
    owner: Reference | None = None
    """Only deals of this rep; all when left out."""
    team: Reference | None = None
    """Only deals of those who are in this team (its key) at the moment."""
    by: Literal["owner", "team"] | None = None
    """Lines of their own for each owner or team, by history."""

    def answer(self, reader: Reader, moment: Moment) -> ForecastRangeView:
        """Draw both methods from what was known at the moment."""
        span, exchange = self.span(reader), self.exchange(reader)
        scope = RangeScope(self.process, self._owners(reader))
        basis = RangeBasis(scope, exchange, with_teams=self.by == "team")
        known = known_deals(reader, reader.read_point, span, basis)
        made = [ranges_at(known, method, in_parts=self.by is not None) for method in METHODS]
        return ForecastRangeView(
            moment=moment,
            period=span.period(),
            windows=max(each.drawn.windows for each in made),
            without_amount=max(each.drawn.without_amount for each in made),
            lines=tuple(_lines(made, "all")),
            reps=tuple(_lines(made[:1], "rep") if self.by == "owner" else ()),
            teams=tuple(_lines(made[:1], "team") if self.by == "team" else ()),
            in_doubt=tuple(_in_doubt(known)),
            corrected=_corrected(known),
            rates=exchange.used,
        )

    def _owners(self, reader: Reader) -> str | tuple[str, ...] | None:
        """Return whose deals are asked about: of the team, those who are in it."""
        if self.team is None:
            return self.owner
        members = valid_members(Teams.read(reader), self.team, reader.read_point.as_of)
        return tuple(rep for rep in members if self.owner in (None, rep))


def ranges_at(known: KnownDeals, method: RangeMethod, *, in_parts: bool) -> MadeRanges:
    """Return the ranges of all together by currency; in parts also of each rep and team."""
    likely = probabilities(known, method)
    found = drawn(known, likely, method)
    won = amounts_won(won_in(known.closing, known.scope.owner, known.span, known.horizon.at))
    owner_of, currency_of = known.open.words["owner"], known.open.words["currency"]
    place = {line: number for number, line in enumerate(found.lines)}
    alike: dict[int, list[Line]] = defaultdict(list)
    for key in {*place, *won}:
        alike[key[1]].append(key)
    lines = []
    for code in sorted(alike, key=currency_of.__getitem__):
        parts: dict[tuple[Whose, str | None], list[Line]] = defaultdict(list)
        parts["all", None] = alike[code]
        for key in alike[code] if in_parts else ():
            owner = owner_of[key[0]]
            parts["rep", owner].append(key)
            if known.teams is not None:
                parts["team", known.team_of(owner)].append(key)
        for whose, name in sorted(parts, key=lambda part: (part[0], unnamed_last(part[1]))):
            mine = parts[whose, name]
            places = [place[key] for key in mine if key in place]
            won_of = [won[key] for key in mine if key in won]
            lines.append(_made((whose, name), currency_of[code], won_of, found, places))
    return MadeRanges(method, likely, lines, found, won)


def amounts_won(won: HeldRows) -> Mapping[Line, tuple[int, int]]:
    """Return how many deals were won and for how much, in millionths, by owner and currency."""
    won = won.where(won.known("currency"))
    alike = grouped(won["owner"], won["currency"])
    codes = np.stack([won["owner"], won["currency"]])[:, alike.first].T.tolist()
    sums = zip(alike.counts().tolist(), alike.sums(won["amount"]).tolist(), strict=True)
    return {(o, c): each for (o, c), each in zip(codes, sums, strict=True)}


def _made(
    part: tuple[Whose, str | None],
    currency: str,
    won: Sequence[tuple[int, int]],
    found: Drawn,
    places: Sequence[int],
) -> RangeMade:
    """Put what is won already and the range of the rest together, of some lines."""
    deals, amount = (sum(each[n] for each in won) for n in (0, 1))
    return RangeMade(
        *part,
        currency,
        sum(found.deals[n] for n in places),
        sum(found.expected[n] for n in places),
        deals,
        amount,
        *(amount + each for each in found.percentiles(places)),
    )


def _lines(made: Iterable[MadeRanges], whose: Whose) -> Iterator[RangeLine]:
    for ranges in made:
        for each in ranges.of(whose):
            yield RangeLine(
                method=ranges.method,
                owner=each.name if whose == "rep" else None,
                team=each.name if whose == "team" else None,
                currency=each.currency,
                deals=each.deals,
                deals_expected=unscaled(each.expected),
                won_deals=each.won_deals,
                won=unscaled(each.won),
                low=unscaled(each.low),
                middle=unscaled(each.middle),
                high=unscaled(each.high),
            )


def _corrected(known: KnownDeals) -> Decimal | None:
    is_drawn = len(known.in_doubt.won) > 0 and known.horizon.lasts > 0
    return unscaled(known.in_doubt.corrected) if is_drawn else None


def _in_doubt(known: KnownDeals) -> Iterator[WinInDoubt]:
    doubt = known.in_doubt
    cells = doubt.won.records("entity_id", "owner", "currency", "amount")
    for (deal, owner, currency, won), stood in zip(cells, doubt.stood.tolist(), strict=True):
        yield WinInDoubt(
            deal=deal,
            owner=owner,
            currency=currency,
            won=unscaled(won),
            stood=unscaled(stood),
        )
