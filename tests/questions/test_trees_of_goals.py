"""Trees of goals as people make them: deep, wide, or in a circle by later knowledge."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from given import opened
from questions.shop import Shop, shop, told
from salesflow import Goal, GoalAttainment, GoalCheck, Money, Rep, SalesFlow, Team
from salesflow.demo.world import TurnedClock
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.deal.people import CollaboratorJoined
from salesflow.domain.event import Fact
from salesflow.domain.goal import goal_id
from salesflow.errors import InputError

Q4: dict[str, Any] = {"first_day": date(2026, 10, 1), "last_day": date(2026, 12, 31)}
ONE: dict[str, Any] = {"metric": "orders", "target": 3, "why_achievable": "x", **Q4}
ASKED: dict[str, Any] = {"from_": date(2026, 10, 1), "to": date(2027, 1, 1)}
DEEP = 1_100
"""Deeper than calls may be nested."""


@pytest.fixture
def flow() -> Iterator[SalesFlow]:
    now = datetime(2026, 11, 10, 9, tzinfo=UTC)
    with SalesFlow("sqlite://", clock=TurnedClock(now)) as flow:
        yield flow


def test_a_tree_is_as_deep_as_people_make_it(flow: SalesFlow) -> None:
    with flow.session() as s:
        s.add(Goal.set("g0", strategy="s", **ONE))
        for number in range(1, DEEP):
            s.add(Goal.set(f"g{number}", parent=f"g{number - 1}", **ONE))
    for question in (GoalAttainment.model_validate(ASKED), GoalAttainment(goal="g0")):
        lines = flow.ask(question).goals
        assert [(line.goal, line.depth) for line in lines] == [
            (f"g{number}", number) for number in range(DEEP)
        ]


def test_a_goal_cannot_serve_itself(flow: SalesFlow) -> None:
    with pytest.raises(InputError, match="'a' cannot serve itself"), flow.session() as s:
        s.add(Goal.set("a", parent="a", **ONE))
    with flow.session() as s:
        s.add(Goal.set("a", strategy="s", **ONE))
    with pytest.raises(InputError, match="'a' cannot serve itself"), flow.session() as s:
        s.get(Goal, goal_id("a")).revise(parent="a", why_achievable="x")


def test_goals_that_serve_one_another_are_said_to_do_so_and_counted_once(
    flow: SalesFlow,
) -> None:
    with flow.session() as s:
        s.add(Goal.set("top", strategy="s", **ONE))
        for key, parent in (("a", "c"), ("b", "a"), ("c", "b"), ("d", "a"), ("e", "top")):
            s.add(Goal.set(key, parent=parent, **ONE))
    view = flow.ask(GoalAttainment.model_validate(ASKED))
    assert sorted(line.goal for line in view.goals) == ["a", "b", "c", "d", "e", "top"]
    [circle] = [note for note in view.tables()[0].notes if "circle" in note]
    assert circle == "goals that serve one another in a circle: a, b, c"
    assert "形成循环" in "".join(view.tables("zh")[0].notes)


def test_what_is_needed_is_shown_to_two_places(flow: SalesFlow) -> None:
    with flow.session() as s:
        s.add(Goal.set("a", strategy="s", **ONE))
    view = flow.ask(GoalAttainment.model_validate(ASKED))
    shown = [cell for table in view.tables() for row in table.rows for cell in row]
    assert max(len(cell.partition(".")[2]) for cell in shown) <= 2


def win(sales: Shop, deal: int, day: str, owner: str, *more: Fact, currency: str) -> None:
    amount = Money("100", currency)
    start = (day, opened(amount=amount, owner=owner))
    sales.tell(deal, start, *((day, fact) for fact in (*more, DealWon(amount=amount))))


@contextmanager
def year_shared_out() -> Iterator[Shop]:
    """Sell to a year's goal, shared out by quarters; the first of them by reps."""
    with shop() as sales:
        sales.turn("2026-12-01")
        year = {"metric": "sales", "strategy": "s", "why_achievable": "x"}
        q1 = {"first_day": date(2026, 1, 1), "last_day": date(2026, 3, 31)}
        whole = {"first_day": date(2026, 1, 1), "last_day": date(2026, 12, 31)}
        with sales.flow.session() as s:
            for key, target, given in (
                ("y26", 900, whole),
                ("q1", 300, {**q1, "parent": "y26"}),
                ("q3", 300, {**q3(), "parent": "y26"}),
                ("q1-ann", 200, {**q1, "parent": "q1", "rep": "ann"}),
                ("q1-bob", 100, {**q1, "parent": "q1", "rep": "bob"}),
            ):
                s.add(Goal.set(key, target=Money(target, "CNY"), **{**year, **given}))
        yield sales


