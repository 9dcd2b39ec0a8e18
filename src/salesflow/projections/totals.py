"""Totals: exact sums, one a currency, added up and written side by side."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext

from salesflow.domain.values import EXACT_DIGITS, Currency, Value, tidy
from salesflow.projections.writing import money_text

__all__ = ["Total", "totals", "totals_text"]


class Total(Value):
    """An exact sum in one currency; unlike currencies are never added."""

    currency: Currency
    amount: Decimal


def totals(parts: Iterable[tuple[str | None, Decimal, Decimal]]) -> tuple[Total, ...]:
    """Add up currency, amount and how much of it counts (one: all); no currency, no amount."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    with localcontext(prec=EXACT_DIGITS):
        for currency, amount, share in parts:
            if currency is not None:
                sums[currency] += amount * share
        return tuple(
            Total(currency=currency, amount=tidy(sums[currency])) for currency in sorted(sums)
        )


def totals_text(sums: Sequence[Total]) -> str:
    """Write sums side by side, rounded half even to hundredths."""
    return " + ".join(money_text(s.amount, s.currency) for s in sums) or "–"
