"""What is made before it is added is judged by the time at which it is: no day had passed."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from salesflow import (
    STANDARD,
    Deal,
    Improvement,
    IncentivePlan,
    PlanTerms,
    Rep,
    SalesFlow,
    Team,
    Training,
)
from salesflow.demo.world import TurnedClock
from salesflow.domain.aggregate import Aggregate, OccurredAt
from salesflow.domain.rep_development import CareerStep
from salesflow.errors import InputError, SalesflowError

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
IN_WORDS: dict[str, Any] = {"name_en": "E", "name_zh": "E"}
PASSED = "2026-06-08 lies before 2026-06-10, the day on which"

Make = Callable[[datetime, OccurredAt], Aggregate]


def joined(day: datetime, at: OccurredAt) -> Rep:
    return Rep.join("ann", team="e", name="Ann", effective_from=day, occurred_at=at)


def moved(day: datetime, at: OccurredAt) -> Rep:
    rep = Rep.join("ann", team="e", name="Ann", occurred_at=at)
    rep.move("west", effective_from=day)
    return rep


def assigned(day: datetime, at: OccurredAt) -> Rep:
    rep = Rep.join("ann", team="e", name="Ann", occurred_at=at)
    rep.assign_training("talks", due=day.date())
    return rep


def planned(day: datetime, at: OccurredAt) -> Rep:
    rep = Rep.join("ann", team="e", name="Ann", occurred_at=at)
    rep.agree_career_plan((CareerStep(level="senior", due=day.date()),))
    return rep


def handed_over(day: datetime, at: OccurredAt) -> Deal:
    deal = Deal.open(STANDARD, title="ERP", owner="ann", occurred_at=at)
    deal.assign_owner("bob", effective_from=day)
    return deal


def renamed(day: datetime, at: OccurredAt) -> Team:
    team = Team.form("e", **IN_WORDS, occurred_at=at)
    team.rename(name_en="East", name_zh="E", effective_from=day)
    return team


def retired(day: datetime, at: OccurredAt) -> Training:
    training = Training.offer("talks", **IN_WORDS, occurred_at=at)
    training.retire(because="old", effective_from=day)
    return training


def drawn(day: datetime, at: OccurredAt) -> Improvement:
    trial = Improvement.propose(
        "trial",
        hypothesis="It helps",
        change="strategy",
        metric="win_rate",
        teams=("e", "w"),
        occurred_at=at,
    )
    trial.stagger(first=day.date())
    return trial


def ended(day: datetime, at: OccurredAt) -> IncentivePlan:
    plan = IncentivePlan.publish(
        "ae",
        **IN_WORDS,
        currency="CNY",
        period="month",
        starts=date(2026, 1, 1),
        terms=PlanTerms(rate=Decimal("0.05")),
        occurred_at=at,
    )
    plan.retire(last_day=day.date(), because="over")
    return plan


@pytest.fixture
def flow() -> Iterator[SalesFlow]:
    with SalesFlow("sqlite://", clock=TurnedClock(NOW)) as flow:
        yield flow


MADE: dict[Make, str] = {
    joined: f"effective_from: {PASSED}",
    moved: f"effective_from: {PASSED}",
    handed_over: f"effective_from: {PASSED}",
    renamed: f"effective_from: {PASSED}",
    retired: f"effective_from: {PASSED}",
    assigned: f"due: {PASSED} it is assigned",
    planned: f"due: {PASSED} the career plan is agreed",
    drawn: "the order is drawn on 2026-06-10, and the first team would have started on",
    ended: "before 2026-06-10, the day on which it is agreed",
}


@pytest.mark.parametrize("make", MADE)
def test_a_new_thing_is_not_added_with_a_day_that_had_passed(
    flow: SalesFlow, make: Make
) -> None:
    head = flow.log.head()
    for at in (None, NOW - 30 * DAY):
        if make is joined and at is not None:
            continue
        with flow.session() as s, pytest.raises(SalesflowError, match=MADE[make]):
            s.add(make(NOW - 2 * DAY, at))
    assert flow.log.head() == head, "nothing of it is recorded"


@pytest.mark.parametrize("make", MADE)
@pytest.mark.parametrize("days", [0, 2])
def test_a_new_thing_is_added_with_a_day_to_come(
    flow: SalesFlow, make: Make, days: int
) -> None:
    with flow.session() as s:
        s.add(make(NOW + days * DAY, None))


def test_a_day_that_had_passed_when_something_is_said_to_be_decided_is_refused(
    flow: SalesFlow,
) -> None:
    for at in (date(2026, 6, 1), datetime(2026, 6, 1, 12, tzinfo=UTC)):
        with flow.session() as s, pytest.raises(InputError, match=r"2026-06-01, the day on"):
            s.add(joined(datetime(2026, 5, 30, 12, tzinfo=UTC), at))
        with flow.session() as s:
            s.add(Rep.join(f"r{at}", team="e", name="R", effective_from=NOW, occurred_at=at))
