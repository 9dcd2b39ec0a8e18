"""The estimates of an effect: two differences with their errors, and what chance alone does.

It is a module of its own, beside `effects` which says what follows, for its length alone.
"""

import math
from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from salesflow.domain.values import Value
from salesflow.presentation.format import Estimate, Interval
from salesflow.projections.core.statistics import student_point

__all__ = [
    "FEWEST",
    "UPPER",
    "EffectFigures",
    "Estimated",
    "Figures",
    "GroupChange",
    "GroupComparison",
    "Permutations",
    "interval_between",
    "permutations_of",
    "rounded",
]


Figures = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]

FEWEST: Final = 3
"""With fewer people in a group than that, figures are shown and nothing is concluded."""
ENUMERATED_MAX: Final = 20_000
"""Up to so many ways of choosing people are gone through one by one."""
DRAWN: Final = 4_999
"""So many are drawn where there are more of them."""
AT_ONCE: Final = 300_000
"""So many cells are worked on at a time."""
UPPER: Final = 0.975
DIGITS: Final = 12
ALIKE: Final = 1e-9
"""What differs by less, relatively, is the same: sums in another order."""


class EffectFigures(NamedTuple):
    """The figures of people, a row each, in the windows of each start, a column each.

    What is not known of somebody in a window (they were not here yet, or the figure is
    undefined) is NaN; it is left out there, and the person stays in other windows.
    """

    started: Numbers
    """When each person started; a time later than all windows for who never did."""
    starts: Numbers
    """The starts that are looked at, in order, each of them once."""
    window: int
    """How long the windows are, in the unit of the times."""
    before: Figures
    """Figures in the window that ends with each start."""
    after: Figures
    """Figures in the window that begins with each start."""
    earlier: Figures
    """Figures in the window that ends where the one before begins, for the placebo."""

    def is_treated(self) -> Flags:
        """Return for each person and start whether they started then."""
        return np.equal(self.started[:, None], self.starts[None, :])

    def is_compared(self) -> Flags:
        """Return for each person and start whether they had not started by its last window."""
        return np.greater_equal(self.started[:, None], self.starts[None, :] + self.window)


class GroupChange(Value):
    """A group: how many people, and their mean figures before and after.

    Where there are several starts each weighs as it does in the difference of mean changes.
    """

    people: int
    before: Decimal | None
    after: Decimal | None
    change: Decimal | None


class Permutations(Value):
    """How often chance alone would set groups so far apart, had others been chosen."""

    p: Decimal
    """The share of all ways of choosing as many people with a studentised difference of mean
    changes at least as far from 0."""
    ways: int
    """How many ways there are, or were drawn."""
    is_exact: bool
    """Whether all ways were gone through; else they were drawn, the same ones each time."""


def rounded(number: float) -> Decimal | None:
    """Return an estimate as it is shown, to 12 digits; None where it is undefined."""
    if not math.isfinite(number):
        return None
    return Decimal(f"{number:.{DIGITS}g}")


def interval_between(low: float, high: float) -> Interval | None:
    """Return what lies between two limits; None where either is undefined."""
    least, most = rounded(low), rounded(high)
    return None if least is None or most is None else Interval(low=least, high=most)


# One comparison: the figures of two windows, and of whom.


class Estimated(NamedTuple):
    """An estimate, its standard error and its degrees of freedom; NaN where there is none."""

    value: float
    error: float
    freedom: float

    @property
    def reach(self) -> float:
        """How far its interval reaches to both sides; NaN where it has none."""
        if not (self.error > 0 and self.freedom >= 1):
            return math.nan
        return student_point(UPPER, self.freedom) * self.error

    def shown(self, people: int) -> Estimate | None:
        """Return it as a value; None where there is none."""
        value = rounded(self.value)
        if value is None:
            return None
        return Estimate(
            value=value,
            interval=interval_between(self.value - self.reach, self.value + self.reach),
            count=people,
        )


NOTHING: Final = Estimated(math.nan, math.nan, math.nan)
NEITHER: Final = (NOTHING, NOTHING)


