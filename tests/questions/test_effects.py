"""Effects are those of the textbooks, and nothing is concluded from too little."""

from decimal import Decimal
from itertools import combinations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from salesflow.errors import InputError
from salesflow.presentation.format import Estimate
from salesflow.projections.core.effects import (
    Effect,
    EffectFigures,
    Figures,
    estimate_effect,
    mean_change,
    verdict_text,
)
from salesflow.projections.core.statistics import student_point

NEVER = 1 << 40


def drawn(people: int, starts: int, seed: int = 1) -> tuple[Figures, Figures, Figures]:
    draw = np.random.RandomState(seed)
    ability = draw.normal(10, 2, size=(people, 1))
    earlier, before, after = (ability + draw.normal(size=(people, starts)) for _ in range(3))
    return earlier, before, after


def together(treated: int, others: int, effect: float, seed: int = 1) -> EffectFigures:
    """Return people of whom the first ones all started at once."""
    earlier, before, after = drawn(treated + others, 1, seed)
    after[:treated] += effect
    started = np.array([100] * treated + [NEVER] * others)
    return EffectFigures(started, np.array([100]), 30, before, after, earlier)


def limits(estimate: Estimate | None) -> tuple[float, float, float]:
    assert estimate is not None
    assert estimate.interval is not None
    low, high = estimate.interval.low, estimate.interval.high
    return float(estimate.value), float(low), float(high)


@pytest.mark.parametrize(("treated", "others"), [(3, 3), (4, 9), (15, 15)])
def test_the_difference_of_mean_changes_has_welchs_interval(treated: int, others: int) -> None:
    figures = together(treated, others, 1.0)
    changes = (figures.after - figures.before)[:, 0]
    wanted = stats.ttest_ind(changes[:treated], changes[treated:], equal_var=False)
    between = wanted.confidence_interval(0.95)
    difference = changes[:treated].mean() - changes[treated:].mean()
    assert limits(estimate_effect(figures).changes) == pytest.approx(
        (difference, between.low, between.high), rel=1e-9
    )


@pytest.mark.parametrize(("treated", "others"), [(3, 3), (4, 9), (15, 15)])
def test_the_baseline_adjusted_difference_has_the_hc3_interval(
    treated: int, others: int
) -> None:
    figures = together(treated, others, 1.0)
    first = np.arange(treated + others) < treated
    design = np.column_stack([np.ones(treated + others), first, figures.before[:, 0]])
    fit = sm.OLS(figures.after[:, 0], design).fit(cov_type="HC3", use_t=True)
    wanted = (fit.params[1], *fit.conf_int(0.05)[1])
    assert limits(estimate_effect(figures).adjusted) == pytest.approx(wanted, rel=1e-9)


def test_of_several_starts_each_is_compared_within_its_windows() -> None:
    """The oracle stacks the starts: a mean of each, and an effect that is the same for all."""
    earlier, before, after = drawn(14, 3)
    started = np.array([100] * 3 + [140] * 3 + [180] * 2 + [NEVER] * 6)
    figures = EffectFigures(started, np.array([100, 140, 180]), 60, before, after, earlier)
    rows = [
        (person, start, float(at == begun), before[person, start], after[person, start])
        for start, begun in enumerate((100, 140, 180))
        for person, at in enumerate(started.tolist())
        if at == begun or at >= begun + 60
    ]
    person, start, treated, first, last = map(np.array, zip(*rows, strict=True))
    means = (start[:, None] == np.arange(3)).astype(float)
    plain = sm.OLS(last - first, np.column_stack([treated, means])).fit()
    design = np.column_stack([treated, first, means])
    adjusted = sm.OLS(last, design).fit()
    left_out = [sm.OLS(last[person != n], design[person != n]).fit() for n in range(14)]
    error = np.sqrt(sum((fit.params[0] - adjusted.params[0]) ** 2 for fit in left_out))
    reach = stats.t.ppf(0.975, 11) * error
    effect = estimate_effect(figures)
    assert effect.starts == 3
    assert (effect.treated.people, effect.compared.people) == (8, 8)
    assert limits(effect.changes)[0] == pytest.approx(plain.params[0], rel=1e-9)
    wanted = (adjusted.params[0], adjusted.params[0] - reach, adjusted.params[0] + reach)
    assert limits(effect.adjusted) == pytest.approx(wanted, rel=1e-9)


