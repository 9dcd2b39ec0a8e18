"""Figures of whole columns: exact sums, first rows, and the times between instants.

Stands alone, beside `column_groups`: it is told what belongs together, and works it out. Sums
are exact however large they are; those of an array wrap around. So numbers of 64 bits are cut
in two halves, of which either can be added up billions of times.
"""

from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from salesflow.domain.time import DAY, day_number
from salesflow.projections.core.columns import Column, Flags

__all__ = [
    "elapsed",
    "exact_product_sums",
    "exact_products",
    "exact_sum",
    "exact_sums",
    "first_rows",
    "half_sums",
    "halves",
    "places_among",
    "runs_of",
    "whole",
]

WORD: Final = 32
"""Bits by which numbers of 64 bits are cut in two."""
LOWER: Final = (1 << WORD) - 1
SHORT: Final = 1 << WORD - 2
"""Half of the least upper half that makes a number of more than 64 bits."""
GREATEST: Final = np.iinfo(np.int64).max


def exact_sum(numbers: Column) -> int:
    """Return the sum of 64-bit numbers, however large it is."""
    upper, lower = (int(half.sum()) for half in halves(numbers))
    return (upper << WORD) + lower


def exact_sums(numbers: Column, groups: Column, count: int) -> Column:
    """Return the sums of whole numbers by the number of their group, of so many groups.

    The numbers have 64 bits, or are Python's own, of any length; so do the sums, see `whole`.
    """
    if numbers.dtype != object:
        return whole(*half_sums(numbers, groups, count))
    sums = np.zeros(count, object)
    np.add.at(sums, groups, numbers)
    return sums


def exact_product_sums(numbers: Column, factors: Column, groups: Column, count: int) -> Column:
    """Return sums by group of numbers, each times a factor of less than 2 ** 31."""
    if numbers.dtype == object:
        return exact_sums(numbers * factors, groups, count)
    return whole(*(exact_sums(half * factors, groups, count) for half in halves(numbers)))


def exact_products(numbers: Column, factors: Column) -> Column:
    """Return numbers, each times a factor of less than 2 ** 31."""
    if numbers.dtype == object:
        return numbers * factors
    return whole(*(half * factors for half in halves(numbers)))


def half_sums(numbers: Column, groups: Column, count: int) -> Column:
    """Return sums of 64-bit numbers in halves, a row each, which can be added up further."""
    sums = np.zeros((2, count), np.int64)
    for part, half in zip(sums, halves(numbers), strict=True):
        np.add.at(part, groups, half)
    return sums


def halves(numbers: Column) -> tuple[Column, Column]:
    """Cut 64-bit numbers into their upper and their lower half."""
    numbers = np.asarray(numbers, np.int64)
    return numbers >> WORD, numbers & LOWER


def whole(upper: Column, lower: Column) -> Column:
    """Put halves together: to numbers of 64 bits where all are so short, else to Python's own.

    A lower half may have more bits than half a number has.
    """
    if upper.dtype != object and lower.dtype != object:
        carried = (upper >> 1) + (lower >> WORD + 1)  # half of it, which cannot wrap around
        if not carried.size or -SHORT < carried.min() <= carried.max() < SHORT - 1:
            return np.asarray((upper + (lower >> WORD) << WORD) + (lower & LOWER))
    return np.asarray((upper.astype(object) << WORD) + lower.astype(object))


def runs_of(column: Column) -> tuple[Column, Column]:
    """Return the first and the last place of each run of values that are the same."""
    first = np.flatnonzero(np.append(len(column) > 0, column[1:] != column[:-1]))
    return first, np.append(first[1:], len(column))[: len(first)] - 1


def first_rows(key: Column, *order: Column) -> Column:
    """Return the first row of each run of one key, in order of some columns."""
    first, last = runs_of(key)
    run = np.repeat(np.arange(len(first)), last - first + 1)
    tied = np.ones(len(key), np.bool_)
    for column in (*order, np.arange(len(key))):
        least = np.minimum.reduceat(np.where(tied, column, GREATEST), first)
        tied &= column == least[run]
    return np.flatnonzero(tied)


def places_among(codes: Column, wanted: Column) -> Column:
    """Return where each code stands among others, which all differ; -1 where it does not.

    Places take 32 bits: a shorter array is more often memory that is used again. `take` spares
    the checks that `[]` makes of what it is given.
    """
    size = max(codes.max(initial=-1), wanted.max(initial=-1)) + 2
    places = np.full(size, -1, np.int32)
    places[codes] = np.arange(len(codes))
    return places.take(wanted)  # -1, which is nothing, stands last


def elapsed(start: Column, end: Column, days_only: Flags, timezone: ZoneInfo) -> Column:
    """Return the microseconds between instants; where both are only days, those of the days.

    A calendar day counts 24 hours, whatever the clocks did.
    """
    between: Column = end - start
    if days_only.any():
        first, last = (_day_numbers(each[days_only], timezone) for each in (start, end))
        between[days_only] = (last - first) * DAY
    return between


def _day_numbers(instants: Column, timezone: ZoneInfo) -> Column:
    """Number the days of instants; where only days are known they are few."""
    some, place = np.unique(instants, return_inverse=True)
    numbers = [day_number(each, timezone) for each in some.tolist()]
    return np.array(numbers, np.int64)[place]
