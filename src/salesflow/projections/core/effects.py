"""Effects, honestly: whether a figure of people changed more where something was done to them.

Arrays in, a frozen `Effect` out: `estimate_effect(EffectFigures(…))`. Each person (or team: the
unit that was chosen as a whole) has one figure in a window before a start and one in an equal
window after it. Those who started then are compared with those who had not started by the end
of the same windows, and with nobody else; where people start at several times, each start is
compared within its own windows. Two estimates stand side by side, since either alone is biased
when people were not chosen at random: the difference of mean changes errs upward where people
were picked for a bad patch, the baseline-adjusted difference downward where they were picked
for what they are. A placebo asks the same of one window earlier, when nothing had been done.

Intervals follow from what becomes of an estimate when each person is left out in turn. With
one start that of the difference is Welch's, and that of the adjusted one is HC3's. Leaves out
where the figures come from, and what they are called.

Source: P. Ding and F. Li, A bracketing relationship between difference-in-differences and
lagged-dependent-variable adjustment, Political Analysis 27 (2019); J. G. MacKinnon and
H. White, Some heteroskedasticity-consistent covariance matrix estimators, Journal of
Econometrics 29 (1985), for HC3; B. L. Welch, Biometrika 34 (1947); G. W. Imbens and
C. F. Manski, Confidence intervals for partially identified parameters, Econometrica 72 (2004).
"""

import math
from decimal import Decimal
from typing import Final, Literal

import numpy as np

from salesflow.domain.values import Value
from salesflow.domain.wording import Message
from salesflow.errors import InputError
from salesflow.presentation.format import Estimate, Interval
from salesflow.projections.core.effect_estimates import (
    FEWEST,
    EffectFigures,
    Estimated,
    Figures,
    GroupChange,
    GroupComparison,
    Permutations,
    interval_between,
    permutations_of,
    rounded,
)
from salesflow.projections.core.student import (
    student_density,
    student_point,
    student_within,
)

__all__ = [
    "FEWEST",
    "Effect",
    "EffectFigures",
    "Figures",
    "GroupChange",
    "Permutations",
    "Verdict",
    "estimate_effect",
    "mean_change",
    "verdict_text",
]


PERMUTED_BELOW: Final = 10
"""A group of fewer is also judged by permutation."""
CONFIDENCE: Final = 0.95
POWER: Final = 0.80
STEPS: Final = 8
"""Two more than the last digits of any range need."""

Verdict = Literal[
    "evidence", "no_evidence", "differed_before", "no_placebo", "too_few", "no_comparison"
]


class Effect(Value):
    """What can be said of an effect: two estimates, a placebo, a range and a verdict."""

    treated: GroupChange
    compared: GroupChange
    """Those who had not started by the end of the same windows."""
    cohorts: int
    """At how many times people started that could be compared with anybody."""
    changes: Estimate | None
    """The difference of mean changes and its interval (Welch)."""
    adjusted: Estimate | None
    """The difference after, at the same figure before, and its interval (HC3)."""
    placebo_changes: Estimate | None
    """The same one window earlier, when there was no effect to be seen."""
    placebo_adjusted: Estimate | None
    range: Interval | None
    """Where the effect lies with 95 % confidence if the two estimates bracket it."""
    permutations: Permutations | None
    """None where both groups have 10 people or more."""
    detectable: Decimal | None
    """The smallest effect that groups of this size would have shown 4 times in 5."""
    verdict: Verdict


def estimate_effect(figures: EffectFigures, *, permuted: bool = True) -> Effect:
    """Estimate the effect of having started, by two ways side by side, with a placebo.

    The verdict does not depend on permutations, which take most of the time; who does not
    show them leaves them out.

    Raises:
        InputError: for arrays that do not fit one another, and starts out of order.
    """
    _ensure_fitting(figures)
    real = GroupComparison.of(figures, figures.before, figures.after)
    treated, compared = real.groups()
    both = real.estimates()
    earlier = GroupComparison.of(figures, figures.earlier, figures.before)
    placebo = earlier.estimates()
    changes, adjusted = (each.shown(real.people) for each in both)
    placebo_changes, placebo_adjusted = (each.shown(real.people) for each in placebo)
    few = min(treated.people, compared.people)
    is_small = permuted and FEWEST <= few < PERMUTED_BELOW
    return Effect(
        treated=treated,
        compared=compared,
        cohorts=real.starts,
        changes=changes,
        adjusted=adjusted,
        placebo_changes=placebo_changes,
        placebo_adjusted=placebo_adjusted,
        range=_range_of(*both),
        permutations=permutations_of(figures, real) if is_small else None,
        detectable=_detectable(*both),
        verdict=_verdict(
            (few, min(group.people for group in earlier.groups())),
            (changes, adjusted),
            (placebo_changes, placebo_adjusted),
        ),
    )