def test_the_means_of_both_groups_differ_by_the_difference_of_mean_changes() -> None:
    earlier, before, after = drawn(14, 2)
    started = np.array([100] * 4 + [200] * 3 + [NEVER] * 7)
    figures = EffectFigures(started, np.array([100, 200]), 60, before, after, earlier)
    effect = estimate_effect(figures)
    assert effect.treated.change is not None
    assert effect.compared.change is not None
    apart = float(effect.treated.change - effect.compared.change)
    assert apart == pytest.approx(limits(effect.changes)[0], rel=1e-9)


def test_below_ten_people_all_ways_of_choosing_them_are_gone_through() -> None:
    figures = together(4, 7, 2.0)
    changes = (figures.after - figures.before)[:, 0]

    def apart(chosen: tuple[int, ...]) -> float:
        first = np.isin(np.arange(11), chosen)
        found = stats.ttest_ind(changes[first], changes[~first], equal_var=False)
        return abs(float(found.statistic))

    observed = apart((0, 1, 2, 3))
    ways = [apart(chosen) >= observed * (1 - 1e-9) for chosen in combinations(range(11), 4)]
    found = estimate_effect(figures).permutations
    assert found is not None
    assert (found.ways, found.is_exact) == (330, True)
    assert float(found.p) == pytest.approx(sum(ways) / 330, rel=1e-9)


def test_where_there_are_too_many_ways_the_same_ones_are_drawn_each_time() -> None:
    found = estimate_effect(together(9, 20, 0.4)).permutations
    assert found is not None
    assert (found.ways, found.is_exact) == (5_000, False)
    assert estimate_effect(together(9, 20, 0.4)).permutations == found


def test_in_no_group_of_ten_or_more_is_anything_permuted() -> None:
    assert estimate_effect(together(10, 10, 0.4)).permutations is None


def test_a_clear_effect_of_people_who_did_not_differ_before_is_evidence() -> None:
    effect = estimate_effect(together(12, 12, 6.0))
    assert effect.verdict == "evidence"
    assert effect.range is not None
    assert effect.range.low < 6 < effect.range.high


def test_a_drop_is_evidence_too() -> None:
    assert estimate_effect(together(12, 12, -6.0)).verdict == "evidence"


def test_no_effect_is_no_evidence_and_says_what_could_have_been_seen() -> None:
    effect = estimate_effect(together(6, 6, 0.0))
    assert effect.verdict == "no_evidence"
    assert effect.detectable is not None
    wider = max(limits(effect.changes)[2] - limits(effect.changes)[0], 0)
    assert effect.detectable > wider


def test_people_who_changed_already_in_the_window_before_are_no_evidence() -> None:
    figures = together(12, 12, 6.0)
    figures.earlier[:12] += 5
    assert estimate_effect(figures).verdict == "differed_before"


def test_without_figures_of_the_window_before_there_is_no_placebo_and_no_evidence() -> None:
    figures = together(12, 12, 6.0)
    figures.earlier[:] = np.nan
    effect = estimate_effect(figures)
    assert (effect.verdict, effect.placebo_changes) == ("no_placebo", None)


@pytest.mark.parametrize(("treated", "others"), [(2, 9), (9, 2), (1, 1)])
def test_below_three_people_in_a_group_figures_are_shown_and_nothing_is_concluded(
    treated: int, others: int
) -> None:
    effect = estimate_effect(together(treated, others, 9.0))
    assert effect.verdict == "too_few"
    assert effect.changes is not None
    assert effect.changes.interval is None
    assert (effect.range, effect.permutations, effect.detectable) == (None, None, None)


def test_where_nobody_can_be_compared_the_change_is_shown_by_itself() -> None:
    effect = estimate_effect(together(5, 0, 1.0))
    assert (effect.verdict, effect.changes, effect.starts) == ("no_comparison", None, 0)
    assert effect.treated.people == 5
    assert effect.treated.change is not None


def test_nobody_at_all_is_nothing_to_compare() -> None:
    none = np.zeros((0, 0))
    nobody = np.zeros(0, np.int64)
    effect = estimate_effect(EffectFigures(nobody, nobody, 30, none, none, none))
    assert (effect.verdict, effect.treated.people) == ("no_comparison", 0)


