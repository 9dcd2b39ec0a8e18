"""Estimates: what a sample says of the whole, with an interval that is right 95 times in 100.

A share or a mean is exact: a Decimal of counts and sums. Its interval is an estimate: floats
on the way, for roots and for points of a distribution, and rounded to nine places at its end,
so that it is the same on every machine. Leaves out everything about where the counts come from.

An interval of a mean needs scipy, the extra `stats`. Without it that one figure is refused and
not left out: what an answer says depends on the log and the moment alone, never on what is
installed where it was asked.
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from statistics import NormalDist
from typing import Final, NamedTuple

from salesflow.domain.values import Value
from salesflow.errors import SalesflowError
from salesflow.projections.writing import percent_text

__all__ = [
    "Estimate",
    "Interval",
    "Share",
    "decimal_of",
    "difference",
    "estimate_text",
    "mean",
    "net_promoters",
    "ratio",
    "share",
]

CONFIDENCE: Final = 0.95
UPPER: Final = (1 + CONFIDENCE) / 2
Z: Final = NormalDist().inv_cdf(UPPER)
HUNDRED: Final = 100
PLACES: Final = 9


class Interval(Value):
    """Where the figure of the whole lies with 95% confidence."""

    low: Decimal
    high: Decimal


class Estimate(Value):
    """A figure of a sample, its interval, and how many observations it rests on."""

    value: Decimal
    interval: Interval | None
    """None where there are too few observations to give one."""
    count: int


class Share(NamedTuple):
    """So many of so many."""

    part: int
    whole: int


def ratio(part: int, whole: int) -> Decimal | None:
    """Divide two counts; None for nothing of nothing, which is undefined."""
    return Decimal(part) / whole if whole else None


def share(part: int, whole: int) -> Estimate | None:
    """Give a share and its Wilson interval; None of nothing.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical
    inference, JASA 22 (1927), the score interval without continuity correction.
    """
    value = ratio(part, whole)
    if value is None:
        return None
    low, high = _wilson(part, whole)
    return Estimate(value=value, interval=_between(low, high), count=whole)


def difference(first: Share, second: Share) -> Estimate | None:
    """Give the first share less the second and Newcombe's interval; None where one is of none.

    Source: R. G. Newcombe, Interval estimation for the difference between independent
    proportions, Statistics in Medicine 17 (1998), method 10: Wilson's limits of both shares
    without continuity correction.
    """
    if not first.whole or not second.whole:
        return None
    exact = Fraction(*first) - Fraction(*second)
    here, there = float(Fraction(*first)), float(Fraction(*second))
    (low, high), (other_low, other_high) = _wilson(*first), _wilson(*second)
    below = math.hypot(here - low, other_high - there)
    above = math.hypot(high - here, there - other_low)
    between = here - there
    return Estimate(
        value=decimal_of(exact),
        interval=_between(between - below, between + above),
        count=first.whole + second.whole,
    )


def mean(values: Mapping[int, int] | Mapping[Fraction, int]) -> Estimate | None:
    """Give the mean of values (and how often each was met) and its interval; None of nothing.

    A single value has a mean and no interval.

    Source: Student, The probable error of a mean, Biometrika 6 (1908): mean ± t of n − 1
    degrees of freedom x s ÷ √n, with s² = Σ(x − mean)² ÷ (n − 1).

    Raises:
        SalesflowError: when an interval is wanted and scipy is not installed.
    """
    weighted = [(Fraction(value), times) for value, times in values.items()]
    count = sum(times for _, times in weighted)
    if not count:
        return None
    middle = sum((value * times for value, times in weighted), Fraction(0)) / count
    if count == 1:
        return Estimate(value=decimal_of(middle), interval=None, count=1)
    squares = sum((times * (value - middle) ** 2 for value, times in weighted), Fraction(0))
    error = math.sqrt(squares / (count - 1) / count)
    here, reach = float(middle), _student(count - 1) * error
    return Estimate(
        value=decimal_of(middle),
        interval=_between(here - reach, here + reach),
        count=count,
    )


def net_promoters(promoters: int, detractors: int, count: int) -> Estimate | None:
    """Give the net promoter score, from -100 to 100, and its interval; None of nothing.

    A single answer has a score and no interval. Where all say the same, the formula knows no
    doubt and gives an interval of no width, however few they are.

    Its variance is (p + d − (p − d)²) ÷ n, that of a mean of n values of 1, 0 and −1; the
    interval is a normal one and never leaves the scale.

    Source: B. Rocks, Interval estimation for the net promoter score, The American
    Statistician 70 (2016), the Wald interval.
    """
    if not count:
        return None
    net = Fraction(promoters - detractors, count)
    if count == 1:
        return Estimate(value=decimal_of(HUNDRED * net), interval=None, count=1)
    variance = (Fraction(promoters + detractors, count) - net**2) / count
    reach = HUNDRED * Z * math.sqrt(variance)
    low, high = HUNDRED * float(net) - reach, HUNDRED * float(net) + reach
    return Estimate(
        value=decimal_of(HUNDRED * net),
        interval=_between(max(low, -HUNDRED), min(high, HUNDRED)),
        count=count,
    )


def decimal_of(exact: Fraction) -> Decimal:
    """Write a fraction as a Decimal: exact where it has 28 digits or fewer, else rounded."""
    return Decimal(exact.numerator) / exact.denominator


def estimate_text(estimate: Estimate | None, *, percent: bool = False, places: int = 0) -> str:
    """Write a figure and its interval for people: "72% (61 … 81)"."""
    if estimate is None:
        return "–"
    scale = HUNDRED if percent else 1
    plain = f"{estimate.value * scale:z.{places}f}"
    text = percent_text(estimate.value) if percent else plain
    if estimate.interval is None:
        return text
    low, high = estimate.interval.low * scale, estimate.interval.high * scale
    return f"{text} ({low:z.{places}f} … {high:z.{places}f})"


def _wilson(part: int, whole: int) -> tuple[float, float]:
    """Give Wilson's limits; exactly 0 and 1 where none or all were met."""
    observed, squared = part / whole, Z * Z
    middle = (observed + squared / (2 * whole)) / (1 + squared / whole)
    spread = observed * (1 - observed) / whole + squared / (4 * whole * whole)
    reach = Z * math.sqrt(spread) / (1 + squared / whole)
    low = middle - reach if part else 0.0
    high = middle + reach if part < whole else 1.0
    return low, high


def _between(low: float, high: float) -> Interval:
    return Interval(low=round(Decimal(low), PLACES), high=round(Decimal(high), PLACES))


def _student(freedom: int) -> float:
    """Give the 97.5 % point of Student's t; scipy is loaded for this alone."""
    try:
        from scipy.stats import t
    except ImportError as error:
        raise SalesflowError(
            "the interval of a mean needs scipy; run: pip install 'salesflow[stats]'"
        ) from error
    return float(t.ppf(UPPER, freedom))
