"""Exchange rates as published facts, each with its day and source.

A report in one currency reads the last rate on or before its date: never a later one, never
one in between. `RateTable.rate` answers that; which date to ask for is the report's rule.
"""

from bisect import bisect_right, insort
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Self
from uuid import UUID

from salesflow.domain.aggregate import Aggregate, OccurredAt, World
from salesflow.domain.facts import Event, Fact
from salesflow.domain.values import Currency, Exact, SafeText, Value, number
from salesflow.errors import InputError

__all__ = ["RATES_ID", "Rate", "RateTable", "RatesPublished"]

RATES_ID: Final = UUID("5e771465-0000-5000-8000-000000000002")
"""The stream of a tenant's exchange rates; the same in every database."""

Factor = Annotated[Decimal, Exact(whole=8, places=10, least=Decimal("0.000001"))]


class Rate(Value):
    """How many units of a currency one unit of the base is worth."""

    currency: Currency
    rate: Factor


class RatesPublished(Fact):
    """Somebody published exchange rates of a day; later ones of that day replace them."""

    kind: ClassVar[str] = "rates.published"
    name_zh: ClassVar[str] = "汇率发布"
    opens: ClassVar[bool] = True
    day: date
    base: Currency
    rates: tuple[Rate, ...]
    source: SafeText | None = None


class RateTable(Aggregate):
    """All exchange rates of one tenant."""

    noun: ClassVar[str] = "rate table"
    facts: ClassVar[tuple[type[Fact], ...]] = (RatesPublished,)

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
        self = cls.new(RATES_ID, World())
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

    def rate(self, source: str, target: str, day: date) -> Decimal | None:
        """Give units of `target` for one of `source`, by the last rate on or before a day.

        None when nothing was published by then that leads from one to the other.
        """
        if source == target:
            return Decimal(1)
        for base in self._bases:
            per_source = self._last(base, source, day)
            per_target = self._last(base, target, day)
            if per_source is not None and per_target is not None:
                return per_target / per_source
        return None

    def _last(self, base: str, currency: str, day: date) -> Decimal | None:
        if base == currency:
            return Decimal(1)
        days = self._days.get((base, currency), [])
        found = bisect_right(days, day)
        return self._rates[base, currency, days[found - 1]] if found else None

    def _start(self) -> None:
        self._bases: list[str] = []
        self._days: dict[tuple[str, str], list[date]] = {}
        self._rates: dict[tuple[str, str, date], Decimal] = {}

    def _apply(self, event: Event) -> None:
        fact: RatesPublished = event.fact  # type: ignore[assignment]
        if fact.base not in self._bases:
            self._bases.append(fact.base)
        for each in fact.rates:
            key = (fact.base, each.currency, fact.day)
            if key not in self._rates:
                insort(self._days.setdefault(key[:2], []), fact.day)
            self._rates[key] = each.rate
