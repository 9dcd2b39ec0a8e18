"""What is issued, decided or fixed rests on figures that somebody can have seen by then."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from salesflow import (
    Case,
    Contest,
    Figures,
    Improvement,
    IncentivePlan,
    PlanTerms,
    Review,
    SalesFlow,
    Statement,
)
from salesflow.demo.world import TurnedClock
from salesflow.domain.aggregate import Aggregate, OccurredAt
from salesflow.domain.contest import ContestResults, contest_id
from salesflow.domain.figures import FIGURES_ID
from salesflow.domain.ids import new_id
from salesflow.domain.improvement import improvement_id
from salesflow.domain.statement import StatementFigures
from salesflow.errors import InputError

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
LATER, EARLIER = NOW + timedelta(days=1), NOW - timedelta(days=1)
MAY: dict[str, Any] = {"first_day": date(2026, 5, 1), "last_day": date(2026, 5, 31)}
IN_WORDS: dict[str, Any] = {"name_en": "C", "name_zh": "C"}
Make = Callable[[datetime, datetime, OccurredAt], Aggregate]


def statement(as_of: datetime, known_at: datetime, at: OccurredAt) -> Statement:
    of: dict[str, Any] = {"plan": "ae", "rep": "ann", "currency": "CNY", **MAY}
    of |= {"earned": 0, "payable": 0}
    figures = StatementFigures(as_of=as_of, known_at=known_at, **of)
    return Statement.issue(figures, occurred_at=at)


def review(as_of: datetime, known_at: datetime, at: OccurredAt) -> Review:
    days: dict[str, Any] = {"from_": date(2026, 5, 1), "to": date(2026, 6, 1)}
    return Review.open("r", **days, as_of=as_of, known_at=known_at, occurred_at=at)


def case(as_of: datetime, known_at: datetime, at: OccurredAt) -> Case:
    return Case.publish("c", deal=new_id(), as_of=as_of, known_at=known_at, occurred_at=at)


@pytest.fixture
def flow() -> Iterator[SalesFlow]:
    with SalesFlow("sqlite://", clock=TurnedClock(NOW)) as flow:
        yield flow


@pytest.mark.parametrize("make", [statement, review, case])
@pytest.mark.parametrize(
    ("as_of", "known_at", "at"),
    [
        (LATER, NOW, None),
        (NOW, LATER, None),
        (NOW, NOW, EARLIER),
        (NOW, NOW, EARLIER.date()),
    ],
)
def test_figures_of_a_later_time_than_a_thing_happened_are_refused(
    flow: SalesFlow, make: Make, as_of: datetime, known_at: datetime, at: OccurredAt
) -> None:
    founded = flow.log.head()
    with pytest.raises(InputError, match=r"figures of this|lies after"), flow.session() as s:
        s.add(make(as_of, known_at, at))
    assert flow.log.head() == founded


@pytest.mark.parametrize("make", [statement, review, case])
@pytest.mark.parametrize("at", [None, NOW, NOW.date()])
def test_figures_of_then_are_taken(flow: SalesFlow, make: Make, at: OccurredAt) -> None:
    founded = flow.log.head()
    with flow.session() as s:
        s.add(make(NOW, NOW, at))
    assert flow.log.head().position == founded.position + 1


def test_a_contest_is_not_decided_by_figures_of_a_later_time(flow: SalesFlow) -> None:
    with flow.session() as s:
        s.add(Contest.open("c", **IN_WORDS, metric="orders", **MAY, occurred_at=EARLIER))
    for results in (
        ContestResults(as_of=LATER, known_at=NOW),
        ContestResults(as_of=NOW, known_at=LATER),
    ):
        with pytest.raises(InputError, match="figures of this"), flow.session() as s:
            s.get(Contest, contest_id("c")).decide(results)


DAYS_NOBODY_CAN_ASK_ABOUT = [
    (date(1, 1, 1), date(2026, 1, 1)),
    (date(2026, 1, 1), date.max),
    (date.max, date.max),
    (date(2026, 1, 2), date(2026, 1, 1)),
]


@pytest.mark.parametrize(("first", "last"), DAYS_NOBODY_CAN_ASK_ABOUT)
def test_a_period_that_nobody_can_ask_about_is_refused(
    flow: SalesFlow, first: date, last: date
) -> None:
    days: dict[str, Any] = {"first_day": first, "last_day": last}
    with pytest.raises(InputError), flow.session() as s:
        s.add(Contest.open("c", **IN_WORDS, metric="orders", **days))
    with pytest.raises(InputError), flow.session() as s:
        s.add(Review.open("r", from_=first, to=last))
    with pytest.raises(InputError), flow.session() as s:
        s.get(Figures, FIGURES_ID).report("share", value=1, unit="share", source="x", **days)


@pytest.mark.parametrize("day", [date(1, 1, 1), date.max])
def test_a_plan_starts_on_a_day_that_somebody_can_ask_about(flow: SalesFlow, day: date) -> None:
    of: dict[str, Any] = {
        "currency": "CNY",
        "terms": PlanTerms.model_validate({"rate": "0.05"}),
        **IN_WORDS,
    }
    with pytest.raises(InputError, match="lies between 1900"), flow.session() as s:
        s.add(IncentivePlan.publish("ae", starts=day, **of))


def test_teams_start_on_days_that_there_are(flow: SalesFlow) -> None:
    with flow.session() as s:
        of: dict[str, Any] = {"hypothesis": "x", "change": "process", "metric": "win_rate"}
        s.add(Improvement.propose("i", teams=("east", "west"), **of))
    for first, days in ((date(9999, 12, 1), 30), (date(2026, 7, 1), 10**11)):
        with pytest.raises(InputError, match="let them start sooner"), flow.session() as s:
            found = s.get(Improvement, improvement_id("i"))
            found.stagger(seed=1, first=first, every_days=days)
