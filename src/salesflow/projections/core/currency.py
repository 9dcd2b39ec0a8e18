"""Amounts in one currency: by which rule, at which rates, and what is left out.

A question about amounts gives each currency by itself. Asked for one currency it converts every
amount by a rule that says of which day the rate is:

    event        the day of what the amount is of: a booking, a closing
    closing      the day the deal closed; of one that is open still, the moment's
    period_end   the last day of the period, or the moment's where that comes first
    fixed        one day for all, named by who asks

The rate is the last one published for that day or one before it, as known at the moment: never
a later one, never one in between. It is an exact fraction, also where it leads over a base (see
`salesflow.domain.exchange_rates`). Each sum that is read from the tables (of one currency and
one day) is multiplied by it and rounded once, to millionths, half to even; what is worked out
from such sums afterwards adds up exactly. An amount without a rate is left out of every sum,
never made up, and the view says of how many amounts in which currency that is.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Annotated, ClassVar, Final, Literal, NamedTuple, TypeVar

from salesflow.domain.exchange_rates import ExactRate, RateTable
from salesflow.domain.time import Instant, from_instant
from salesflow.domain.unchecked import unchecked_all
from salesflow.domain.values import EXACT, Currency, Day, GivenCurrency, SafeText, Value
from salesflow.errors import InputError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Total
from salesflow.presentation.messages import Language, in_language, say
from salesflow.projections.core.question import Question, Reader, View
from salesflow.projections.table import AMOUNT_SCALE

__all__ = [
    "CurrencyConverter",
    "MoneyQuestion",
    "MoneyView",
    "RateApplied",
    "RateRule",
    "RatesUsed",
    "WithoutRate",
    "totals_of",
    "totals_of_pairs",
    "unscaled",
]


AMOUNT_PLACES: Final = 6
"""A millionth is the smallest part of an amount."""


UNITS: Final = {places: Decimal(10) ** places for places in (AMOUNT_PLACES, 2 * AMOUNT_PLACES)}
"""A unit in millionths, and in millionths of millionths."""


def unscaled(figure: int, *, places: int = AMOUNT_PLACES) -> Decimal:
    """Return millionths (or millionths of those, of twice the places) in units.

    Without empty places.
    """
    return EXACT.divide(Decimal(figure), UNITS[places])


_totals: Final = unchecked_all(Total)


def totals_of(
    figures: Sequence[tuple[str, int]], lengths: Iterable[int], *, places: int = AMOUNT_PLACES
) -> list[tuple[Total, ...]]:
    """Return currencies and figures as totals, so many together at a time.

    Those that are alike are divided once, and are one value.
    """
    divide, unit, distinct = EXACT.divide, UNITS[places], [*dict.fromkeys(figures)]
    fields = [
        {"currency": currency, "amount": divide(Decimal(figure), unit)}
        for currency, figure in distinct
    ]
    totals = dict(zip(distinct, _totals(fields) if fields else (), strict=True))
    return _in_rows(map(totals.__getitem__, figures), lengths)


def totals_of_pairs(
    several: Sequence[Sequence[tuple[str, Decimal | None]]],
) -> list[tuple[Total, ...]]:
    """Return currencies and amounts as totals."""
    fields = [
        {"currency": currency, "amount": amount}
        for each in several
        for currency, amount in each
    ]
    return _in_rows(_totals(fields) if fields else (), map(len, several))


def _in_rows(totals: Iterable[Total], lengths: Iterable[int]) -> list[tuple[Total, ...]]:
    """Put so many totals together at a time."""
    found, lengths = (*totals,), [*lengths]
    ends = accumulate(lengths)
    return [found[end - length : end] for end, length in zip(ends, lengths, strict=True)]


RateRule = Literal["event", "closing", "period_end", "fixed"]
ViewT = TypeVar("ViewT", bound=View)
AtT = TypeVar("AtT")

RULES: Final[dict[RateRule, str]] = {
    "event": "the event date",
    "closing": "the closing date",
    "period_end": "the period end or the moment, whichever comes first",
    "fixed": "the fixed day {day}",
}


class WithoutRate(Value):
    """How many amounts of a currency had no rate and are left out."""

    currency: Annotated[Currency, FieldRole.KEY]
    amounts: int


class RatesUsed(Value):
    """In which currency amounts are given, by which rule, and at which rates."""

    report_currency: Annotated[Currency, FieldRole.KEY]
    rule: RateRule
    rates_on: date | None
    """The day of the rule `fixed`; None with all others."""
    sources: tuple[SafeText, ...]
    oldest: date | None
    """The day of the oldest rate used; None where none was needed."""
    newest: date | None
    without_rate: tuple[WithoutRate, ...]

    def sentence(self, language: Language) -> str:
        """Say it in a sentence for people."""
        rule = say(RULES[self.rule], language, day=self.rates_on)
        days = f"{self.oldest} … {self.newest}" if self.oldest != self.newest else self.oldest
        said = say(
            "; in {currency} at the last rate on or before {rule}",
            language,
            currency=self.report_currency,
            rule=rule,
        )
        said += say(" (rates of {days})", language, days=days) if days else ""
        sources = ", ".join(self.sources)
        return said + (say(", source {sources}", language, sources=sources) if sources else "")

    def left_out_said(self, language: Language) -> list[str]:
        """Return in a line how many amounts are missing in the sums; in none where none is."""
        left_out = ", ".join(
            say("{count} in {currency}", language, count=f"{w.amounts:,}", currency=w.currency)
            for w in self.without_rate
        )
        told = in_language("amounts left out without a rate:", language)
        return [f"{told} {left_out}"] if left_out else []


class MoneyView(View):
    """The base of answers that can be given in one currency."""

    rates: RatesUsed | None = None
    """None where amounts are given each in its own currency."""

    def meaning(self, language: Language = "en") -> tuple[str, str]:
        """Return what is counted and how; in one currency also by which rule and rates."""
        population, formula = super().meaning(language)
        rates = "" if self.rates is None else self.rates.sentence(language)
        return population, formula + rates

    def moment_lines(self, language: Language = "en") -> list[str]:
        """Return where the answer stands, and in front of it which amounts it leaves out."""
        left_out = [] if self.rates is None else self.rates.left_out_said(language)
        return [*left_out, *super().moment_lines(language)]


class RateApplied(NamedTuple):
    """Into what an amount is converted; without a rate it has no currency and is nothing."""

    currency: str | None
    rate: Fraction | None
    """None where it stays as it is."""

    def millionths(self, amount: int) -> int:
        """Convert an amount in whole millionths."""
        return amount if self.rate is None else round(amount * self.rate)

    def amount(self, amount: Decimal) -> Decimal:
        """Convert an exact amount."""
        if self.rate is None:
            return amount
        return unscaled(round(Fraction(amount) * AMOUNT_SCALE * self.rate))


class CurrencyConverter:
    """Converts amounts one by one, and remembers which rates it used and which it lacked.

    Without a currency to convert to it gives every amount back as it is.
    """

    def __init__(
        self,
        reader: Reader,
        currency: str | None = None,
        rule: RateRule = "event",
        rates_on: date | None = None,
    ) -> None:
        self.currency: Final = currency
        self._rule: Final = rule
        self._rates_on: Final = rates_on
        self._as_of: Final = reader.read_point.as_of
        self._timezone: Final = reader.timezone
        self._table: Final[RateTable | None] = None if currency is None else reader.rates()
        self._found: dict[tuple[str, date], ExactRate | None] = {}
        self._days: dict[Instant, date] = {}
        self._without: dict[str, dict[Hashable, int]] = defaultdict(dict)

    def day(self, end: Instant, *, event: Instant | None, closing: Instant | None) -> date:
        """Return the day of an amount's rate; of an end or closing ahead, that of the moment.

        `end` is the last instant of the period, `event` that of what the amount is of,
        `closing` that of the deal's closing; None where there is none yet.
        """
        if self._rates_on is not None:
            return self._rates_on
        at = self.dated_by(end, event=event, closing=closing)
        return self._day_of(self._as_of if at is None else min(at, self._as_of))

    def dated_by(self, end: AtT, *, event: AtT, closing: AtT) -> AtT:
        """Return which of some instants says of which day a rate is; see `day`."""
        return {"event": event, "closing": closing}.get(self._rule, end)

    def into(
        self, currency: str | None, day: date, *, of: Hashable = None, times: int = 1
    ) -> "RateApplied":
        """Say into what an amount in a currency is converted, by the rate of a day.

        `of` tells what it is the amount of, so that one without a rate is counted once,
        however often it is met; None where it is met but once. Where it is a sum, `times`
        says of how many amounts.
        """
        if self.currency is None or currency is None:
            return RateApplied(currency, None)
        rate = self.rate(currency, day)
        if rate is None:
            self.leave_out(currency, of=of, times=times)
            return RateApplied(None, Fraction(0))
        return RateApplied(self.currency, rate)

    def rate(self, currency: str, day: date) -> Fraction | None:
        """Return the rate of a day from a currency, or None where there is none."""
        found = self._rate(currency, day)
        return None if found is None else found.rate

    def leave_out(self, currency: str, *, of: Hashable, times: int) -> None:
        """Note that so many amounts have no rate; see `into`.

        Of what is met again, the most that were ever met of it.
        """
        met = self._without[currency].get(of, 0)
        self._without[currency][of] = met + times if of is None else max(met, times)

    @property
    def used(self) -> RatesUsed | None:
        """Return what was used by now; None where nothing is converted."""
        if self.currency is None:
            return None
        rates = [rate for rate in self._found.values() if rate is not None]
        days = [day for rate in rates for day in rate.days]
        without = {currency: sum(of.values()) for currency, of in self._without.items()}
        return RatesUsed(
            report_currency=self.currency,
            rule=self._rule,
            rates_on=self._rates_on,
            sources=tuple(sorted({source for rate in rates for source in rate.sources})),
            oldest=min(days, default=None),
            newest=max(days, default=None),
            without_rate=tuple(
                WithoutRate(currency=currency, amounts=without[currency])
                for currency in sorted(without)
                if without[currency]
            ),
        )

    def _rate(self, currency: str, day: date) -> ExactRate | None:
        assert self.currency is not None
        assert self._table is not None
        if currency == self.currency:
            return ExactRate(Fraction(1), (), ())
        key = (currency, day)
        if key not in self._found:
            self._found[key] = self._table.exact(currency, self.currency, day)
        return self._found[key]

    def _day_of(self, at: Instant) -> date:
        if at not in self._days:
            self._days[at] = from_instant(at).astimezone(self._timezone).date()
        return self._days[at]


class MoneyQuestion(Question[ViewT]):
    """The base of questions whose amounts can be asked for in one currency."""

    rates_usual: ClassVar[RateRule]
    """The rule where none is named."""
    report_currency: GivenCurrency | None = None
    """Give all amounts in this currency, such as CNY. Default: each in its own; where rates
    are named, the report currency of the settings."""
    rates: RateRule | None = None
    """Of which day the rate is: event (of each booking or closing), closing (of the deal),
    period_end (or the moment, whichever comes first), fixed."""
    rates_on: Day | None = None
    """The day whose rates the rule fixed takes."""

    def exchange(self, reader: Reader) -> CurrencyConverter:
        """Return what converts the amounts of this question.

        Raises:
            InputError: when the rule is fixed without a day or a day is named with another
                rule, or when no report currency is set where none is named.
        """
        if self.report_currency is None and self.rates is None and self.rates_on is None:
            return CurrencyConverter(reader)
        named = self.rates_on is not None
        rule = self.rates or ("fixed" if named else self.rates_usual)
        if (rule == "fixed") != named:
            asked = "leave it out" if named else "name it"
            raise InputError(f"rates_on is the day of fixed rates; {asked} for {rule}")
        currency = self.report_currency or reader.report_currency
        if currency is None:
            raise InputError("no report currency is set; name one: report_currency")
        return CurrencyConverter(reader, currency, rule, self.rates_on)
