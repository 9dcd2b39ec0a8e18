"""Every question at the edges of time: before the first event, on it, on a tie, at midnight.

Of each question one figure that counts deals, visits, answers or facts. Two deals come into
being in one and the same microsecond, one of them won and praised in it: a microsecond before
there is nothing, from that microsecond on there is all. A new question is asked here as well.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from given import cny, opened
from questions.shop import Shop, deal_id, shop
from salesflow import ExternalEvent
from salesflow.domain.case import CasePublished, case_id
from salesflow.domain.contest import Contest
from salesflow.domain.deal.after_sales import FeedbackReceived
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.goal import GoalSet, goal_id
from salesflow.domain.improvement import ImprovementProposed, improvement_id
from salesflow.domain.incentive_plan import IncentivePlan, PlanTerms
from salesflow.domain.rep import RepJoined, rep_id
from salesflow.domain.rep_development import TrainingCompleted
from salesflow.domain.smart import GoalScope
from salesflow.domain.time import to_instant
from salesflow.errors import NotFoundError
from salesflow.projections.core.question import View
from salesflow.projections.registry import QUESTIONS

MICROSECOND = timedelta(microseconds=1)
PRAISE = FeedbackReceived(survey="2026", scale="nps", score=10)


class Case(NamedTuple):
    """A figure of a question, and what it is of the two deals; the won one is served too."""

    count: Callable[[Any], int]
    counted: int
    of_a_deal: bool = False
    """Whether it is asked of one deal: of the one that was won."""
    of_the_open_deal: bool = False
    asked: Mapping[str, object] = MappingProxyType({})
    """What else it cannot do without."""


def created(view: Any) -> int:  # noqa: ANN401 - of any view with accounts
    moved = [each for account in view.accounts for each in account.movements]
    return sum(each.deals for each in moved if each.kind == "created")


def created_by_rep(view: Any) -> int:  # noqa: ANN401 - of a card
    return int(next(each.value for each in view.figures if each.metric == "created"))


CASES = {
    "bottlenecks": Case(lambda view: sum(each.deals for each in view.stages), 1),
    "case-library": Case(lambda view: view.cases_total, 1),
    "alerts": Case(lambda view: len(view.alerts), 0),  # nothing is told of any
    "case-study": Case(lambda view: view.summary.outcome == "won", 1, of_a_deal=True),
    "coaching": Case(lambda view: view.compared, 0),  # of two deals nothing can be compared
    "commission-estimate": Case(lambda view: len(view.estimates), 1, of_the_open_deal=True),
    "commission-statement": Case(lambda view: len(view.lines), 1, asked={"rep": "ann"}),
    "contest-standings": Case(
        lambda view: sum(int(each.figure) for each in view.standings),
        1,
        asked={"contest": "century"},
    ),
    "collaboration": Case(lambda view: view.won, 1),
    "conversion": Case(lambda view: sum(each.entered for each in view.stages), 3),
    "deal-timeline": Case(lambda view: len(view.facts), 3, of_a_deal=True),
    "deal-health": Case(lambda view: view.open_deals, 1),
    "deals": Case(lambda view: view.deals_total, 2),
    "feedback": Case(lambda view: view.total.promoters, 1),
    "flow": Case(created, 2),
    "forecast": Case(lambda view: sum(each.deals for each in view.lines), 1),
    "forecast-backtest": Case(lambda view: len(view.totals), 0),  # no quarter of it is over
    "forecast-range": Case(lambda view: sum(line.won_deals for line in view.lines[:1]), 1),
    "funnel": Case(lambda view: view.open_deals, 1),
    "funnel-trend": Case(lambda view: view.ends[-1].open_deals if view.ends else 0, 1),
    "improvement-effect": Case(
        lambda view: view.state == "proposed", 1, asked={"improvement": "i1"}
    ),
    "goal-attainment": Case(lambda view: sum(int(it.actual or 0) for it in view.goals), 1),
    "goal-check": Case(lambda view: sum(it.count for it in view.evidence.values), 0),
    "kpis": Case(lambda view: sum(line.orders for line in view.lines), 1),
    "process-diff": Case(lambda view: sum(each.open_deals for each in view.versions), 1),
    "rep-card": Case(created_by_rep, 2, asked={"rep": "ann"}),
    "leaderboard": Case(lambda view: sum(each.count for each in view.standings), 1),
    "restatement": Case(lambda view: sum(each.deals_now for each in view.cells), 2),
    "retrospective": Case(
        lambda view: sum(
            each.figures.deals for each in view.movements if each.movement == "created"
        ),
        2,
    ),
    "stage-kpis": Case(lambda view: sum(it.rests_on for it in view.kpis), 0),
    "stage-times": Case(lambda view: sum(each.visits for each in view.stages), 3),
    "strategy-review": Case(lambda view: sum(each.deals for each in view.funnel), 1),
    "training-effect": Case(
        lambda view: len(view.not_compared), 1, asked={"training": "nego-1", "metric": "won"}
    ),
    "win-loss": Case(lambda view: view.won, 1),
}
EDGES = {
    "an hour like others": ("UTC", "2026-03-10 09:00"),
    "midnight of a zone ahead of UTC": ("Asia/Shanghai", "2026-03-10 00:00"),
    "the instant in which summer time begins": ("Europe/Berlin", "2026-03-29 03:00"),
    "the hour that comes twice": ("Europe/Berlin", "2025-10-26 02:30"),
    "the first instant of a quarter": ("America/New_York", "2026-04-01 00:00"),
    "the last microsecond of a quarter": ("Europe/Berlin", "2026-03-31 23:59:59.999999"),
}


def found(books: Shop) -> None:
    """Publish a plan and announce a contest, long before."""
    day = datetime(2020, 1, 1, tzinfo=UTC)
    with books.flow.session() as session:
        session.add(
            IncentivePlan.publish(
                "ae",
                name_en="All",
                name_zh="全员",
                currency="CNY",
                starts=day.date(),
                terms=PlanTerms(rate=Decimal("0.05")),
                occurred_at=day,
            )
        )
        session.add(
            Contest.open(
                "century",
                name_en="Century",
                name_zh="世纪",
                metric="orders",
                first_day=day.date(),
                last_day=day.date().replace(year=2099),
                occurred_at=day,
            )
        )


def tell(books: Shop, number: int, when: str) -> None:
    """Tell of two deals that come into being in one microsecond."""
    opening = opened(amount=cny("100"), expected_close=datetime.fromisoformat(when).date())
    books.tell(number, (when, opening), (when, DealWon()), (when, PRAISE))
    books.tell(number + 1, (when, opening))
    at, rep = to_instant(datetime.fromisoformat(when).replace(tzinfo=books.zone)), f"r{number}"
    joined, trained = RepJoined(rep=rep, team="east"), TrainingCompleted(training="nego-1")
    books.flow.record([ExternalEvent(rep_id(rep), fact, at) for fact in (joined, trained)])
    case = CasePublished(case=f"case {number}", deal=deal_id(number))
    books.flow.record([ExternalEvent(case_id(case.case), case, at)])
    tried = ImprovementProposed(
        improvement=f"i{number}", hypothesis="it helps", change="process", metric="won"
    )
    books.flow.record([ExternalEvent(improvement_id(tried.improvement), tried, at)])
    goal = GoalSet(
        goal=f"g{number}",
        metric="orders",
        target=Decimal(1),
        scope=GoalScope(),
        first_day=date(2025, 1, 1),
        last_day=date(2026, 12, 31),
    )
    books.flow.record([ExternalEvent(goal_id(goal.goal), goal, at)])


def counted(books: Shop, name: str, as_of: datetime | str) -> int:
    """Give a question's figure at a moment; of a deal that is not there yet it is 0."""
    case = CASES[name]
    asked = dict(case.asked)
    if case.of_a_deal or case.of_the_open_deal:
        asked["deal"] = deal_id(1 if case.of_a_deal else 2)
    try:
        view: View = books.flow.ask(QUESTIONS[name].model_validate(asked), as_of=as_of)
    except NotFoundError:
        return 0
    return case.count(view)


