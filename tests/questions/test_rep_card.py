"""A rep's card: what was reached, what was assessed, and what was agreed, at any moment."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from questions.shop import Shop, shop
from questions.staff import closed, join_all, tell_rep
from salesflow import Goal
from salesflow.domain.rep import RepLeft
from salesflow.domain.rep_development import (
    CareerPlanAgreed,
    CareerStep,
    RepPromoted,
    SkillAssessed,
    TrainingAssigned,
    TrainingCompleted,
)
from salesflow.domain.team import Team
from salesflow.projections.people.rep_card import RepCard, RepCardView


def rated(score: int, **more: object) -> SkillAssessed:
    return SkillAssessed.model_validate(
        {
            "skill": "negotiation",
            "score": Decimal(score),
            "scale_least": Decimal(1),
            "scale_most": Decimal(5),
            "evidence": "seen in two talks",
            **more,
        }
    )


@pytest.fixture
def sales() -> Iterator[Shop]:
    """A rep of team east, led by wei, who was assessed, trained and promoted."""
    with shop() as sales:
        with sales.flow.session() as session:
            team = session.add(Team.form("east", name_en="East", name_zh="华东"))
            team.appoint_lead("wei")
        join_all(sales, "ann", "bob")
        steps = (
            CareerStep(level="senior", due=date(2026, 6, 30)),
            CareerStep(level="lead", due=date(2027, 6, 30)),
        )
        tell_rep(
            sales,
            "ann",
            ("2026-01-10", rated(2)),
            ("2026-01-15", CareerPlanAgreed(steps=steps)),
            ("2026-02-01", TrainingAssigned(training="nego-1", due=date(2026, 3, 1))),
            ("2026-03-20", TrainingCompleted(training="nego-1", score=Decimal(80))),
            ("2026-04-10", rated(4, assessed_by="wei")),
            ("2026-04-15", RepPromoted(level="senior")),
        )
        closed(sales, 1, "ann", "2026-04-20", won=3, lost=1)
        closed(sales, 11, "ann", "2026-02-20", won=1)
        closed(sales, 21, "bob", "2026-04-20", won=9)
        yield sales


def card(sales: Shop, as_of: str, rep: str = "ann") -> RepCardView:
    return sales.flow.ask(RepCard(rep=rep), as_of=as_of)


def test_a_card_has_the_figures_of_the_quarter_and_of_the_one_before(sales: Shop) -> None:
    figures = {each.metric: each for each in card(sales, "2026-05-01").figures}
    assert (figures["won"].value, figures["won"].value_before) == (Decimal(3), Decimal(1))
    assert figures["win_rate"].value == Decimal("0.75")
    assert figures["csat"].value is None
    assert figures["contacts"].value == 0


def test_skills_are_shown_with_their_course(sales: Shop) -> None:
    skills = card(sales, "2026-05-01").skills
    assert [(each.number, int(each.score), each.assessed_by) for each in skills] == [
        (1, 2, None),
        (2, 4, "wei"),
    ]
    assert [each.score for each in card(sales, "2026-03-01").skills] == [2]


def test_a_training_is_open_then_overdue_then_completed(sales: Shop) -> None:
    for as_of, status in (
        ("2026-02-10", "open"),
        ("2026-03-01", "open"),
        ("2026-03-02", "overdue"),
        ("2026-03-20", "completed"),
    ):
        [training] = card(sales, as_of).trainings
        assert training.status == status, as_of


def test_level_and_next_step_follow_from_promotion_and_plan(sales: Shop) -> None:
    before, after = card(sales, "2026-04-01"), card(sales, "2026-05-01")
    assert (before.level, after.level) == (None, "senior")
    assert [step.level for step in before.career_plan if step.is_next] == ["senior"]
    assert [step.level for step in after.career_plan if step.is_next] == ["lead"]


def test_the_plan_says_which_levels_were_reached_and_when(sales: Shop) -> None:
    reached = {
        step.level: step.reached_at and step.reached_at.date().isoformat()
        for step in card(sales, "2026-05-01").career_plan
    }
    assert reached == {"senior": "2026-04-15", "lead": None}
    assert all(step.reached_at is None for step in card(sales, "2026-04-01").career_plan)


def test_a_training_that_is_taken_again_stands_on_the_card_each_time(sales: Shop) -> None:
    tell_rep(
        sales,
        "ann",
        ("2026-04-01", TrainingAssigned(training="nego-1", due=date(2026, 4, 20))),
        ("2026-04-05", TrainingAssigned(training="nego-1", due=date(2026, 5, 15))),
        ("2026-05-10", TrainingCompleted(training="nego-1")),
        ("2026-05-12", TrainingCompleted(training="nego-1")),
    )
    first, again = sorted(card(sales, "2026-04-30").trainings, key=lambda each: each.number)
    assert (first.status, first.score) == ("completed", Decimal(80))
    assert (again.status, again.due, again.number) == ("open", date(2026, 5, 15), 2)
    later = card(sales, "2026-05-20").trainings
    assert [(each.number, each.status, each.due) for each in later] == [
        (1, "completed", date(2026, 3, 1)),
        (2, "completed", date(2026, 5, 15)),
        (3, "completed", None),
    ]


def test_a_rep_who_left_is_said_to_have_left_and_has_no_next_level(sales: Shop) -> None:
    tell_rep(sales, "ann", ("2026-05-10", RepLeft()))
    before, after = card(sales, "2026-05-01"), card(sales, "2026-05-20")
    assert before.left_at is None
    assert after.left_at is not None
    assert not any(step.is_next for step in after.career_plan)
    assert after.tables()[0].rows[0][-1].startswith("left 2026-05-")
    assert before.tables()[0].rows[0][-1] == "active"


def test_goals_of_the_rep_stand_on_the_card_and_no_others(sales: Shop) -> None:
    of: dict[str, Any] = {"first_day": date(2026, 1, 1), "last_day": date(2026, 12, 31)}
    of |= {"metric": "won", "strategy": "grow", "why_achievable": "more leads"}
    with sales.flow.session() as session:
        for key, rep in (("ann-26", "ann"), ("bob-26", "bob"), ("all", None)):
            session.add(Goal.set(key, target=8, rep=rep, **of))
    goals = sales.flow.ask(RepCard(rep="ann")).goals
    assert [(each.goal, each.actual, each.attainment) for each in goals] == [
        ("ann-26", Decimal(4), Decimal("0.5"))
    ]
    assert "ann-26" in sales.flow.ask(RepCard(rep="ann")).table()


def test_team_and_lead_are_named(sales: Shop) -> None:
    view = sales.flow.ask(RepCard(rep="ann"))
    assert (view.team, view.team_en, view.lead) == ("east", "East", "wei")
    assert "华东" in view.table("zh")


def test_what_happened_after_a_rep_left_is_not_theirs_here(sales: Shop) -> None:
    before = card(sales, "2026-05-01")
    tell_rep(sales, "ann", ("2026-04-01", RepLeft()))
    after = card(sales, "2026-05-01")
    assert (after.team, after.level, len(after.skills)) == (None, None, 1)
    assert sales.flow.ask(RepCard(rep="ann"), at=before.moment) == before


def test_a_rep_nobody_registered_has_the_figures_of_deals_and_a_note(sales: Shop) -> None:
    closed(sales, 40, "zoe", "2026-04-20", won=2)
    view = card(sales, "2026-05-01", "zoe")
    assert not view.is_known
    assert next(each.value for each in view.figures if each.metric == "won") == 2
    assert "nobody of this id had joined a team" in view.table()