def q3() -> dict[str, Any]:
    return {"first_day": date(2026, 7, 1), "last_day": date(2026, 9, 30)}


@pytest.mark.parametrize(
    "asked",
    [
        {"goal": "y26"},
        {"from_": date(2026, 7, 1), "to": date(2026, 10, 1)},
        {"from_": date(2026, 12, 1), "to": date(2026, 12, 2)},
    ],
)
def test_goals_below_are_all_that_serve_a_goal_whether_they_are_listed_or_not(
    asked: dict[str, Any],
) -> None:
    with year_shared_out() as sales:
        win(sales, 1, "2026-02-01", "ann", currency="CNY")
        win(sales, 2, "2026-05-01", "ann", currency="CNY")
        view = sales.flow.ask(GoalAttainment.model_validate(asked))
    [split] = [each for each in view.splits if each.goal == "y26"]
    assert told(split.goals, split.target, split.actual, split.actual_gap) == (
        2, 600, 100, 100,
    )  # fmt: skip
    assert split.periods_without == ("2026-Q2", "2026-Q4")


def test_the_goals_of_reps_below_a_teams_are_added_up_where_the_team_is_asked_about() -> None:
    with year_shared_out() as sales:
        with sales.flow.session() as s:
            s.add(Team.form("east", name_en="East", name_zh="东区"))
            s.add(Rep.join("bob", team="east", name="Bob"))
            q4 = {**Q4, "metric": "orders", "why_achievable": "x"}
            s.add(Goal.set("east", target=5, strategy="s", team="east", **q4))
            s.add(Goal.set("bob", target=3, parent="east", rep="bob", **q4))
        view = sales.flow.ask(GoalAttainment(**ASKED, team="east"))
    assert [line.goal for line in view.goals] == ["east"]
    [split] = view.splits
    assert told(split.goals, split.target) == (1, 3)


@pytest.mark.parametrize(
    ("asked", "lacking"),
    [
        ({"goal": "q1-ann"}, {}),
        ({"goal": "q1-bob"}, {"EUR": 1}),
        ({"goal": "q3"}, {}),
        ({"goal": "y26"}, {"EUR": 1, "USD": 1}),
        ({"from_": date(2026, 1, 1), "to": date(2027, 1, 1)}, {"EUR": 1, "USD": 1}),
    ],
)
def test_an_amount_without_a_rate_is_left_out_once_and_of_the_goals_asked_about_alone(
    asked: dict[str, Any], lacking: dict[str, int]
) -> None:
    shared = [CollaboratorJoined(person=each, credit=Decimal("0.2")) for each in ("cho", "dan")]
    with year_shared_out() as sales:
        win(sales, 1, "2026-02-01", "ann", currency="CNY")
        win(sales, 2, "2026-02-01", "bob", *shared, currency="EUR")
        win(sales, 3, "2026-05-01", "ann", currency="USD")
        view = sales.flow.ask(GoalAttainment.model_validate(asked))
    found = {each.currency: each.amounts for it in view.rates for each in it.without_rate}
    assert found == lacking


def test_sales_rest_on_each_booking_once_and_on_none_that_is_left_out() -> None:
    shared = [CollaboratorJoined(person=each, credit=Decimal("0.2")) for each in ("cho", "dan")]
    with year_shared_out() as sales:
        win(sales, 1, "2026-02-01", "ann", *shared, currency="CNY")
        win(sales, 2, "2026-02-01", "bob", *shared, currency="EUR")
        view = sales.flow.ask(GoalAttainment(goal="q1"))
        past = sales.flow.ask(
            GoalCheck.model_validate(
                {"metric": "sales", "from_": date(2026, 4, 1), "to": date(2026, 7, 1)}
                | {"currency": "CNY", "periods": 1}
            )
        )
    assert {line.goal: line.rests_on for line in view.goals} == {
        "q1": 1, "q1-ann": 1, "q1-bob": 0,
    }  # fmt: skip
    assert [each.count for each in past.evidence.values] == [1]
