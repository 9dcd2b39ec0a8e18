"""Amounts of many deals: summed exactly, kept apart by currency, written side by side.

The database sums millionths (`exact_sum`), `exact` puts such a sum together again, `totals`
adds up per currency, and `totals_text` writes what came of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext
from typing import Final

import sqlalchemy as sa

from salesflow.domain.values import EXACT, Currency, Value, tidy
from salesflow.projections.tables import AMOUNT_SCALE, Cell
from salesflow.projections.writing import money_text

__all__ = ["Total", "exact", "exact_sum", "totals", "totals_text", "unscaled"]

EXACT_DIGITS = 60
AMOUNT_PLACES: Final = 6
"""A millionth is the smallest part of an amount."""


class Total(Value):
    """An exact sum in one currency; unlike currencies are never added."""

    currency: Currency
    amount: Decimal


def exact_sum(
    column: sa.ColumnElement[Cell],
) -> tuple[sa.ColumnElement[int], sa.ColumnElement[int]]:
    """Sum millionths exactly on every database: the whole units and the millionths apart.

    One sum of millionths would overflow 64 bits at nine trillion units of a currency.
    """
    scale = sa.literal_column(str(AMOUNT_SCALE), sa.BigInteger)
    whole = sa.cast(sa.func.sum(column // scale), sa.BigInteger)
    rest = sa.cast(sa.func.sum(column % scale), sa.BigInteger)
    return whole, rest


def exact(whole: int | None, millionths: int | None) -> Decimal:
    """Put an exact sum together; nothing where nothing was summed."""
    return unscaled((whole or 0) * AMOUNT_SCALE + (millionths or 0))


def unscaled(figure: int, *, places: int = AMOUNT_PLACES) -> Decimal:
    """Return a number of millionths (or of smaller parts) in units, without empty places."""
    return EXACT.divide(Decimal(figure), Decimal(10) ** places)


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
