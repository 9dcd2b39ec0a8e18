"""Trees of goals as people make them: deep, wide, or in a circle by later knowledge."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from salesflow import Goal, GoalAttainment, SalesFlow
from salesflow.demo.world import TurnedClock
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
