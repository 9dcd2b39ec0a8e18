"""Intervals are those of the textbooks, to the last digit they print."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit

from salesflow.domain.time import DAY
from salesflow.presentation.format import Estimate, estimate_text
from salesflow.projections.core import statistics
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.statistics import (
    Share,
    decimal_of,
    difference,
    mean,
    net_promoters,
    ratio,
    share,
    spreads,
)

SLEEP_GAINED = (1.2, 2.4, 1.3, 1.3, 0, 1.0, 1.8, 0.8, 4.6, 1.4)
"""Hours of sleep gained by one drug over another: the data of Student's paper of 1908."""


def limits(estimate: Estimate | None) -> tuple[float, float]:
    assert estimate is not None
    assert estimate.interval is not None
    return float(estimate.interval.low), float(estimate.interval.high)


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_a_share_has_the_wilson_interval_of_newcombes_first_paper(
    part: int, whole: int, low: float, high: float
) -> None:
    assert limits(share(part, whole)) == pytest.approx((low, high), abs=0.00005)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        (Share(56, 70), Share(48, 80), 0.0524, 0.3339),
        (Share(9, 10), Share(3, 10), 0.1705, 0.8090),
        (Share(6, 7), Share(2, 7), 0.0582, 0.8062),
        (Share(5, 56), Share(0, 29), -0.0381, 0.1926),
        (Share(0, 10), Share(0, 20), -0.1611, 0.2775),
        (Share(10, 10), Share(0, 10), 0.6075, 1.0000),
    ],
)
def test_a_difference_has_the_interval_of_newcombes_second_paper(
    first: Share, second: Share, low: float, high: float
) -> None:
    assert limits(difference(first, second)) == pytest.approx((low, high), abs=0.00005)


def test_a_difference_the_other_way_round_has_the_interval_turned_over() -> None:
    low, high = limits(difference(Share(56, 70), Share(48, 80)))
    assert limits(difference(Share(48, 80), Share(56, 70))) == pytest.approx((-high, -low))


def test_a_mean_has_the_interval_of_students_sleepers() -> None:
    gained = Counter(Fraction(str(hours)) for hours in SLEEP_GAINED)
    slept = mean(gained)
    assert slept is not None
    assert (slept.value, slept.count) == (Decimal("1.58"), 10)
    assert limits(slept) == pytest.approx((0.7001142, 2.4598858), abs=0.00000005)


def test_values_met_several_times_count_as_often() -> None:
    assert mean({3: 2, 5: 2}) == mean(Counter([5, 3, 5, 3]))
    assert limits(mean({4: 3})) == (4.0, 4.0), "they never differed"


def test_one_value_has_a_mean_and_no_interval() -> None:
    assert mean({4: 1}) == Estimate(value=Decimal(4), interval=None, count=1)
    assert net_promoters(0, 1, 1) == Estimate(value=Decimal(-100), interval=None, count=1)


def test_half_promoters_and_a_fifth_detractors_of_a_hundred_are_thirty_net() -> None:
    net = net_promoters(50, 20, 100)
    assert net is not None
    assert net.value == 30
    # variance (0.5 + 0.2 − 0.3²) ÷ 100 = 0.0061, 1.959964 x 0.0781025 = 0.1530781
    assert limits(net) == pytest.approx((14.69219, 45.30781), abs=0.00001)


def test_a_net_promoter_score_and_its_interval_stay_on_the_scale() -> None:
    assert limits(net_promoters(3, 0, 4)) == pytest.approx((32.565, 100), abs=0.001)
    assert limits(net_promoters(0, 3, 4)) == pytest.approx((-100, -32.565), abs=0.001)
    assert limits(net_promoters(2, 0, 2)) == (100, 100)


def test_nothing_of_nothing_is_undefined_and_not_zero() -> None:
    assert ratio(0, 0) is None
    assert share(0, 0) is None
    assert mean({}) is None
    assert net_promoters(0, 0, 0) is None
    assert difference(Share(0, 0), Share(1, 2)) is None
    assert difference(Share(1, 2), Share(0, 0)) is None
    assert ratio(0, 4) == 0


def test_a_share_is_exact_and_its_limits_have_nine_places() -> None:
    assert ratio(1, 8) == Decimal("0.125")
    assert decimal_of(Fraction(-7, 4)) == Decimal("-1.75")
    limited = share(1, 8)
    assert limited is not None
    assert limited.interval is not None
    assert str(limited.interval.high) == "0.470888182"


def test_the_point_of_students_t_is_that_of_scipy() -> None:
    freedoms = [*range(1, 1_200), 20_011, 10**6, 10**9]
    points = [statistics._student(freedom) for freedom in freedoms]
    assert points == pytest.approx(stdtrit(freedoms, 0.975).tolist(), rel=1e-13)


def test_an_estimate_is_written_with_its_interval() -> None:
    assert estimate_text(share(56, 70), percent=True) == "80% (69 … 88)"
    assert estimate_text(mean({4: 1}), places=1) == "4.0"
    assert estimate_text(None) == "–"


def test_a_sum_in_units_has_no_empty_places() -> None:
    sums = {0: "0", 5_000_000: "5", -5_500_000: "-5.5", 10**20 + 1: "100000000000000.000001"}
    assert {figure: str(unscaled(figure)) for figure in sums} == sums


GROUPS = 4
TIMES = st.one_of(st.integers(0, 9), st.integers(0, 10**15), st.integers(0, 2**63 - 1))


def by_hand(times: list[int], share: Fraction) -> Fraction:
    """Interpolate between the two times around a share of the way, in days."""
    in_order, way = sorted(times), (len(times) - 1) * share
    below = int(way)
    above = min(below + 1, len(times) - 1)
    return (in_order[below] + (way - below) * (in_order[above] - in_order[below])) / DAY


@pytest.mark.parametrize("few", [0, 100])
@given(rows=st.lists(st.tuples(st.integers(0, GROUPS - 1), TIMES)))
def test_times_of_groups_are_spread_as_those_of_each_group_alone(
    few: int, rows: list[tuple[int, int]]
) -> None:
    groups, lasted = (np.array([row[place] for row in rows], np.int64) for place in (0, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "FEW", few)
        found = spreads(groups, lasted, GROUPS)
    for group, spread in enumerate(found):
        times = [time for of, time in rows if of == group]
        days = (spread.days_median, spread.days_mean, spread.days_p90)
        if not times:
            assert days == (None, None, None)
            continue
        mean = Fraction(sum(times), len(times) * DAY)
        wanted = by_hand(times, Fraction(1, 2)), mean, by_hand(times, Fraction(9, 10))
        assert days == tuple(map(decimal_of, wanted))
