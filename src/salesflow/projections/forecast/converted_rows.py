"""Rows of deals with their amounts in one currency, all at the rates of one day.

It is a module of its own, beside `range_model`: what is drawn is amounts of single deals, which
are converted one by one before anything is added up.
"""

from datetime import date
from fractions import Fraction

import numpy as np

from salesflow.errors import InputError
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import NO_NUMBER, NOTHING, Column, Flags, HeldRows
from salesflow.projections.core.currency import CurrencyConverter

__all__ = ["rows_in_currency"]


def rows_in_currency(
    rows: HeldRows, some: Flags, exchange: CurrencyConverter, day: date, *beside: Column
) -> tuple[HeldRows, list[Column]]:
    """Return rows with the amounts of some of them converted, and other amounts beside them.

    Those without a rate have no amount then, and are left out by the converter. Without a
    currency to convert to all stay as they are.

    Raises:
        InputError: when an amount is too large in the other currency.
    """
    amounts = [rows["amount"].copy(), *(each.copy() for each in beside)]
    if exchange.currency is None:
        return rows, amounts[1:]
    words, currency = rows.words["currency"], rows["currency"].copy()
    [target] = words.codes([exchange.currency]).tolist()
    wanted = np.flatnonzero(some & (currency != NOTHING))
    for here in grouped(currency[wanted]).rows():
        here = wanted[here]
        code = int(currency[here[0]])
        rate = exchange.rate(words[code], day)
        if rate is None:
            for deal in rows["entity_id"][here].tolist():
                exchange.leave_out(words[code], of=deal, times=1)
        currency[here] = NOTHING if rate is None else target
        for column in amounts:
            column[here] = NO_NUMBER if rate is None else _times(column[here], rate)
    rows = rows.where(np.ones(len(rows), np.bool_))  # not those that others hold
    rows["amount"], rows["currency"] = amounts[0], currency
    return rows.ordered(np.arange(len(rows))), amounts[1:]


def _times(amounts: Column, rate: Fraction) -> Column:
    """Return amounts at a rate, each rounded to millionths, half to even."""
    up, by = rate.numerator, rate.denominator
    found = []
    for amount in amounts.tolist():
        whole, rest = divmod(amount * up, by)
        found.append(whole + (2 * rest > by or (2 * rest == by and whole % 2)))
    most = max(map(abs, found), default=0)
    if most > np.iinfo(np.int64).max:
        raise InputError("an amount is too large in that currency; name another one")
    return np.array(found, np.int64)
