"""Estimates: what a sample says of the whole, with an interval that is right 95 times in 100.

A share or a mean is exact: a Decimal of counts and sums. Its interval is an estimate: floats
on the way, for roots and for points of a distribution, and rounded to nine places at its end,
so that it is the same on every machine. Leaves out everything about where the counts come from.

An interval of a mean needs scipy, the extra `stats`. Without it that one figure is refused and
not left out: what an answer says depends on the log and the moment alone, never on what is
installed where it was asked.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from statistics import NormalDist
from typing import Final, NamedTuple

from salesflow.domain.time import DAY
from salesflow.domain.values import Value
from salesflow.errors import SalesflowError
from salesflow.presentation.format import Estimate, Interval

__all__ = [
    "NINE_TENTHS",
    "Duration",
    "Probabilities",
    "Share",
    "Spread",
    "Survival",
    "decimal_of",
    "difference",
    "mean",
    "net_promoters",
    "ratio",
    "ratios",
    "share",
    "shares",
    "spread",
    "spreads",
    "survival",
]


CONFIDENCE: Final = 0.95
UPPER: Final = (1 + CONFIDENCE) / 2
Z: Final = NormalDist().inv_cdf(UPPER)
HUNDRED: Final = 100
PLACES: Final = 9


class Share(NamedTuple):
    """So many of so many."""

    part: int
    whole: int


def ratio(part: int, whole: int) -> Decimal | None:
    """Divide two counts; None for nothing of nothing, which is undefined."""
    return Decimal(part) / whole if whole else None


def ratios(*counts: Share) -> list[Decimal | None]:
    """Divide several pairs of counts; see `ratio`."""
    return [ratio(*each) for each in counts]


def shares(*counts: Share) -> list[Estimate | None]:
    """Return several shares, each with its interval; see `share`."""
    return [share(*each) for each in counts]


def share(part: int, whole: int) -> Estimate | None:
    """Return a share and its Wilson interval; None of nothing.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical
    inference, JASA 22 (1927), the score interval without continuity correction.
    """
    value = ratio(part, whole)
    if value is None:
        return None
    low, high = _wilson(part, whole)
    return Estimate(value=value, interval=_between(low, high), count=whole)


def difference(first: Share, second: Share) -> Estimate | None:
    """Return the first share less the second and Newcombe's interval; None if one is of none.

    Source: R. G. Newcombe, Interval estimation for the difference between independent
    proportions, Statistics in Medicine 17 (1998), method 10: Wilson's limits of both shares
    without continuity correction.
    """
    if not first.whole or not second.whole:
        return None
    exact = Fraction(*first) - Fraction(*second)
    first_rate, second_rate = float(Fraction(*first)), float(Fraction(*second))
    (low, high), (other_low, other_high) = _wilson(*first), _wilson(*second)
    below = math.hypot(first_rate - low, other_high - second_rate)
    above = math.hypot(high - first_rate, second_rate - other_low)
    between = first_rate - second_rate
    return Estimate(
        value=decimal_of(exact),
        interval=_between(between - below, between + above),
        count=first.whole + second.whole,
    )


def mean(values: Mapping[int, int] | Mapping[Fraction, int]) -> Estimate | None:
    """Return the mean of values (and how often each was met) and its interval; None of nothing.

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
    mean, reach = float(middle), _student(count - 1) * error
    return Estimate(
        value=decimal_of(middle),
        interval=_between(mean - reach, mean + reach),
        count=count,
    )


def net_promoters(promoters: int, detractors: int, count: int) -> Estimate | None:
    """Return the net promoter score, from -100 to 100, and its interval; None of nothing.

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


def _wilson(part: int, whole: int) -> tuple[float, float]:
    """Return Wilson's limits; exactly 0 and 1 where none or all were met."""
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
    """Return the 97.5 % point of Student's t; scipy is loaded for this alone."""
    try:
        from scipy.stats import t
    except ImportError as error:
        raise SalesflowError(
            "the interval of a mean needs scipy; run: pip install 'salesflow[stats]'"
        ) from error
    return float(t.ppf(UPPER, freedom))


# Spreads: how durations lie, from the shortest to the longest.

NINE_TENTHS: Final = Fraction(9, 10)


class Spread(Value):
    """How days are spread, percentiles by linear interpolation (type 7); None of nothing."""

    days_median: Decimal | None
    days_mean: Decimal | None
    days_p90: Decimal | None


NO_SPREAD: Final = Spread(days_median=None, days_mean=None, days_p90=None)


def spread(lasted: Iterable[int]) -> Spread:
    """Return median, mean and 90th percentile of times as days."""
    times = sorted(lasted)
    if not times:
        return NO_SPREAD
    return Spread(
        days_median=_days(_percentile(times, Fraction(1, 2))),
        days_mean=_days(Fraction(sum(times), len(times))),
        days_p90=_days(_percentile(times, NINE_TENTHS)),
    )


