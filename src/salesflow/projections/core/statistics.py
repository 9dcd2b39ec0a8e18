"""Estimates: what a sample says of the whole, with an interval that is right 95 times in 100.

A share or a mean is exact: a Decimal of counts and sums. Its interval is an estimate: floats
on the way, for roots and for points of a distribution, and rounded to nine places at its end,
so that it is the same on every machine. Leaves out everything about where the counts come from.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, getcontext, localcontext
from fractions import Fraction
from functools import cache
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from salesflow.domain.time import DAY
from salesflow.domain.unchecked import Fields, unchecked, unchecked_all
from salesflow.domain.values import Value
from salesflow.presentation.format import Estimate, Interval
from salesflow.projections.core.column_figures import GREATEST, exact_sums, runs_of
from salesflow.projections.core.columns import Column
from salesflow.projections.core.student import student_point

__all__ = [
    "Probabilities",
    "Sample",
    "Share",
    "Spread",
    "Survival",
    "decimal_of",
    "difference",
    "in_days",
    "mean",
    "mean_difference",
    "net_promoters",
    "ratio",
    "ratios",
    "share",
    "shares",
    "spread",
    "spreads",
    "survival",
    "upper_limits",
]


CONFIDENCE: Final = 0.95
UPPER: Final = (1 + CONFIDENCE) / 2
Z: Final = NormalDist().inv_cdf(UPPER)
EXPANSION: Final = (
    (4, (1, 1)),
    (96, (3, 16, 5)),
    (384, (-15, 17, 19, 3)),
    (92_160, (-945, -1_920, 1_482, 776, 79)),
)
"""Of Student's t: by each power of 1 ÷ degrees of freedom the factors of Z, Z³ and so on."""
FEW_DEGREES: Final = 1_000
"""Up to so many that expansion has fewer than 14 digits."""
STEPS: Final = 6
"""One more than the last digits of any of them need."""
FEWEST_OF_A_MEAN: Final = 2
"""So many values have a variance."""
HUNDRED: Final = 100
PLACES: Final = 9
LONG: Final = 2_000
"""Bits of a number that would take long to be written as a decimal."""
GUARDED: Final = 40
"""Digits that are worked out where 28 are wanted."""
BEGINNING: Final = -(1 << 63)
"""Before every time, as 64 bits hold it."""
HALF: Final = 0.5
NEARLY: Final = 1e-6
"""Floats that lie so close to one another are told apart by whole numbers."""
FEW: Final = 100
"""So many places of an order are found sooner than all of it."""


_estimate: Final = unchecked(Estimate)
_interval: Final = unchecked(Interval)


Division = Callable[[int, int], Decimal | None]


class Share(NamedTuple):
    """So many of so many."""

    part: int
    whole: int


def ratio(part: int, whole: int) -> Decimal | None:
    """Divide two counts; None for nothing of nothing, which is undefined."""
    if whole.bit_length() > LONG:
        return _long_ratio(part, whole)
    return Decimal(part) / whole if whole else None


def ratios(parts: Iterable[int], wholes: Iterable[int]) -> list[Decimal | None]:
    """Divide counts, each by another one; see `ratio`. Mostly they are the same few."""
    return [*map(cache(ratio), parts, wholes)]


def _long_ratio(part: int, whole: int) -> Decimal:
    """Divide whole numbers of many digits to the same digits, without making decimals of them.

    What is left over stands as one digit more, which decides how the last one is rounded.
    """
    places = GUARDED + max(0, whole.bit_length() - part.bit_length()) // 3
    digits, rest = divmod(part * 10**places, whole)
    with localcontext(prec=len(str(digits)) + 1):
        found = Decimal(digits * 10 + bool(rest)).scaleb(-places - 1)
        plain = found.normalize()
    if rest or len(plain.as_tuple().digits) > getcontext().prec:
        return +found
    return plain if plain != plain.to_integral_value() else plain.quantize(Decimal(1))


def share(part: int, whole: int) -> Estimate | None:
    """Return a share and its Wilson interval; None of nothing.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical
    inference, JASA 22 (1927), the score interval without continuity correction.
    """
    value = ratio(part, whole)
    if value is None:
        return None
    low, high = _wilson(part, whole)
    return _estimate(value=value, interval=_between(low, high), count=whole)


def shares(parts: Iterable[int], wholes: Iterable[int]) -> list[Estimate | None]:
    """Return several shares; see `share`. Those of the same counts are one value."""
    return [*map(cache(share), parts, wholes)]