def _ensure_fitting(figures: EffectFigures) -> None:
    shape = (len(figures.started), len(figures.starts))
    if any(each.shape != shape for each in (figures.before, figures.after, figures.earlier)):
        raise InputError(
            f"figures: {shape[0]} people and {shape[1]} starts need arrays of {shape[0]} rows"
            f" and {shape[1]} columns"
        )
    if np.any(np.diff(figures.starts) <= 0) or figures.window <= 0:
        raise InputError("figures: starts have to be in order, each once, and windows last")


def _verdict(
    few: tuple[int, int],
    real: tuple[Estimate | None, ...],
    placebo: tuple[Estimate | None, ...],
) -> Verdict:
    """Say what follows: evidence only where both intervals exclude 0 on the same side.

    And no interval of the placebo does. `few` is how many people the smaller group has, and
    that of the placebo.
    """
    if not few[0]:
        return "no_comparison"
    if few[0] < FEWEST:
        return "too_few"
    sides = {_side_of(each) for each in real}
    if sides not in ({1}, {-1}):
        return "no_evidence"
    if few[1] < FEWEST or None in placebo:
        return "no_placebo"
    drifted = any(_side_of(each) or _is_uniform_drift(each) for each in placebo)
    return "differed_before" if drifted else "evidence"


def _is_uniform_drift(estimate: Estimate | None) -> bool:
    """Whether groups of enough people drifted apart, and all in each by the very same."""
    return estimate is not None and estimate.interval is None and bool(estimate.value)


def _side_of(estimate: Estimate | None) -> int:
    """Return 1 or -1 where an interval lies above or below 0, else 0."""
    if estimate is None or estimate.interval is None:
        return 0
    return int(estimate.interval.low > 0) - int(estimate.interval.high < 0)


VERDICTS: Final = {
    "evidence": Message(
        "Evidence: both intervals lie on the same side of 0, and those of the window before do"
        " not exclude it"
    ),
    "no_evidence": Message("No evidence: not both intervals lie on the same side of 0"),
    "differed_before": Message(
        "No evidence: both intervals lie on the same side of 0, but the groups drifted apart"
        " in the window before already"
    ),
    "no_placebo": Message(
        "No evidence: both intervals lie on the same side of 0, but it is not known how the"
        " groups changed in the window before"
    ),
    "too_few": Message(
        "Too few to conclude anything: fewer than 3 in a group; the figures are shown"
        " and nothing more"
    ),
    "no_comparison": Message(
        "Nothing to compare with: nobody with figures in the same windows had not started yet,"
        " or nobody started; what changed cannot be told from what would have changed anyway"
    ),
}


def verdict_text(verdict: Verdict) -> Message:
    """Return a verdict as a sentence."""
    return VERDICTS[verdict]


def mean_change(before: Figures, after: Figures) -> Estimate | None:
    """Return the mean change of people with its interval, for where nobody can be compared.

    It says what changed, never why. None where nobody has both figures.
    """
    known = np.isfinite(before) & np.isfinite(after)
    changes, count = (after - before)[known], int(known.sum())
    if not count:
        return None
    middle = math.fsum(changes.tolist()) / count
    squares = math.fsum(((changes - middle) ** 2).tolist())
    error = math.sqrt(squares / (count - 1) / count) if count > 1 else math.nan
    return Estimated(middle, error or math.nan, count - 1).shown(count)


# The range of both, and what could have been seen.


def _range_of(changes: Estimated, adjusted: Estimated) -> Interval | None:
    """Return where the effect lies if it is between what the two estimate.

    Imbens and Manski: an interval that covers each point between two bounds 95 times in 100.
    Where the bounds are one it is 1.96 errors wide to each side, and 1.645 where they lie far
    apart; here by Student's t, of the fewer degrees of freedom.
    """
    if math.isnan(changes.reach) or math.isnan(adjusted.reach):
        return None
    lower, upper = sorted((changes, adjusted))
    freedom = min(changes.freedom, adjusted.freedom)
    apart = (upper.value - lower.value) / max(changes.error, adjusted.error)
    reach = student_point(CONFIDENCE, freedom)
    for _ in range(STEPS):  # of Newton's method, which comes from below
        within = (student_within(reach, freedom) + student_within(reach + apart, freedom)) / 2
        density = student_density(reach, freedom) + student_density(reach + apart, freedom)
        reach += (CONFIDENCE - within) / density
    return interval_between(
        lower.value - reach * lower.error, upper.value + reach * upper.error
    )


def _detectable(*both: Estimated) -> Decimal | None:
    """Return the smallest effect that both intervals would have excluded 0 for, in 4 of 5."""
    if any(math.isnan(each.reach) for each in both):
        return None
    return rounded(
        max(each.reach + student_point(POWER, each.freedom) * each.error for each in both)
    )