class GroupComparison:
    """Who is compared with whom, by two windows of figures."""

    def __init__(self, treated: Flags, counted: Flags, first: Figures, second: Figures) -> None:
        self.treated = treated & counted
        self.counted = counted
        self.first = np.where(counted, first, 0.0)
        self.second = np.where(counted, second, 0.0)

    @classmethod
    def of(cls, figures: EffectFigures, first: Figures, second: Figures) -> "GroupComparison":
        """Take those with both figures, at starts at which somebody is there to compare.

        Where there is nobody at any, all of them, whose figures can be shown at least.
        """
        treated, compared = figures.is_treated(), figures.is_compared()
        known = np.isfinite(first) & np.isfinite(second)
        some = _any(treated & known, 0) & _any(compared & known, 0)
        wanted = known & (some if some.any() else ~some)
        return cls(treated, (treated | compared) & wanted, first, second)

    @property
    def compared(self) -> Flags:
        """Who stands for those who had not started, at each start."""
        return self.counted & ~self.treated

    @property
    def starts(self) -> int:
        """At how many starts there is a comparison."""
        return int((self.treated.any(axis=0) & self.compared.any(axis=0)).sum())

    @property
    def people(self) -> int:
        """How many people are compared, in whichever group."""
        return int(self.counted.any(axis=1).sum())

    def groups(self) -> tuple[GroupChange, GroupChange]:
        """Return both groups with their means."""
        each, others = self.treated.sum(axis=0), self.compared.sum(axis=0)
        weights = each * others / np.maximum(each + others, 1)
        if not weights.any():
            weights = (each + others).astype(np.float64)
        return self._group(self.treated, weights), self._group(self.compared, weights)

    def _group(self, members: Flags, weights: Figures) -> GroupChange:
        people, whole = int(members.any(axis=1).sum()), float(weights.sum())
        if not people:
            return GroupChange(people=people, before=None, after=None, change=None)
        counts = np.maximum(members.sum(axis=0), 1)
        means = [
            math.fsum((np.where(members, figures, 0).sum(axis=0) / counts * weights).tolist())
            / whole
            for figures in (self.first, self.second)
        ]
        before, after = means
        return GroupChange(
            people=people,
            before=rounded(before),
            after=rounded(after),
            change=rounded(after - before),
        )

    def estimates(self) -> tuple[Estimated, Estimated]:
        """Return the difference of mean changes and the baseline-adjusted difference."""
        treated = int(self.treated.any(axis=1).sum())
        compared = int(self.compared.any(axis=1).sum())
        if min(treated, compared) < 1:
            return NEITHER
        sums = _Sums.of(self.treated, self.counted, self.first, self.second)
        changes, adjusted = sums.changes(), sums.adjusted()
        if min(treated, compared) < FEWEST:
            return tuple(  # type: ignore[return-value]
                Estimated(float(each[0]), math.nan, math.nan) for each in (changes, adjusted)
            )
        who, people = _any(self.treated, 1), _any(self.counted, 1)
        return _welch(changes, who, people, compared), _hc3(adjusted, people)


def _any(flags: Flags, axis: int) -> Flags:
    found: Flags = np.logical_or.reduce(flags, axis=axis)
    return found


def _welch(found: Figures, treated: Flags, counted: Flags, compared: int) -> Estimated:
    """Return the difference with its error, from what it is with each person left out.

    With one start the variance is s² ÷ n of each group, and the degrees of freedom are
    Welch's. Somebody who stands in both groups, at several starts, counts with the treated.
    """
    value, apart = float(found[0]), (found[1:] - found[0]) ** 2
    sizes = (int(treated.sum()), compared)
    parts = [
        _summed(apart[members]) * (size - 1) / size
        for members, size in zip((treated, counted & ~treated), sizes, strict=True)
    ]
    variance = sum(parts)
    if not variance > _least(value):
        return Estimated(value, math.nan, math.nan)
    divisor = sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
    return Estimated(value, math.sqrt(variance), variance**2 / divisor)


