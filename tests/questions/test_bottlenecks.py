"""Where deals are held up, told only where there is enough to tell it by."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from scipy import stats

from given import PLAIN, cny, opened
from questions.shop import Shop, shop, told
from salesflow import Bottlenecks
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.stages import StageMoved
from salesflow.projections.stages.bottlenecks import (
    BottlenecksView,
    NarrowStage,
    median_interval,
)


def pass_through(sales: Shop, first: int, count: int, *, won: int, month: str = "04") -> None:
    """Let deals stay two days in a and ten in b; then some are won, the others lost."""
    for number in range(first, first + count):
        end = DealWon() if number < first + won else DealLost(because="price")
        sales.tell(
            number,
            (f"2026-{month}-01", opened(PLAIN, amount=cny("100"))),
            (f"2026-{month}-03", StageMoved(target="b")),
            (f"2026-{month}-13", end),
        )


@pytest.fixture
def sales() -> Iterator[Shop]:
    with shop() as books:
        yield books


def ask(sales: Shop) -> BottlenecksView:
    return sales.flow.ask(Bottlenecks(process="plain"), as_of="2026-05-31")


def stage(view: BottlenecksView, key: str) -> NarrowStage:
    [found] = [each for each in view.stages if each.stage == key]
    return found


def test_the_stage_from_which_the_fewest_go_on_is_named(sales: Shop) -> None:
    pass_through(sales, 1, 12, won=3)
    view = ask(sales)
    b = stage(view, "b")
    assert b.figures.conversion is not None
    assert (b.figures.conversion.value, b.figures.left) == (Decimal("0.25"), 12)
    assert b.lowest_conversion
    assert b.told_apart, "all of them had gone on from the first stage"
    assert b.longest_stay
    assert not stage(view, "a").lowest_conversion
    assert "Lowest conversion: b, 25% (9 … 53) · clearly lower than the next" in view.table()


def test_of_fewer_than_ten_nothing_is_claimed(sales: Shop) -> None:
    pass_through(sales, 1, 9, won=0)
    view = ask(sales)
    assert not any(each.lowest_conversion or each.longest_stay for each in view.stages)
    assert all(each.few for each in view.stages)
    text = view.table()
    assert "No bottleneck is named" in text
    assert "* fewer than ten deals left it or visits ended" in text


def test_a_stage_that_is_a_little_lower_is_not_told_apart(sales: Shop) -> None:
    pass_through(sales, 1, 12, won=11)
    b = stage(ask(sales), "b")
    assert (b.lowest_conversion, b.told_apart) == (True, False)


def test_the_period_before_stands_beside_with_what_changed(sales: Shop) -> None:
    pass_through(sales, 1, 10, won=9, month="01")
    pass_through(sales, 21, 10, won=1)
    b = stage(ask(sales), "b")
    assert b.conversion_change is not None
    assert b.conversion_change.value == Decimal("-0.8")
    assert b.conversion_change.interval is not None
    assert b.conversion_change.interval.high < 0
    assert told(b.stay_change, b.stay_changed) == (0, None)


def test_deals_that_stand_there_are_counted_with_what_they_are_worth(sales: Shop) -> None:
    sales.tell(1, ("2026-05-01", opened(PLAIN, amount=cny("70"))))
    a = stage(ask(sales), "a")
    assert (a.deals, a.deals_overdue, a.figures.left) == (1, 0, 0)
    assert [told(each.currency, each.amount) for each in a.amounts] == [("CNY", 70)]
    assert a.figures.conversion is None, "nobody left it yet: that is no share of 0"


@pytest.mark.parametrize("count", [1, 5, 6, 9, 10, 25, 100, 999])
def test_the_interval_of_a_median_covers_it_in_95_of_100_samples(count: int) -> None:
    outside = median_interval(count)
    if outside is None:
        assert 2 * stats.binom.cdf(0, count, 0.5) > 0.05
        return
    assert 2 * stats.binom.cdf(outside, count, 0.5) <= 0.05
    assert 2 * stats.binom.cdf(outside + 1, count, 0.5) > 0.05
