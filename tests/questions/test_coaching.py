"""Where a rep differs from the rest of the team, with the deals that show it."""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

import pytest
from scipy import stats

from given import opened
from questions.shop import Shop, deal_id, shop
from questions.staff import join_all, train
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.deal.stages import StageMoved
from salesflow.projections.core.statistics import Sample, mean_difference
from salesflow.projections.people.coaching import Coaching, CoachingPoint, CoachingView

SAID = ContactLogged(channel="call", direction="out")


def visits(sales: Shop, first: int, rep: str, days: int, *, moved_on: int, lost: int) -> None:
    """Let deals of a rep stand in stage a from 1 March for so many days, then go on or be lost.

    On each of them but the last there is a contact on the first day.
    """
    for number in range(first, first + moved_on + lost):
        left = (
            DealLost(because="price") if number >= first + moved_on else StageMoved(target="b")
        )
        contacts = [("2026-03-01 12:00", SAID)] if number > first else []
        day = f"2026-03-{1 + days + number % 2:02}"
        sales.tell(number, ("2026-03-01", opened(owner=rep)), *contacts, (day, left))


@pytest.fixture
def sales() -> Iterator[Shop]:
    """Ann, of whose deals few go on, and bob and cho of her team; dee is of another one."""
    with shop() as sales:
        join_all(sales, "ann", "bob", "cho")
        join_all(sales, "dee", team="west")
        visits(sales, 100, "ann", 10, moved_on=2, lost=10)
        visits(sales, 200, "bob", 4, moved_on=11, lost=1)
        visits(sales, 300, "cho", 4, moved_on=10, lost=2)
        visits(sales, 400, "dee", 1, moved_on=12, lost=0)
        yield sales


def coaching(sales: Shop, **asked: object) -> CoachingView:
    parameters = {"from_": "2026-03-01", "to": "2026-04-01", **asked}
    return sales.flow.ask(Coaching.model_validate(parameters), as_of="2026-04-30")


def points(view: CoachingView) -> dict[tuple[str, str], CoachingPoint]:
    return {(each.stage, each.measure): each for each in view.points}


def test_a_rep_is_compared_with_the_others_of_the_team_at_each_stage(sales: Shop) -> None:
    found = points(coaching(sales, rep="ann"))
    conversion = found["a", "conversion"]
    assert (conversion.own_count, conversion.others_count) == (12, 24)
    assert conversion.own == Decimal(2) / 12
    assert conversion.others == Decimal(21) / 24
    assert conversion.is_clear
    days = found["a", "days"]
    assert (days.own, days.others) == (Decimal("10.5"), Decimal("4.5"))
    assert found["a", "follow_ups"].own == Decimal(11) / 12
    assert not found["a", "follow_ups"].is_clear


def test_what_lies_furthest_beyond_chance_comes_first(sales: Shop) -> None:
    view = coaching(sales, rep="ann")
    assert [each.measure for each in view.points][:2] == ["days", "conversion"]
    assert (view.compared, view.clear) == (3, 2)
    assert len(coaching(sales, rep="ann", limit=1).points) == 1


def test_the_deals_that_show_a_difference_are_named(sales: Shop) -> None:
    conversion = points(coaching(sales, rep="ann"))["a", "conversion"]
    lost = {deal_id(number) for number in range(102, 112)}
    assert len(conversion.deals) == 3
    assert set(conversion.deals) <= lost
    days = points(coaching(sales, rep="ann"))["a", "days"]
    assert set(days.deals) <= {deal_id(number) for number in range(101, 112, 2)}


def test_of_a_team_every_rep_is_compared_with_the_others(sales: Shop) -> None:
    assert {each.rep for each in coaching(sales, team="east").points} == {"ann", "bob", "cho"}


def test_who_is_alone_in_a_team_is_compared_with_nobody(sales: Shop) -> None:
    view = coaching(sales, rep="dee")
    assert view.points == ()
    assert "nothing can be compared" in view.table()


def test_fewer_than_three_deals_are_not_compared(sales: Shop) -> None:
    join_all(sales, "eva")
    visits(sales, 500, "eva", 9, moved_on=2, lost=0)
    assert coaching(sales, rep="eva").points == ()


def test_a_training_after_which_others_changed_there_is_named() -> None:
    with shop() as sales:
        reps = [f"r{number}" for number in range(12)]
        join_all(sales, *reps)
        trained = reps[:6]
        train(sales, "2026-03-31", *trained)
        number = 100
        for month, day in (("02", "05"), ("03", "05"), ("04", "05")):
            for place, rep in enumerate(reps):
                fast = month == "04" and rep in trained
                for each in range(3):
                    stay = 2 + (place + each) % 3 + (0 if fast else 15 + place % 2)
                    begun, ended = f"2026-{month}-{day}", f"2026-{month}-{5 + stay:02}"
                    left = StageMoved(target="b")
                    sales.tell(number, (begun, opened(owner=rep)), (ended, left))
                    number += 1
        asked = Coaching.model_validate(
            {"from_": "2026-04-01", "to": "2026-05-01", "window": 30, "rep": "r11"}
        )
        view = sales.flow.ask(asked, as_of="2026-05-31")
        assert [(each.training, each.stage, each.measure) for each in view.trainings] == [
            ("nego-1", "a", "days")
        ]
        assert view.trainings[0].completed_by == ()
        assert "Trainings that helped others there" in view.table()


def test_means_are_compared_as_welch_does() -> None:
    first, second = [1, 2, 4, 9], [3, 5, 8, 13, 21, 2]
    found = mean_difference(_sample(first), _sample(second))
    wanted = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert found is not None
    assert found.interval is not None
    assert (float(found.interval.low), float(found.interval.high)) == pytest.approx(
        (wanted.low, wanted.high), abs=1e-8
    )
    assert mean_difference(_sample([]), _sample(second)) is None
    alone = mean_difference(_sample([1]), _sample(second))
    assert alone is not None
    assert alone.interval is None


def _sample(values: list[int]) -> Sample:
    if not values:
        return Sample(0, Fraction(0), 0.0)
    variance = float(stats.tvar(values)) if len(values) > 1 else 0.0
    return Sample(len(values), Fraction(sum(values), len(values)), variance)