def upper_limits(parts: Column, wholes: Column) -> NDArray[np.float64]:
    """Return the upper limits of the intervals of many shares, see `share`; 1 of nothing."""
    wholes = np.maximum(wholes, 1)
    observed, squared = parts / wholes, Z * Z
    middle = (observed + squared / (2 * wholes)) / (1 + squared / wholes)
    spread = observed * (1 - observed) / wholes + squared / (4 * wholes * wholes)
    high = middle + Z * np.sqrt(spread) / (1 + squared / wholes)
    return np.where(parts < wholes, np.round(high, PLACES), 1.0)


def difference(first: Share, second: Share) -> Estimate | None:
    """Return the first share less the second and Newcombe's interval; None if one is of none.

    Source: R. G. Newcombe, Interval estimation for the difference between independent
    proportions, Statistics in Medicine 17 (1998), method 10: Wilson's limits of both shares
    without continuity correction.
    """
    if not first.whole or not second.whole:
        return None
    first_rate, second_rate = first.part / first.whole, second.part / second.whole
    apart = first.part * second.whole - second.part * first.whole
    (low, high), (other_low, other_high) = _wilson(*first), _wilson(*second)
    below = math.hypot(first_rate - low, other_high - second_rate)
    above = math.hypot(high - first_rate, second_rate - other_low)
    between = first_rate - second_rate
    return _estimate(
        value=ratio(apart, first.whole * second.whole),
        interval=_between(between - below, between + above),
        count=first.whole + second.whole,
    )


