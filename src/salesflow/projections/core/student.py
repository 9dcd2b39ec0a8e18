"""Student's t of any degrees of freedom: how much lies within a point, and where a share ends.

Welch's degrees of freedom are no whole numbers. Floats to about 14 digits, the same on every
machine but for the last of them. `statistics` has the one point that means need, for whole
degrees.
"""

import math
from functools import cache
from typing import Final

__all__ = ["student_density", "student_point", "student_within"]


HALF: Final = 0.5
SMALLEST: Final = 1e-16
"""What is added to a sum and is less than that of it changes nothing."""


def student_within(point: float, freedom: float) -> float:
    """Return how much of Student's t lies no further from 0 than a point.

    Degrees of freedom need not be whole, as Welch's are not.

    Source: NIST Digital library of mathematical functions, 8.17.8 and 15.2.1: an incomplete
    beta function as a series of positive terms.
    """
    half, share = freedom / 2, point * point / (freedom + point * point)
    term = total = 1.0
    order = 0
    while term > total * SMALLEST:
        term *= (half + HALF + order) / (1 + HALF + order) * share
        total += term
        order += 1
    logs = math.lgamma(half + HALF) - math.lgamma(half) - math.lgamma(HALF)
    if not share:
        return 0.0
    front = math.exp(logs + HALF * math.log(share) + half * math.log1p(-share))
    return min(2 * front * total, 1.0)


def student_density(point: float, freedom: float) -> float:
    """Return the density of Student's t at a point, of degrees of freedom as above."""
    logs = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    logs -= (freedom + 1) / 2 * math.log1p(point * point / freedom)
    return math.exp(logs) / math.sqrt(freedom * math.pi)


@cache
def student_point(share: float, freedom: float) -> float:
    """Return the point below which a share of Student's t lies, more than half of it."""
    wanted, low, high = 2 * share - 1, 0.0, 1.0
    while student_within(high, freedom) < wanted:
        low, high = high, 2 * high
    while high - low > SMALLEST * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (
            (middle, high) if student_within(middle, freedom) < wanted else (low, middle)
        )
    return high
