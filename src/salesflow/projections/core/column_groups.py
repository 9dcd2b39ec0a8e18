"""Rows of columns in groups: put together by what they have in common, or drawn from ranges.

Stands alone, beside `columns`, since it knows nothing of tables: what comes in and goes out are
arrays.
"""

from typing import Final, NamedTuple

import numpy as np

from salesflow.projections.core.column_figures import exact_sums
from salesflow.projections.core.columns import NOTHING, Column

__all__ = ["Groups", "foremost", "grouped", "rows_in"]

SPARSE: Final = 1 << 20
SPARSE_BY_ROWS: Final = 8
"""Numbers that reach further than both, the latter times the rows, are sorted and no codes."""


class Groups(NamedTuple):
    """Rows put together by what they have in common; groups have numbers, in no order."""

    of: Column
    """The number of the group of each row, from 0."""
    first: Column
    """The first row of each group."""

    def counts(self) -> Column:
        """Return how many rows each group has."""
        return np.bincount(self.of, minlength=len(self.first))

    def sums(self, numbers: Column) -> Column:
        """Return the exact sum of the numbers of each group; see `exact_sums`."""
        return exact_sums(numbers, self.of, len(self.first))

    def greatest(self, numbers: Column) -> Column:
        """Return the greatest of the numbers of each group, of which none is below 0."""
        found = np.zeros(len(self.first), np.int64)
        np.maximum.at(found, self.of, numbers)
        return found

    def rows(self) -> list[Column]:
        """Return the rows of each group, in their order."""
        if not len(self.first):
            return []
        short = self.of.astype(np.min_scalar_type(len(self.first)))  # sorted in fewer passes
        ends = np.cumsum(self.counts())
        return np.split(np.argsort(short, kind="stable"), ends[:-1])


def grouped(*codes: Column) -> Groups:
    """Put rows together that have the same codes, or whole numbers, in all columns."""
    of, groups = np.zeros(len(codes[0]), np.int64), 0
    for column in codes if len(of) else ():
        number, count = _numbered(column)
        if groups <= 1:
            of, groups = number, count
        elif count > 1:
            of, groups = _numbered(of * count + number)
    first = np.full(groups, len(of))
    np.minimum.at(first, of, np.arange(len(of)))
    return Groups(of, first)


def rows_in(first: Column, after: Column) -> tuple[Column, Column]:
    """Return the rows of ranges, one range behind the other, and in which range each is.

    A range is from its first row up to the one before `after`.
    """
    lasts = after - first
    number = np.repeat(np.arange(len(first)), lasts)
    apart = first - (np.cumsum(lasts) - lasts)
    return np.arange(len(number)) + apart[number], number


def foremost(count: int, *columns: Column) -> Column:
    """Return the rows that come first in order of columns: so many, and those like the last.

    They come in no order: what decides between rows that are alike may do so afterwards.
    """
    first = columns[0]
    order = np.arange(len(first))
    if 0 < count < len(order):  # whoever lies behind by the first column alone is none of them
        order = np.flatnonzero(first <= np.partition(first, count - 1)[count - 1])
    order = order[np.lexsort([column[order] for column in columns[::-1]])]
    if not 0 < count < len(order):
        return order[: max(count, 0)]
    last = order[count - 1]
    like_last = np.logical_and.reduce([column[order] == column[last] for column in columns])
    like_last[:count] = True
    return order[like_last]


def _numbered(codes: Column) -> tuple[Column, int]:
    """Return for each row the number of its code among those there are, and how many are."""
    least, above = int(codes.min()), int(codes.max()) + 2
    if least == above - 2:
        return np.zeros(len(codes), np.int64), 1
    if above > max(SPARSE, SPARSE_BY_ROWS * len(codes)) or least < NOTHING:
        order = np.argsort(codes, kind="stable")  # fast where they are nearly in order
        ordered, of = codes[order], np.empty(len(codes), np.int64)
        of[order] = np.append(0, np.cumsum(ordered[1:] != ordered[:-1]))
        return of, int(of[order[-1]]) + 1
    there = np.zeros(above, np.bool_)
    there[codes] = True  # that of nothing stands last
    found = np.flatnonzero(there)
    numbers = np.empty(above, np.int64)
    numbers[found] = np.arange(len(found))
    return numbers.take(codes), len(found)