def mean(values: Mapping[int, int] | Mapping[Fraction, int]) -> Estimate | None:
    """Return the mean of values (and how often each was met) and its interval; None of nothing.

    A single value has a mean and no interval.

    Source: Student, The probable error of a mean, Biometrika 6 (1908): mean ± t of n − 1
    degrees of freedom x s ÷ √n, with s² = Σ(x − mean)² ÷ (n − 1).
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


class Sample(NamedTuple):
    """How many values there are, their exact mean, and their variance as a float.

    The variance is Σ(x − mean)² ÷ (n − 1); it is not asked for of a single value.
    """

    size: int
    mean: Fraction
    variance: float


def mean_difference(first: Sample, second: Sample) -> Estimate | None:
    """Return the first mean less the second with Welch's interval; None if one is of none.

    Where either is of a single value, or no value differs from another, there is no interval.

    Source: B. L. Welch, The generalization of Student's problem when several different
    population variances are involved, Biometrika 34 (1947).
    """
    if not first.size or not second.size:
        return None
    apart = first.mean - second.mean
    count = first.size + second.size
    value = decimal_of(apart)
    parts = [each.variance / each.size for each in (first, second)]
    if min(first.size, second.size) < FEWEST_OF_A_MEAN or not sum(parts) > 0:
        return Estimate(value=value, interval=None, count=count)
    squares = sum(
        part**2 / (each.size - 1) for part, each in zip(parts, (first, second), strict=True)
    )
    freedom = sum(parts) ** 2 / squares
    reach = student_point(UPPER, freedom) * math.sqrt(sum(parts))
    return Estimate(
        value=value, interval=_between(float(apart) - reach, float(apart) + reach), count=count
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
    return _interval(low=round(Decimal(low), PLACES), high=round(Decimal(high), PLACES))


@cache
def _student(freedom: int) -> float:
    """Return the 97.5 % point of Student's t: 95 in 100 lie no further from 0.

    Source: Abramowitz and Stegun, Handbook of mathematical functions, 26.7.5: an expansion
    around the point of the normal distribution, which is right to 14 digits where there are
    many degrees of freedom. Where there are few, Newton's method goes on from it.
    """
    point = Z
    for order, (whole, numbers) in enumerate(EXPANSION, 1):
        powers = sum(number * Z ** (2 * n + 1) for n, number in enumerate(numbers))
        point += powers / (whole * freedom**order)
    if freedom > FEW_DEGREES:
        return point
    halves = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    top = 2 * math.exp(halves) / math.sqrt(freedom * math.pi)
    for _ in range(STEPS):
        density = top * math.pow(1 + point * point / freedom, -(freedom + 1) / 2)
        point += (CONFIDENCE - _within(point, freedom)) / density
    return point


def _within(point: float, freedom: int) -> float:
    """Return how much of Student's t lies no further from 0 than a point.

    Source: the same, 26.7.3 and 26.7.4: a sum of half as many terms as degrees of freedom.
    """
    angle, is_odd = math.atan2(point, math.sqrt(freedom)), freedom % 2
    squared = freedom / (freedom + point * point)  # of the cosine
    term = total = 0.0 if freedom == 1 else 1.0
    for number in range(2 + is_odd, freedom, 2):
        term *= (number - 1) / number * squared
        total += term
    total *= math.sin(angle)
    return (angle + math.cos(angle) * total) * 2 / math.pi if is_odd else total


# Spreads: how durations lie, from the shortest to the longest.

HALF_WAY: Final = Fraction(1, 2)
NINE_TENTHS: Final = Fraction(9, 10)


class Spread(Value):
    """How days are spread, percentiles by linear interpolation (type 7); None of nothing."""

    days_median: Decimal | None
    days_mean: Decimal | None
    days_p90: Decimal | None


NO_SPREAD: Final = Spread(days_median=None, days_mean=None, days_p90=None)
_spreads: Final = unchecked_all(Spread)


def spread(lasted: Column) -> Spread:
    """Return median, mean and 90th percentile of times as days."""
    [found] = spreads(np.zeros(len(lasted), np.int64), lasted, 1)
    return found


def spreads(groups: Column, lasted: Column, count: int) -> list[Spread]:
    """Return the same of each of so many groups, by the number of the group of each time."""
    counts = np.bincount(groups, minlength=count)
    some, found = np.flatnonzero(counts), [NO_SPREAD] * count
    if not len(some):
        return found
    counts, first = counts[some], (np.cumsum(counts) - counts)[some]
    halfway, most = (_Percentile.of(share, first, counts) for share in (HALF_WAY, NINE_TENTHS))
    places = np.unique(np.concatenate([halfway.low, halfway.high, most.low, most.high]))
    times = _at_places(groups, lasted, count, places)
    sums = exact_sums(lasted, groups, count)[some].tolist()
    divided = cache(ratio)  # of a single time all three are the same
    columns = (
        halfway.days(times, divided),
        [*map(divided, sums, (counts * DAY).tolist())],
        most.days(times, divided),
    )
    names = [*Spread.model_fields]
    fields: list[Fields] = [
        dict(zip(names, days, strict=True)) for days in zip(*columns, strict=True)
    ]
    for number, spread in zip(some.tolist(), _spreads(fields), strict=True):
        found[number] = spread
    return found


class _Percentile(NamedTuple):
    """The places of two times around a share of the way through each group, in their order.

    In between lies the percentile, by linear interpolation (type 7).

    Source: R. J. Hyndman and Y. Fan, Sample quantiles in statistical packages, The American
    Statistician 50 (1996).
    """

    low: Column
    high: Column
    rest: Column
    """So many parts of the way from the lower one to the higher one."""
    parts: int

    @classmethod
    def of(cls, share: Fraction, first: Column, counts: Column) -> "_Percentile":
        part, parts = share.as_integer_ratio()
        below, rest = np.divmod((counts - 1) * part, parts)
        return cls(first + below, first + np.minimum(below + 1, counts - 1), rest, parts)

    def days(self, times: Column, divided: Division) -> list[Decimal | None]:
        """Return it in days, of times that are ordered."""
        around = (times[self.low], times[self.high], self.rest)
        each = zip(*(column.tolist() for column in around), strict=True)
        parts, whole = self.parts, self.parts * DAY
        return [
            divided(low * parts + rest * (high - low), whole) if rest else divided(low, DAY)
            for low, high, rest in each
        ]


def _at_places(groups: Column, lasted: Column, count: int, places: Column) -> Column:
    """Return times in order of their groups and their length, which holds for some places.

    A group and a time are one number, where 64 bits are enough for that.
    """
    least = int(lasted.min(initial=0))
    reach = int(lasted.max(initial=0)) - least + 1
    if reach * count > GREATEST:
        return lasted[np.lexsort([lasted, groups])]
    keys = groups * reach + (lasted - least)
    ordered = np.partition(keys, places) if len(places) <= FEW else np.sort(keys)
    return ordered % reach + least


def in_days(lasted: Fraction | int) -> Decimal:
    """Return microseconds as days, rounded to 28 digits."""
    return Decimal(lasted.numerator) / (lasted.denominator * DAY)


# How long until something happens, when for some it has not happened yet.
#
# Two estimators over spells, each of which lasted so long and ended by a cause or is censored
# (it goes on, or nobody watched it further): Kaplan-Meier, the share that has not ended after
# some time, and Aalen-Johansen, the share that has ended by each cause. Together they make 1.
#
# Exact: whole numbers until the last division, so that ties are ties. Both follow from giving
# every spell the same weight and handing the weight of a censored one on to all that last
# longer. A spell that ended after some time precedes one that is censored after the same time.
# Numbers of many digits are multiplied pair by pair, which keeps most of them short.
# Leaves out intervals, and everything about where the spells come from.
#
# Source: E. L. Kaplan and P. Meier, Nonparametric estimation from incomplete observations, JASA
# 53 (1958); O. Aalen and S. Johansen, An empirical transition matrix for non-homogeneous Markov
# chains based on censored observations, Scandinavian Journal of Statistics 5 (1978); B. Efron,
# The two sample problem with censored data, Fifth Berkeley Symposium 4 (1967), for the weights.


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


def survival(
    lasted: Column, causes: Column, names: Sequence[str], after: Iterable[int] = ()
) -> Survival:
    """Estimate how long spells last, and the chances after each of some times, in order.

    Each lasted so long and ended by a cause, which is its place among the names; one that is
    censored has none and says -1.
    """
    bits = len(names).bit_length()  # a time and a cause are one number, and sorted as such
    spells = np.sort((lasted << bits) + causes + 1)
    times, caused = spells >> bits, (spells & (1 << bits) - 1) - 1
    first, last = runs_of(times)
    each = [np.cumsum(caused == number)[last] for number in range(len(names))]
    ended = np.diff(np.reshape(each, (len(names), len(last))), prepend=0)
    at_risk, watched = len(times) - first, last - first + 1
    table = _LifeTable(times[first], ended, at_risk, watched - ended.sum(axis=0), names)
    counts = zip(names, ended.sum(axis=1).tolist(), strict=True)
    return Survival(
        len(lasted),
        {name: count for name, count in counts if count},
        _median(table),
        tuple(_chances_after(sorted(set(after)), table)),
    )


class _LifeTable(NamedTuple):
    """Spells by how long they lasted: per time, in order, how many ended by each cause."""

    times: Column
    ended: Column
    """A row of counts for each cause."""
    at_risk: Column
    """How many were watched up to then."""
    censored: Column
    names: Sequence[str]

    def between(self, after: int, until: int) -> "_LifeTable":
        """Return the part of longer times than one and of no longer ones than another."""
        first, end = np.searchsorted(self.times, [after, until], "right").tolist()
        part = slice(first, end)
        cut = (self.times[part], self.ended[:, part], self.at_risk[part], self.censored[part])
        return _LifeTable(*cut, self.names)


def _chances_after(times: Iterable[int], table: _LifeTable) -> Iterator[Probabilities]:
    """Yield what is estimated of the first so long; nothing where nobody was watched then.

    Times are in order; what happened up to one is gone through once.
    """
    before, step = BEGINNING, _Step(1, 1, [0] * len(table.names))
    for after in times:
        begun = int(np.searchsorted(table.times, after))
        at_risk = int(table.at_risk[begun]) if begun < len(table.times) else 0
        if not len(table.times) or (not at_risk and table.censored[-1]):
            yield Probabilities(after, at_risk, None, None)
            continue
        step = step.then(_weights(table.between(before, after)))
        before = after
        each = zip(table.names, step.ended, strict=True)
        shares = {name: Share(ended, step.whole) for name, ended in each if ended}
        yield Probabilities(after, at_risk, Share(step.lasting, step.whole), shares)


def _median(table: _LifeTable) -> int | None:
    """Return the first time after which no more than half last.

    Floats say where that is about; the weights themselves decide.
    """
    ended = table.ended.sum(axis=0)
    about = np.cumprod(1 - ended / np.maximum(table.at_risk, 1))
    for place in np.flatnonzero((ended > 0) & (about < HALF + NEARLY)).tolist():
        if about[place] < HALF - NEARLY:
            return int(table.times[place])
        lasting, whole, _ = _weights(table.between(BEGINNING, table.times[place]))
        if 2 * lasting <= whole:
            return int(table.times[place])
    return None


def _weights(table: _LifeTable) -> "_Step":
    """Return what those that last weigh, what all do, and what those do that each cause ended.

    Between two times at which any were censored all weigh the same, so those are one step: of
    so many at risk so many were left, and so many ended by each cause.
    """
    ended = table.ended.sum(axis=0)
    some = np.flatnonzero(ended)
    if not len(some):
        return _Step(1, 1, [0] * len(table.names))
    watching = np.cumsum(table.censored) - table.censored
    first, last = runs_of(watching[some])
    begun = table.at_risk[some][first].tolist()
    left = (table.at_risk - ended)[some][last].tolist()
    causes = np.add.reduceat(table.ended[:, some], first, axis=1).T.tolist()
    steps = [_Step(*each) for each in zip(left, begun, causes, strict=True)]
    while len(steps) > 1:
        pairs = [one.then(two) for one, two in zip(steps[::2], steps[1::2], strict=False)]
        steps = pairs + steps[len(pairs) * 2 :]
    return steps[0]


class _Step(NamedTuple):
    """What some spells came to by and by: whole numbers, over one denominator."""

    lasting: int
    whole: int
    ended: list[int]

    def then(self, other: "_Step") -> "_Step":
        """Return what both steps come to, one after the other."""
        ended = [
            mine * other.whole + self.lasting * theirs
            for mine, theirs in zip(self.ended, other.ended, strict=True)
        ]
        return _Step(self.lasting * other.lasting, self.whole * other.whole, ended)
