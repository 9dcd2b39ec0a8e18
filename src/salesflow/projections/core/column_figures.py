"""Figures of whole columns: exact sums, first rows, and the times between instants.

Stands alone, beside `column_groups`: it is told what belongs together, and works it out. Sums
are exact however large they are; those of an array wrap around. So numbers of 64 bits are cut
in two halves, of which either can be added up billions of times.
"""

from collections.abc import Iterable
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from salesflow.domain.time import DAY, day_number
from salesflow.projections.core.columns import Column, Flags, runs_of

__all__ = [
    "elapsed",
    "exact_product_sums",
    "exact_sum",
    "exact_sums",
    "first_rows",
    "half_sums",
    "halves",
    "places_among",
    "whole_sums",
]

WORD: Final = 32
"""Bits by which numbers of 64 bits are cut in two."""
GREATEST: Final = np.iinfo(np.int64).max


def exact_sum(numbers: Column) -> int:
    """Return the sum of 64-bit numbers, however large it is."""
    upper, lower = (int(half.sum()) for half in halves(numbers))
    return (upper << WORD) + lower


def exact_sums(numbers: Column, groups: Column, count: int) -> list[int]:
    """Return the sums of 64-bit numbers by the number of their group, of so many groups."""
    return whole_sums(*half_sums(numbers, groups, count).tolist())


def half_sums(numbers: Column, groups: Column, count: int) -> Column:
    """Return the same sums in two halves, a row each, which can be added up further."""
    sums = np.zeros((2, count), np.int64)
    for part, half in zip(sums, halves(numbers), strict=True):
        np.add.at(part, groups, half)
    return sums


def whole_sums(upper: Iterable[int], lower: Iterable[int]) -> list[int]:
    """Put sums of halves together."""
    return [(high << WORD) + low for high, low in zip(upper, lower, strict=True)]


def halves(numbers: Column) -> tuple[Column, Column]:
    """Cut 64-bit numbers into their upper and their lower half."""
    numbers = np.asarray(numbers, np.int64)
    return numbers >> WORD, numbers & (1 << WORD) - 1


def exact_product_sums(
    numbers: Column, factors: Column, groups: Column, count: int
) -> list[int]:
    """Return sums by group of numbers, each times a factor of less than 2 ** 31.

    The numbers have 64 bits, or are Python's own, which are added up as they are.
    """
    if numbers.dtype == object:
        sums = np.zeros(count, object)
        np.add.at(sums, groups, numbers * factors)
        return [int(each) for each in sums]
    return whole_sums(*(exact_sums(half * factors, groups, count) for half in halves(numbers)))


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
    """Return where each code stands among others, which all differ; -1 where it does not."""
    places = np.full(max(codes.max(initial=-1), wanted.max(initial=-1)) + 2, -1)
    places[codes] = np.arange(len(codes))
    return places[wanted]  # -1, which is nothing, stands last


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
