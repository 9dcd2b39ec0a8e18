"""At which rates of exchange commissions are figured, as statements and estimates show it.

Answers "what was it in the currency it was sold in, and whose day's rate is that?". Leaves out
where rates come from: `rates list` has them.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated, Final

from salesflow.domain.statement import LineExchange
from salesflow.domain.values import Currency, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import NO_VALUE, money_text
from salesflow.presentation.messages import Language, say

__all__ = [
    "ExchangeShown",
    "exchanges_shown",
    "exchanges_told",
    "old_rates_said",
    "rates_text",
    "sold_text",
]

OLD_AFTER_DAYS: Final = 30
"""A rate that is so many days older than the sale is still taken, and said to be old."""


class ExchangeShown(Value):
    """What was credited in another currency than the plan pays in, and at which rate."""

    currency: Annotated[Currency, FieldRole.KEY]
    rate_day: Annotated[date, FieldRole.KEY]
    """The day of the rate: the last one published on or before the crediting date."""
    rate: Annotated[Decimal, FieldRole.TRAIT]
    """How much of the plan's currency one of the other is, to twelve places."""
    amount: Decimal
    """The rep's part, in the currency it was sold in."""
    credited_on: Annotated[date, FieldRole.KEY]
    """The crediting date, on which it was the latest rate."""

    @property
    def days_old(self) -> int:
        """How many days older the rate is than the crediting date."""
        return (self.credited_on - self.rate_day).days


def exchanges_shown(exchanges: Iterable[LineExchange]) -> tuple[ExchangeShown, ...]:
    """Return at which rates a line was figured, as an answer shows it."""
    return tuple(ExchangeShown(**dict(each)) for each in exchanges)


def exchanges_told(exchanges: Iterable[ExchangeShown]) -> tuple[LineExchange, ...]:
    """Return them as a statement that is issued holds them."""
    return tuple(LineExchange(**dict(each)) for each in exchanges)


def sold_text(exchanges: Iterable[ExchangeShown]) -> str:
    """Write what was credited in the currency it was sold in: 1,000 USD."""
    return " + ".join(money_text(each.amount, each.currency) for each in exchanges) or NO_VALUE


def rates_text(exchanges: Iterable[ExchangeShown]) -> str:
    """Write the rates and their days: 7.1 (2026-03-02)."""
    return ", ".join(f"{each.rate} ({each.rate_day})" for each in exchanges) or NO_VALUE


def old_rates_said(
    exchanges: Iterable[ExchangeShown], currency: str, language: Language
) -> Iterator[str]:
    """Yield a note for each rate that is much older than the sale it prices."""
    found = {(each.currency, each.rate_day): each for each in exchanges}
    for each in found.values():
        if each.days_old > OLD_AFTER_DAYS:
            yield say(
                "the rate of {day} from {currency} to {target} is {days} days older than the"
                " sale, and no later one was published by then",
                language,
                day=each.rate_day,
                currency=each.currency,
                target=currency,
                days=each.days_old,
            )
