"""Exchange rates as published facts, each with its day and source.

A report in one currency reads the last rate on or before its date: never a later one, never
one in between. `RateTable.rate` answers that, `RateTable.exact` as a fraction with the days and
sources behind it; which date to ask for is the report's rule.

A rate between two currencies that are both quoted against a base is the quotient of the two,
each the last one of its own on or before the date. Where several bases lead from one currency
to the other, the one whose rates are the most recent does (the older of its two rates counts),
among equals the one published first.
"""

from bisect import bisect_right, insort
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, ClassVar, Final, NamedTuple, Self
from uuid import UUID

from salesflow.domain.aggregate import Aggregate, OccurredAt
from salesflow.domain.event import Event, Fact, order_key
from salesflow.domain.state import EMPTY_CONTEXT, ReplayContext, State
from salesflow.domain.time import Instant
from salesflow.domain.values import Day, Exact, GivenCurrency, SafeText, Value, number
from salesflow.errors import InputError

__all__ = ["RATES_ID", "ExactRate", "Quoted", "Rate", "RateTable", "RatesPublished"]


RATES_ID: Final = UUID("5e771465-0000-5000-8000-000000000002")
"""The stream of a tenant's exchange rates; the same in every database."""

Order = tuple[Instant, Instant, int]
Factor = Annotated[Decimal, Exact(whole=8, places=10, least=Decimal("0.000001"))]


class Rate(Value):
    """How many units of a currency one unit of the base is worth."""

    currency: GivenCurrency
    rate: Factor


class RatesPublished(Fact):
    """Somebody published exchange rates of a day; later ones of that day replace them."""

    kind: ClassVar[str] = "rates.published"
    name_zh: ClassVar[str] = "汇率发布"
    is_opening: ClassVar[bool] = True
    is_entry: ClassVar[bool] = True
    day: Day
    base: GivenCurrency
    rates: tuple[Rate, ...]
    source: SafeText | None = None


class Quoted(NamedTuple):
    """A published rate: units of a currency for one of the base, its day and its source."""

    base: str
    currency: str
    day: date
    rate: Decimal
    source: str | None


class ExactRate(NamedTuple):
    """Units of one currency for one of another, and the published rates it is made of."""

    rate: Fraction
    days: tuple[date, ...]
    """The days of those rates; none between a currency and itself."""
    sources: tuple[str, ...]


