"""Amounts of many deals: summed exactly, kept apart by currency, written side by side.

The database sums millionths (`exact_sum`), `exact` puts such a sum together again, `totals`
adds up per currency, and `totals_text` writes what came of it.
"""

from decimal import Decimal
from typing import Final

import sqlalchemy as sa

from salesflow.domain.values import EXACT
from salesflow.projections.table import AMOUNT_SCALE, Cell

__all__ = ["exact", "exact_sum", "unscaled"]


AMOUNT_PLACES: Final = 6
"""A millionth is the smallest part of an amount."""


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