def _hc3(found: Figures, counted: Flags) -> Estimated:
    """Return the adjusted difference with its error: HC3 is how far leaving one out moves it.

    A mean, a slope and the difference are estimated of so many people.
    """
    value, freedom = float(found[0]), int(counted.sum()) - 3
    variance = _summed((found[1:][counted] - found[0]) ** 2)
    if not variance > _least(value) or freedom < 1:
        return Estimated(value, math.nan, math.nan)
    return Estimated(value, math.sqrt(variance), float(freedom))


def _summed(numbers: Figures) -> float:
    return math.fsum(numbers.tolist()) if np.isfinite(numbers).all() else math.nan


def _least(value: float) -> float:
    """Return what a variance has to exceed, not to be left over from rounding."""
    return (ALIKE * value) ** 2


class _Sums(NamedTuple):
    """Sums over people at each start, of all of them and with each person left out in turn.

    The first row is of all; in each following one a person is missing. `d` is 1 for who
    started then, `b` the figure before, `y` the one after; two letters are products.
    """

    n: Figures
    d: Figures
    b: Figures
    y: Figures
    db: Figures
    dy: Figures
    bb: Figures
    by: Figures

    @classmethod
    def of(cls, treated: Flags, counted: Flags, first: Figures, second: Figures) -> "_Sums":
        """Add up; figures are taken from the mean of their start, so that little is lost."""
        count = np.maximum(counted.sum(axis=0), 1)
        b = np.where(counted, first - first.sum(axis=0) / count, 0.0)
        b[np.abs(b) <= ALIKE * np.abs(first).max(initial=0.0)] = 0.0
        y = np.where(counted, second - second.sum(axis=0) / count, 0.0)
        d = treated.astype(np.float64)
        each = (counted.astype(np.float64), d, b, y, d * b, d * y, b * b, b * y)
        return cls(*(_all_and_left_out(products) for products in each))

    def _product(self, both: Figures, one: Figures, other: Figures) -> Figures:
        """Return the sum of products of what differs from the mean at each start."""
        each: Figures = (both - one * other / np.maximum(self.n, 1)).sum(axis=-1)
        return each

    def changes(self) -> Figures:
        """Return the difference of mean changes: the effect, with a mean of each start."""
        together = self._product(self.d, self.d, self.d)
        apart = self._product(self.dy, self.d, self.y) - self._product(self.db, self.d, self.b)
        return _divided(apart, together, self.n)

    def adjusted(self) -> Figures:
        """Return the difference after at the same figure before, with one slope for all.

        Where all had the same figure before there is no slope: it is that of the changes.
        """
        dd, bb = self._product(self.d, self.d, self.d), self._product(self.bb, self.b, self.b)
        db, dy = self._product(self.db, self.d, self.b), self._product(self.dy, self.d, self.y)
        by = self._product(self.by, self.b, self.y)
        whole = dd * bb
        rest = np.where(whole - db * db > ALIKE * whole, whole - db * db, 0.0)
        varies = bb > ALIKE * bb[0]
        return np.where(varies, _divided(bb * dy - db * by, rest, self.n), self.changes())


def _all_and_left_out(of_people: Figures) -> Figures:
    """Return sums at each start, first of all people, then with each left out."""
    whole = of_people.sum(axis=0, keepdims=True)
    return np.concatenate([whole, whole - of_people])


def _divided(part: Figures, whole: Figures, counts: Figures) -> Figures:
    """Divide; NaN where there is nothing to divide by, or nearly so."""
    has_any = whole > ALIKE * ALIKE * np.maximum(counts.sum(axis=-1), 1)
    return np.where(has_any, part / np.where(has_any, whole, 1.0), math.nan)


# Permutation: had others been chosen, would the groups lie as far apart?