def test_who_started_within_the_windows_of_others_is_not_compared_with_them() -> None:
    figures = together(4, 6, 1.0)
    figures.started[4:6] = 115
    assert estimate_effect(figures).compared.people == 4
    figures.started[4:6] = 130
    assert estimate_effect(figures).compared.people == 6


def test_who_started_before_is_in_no_group() -> None:
    figures = together(4, 6, 1.0)
    figures.started[4:6] = 50
    effect = estimate_effect(figures)
    assert (effect.treated.people, effect.compared.people) == (4, 4)


def test_people_without_a_figure_are_left_out() -> None:
    figures = together(5, 6, 1.0)
    figures.before[0], figures.after[10] = np.nan, np.nan
    effect = estimate_effect(figures)
    assert (effect.treated.people, effect.compared.people) == (4, 5)


def test_figures_that_do_not_differ_have_no_interval_and_are_no_evidence() -> None:
    earlier = before = np.zeros((8, 1))
    after = np.array([[5.0]] * 4 + [[0.0]] * 4)
    started = np.array([100] * 4 + [NEVER] * 4)
    effect = estimate_effect(
        EffectFigures(started, np.array([100]), 30, before, after, earlier)
    )
    assert effect.changes == Estimate(value=Decimal(5), interval=None, count=8)
    assert effect.adjusted == effect.changes
    assert (effect.range, effect.verdict) == (None, "no_evidence")


def test_where_all_changed_by_the_same_before_nobody_drifted_apart() -> None:
    figures = together(6, 7, 6.0)
    even = figures._replace(earlier=figures.before - 2)
    assert estimate_effect(even).verdict == "evidence"
    even.earlier[:6] -= 1
    assert estimate_effect(even).verdict == "differed_before"


def test_the_range_holds_both_estimates_and_reaches_no_further_than_their_intervals() -> None:
    """But for the degrees of freedom, of which it takes the fewer for both sides."""
    for seed in range(20):
        effect = estimate_effect(together(8, 9, 1.0, seed))
        assert effect.range is not None
        lower, upper = sorted((limits(effect.changes), limits(effect.adjusted)))
        low, high = float(effect.range.low), float(effect.range.high)
        slack = 0.05 * (upper[2] - lower[1])
        assert lower[1] - slack <= low < lower[0]
        assert upper[0] < high <= upper[2] + slack


def test_what_is_in_other_units_is_the_same_in_those_units() -> None:
    figures = together(6, 8, 1.0)
    thousands = figures._replace(
        before=figures.before * 1000, after=figures.after * 1000, earlier=figures.earlier * 1000
    )
    one, other = estimate_effect(figures), estimate_effect(thousands)
    assert limits(other.adjusted) == pytest.approx(np.multiply(limits(one.adjusted), 1000))
    assert (other.verdict, other.permutations) == (one.verdict, one.permutations)


def test_a_change_alone_has_students_interval() -> None:
    figures = together(6, 0, 1.0)
    before, after = figures.before[:, 0], figures.after[:, 0]
    wanted = stats.ttest_1samp(after - before, 0).confidence_interval(0.95)
    assert limits(mean_change(before, after))[1:] == pytest.approx(tuple(wanted), rel=1e-9)
    assert mean_change(before[:0], after[:0]) is None
    alone = mean_change(before[:1], after[:1])
    assert alone is not None
    assert alone.interval is None


@pytest.mark.parametrize("share", [0.6, 0.8, 0.975])
@pytest.mark.parametrize("freedom", [1.0, 2.3, 7.0, 28.6, 4_000.0])
def test_points_of_students_t_are_those_of_scipy(share: float, freedom: float) -> None:
    assert student_point(share, freedom) == pytest.approx(stats.t.ppf(share, freedom))


def test_every_verdict_is_a_sentence() -> None:
    verdicts = Effect.model_fields["verdict"].annotation.__args__  # type: ignore[union-attr]
    assert all(verdict_text(each) for each in verdicts)


def test_arrays_that_do_not_fit_are_refused() -> None:
    figures = together(3, 3, 1.0)
    with pytest.raises(InputError, match="6 rows and 1 columns"):
        estimate_effect(figures._replace(after=figures.after[:5]))
    with pytest.raises(InputError, match="windows last"):
        estimate_effect(figures._replace(window=0))
