"""Spreads: how durations lie, from the shortest to the longest."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from salesflow.domain.moments import DAY
from salesflow.domain.values import Value
from salesflow.projections.estimates import decimal_of

__all__ = ["NINE_TENTHS", "Spread", "spread"]


NINE_TENTHS: Final = Fraction(9, 10)


class Spread(Value):
    """How days are spread, percentiles by linear interpolation (type 7); None of nothing."""

    days_median: Decimal | None
    days_mean: Decimal | None
    days_p90: Decimal | None


def spread(lasted: Iterable[int]) -> Spread:
    """Give median, mean and 90th percentile of times as days."""
    times = sorted(lasted)
    if not times:
        return Spread(days_median=None, days_mean=None, days_p90=None)
    return Spread(
        days_median=_days(_percentile(times, Fraction(1, 2))),
        days_mean=_days(Fraction(sum(times), len(times))),
        days_p90=_days(_percentile(times, NINE_TENTHS)),
    )


def _percentile(times: Sequence[int], share: Fraction) -> Fraction:
    """Interpolate linearly between the two times around a share of the way (type 7).

    Source: R. J. Hyndman and Y. Fan, Sample quantiles in statistical packages, The American
    Statistician 50 (1996).
    """
    place = (len(times) - 1) * share
    below = int(place)
    above = min(below + 1, len(times) - 1)
    return times[below] + (place - below) * (times[above] - times[below])


def _days(lasted: Fraction | int) -> Decimal:
    return decimal_of(Fraction(lasted) / DAY)
