"""A question, and the two who answer it."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.rates import Asked, Exchange
from salesflow.projections.core.currency import MoneyQuestion, RatesUsed

__all__ = [
    "About",
    "Case",
    "by_currency",
    "exchange_for",
    "said_of_rates",
    "with_rates",
]

ROUNDED = Decimal("0.0001")
"""How far sums may lie apart that are rounded to millionths amount by amount, and as sums."""
CURRENCIES = ("CNY", "USD", "EUR")
FIXED = (date(2023, 12, 31), date(2024, 1, 2), date(2024, 1, 20), date(2024, 4, 1))


class Case(NamedTuple):
    """How to ask a question, and how to write its view in the words of the oracle."""

    questions: st.SearchStrategy[Any]
    said: Callable[[Any], Any]
    """The view in the oracle's words."""
    wanted: Callable[[list[Raw], Any, int, int], Any]
    """What the oracle says of (events, question, as_of, known_at); None where it is refused."""


def by_currency(totals: tuple[Any, ...]) -> dict[str, Any]:
    """Write totals as a dict."""
    return {total.currency: total.amount for total in totals}


class About:
    """An amount that was rounded on its way; equal to all that lie very near."""

    def __init__(self, amount: Decimal) -> None:
        self.amount = amount

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Decimal | int) and abs(other - self.amount) <= ROUNDED

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"About({self.amount})"


def with_rates(*rules: str) -> st.SearchStrategy[dict[str, Any]]:
    """Draw in which currency to ask, by which rule; mostly in each by itself."""
    fixed = st.sampled_from(FIXED).map(lambda day: {"rates": "fixed", "rates_on": day})
    others = st.sampled_from(rules).map(lambda rule: {"rates": rule})
    rule: st.SearchStrategy[dict[str, Any]] = st.one_of(st.just({}), others, others, fixed)
    named = st.builds(
        lambda currency, rule: {"report_currency": currency, **rule},
        st.sampled_from(CURRENCIES),
        rule,
    )
    return st.one_of(st.just({}), named)


def exchange_for(
    raw: list[Raw], question: MoneyQuestion[Any], as_of: int, known_at: int
) -> Exchange:
    """Give what converts amounts in the oracle as a question asks for it."""
    rule = question.rates or type(question).rates_usual
    asked = Asked(question.report_currency, rule, question.rates_on)
    return Exchange(raw, asked, as_of, known_at)


def said_of_rates(rates: RatesUsed | None) -> Any:  # noqa: ANN401 - as the oracle says it
    """Write what a view says of its rates as the oracle does."""
    if rates is None:
        return None
    return (
        *(rates.report_currency, rates.rule, rates.rates_on),
        (rates.oldest, rates.newest),
        list(rates.sources),
        {each.currency: each.amounts for each in rates.without_rate},
    )