def permutations_of(figures: EffectFigures, real: GroupComparison) -> Permutations | None:
    """Compare the studentised difference with that of other choices of as many people.

    Source: J. G. MacKinnon and M. D. Webb, Randomization inference for difference-in-
    differences with few treated clusters, Journal of Econometrics 218 (2020). Where choices
    are drawn, the one that was made is counted among them: B. Phipson and G. K. Smyth,
    Permutation p-values should never be zero (2010).
    """
    members = real.counted.any(axis=1)
    started = figures.started[members]
    known = np.isfinite(figures.before) & np.isfinite(figures.after)
    changes = np.where(known, figures.after - figures.before, 0.0)[members]
    observed = abs(_studentised(figures, started[None], changes, known[members])[0])
    if not math.isfinite(observed):
        return None
    ways, as_far, exact = 0, 0, _ways(started) <= ENUMERATED_MAX
    per_chunk = max(AT_ONCE // (changes.size * len(started)), 1)
    for chosen in _choices(started, per_chunk, exact=exact):
        found = np.abs(_studentised(figures, chosen, changes, known[members]))
        as_far += int((~(found < observed * (1 - ALIKE))).sum())  # an undefined one counts
        ways += len(chosen)
    if not exact:
        ways, as_far = ways + 1, as_far + 1
    p = rounded(as_far / ways)
    return None if p is None else Permutations(p=p, ways=ways, is_exact=exact)


def _ways(started: Numbers) -> int:
    """Return in how many ways the starts could have fallen to people."""
    _, counts = np.unique(started, return_counts=True)
    found, left = 1, len(started)
    for count in counts.tolist():
        found *= math.comb(left, count)
        left -= count
    return found


def _choices(started: Numbers, at_once: int, *, exact: bool) -> Iterator[Numbers]:
    """Yield the starts of all people as they could have been, so many choices at a time."""
    people = len(started)
    if not exact:
        draw = np.random.RandomState(0)  # whose numbers are the same in every version
        for begun in range(0, DRAWN, at_once):
            size = (min(at_once, DRAWN - begun), people)
            yield started[np.argsort(draw.random_sample(size), axis=1, kind="stable")]
        return
    every = np.array([*_arrangements(started.tolist())], np.int64)
    for begun in range(0, len(every), at_once):
        yield every[begun : begun + at_once]


def _arrangements(started: list[int]) -> Iterator[list[int]]:
    """Yield every different way in which the starts could have fallen to people."""
    value, people = started[0], len(started)
    others = [start for start in started if start != value]
    if not others:
        yield started
        return
    for places in combinations(range(people), people - len(others)):
        taken = set(places)
        free = [place for place in range(people) if place not in taken]
        for arranged in _arrangements(others):
            found = [value] * people
            for place, start in zip(free, arranged, strict=True):
                found[place] = start
            yield found


def _studentised(
    figures: EffectFigures, started: Numbers, changes: Figures, known: Flags
) -> Figures:
    """Return the difference of mean changes over its error, for each way of having started.

    Ways × people × starts, and the same once more with each person left out.
    """
    starts = figures.starts
    treated = (started[:, :, None] == starts) & known
    compared = (started[:, :, None] >= starts + figures.window) & known
    counted = (treated | compared) & (
        treated.any(axis=1, keepdims=True) & compared.any(axis=1, keepdims=True)
    )
    treated &= counted
    n, d = counted.astype(np.float64), treated.astype(np.float64)
    y = np.where(counted, changes, 0.0)
    each = [np.moveaxis(part, 1, 0) for part in (n, d, y, d * y)]
    n, d, y, dy = (_all_and_left_out(part) for part in each)
    whole = (d - d * d / np.maximum(n, 1)).sum(axis=-1)
    found = _divided((dy - d * y / np.maximum(n, 1)).sum(axis=-1), whole, n)
    apart = (found[1:] - found[0]) ** 2
    who, others = treated.any(axis=2).T, (counted & ~treated).any(axis=2).T
    variance = np.zeros(len(started))
    for members, size in ((who, who.sum(axis=0)), (others & ~who, others.sum(axis=0))):
        part = np.where(members, apart, 0.0).sum(axis=0)
        variance += part * (size - 1) / np.maximum(size, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic: Figures = found[0] / np.sqrt(variance)
    return statistic