@pytest.fixture(scope="module", params=EDGES)
def edge(request: pytest.FixtureRequest) -> Iterator[tuple[Shop, datetime]]:
    """Two deals that begin at an edge, and the instant of it."""
    timezone, when = EDGES[request.param]
    local = datetime.fromisoformat(when).replace(tzinfo=ZoneInfo(timezone))
    with shop(timezone=timezone) as books:
        found(books)
        tell(books, 1, when)
        yield books, local.astimezone(UTC)


@pytest.fixture(scope="module", params=["Europe/Berlin", "Asia/Shanghai"])
def month(request: pytest.FixtureRequest) -> Iterator[Shop]:
    """Two deals of the last microsecond of March, two of the first of April."""
    with shop(timezone=request.param) as books:
        found(books)
        tell(books, 1, "2026-03-31 23:59:59.999999")
        tell(books, 3, "2026-04-01 00:00")
        yield books


def test_every_question_is_asked_at_the_edges() -> None:
    assert CASES.keys() == QUESTIONS.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_microsecond_before_the_first_event_there_is_nothing_and_on_it_all(
    edge: tuple[Shop, datetime], name: str
) -> None:
    books, at = edge
    assert counted(books, name, at - MICROSECOND) == 0
    assert counted(books, name, at) == CASES[name].counted


@pytest.mark.parametrize("name", CASES)
def test_a_month_ends_with_its_last_microsecond_in_the_business_time_zone(
    month: Shop, name: str
) -> None:
    """In Berlin, in summer time by then, that is 22:00 UTC; in Shanghai 16:00."""
    assert counted(month, name, "2026-03-30") == 0
    assert counted(month, name, "2026-03-31") == CASES[name].counted
