"""Amounts of rows as columns: each in its currency, converted where asked, added up exactly.

Whole columns of what `currency.py` does with one amount after the other.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from salesflow.presentation.format import Total
from salesflow.projections.core.column_figures import exact_product_sums, exact_sums
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import NOTHING, Column, Flags, HeldRows
from salesflow.projections.core.currency import (
    AMOUNT_PLACES,
    CurrencyConverter,
    totals_of,
)

__all__ = ["Amounts", "RateInstants", "Things", "multiplied"]


class Amounts(NamedTuple):
    """Amounts of rows in whole millionths, which may be longer than 64 bits once converted."""

    amount: Column
    """Nothing where it is not known."""
    currency: Column
    """Its place among the currencies."""
    currencies: Sequence[str | None]
    """None for those that are not known, or have no rate."""

    @classmethod
    def of(cls, rows: HeldRows) -> "Amounts":
        """Return those that stand in rows as amount and currency."""
        return cls(rows.amounts(), *rows.distinct("currency"))

    @classmethod
    def converted(
        cls,
        rows: HeldRows,
        exchange: CurrencyConverter,
        dated: "RateInstants",
        *,
        of: str | None = None,
        times: Column | None = None,
    ) -> "Amounts":
        """Return the same, each at the rate of a day; one without a rate is not known.

        The column `of` tells what each is the amount of, `times` of how many it is, 0 of one
        that nobody asks about; see `CurrencyConverter.into`. Where nothing is converted all are
        as they stand.
        """
        found = cls.of(rows)
        if exchange.currency is None:
            return found
        things = None if of is None else Things(of, rows[of])
        return found.in_one(exchange, dated.days(rows, exchange), things=things, times=times)

    def in_one(
        self,
        exchange: CurrencyConverter,
        days: Column,
        *,
        things: "Things | None" = None,
        times: Column | None = None,
        unit: int = 1,
    ) -> "Amounts":
        """Return the same in the currency asked for, each at the rate of a day.

        Days are given by their ordinals. Things tell what each is the amount of; see
        `converted`. Amounts are rounded to whole units.
        """
        amount, place = np.zeros(len(days), object), np.ones(len(days), np.int64)
        for alike in grouped(self.currency, days).rows():
            currency = self.currencies[int(self.currency[alike[0]])]
            if currency is None:
                continue
            rate = exchange.rate(currency, date.fromordinal(int(days[alike[0]])))
            if rate is not None:
                each_rate = rate / unit
                amount[alike] = [
                    multiplied(each, each_rate) * unit for each in self.amount[alike].tolist()
                ]
                place[alike] = 0
                continue
            for row in alike.tolist():
                it = None if things is None else things.of(row)
                exchange.leave_out(
                    currency, of=it, times=1 if times is None else int(times[row])
                )
        return Amounts(amount, place, (exchange.currency, None))

    def where(self, kept: Flags | Column) -> "Amounts":
        """Return some of them: those that are flagged, or those of some rows."""
        return self._replace(amount=self.amount[kept], currency=self.currency[kept])

    @property
    def known(self) -> Flags:
        """Which of them are known, and have a rate."""
        is_known = np.array([currency is not None for currency in self.currencies], np.bool_)
        return is_known[self.currency]

    def sums(
        self, groups: Column, count: int, factors: Column | None = None
    ) -> list[dict[str, int]]:
        """Return the sums of each of so many groups by currency, in order of their names.

        Each amount counts once, or times a factor of less than 2 ** 31.
        """
        found: list[dict[str, int]] = [{} for _ in range(count)]
        some, figures = self._sums(groups, count, factors)
        for group, (currency, figure) in zip(some.tolist(), figures, strict=True):
            found[group][currency] = figure
        return found

    def totals(
        self,
        groups: Column,
        count: int,
        factors: Column | None = None,
        *,
        places: int = AMOUNT_PLACES,
    ) -> list[tuple[Total, ...]]:
        """Return the same in millionths, or in smaller parts, as totals of each group."""
        some, figures = self._sums(groups, count, factors)
        return totals_of(figures, np.bincount(some, minlength=count).tolist(), places=places)

    def _sums(
        self, groups: Column, count: int, factors: Column | None
    ) -> tuple[Column, list[tuple[str, int]]]:
        """Return group by group what amounts come to in each currency that it has any in.

        The numbers of the groups, and beside them currencies and sums.
        """
        names = sorted({name for name in self.currencies if name is not None})
        places = [NOTHING if name is None else names.index(name) for name in self.currencies]
        place = np.array(places, np.int64)[self.currency]
        cells, known = groups * len(names) + place, place != NOTHING
        amount, cell, size = self.amount[known], cells[known], count * len(names)
        if factors is None:
            sums = exact_sums(amount, cell, size)
        else:
            sums = exact_product_sums(amount, factors[known], cell, size)
        there = np.flatnonzero(np.bincount(cell, minlength=size))
        some, place = np.divmod(there, max(len(names), 1))
        currencies = map(names.__getitem__, place.tolist())
        return some, [*zip(currencies, sums[there].tolist(), strict=True)]

    def by_currency(self) -> Iterator[tuple[str, Flags]]:
        """Yield the currencies in order of their names, and which amounts are in each."""
        for place, currency in sorted(enumerate(self.currencies), key=lambda it: it[1] or ""):
            here = self.currency == place
            if currency is not None and here.any():
                yield currency, here


class Things(NamedTuple):
    """What amounts are of: the numbers that a column of their rows has, which say it."""

    column: str
    numbers: Column

    def of(self, row: int) -> tuple[str, int]:
        """Return what the amount of a row is of; numbers of several columns may be alike."""
        return self.column, int(self.numbers[row])


class RateInstants(NamedTuple):
    """The instants of which one says for each amount of which day its rate is.

    See `CurrencyConverter.day`.
    """

    end: Column
    event: str
    """The column of rows that has it, as below."""
    closing: str

    def days(self, rows: HeldRows, exchange: CurrencyConverter) -> Column:
        """Return the ordinals of the days of rates."""
        event, closing = rows.cut(self.event, self.closing)
        by = exchange.dated_by(self.end, event=event, closing=closing)
        instants, place = np.unique(by, return_inverse=True)
        days = [exchange.day(at, event=at, closing=at).toordinal() for at in instants.tolist()]
        return np.array(days, np.int64)[place]


def multiplied(amount: int, rate: Fraction) -> int:
    """Multiply and round half to even, as `round` does of a fraction, which takes longer."""
    whole, rest = divmod(amount * rate.numerator, rate.denominator)
    twice = 2 * rest
    return whole + (twice > rate.denominator or (twice == rate.denominator and whole % 2))
