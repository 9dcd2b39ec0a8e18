"""Figures of whole columns: sums of products, first rows, and the times between instants.

Stands alone, beside `column_groups`: it is told what belongs together, and works it out. Sums
are exact however large they are; those of an array wrap around.
"""

from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from salesflow.domain.time import DAY, day_number
from salesflow.projections.core.columns import Column, Flags, runs_of
from salesflow.projections.core.statistics import exact_sums

__all__ = ["elapsed", "exact_product_sums", "first_rows", "places_among"]

HALF: Final = 32
"""Bits by which numbers of 64 bits are cut in two."""
LOWER: Final = (1 << HALF) - 1
GREATEST: Final = np.iinfo(np.int64).max


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
    upper = exact_sums((numbers >> HALF) * factors, groups, count)
    lower = exact_sums((numbers & LOWER) * factors, groups, count)
    return [(high << HALF) + low for high, low in zip(upper, lower, strict=True)]


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