def spreads(*lasted: Iterable[int]) -> list[Spread]:
    """Return how several sets of times are spread; see `spread`."""
    return [spread(each) for each in lasted]


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


# How long until something happens, when for some it has not happened yet.
#
# Two estimators over spells, each of which lasted so long and ended by a cause or is censored
# (it goes on, or nobody watched it further): Kaplan-Meier, the share that has not ended after
# some time, and Aalen-Johansen, the share that has ended by each cause. Together they make 1.
#
# Exact: whole numbers until the last division, so that ties are ties. Both follow from giving
# every spell the same weight and handing the weight of a censored one on to all that last
# longer. A spell that ended after some time precedes one that is censored after the same time.
# Leaves out intervals, and everything about where the spells come from.
#
# Source: E. L. Kaplan and P. Meier, Nonparametric estimation from incomplete observations, JASA
# 53 (1958); O. Aalen and S. Johansen, An empirical transition matrix for non-homogeneous Markov
# chains based on censored observations, Scandinavian Journal of Statistics 5 (1978); B. Efron,
# The two sample problem with censored data, Fifth Berkeley Symposium 4 (1967), for the weights.


class Duration(NamedTuple):
    """Something that lasted so long; the cause that ended it, None where it is censored."""

    lasted: int
    cause: str | None


class Probabilities(NamedTuple):
    """What is estimated of a spell's first so long."""

    after: int
    at_risk: int
    """How many were watched for at least that long."""
    lasting: Share | None
    """The share that lasts longer; None beyond the last spell where that is censored."""
    ended: Mapping[str, Share] | None
    """The share that has ended by each cause; None as above."""


class Survival(NamedTuple):
    """What is estimated of spells: how many ended, by what, when half had, and the chances."""

    spells: int
    causes: Mapping[str, int]
    median: int | None
    """The first time after which no more than half last; None when more than half did."""
    chances: tuple[Probabilities, ...]


def survival(spells: Iterable[Duration], after: Iterable[int] = ()) -> Survival:
    """Estimate how long spells last, and the chances after each of some times, in order."""
    found: defaultdict[int, Counter[str | None]] = defaultdict(Counter)
    for spell in spells:
        found[spell.lasted][spell.cause] += 1
    wanted = sorted(set(after))
    for moment in wanted:
        found[moment] += Counter()
    weights = _Weights(sum(at.total() for at in found.values()))
    begun, causes, median = weights.at_risk, Counter[str](), None
    chances: list[Probabilities] = []
    for lasted in sorted(found):
        at_risk = weights.at_risk
        ended = Counter({c: count for c, count in found[lasted].items() if c is not None})
        weights.end(ended)
        causes += ended
        if median is None and ended and 2 * weights.lasting <= weights.whole:
            median = lasted
        if lasted in wanted:
            chances.append(weights.chances(lasted, at_risk))
        weights.censor(found[lasted][None])
    return Survival(begun, causes, median, tuple(chances))


class _Weights:
    """The estimate as time goes by: each spell at risk weighs `weight`, in parts of `whole`.

    What censored ones weighed is handed on only when another spell ends, all of it at once:
    until then `sharing` spells' weight is that of all at risk.
    """

    def __init__(self, spells: int) -> None:
        self.at_risk = self.sharing = spells
        self.weight, self.whole = 1, spells
        self.ended: Counter[str] = Counter()
        self.known = spells > 0
        """Whether anything is known of so long a time: not once the last one is censored."""

    @property
    def lasting(self) -> int:
        """What those at risk weigh together."""
        return self.weight * self.sharing

    def end(self, causes: Mapping[str, int]) -> None:
        """Let some end: what they weighed is their causes' from now on."""
        if causes:
            self._hand_on()
        for cause, count in causes.items():
            self.ended[cause] += self.weight * count
            self.at_risk -= count
            self.sharing -= count

    def censor(self, count: int) -> None:
        """Watch some no further: what they weighed is for all that are left."""
        self.at_risk -= count
        self.known = self.known and (self.at_risk > 0 or not count)

    def chances(self, after: int, at_risk: int) -> Probabilities:
        """Return what is estimated now."""
        if not self.known:
            return Probabilities(after, at_risk, None, None)
        ended = {cause: Share(part, self.whole) for cause, part in self.ended.items()}
        return Probabilities(after, at_risk, Share(self.lasting, self.whole), ended)

    def _hand_on(self) -> None:
        if self.sharing == self.at_risk:
            return
        self.weight *= self.sharing
        self.whole *= self.at_risk
        for cause in self.ended:
            self.ended[cause] *= self.at_risk
        self.sharing = self.at_risk
