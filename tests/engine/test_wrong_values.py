"""What a program hands to management by mistake is refused in a sentence that names it."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from salesflow import (
    Alert,
    CommissionEstimate,
    Contest,
    Customer,
    Goal,
    IncentivePlan,
    PlanTerms,
    Review,
    SalesFlow,
    Session,
    Team,
)
from salesflow.demo.world import TurnedClock
from salesflow.domain.contest import ContestRank, ContestResults, contest_id
from salesflow.domain.goal import goal_id
from salesflow.domain.incentive_plan import plan_id
from salesflow.domain.statement import statement_id
from salesflow.domain.team import team_id
from salesflow.engine.alerts import watched_figure
from salesflow.errors import InputError, NotFoundError, SalesflowError

NOW = datetime(2026, 11, 10, 9, tzinfo=UTC)
Q4: dict[str, Any] = {"first_day": date(2026, 10, 1), "last_day": date(2026, 12, 31)}
MAY: dict[str, Any] = {"first_day": date(2026, 5, 1), "last_day": date(2026, 5, 31)}
NAMES: dict[str, Any] = {"name_en": "N", "name_zh": "N"}
GOAL: dict[str, Any] = {"metric": "orders", "strategy": "s", "why_achievable": "x", **Q4}
NOON = datetime(2026, 5, 1, 12)  # noqa: DTZ001 - as somebody may hand it in


@pytest.fixture
def flow() -> Iterator[SalesFlow]:
    with SalesFlow("sqlite://", clock=TurnedClock(NOW)) as flow:
        with flow.session() as s:
            s.add(Goal.set("g", target=1, **GOAL))
            s.add(Team.form("t", name_en="T", name_zh="T"))
            terms = PlanTerms.model_validate({"rate": "0.05"})
            of: dict[str, Any] = {"currency": "CNY", "starts": date(2026, 1, 1), **NAMES}
            s.add(IncentivePlan.publish("ae", terms=terms, **of))
            s.add(Contest.open("c", metric="orders", participants=("ann",), **MAY, **NAMES))
        yield flow


def results(as_of: datetime, *names: str) -> ContestResults:
    ranks = tuple(ContestRank(participant=name, rank=1) for name in names)
    return ContestResults(as_of=as_of, known_at=as_of, ranks=ranks)


def decide(with_results: ContestResults) -> Callable[[Session], object]:
    return lambda s: s.get(Contest, contest_id("c")).decide(with_results)


def add_goal(**more: Any) -> Callable[[Session], object]:  # noqa: ANN401 - anything at all
    return lambda s: s.add(Goal.set("new", **{**GOAL, "target": 1, **more}))


def review(**more: Any) -> Callable[[Session], object]:  # noqa: ANN401 - anything at all
    days = {"from_": date(2026, 1, 1), "to": date(2026, 4, 1)}
    return lambda s: s.add(Review.open("r", **{**days, **more}))


WRONG: dict[str, tuple[Callable[[Session], object], str]] = {
    "a float is no target": (add_goal(target=1.5), "1.5 is no exact number"),
    "yes is no target": (add_goal(target=True), "True is no exact number"),
    "a text is no evidence": (add_goal(check="x"), "Goal.set: check is 'x', not PastRange"),
    "nothing is no reason": (
        lambda s: s.get(Goal, goal_id("g")).abandon(because=None),  # type: ignore[arg-type]
        "needs a reason",
    ),
    "a float is no confidence": (
        lambda s: s.get(Goal, goal_id("g")).check_in(confidence=0.1),  # type: ignore[arg-type]
        "0.1 is no exact number",
    ),
    "a key is no review": (review(follows="q"), "Review.open: follows is 'q', not Review"),
    "a time is no first day": (review(from_=NOON), "Review.open: from_ is"),
    "a time is no last day": (
        lambda s: s.get(IncentivePlan, plan_id("ae")).retire(last_day=NOON, because="x"),
        "retire: last_day is",
    ),
    "a contest that goes on has no results": (
        decide(results(datetime(2026, 5, 2, tzinfo=UTC))),
        "the contest goes on to 2026-05-31",
    ),
    "nobody is ranked twice": (
        decide(results(datetime(2026, 6, 2, tzinfo=UTC), "ann", "ann")), "named twice"
    ),
    "nobody is ranked who takes no part": (
        decide(results(datetime(2026, 6, 2, tzinfo=UTC), "zoe")), "'zoe' does not take part"
    ),
    "a text is no day": (
        lambda _: statement_id("ae", "ann", "2026-05-01"),
        "'2026-05-01' is no day",
    ),
    "a number is no key": (lambda _: goal_id(5), "5 is no key"),
}  # fmt: skip


@pytest.mark.parametrize(("act", "says"), WRONG.values(), ids=WRONG)
def test_it_is_refused(flow: SalesFlow, act: Callable[[Session], object], says: str) -> None:
    before = flow.log.head()
    with pytest.raises(SalesflowError) as refused, flow.session() as s:
        act(s)
    assert says in str(refused.value)
    assert flow.log.head() == before


@pytest.mark.parametrize("figure", [None, 5, "a." * 5_000_000, "", "__class__", "tables"])
def test_a_path_that_is_none_is_refused_at_once(flow: SalesFlow, figure: Any) -> None:  # noqa: ANN401 - anything
    with pytest.raises(InputError):
        watched_figure(flow, "deal-health", figure)


def test_a_parameter_that_no_question_takes_is_refused(flow: SalesFlow) -> None:
    with pytest.raises(InputError, match="is no parameter of a question"):
        watched_figure(flow, "deal-health", "open_deals", owner=object())


def test_the_commission_of_what_is_no_deal_is_not_estimated(flow: SalesFlow) -> None:
    with flow.session() as s:
        customer = s.add(Customer.register(name="C"))
    for id in (goal_id("g"), team_id("t"), customer.id):
        with pytest.raises(NotFoundError, match="no deal"):
            flow.ask(CommissionEstimate(deal=id))


def test_an_alert_is_watched_by_whoever_has_it_from_the_engine(flow: SalesFlow) -> None:
    watched = watched_figure(flow, "deal-health", "open_deals", owner="ann")
    with flow.session() as s:
        s.add(Alert.define("a", watched=watched, condition="above", threshold="1"))
