"""Whether a training helped: only what can be said, with everybody named."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from given import cny, opened
from questions.shop import Shop, shop
from questions.staff import closed, join_all, tell_rep, train
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.rep import RepLeft, RepMoved
from salesflow.domain.training import Training
from salesflow.domain.values import Money
from salesflow.errors import InputError, NotFoundError
from salesflow.projections.people.training_effect import TrainingEffect, TrainingEffectView

TRAINED, OTHERS = ("ann", "bob", "cho", "dee"), ("eva", "fay", "gus", "hal")


@pytest.fixture
def sales() -> Iterator[Shop]:
    """Eight reps, of whom four took a training on 1 March 2026; each won some deals."""
    with shop() as sales:
        with sales.flow.session() as session:
            at = datetime(2025, 1, 1, tzinfo=UTC)
            session.add(
                Training.offer(
                    "nego-1", name_en="Bargaining", name_zh="谈判", metric="won", occurred_at=at
                )
            )
        join_all(sales, *TRAINED, *OTHERS)
        train(sales, "2026-03-01", *TRAINED)
        number = 1
        for place, rep in enumerate((*TRAINED, *OTHERS)):
            better = 6 * (rep in TRAINED)
            for day, won in (
                ("2026-01-10", 1 + place % 3),
                ("2026-02-10", 2 + place % 2),
                ("2026-03-10", 2 + place % 3 + better),
            ):
                closed(sales, number, rep, day, won=won)
                number += won
        yield sales


def effect(sales: Shop, **asked: object) -> TrainingEffectView:
    parameters = {"training": "nego-1", "window": 28, **asked}
    return sales.flow.ask(TrainingEffect.model_validate(parameters), as_of="2026-04-30")


def test_those_who_took_it_are_compared_with_those_who_had_not_in_the_same_windows(
    sales: Shop,
) -> None:
    view = effect(sales)
    assert view.metric == "won"
    groups = {each.rep: (each.group, int(each.before), int(each.after)) for each in view.people}
    assert groups["ann"] == ("trained", 2, 8)
    assert groups["eva"] == ("not_yet_trained", 2, 3)
    assert {each.start for each in view.people} == {date(2026, 3, 1)}
    assert (view.effect.treated.people, view.effect.compared.people) == (4, 4)
    assert view.effect.changes is not None
    assert view.effect.changes.value == Decimal("5.75")
    assert view.effect.verdict == "evidence"


def test_before_the_window_is_over_nobody_is_compared_and_the_answer_says_so(
    sales: Shop,
) -> None:
    view = sales.flow.ask(TrainingEffect(training="nego-1", window=28), as_of="2026-03-28")
    assert view.effect.verdict == "no_comparison"
    assert {each.why for each in view.not_compared} == {"window_not_over"}
    asked = TrainingEffect(training="nego-1", window=28)
    assert sales.flow.ask(asked, as_of="2026-03-29").effect.verdict == "evidence"


def test_a_completion_told_late_is_known_from_then_on_alone(sales: Shop) -> None:
    before = effect(sales)
    train(sales, "2026-03-01", "eva")
    after = effect(sales)
    assert (after.effect.treated.people, after.effect.compared.people) == (5, 3)
    asked = TrainingEffect(training="nego-1", window=28)
    assert sales.flow.ask(asked, at=before.moment) == before


def test_who_completes_it_within_the_window_of_others_is_compared_with_nobody_in_it(
    sales: Shop,
) -> None:
    train(sales, "2026-03-15", "eva")
    assert effect(sales).effect.compared.people == 3


def test_who_was_not_in_a_team_all_the_time_is_left_out_and_named(sales: Shop) -> None:
    tell_rep(sales, "ann", ("2026-03-20", RepLeft()))
    tell_rep(sales, "bob", ("2026-03-20", RepMoved(team="west")))
    view = effect(sales)
    assert [(each.rep, each.why) for each in view.not_compared] == [("ann", "not_in_a_team")]
    assert "not in a team all through the windows" in view.table()
    assert view.effect.treated.people == 3


def test_who_has_no_figure_is_left_out_and_named(sales: Shop) -> None:
    join_all(sales, "ian")
    train(sales, "2026-03-01", "ian")
    assert [(e.rep, e.why) for e in effect(sales, metric="win_rate").not_compared] == [
        ("ian", "no_figure")
    ]
    assert effect(sales).not_compared == ()


def test_with_two_in_a_group_the_figures_are_shown_and_nothing_is_concluded() -> None:
    with shop() as sales:
        join_all(sales, *TRAINED, *OTHERS)
        train(sales, "2026-03-01", "ann", "bob")
        view = effect(sales, metric="won")
        assert view.effect.verdict == "too_few"
        assert len(view.people) == 8
        assert "Too few to conclude anything" in view.table()


def test_where_all_took_it_there_is_nothing_to_compare_with() -> None:
    with shop() as sales:
        join_all(sales, *TRAINED)
        train(sales, "2026-03-01", *TRAINED)
        view = effect(sales, metric="won")
        assert view.effect.verdict == "no_comparison"
        assert {each.why for each in view.not_compared} == {"nobody_to_compare"}


def test_a_training_that_says_nothing_of_what_it_should_move_asks_for_a_figure() -> None:
    with shop() as sales:
        join_all(sales, "ann")
        train(sales, "2026-03-01", "ann")
        with pytest.raises(InputError, match="does not say what it should move"):
            effect(sales)


def test_a_training_nobody_knows_of_is_refused_with_those_there_are(sales: Shop) -> None:
    with pytest.raises(NotFoundError, match="no training 'nego-2'; there are: nego-1"):
        effect(sales, training="nego-2")


def test_figures_of_a_stage_need_the_stage_and_others_take_none(sales: Shop) -> None:
    with pytest.raises(InputError, match="measured at a stage; name one"):
        effect(sales, metric="stage_days")
    with pytest.raises(InputError, match="sales is not measured at a stage"):
        effect(sales, metric="sales", stage="a")
    assert effect(sales, metric="stage_days", stage="a").stage_en == "a"


def test_amounts_are_compared_in_one_currency_or_not_at_all(sales: Shop) -> None:
    one = opened(owner="ann", amount=cny("100"))
    sales.tell(901, ("2026-03-11", one), ("2026-03-11", DealWon()))
    view = effect(sales, metric="sales")
    assert view.currency == "CNY"
    other = opened(owner="bob", amount=Money("100", "USD"))
    sales.tell(902, ("2026-03-11", other), ("2026-03-11", DealWon()))
    with pytest.raises(InputError, match="CNY and USD, which are never added up"):
        effect(sales, metric="sales")


def test_a_course_that_was_revised_is_looked_at_as_it_is_by_then(sales: Shop) -> None:
    from salesflow.domain.training import training_id

    with sales.flow.session() as session:
        at = datetime(2026, 5, 1, tzinfo=UTC)
        session.get(Training, training_id("nego-1")).revise(metric="orders", occurred_at=at)
    assert effect(sales).metric == "won"
    view = sales.flow.ask(TrainingEffect(training="nego-1", window=28), as_of="2026-05-02")
    assert view.metric == "orders"
    with pytest.raises(InputError, match="is not a metric"):
        effect(sales, metric="happiness")