class RateTableState(State):
    """The rates of one tenant by now."""

    _bases: dict[str, Order]
    """When each was first published."""
    _days: dict[tuple[str, str], list[date]]
    _rates: dict[tuple[str, str, date], Quoted]
    _published: dict[tuple[str, str, date], Order]

    def __init__(
        self, context: ReplayContext = EMPTY_CONTEXT, opening: Event | None = None
    ) -> None:
        super().__init__(context, opening)
        self._bases, self._days, self._rates, self._published = {}, {}, {}, {}

    def __copy__(self) -> Self:
        """Return one of its own, since rates are many and are taken in one by one."""
        other = super().__copy__()
        other._days = {pair: [*days] for pair, days in self._days.items()}
        return other

    def evolve(self, event: Event) -> str | None:
        """Take in the next believed rates, which replace those that were published before them.

        Every one counts. Which opened the table says nothing of that: the first recorded may
        be the last that was published.
        """
        fact: RatesPublished = event.fact  # type: ignore[assignment]
        here = order_key(event)
        self._bases[fact.base] = min(here, self._bases.get(fact.base, here))
        for each in fact.rates:
            key = (fact.base, each.currency, fact.day)
            if self._published.get(key, here) > here:
                continue
            if key not in self._rates:
                insort(self._days.setdefault(key[:2], []), fact.day)
            self._rates[key] = Quoted(*key, each.rate, fact.source)
            self._published[key] = here
        return None

    def rate(self, source: str, target: str, day: date) -> Decimal | None:
        """Return units of `target` for one of `source`, by the last rate on or before a day.

        Rounded to 28 digits. None when nothing was published by then that leads from one to
        the other.
        """
        found = self.exact(source, target, day)
        if found is None:
            return None
        return Decimal(found.rate.numerator) / found.rate.denominator

    def exact(self, source: str, target: str, day: date) -> ExactRate | None:
        """Return the same rate as a fraction, with the days and sources behind it."""
        if source == target:
            return ExactRate(Fraction(1), (), ())
        bases = sorted(self._bases, key=self._bases.__getitem__)
        paths = [path for base in bases if (path := self._path(base, source, target, day))]
        return max(paths, key=lambda path: min(path.days), default=None)

    def quoted(self, day: date) -> list[Quoted]:
        """Return the last rate of every currency on or before a day, by base and currency."""
        last = (self._last(base, currency, day) for base, currency in sorted(self._days))
        return [each for each in last if each is not None]

    def disagreeing(self, day: date) -> list[tuple[Quoted, Quoted]]:
        """Return the last rates told in both directions that are not one rate, rounded.

        Both of one day; a report takes the one whose base was published first.
        """
        last = {(each.base, each.currency): each for each in self.quoted(day)}
        pairs = ((each, last.get((each.currency, each.base))) for each in last.values())
        return [
            (each, other)
            for each, other in pairs
            if other is not None
            and other.day == each.day
            and self._bases[each.base] <= self._bases[other.base]
            and not _agree(each.rate, other.rate)
        ]

    def _path(self, base: str, source: str, target: str, day: date) -> ExactRate | None:
        """Go from one currency to another by a base."""
        legs = [
            None if currency == base else self._last(base, currency, day)
            for currency in (source, target)
        ]
        known = [leg for leg in legs if leg is not None]
        if len(known) < len({source, target} - {base}):
            return None
        per_source, per_target = (Fraction(1 if leg is None else leg.rate) for leg in legs)
        sources = tuple(leg.source for leg in known if leg.source is not None)
        return ExactRate(per_target / per_source, tuple(leg.day for leg in known), sources)

    def _last(self, base: str, currency: str, day: date) -> Quoted | None:
        days = self._days.get((base, currency), [])
        found = bisect_right(days, day)
        return self._rates[base, currency, days[found - 1]] if found else None


class RateTable(Aggregate, RateTableState):
    """All exchange rates of one tenant."""

    noun: ClassVar[str] = "rate table"
    facts: ClassVar[tuple[type[Fact], ...]] = (RatesPublished,)
    exists_without_events: ClassVar[bool] = True

    @classmethod
    def begin(
        cls,
        *,
        day: date,
        base: str,
        rates: Mapping[str, Decimal | str],
        source: str,
        occurred_at: OccurredAt = None,
    ) -> Self:
        """Publish the first rates of a new table."""
        self = cls.new(RATES_ID)
        self.publish(day=day, base=base, rates=rates, source=source, occurred_at=occurred_at)
        return self

    def publish(
        self,
        *,
        day: date,
        base: str,
        rates: Mapping[str, Decimal | str],
        source: str,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Publish rates of a day: units of each currency for one unit of the base."""
        if not rates:
            raise InputError(f"no rates are given for {day}")
        if base in rates:
            raise InputError(f"{base} is the base; it needs no rate")
        named = tuple(Rate(currency=c, rate=number(rates[c])) for c in sorted(rates))
        fact = RatesPublished(day=day, base=base, rates=named, source=source)
        self._record(fact, occurred_at)


def _agree(one: Decimal, other: Decimal) -> bool:
    """Return whether two rates are the inverse of one another, as far as they were rounded."""
    off = abs(Fraction(one) * Fraction(other) - 1)
    return off <= Fraction(one) * _last_place(other) + Fraction(other) * _last_place(one)


def _last_place(rate: Decimal) -> Fraction:
    exponent = rate.as_tuple().exponent
    return Fraction(10) ** min(exponent if isinstance(exponent, int) else 0, 0)
