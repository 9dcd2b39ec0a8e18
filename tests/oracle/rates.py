"""Amounts in one currency, naively: look at every published rate for every amount.

Written from the words of the specification: the last rate on or before the day of the rule, as
known at the moment, never a later one; an end or closing that lies ahead is the moment's.
"""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from oracle.beliefs import Raw, moment, retracted

__all__ = ["Asked", "Exchange", "Money", "quotes_of"]

Money = tuple[Decimal, str] | None
MILLION = 1_000_000


class Asked(NamedTuple):
    """What is asked for: a currency, a rule and, where it is fixed, a day; None for nothing."""

    currency: str | None
    rule: str
    fixed: date | None


class Quote(NamedTuple):
    """A rate as it was published."""

    base: str
    currency: str
    day: date
    rate: Fraction
    source: str | None


class Exchange:
    """What converts amounts, and writes down the rates it used and lacked."""

    def __init__(self, events: list[Raw], asked: Asked, as_of: int, known_at: int) -> None:
        self.asked = asked
        self.as_of = as_of
        self.quotes = quotes_of(events, known_at)
        self.used: set[Quote] = set()
        self.lacked: set[tuple[str, Any]] = set()

    def convert(
        self, money: Money, *, end: int, event: int | None, closing: int | None, of: object
    ) -> Money:
        """Give an amount in the currency asked for; None where there is no rate."""
        target = self.asked.currency
        if money is None or target is None:
            return money
        amount, currency = money
        rate = self._rate(currency, target, self._day(end, event, closing))
        if rate is None:
            self.lacked.add((currency, of))
            return None
        return Decimal(round(Fraction(amount) * MILLION * rate)) / MILLION, target

    def said(self) -> Any:  # noqa: ANN401 - as a view says it
        """Say what was used: rule, days, sources, and how many amounts had no rate."""
        if self.asked.currency is None:
            return None
        days = [quote.day for quote in self.used]
        counts: dict[str, int] = {}
        for currency, _ in self.lacked:
            counts[currency] = counts.get(currency, 0) + 1
        return (
            *self.asked,
            (min(days), max(days)) if days else (None, None),
            sorted({quote.source for quote in self.used if quote.source is not None}),
            counts,
        )

    def _day(self, end: int, event: int | None, closing: int | None) -> date:
        if self.asked.fixed is not None:
            return self.asked.fixed
        at = {"event": event, "closing": closing, "period_end": end}[self.asked.rule]
        return moment(self.as_of if at is None else min(at, self.as_of)).date()

    def _rate(self, currency: str, target: str, day: date) -> Fraction | None:
        if currency == target:
            return Fraction(1)
        best: tuple[date, Fraction, list[Quote]] | None = None
        bases: list[str] = []
        for quote in self.quotes:
            if quote.base not in bases:
                bases.append(quote.base)
        for base in bases:
            legs = [self._last(base, each, day) for each in (currency, target)]
            here, there = legs
            if (here is None and currency != base) or (there is None and target != base):
                continue
            known = [leg for leg in legs if leg is not None]
            rate = (Fraction(1) if there is None else there.rate) / (
                Fraction(1) if here is None else here.rate
            )
            oldest = min(leg.day for leg in known)
            if best is None or oldest > best[0]:
                best = (oldest, rate, known)
        if best is None:
            return None
        self.used |= set(best[2])
        return best[1]

    def _last(self, base: str, currency: str, day: date) -> Quote | None:
        found: Quote | None = None
        for quote in self.quotes:
            counts = quote.base == base and quote.currency == currency and quote.day <= day
            if counts and (found is None or quote.day >= found.day):
                found = quote
        return found


def quotes_of(events: list[Raw], known_at: int) -> list[Quote]:
    """List what was published and not retracted by then, in the order in which it counts."""
    streams = {event["stream"] for event in events if event["kind"] == "rates.published"}
    known = [e for e in events if e["stream"] in streams and e["recorded"] <= known_at]
    facts = [e for e in known if e["kind"] == "rates.published" and not retracted(e, known)]
    facts.sort(key=lambda e: (e["occurred"], e["position"]))
    return [
        Quote(
            event["payload"]["base"],
            each["currency"],
            date.fromisoformat(event["payload"]["day"]),
            Fraction(each["rate"]),
            event["payload"].get("source"),
        )
        for event in facts
        for each in event["payload"]["rates"]
    ]
