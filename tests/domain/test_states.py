"""What a state keeps, for whom, and what it costs: rules that every state follows."""

from copy import copy
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from given import DEAL, PROCESSES, Given, deal_of, events_of, line, on, opened, read
from salesflow.domain.alert import AlertDefined, AlertState, WatchedFigure
from salesflow.domain.case import CasePublished, CaseState
from salesflow.domain.contest import ContestOpened, ContestState
from salesflow.domain.customer import ContactPersonAdded, Customer, CustomerRegistered
from salesflow.domain.deal import Deal
from salesflow.domain.deal.activities import ContactLogged, ObjectionRaised
from salesflow.domain.deal.after_sales import FeedbackReceived
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.deal.people import MessagePosted
from salesflow.domain.deal.quotes import QuoteAccepted, QuoteIssued, QuoteRevised
from salesflow.domain.deal.state import DealState, DealSummary
from salesflow.domain.event import Event, Fact
from salesflow.domain.goal import GoalSet, GoalState
from salesflow.domain.improvement import ImprovementProposed, ImprovementState
from salesflow.domain.incentive_plan import (
    IncentivePlanState,
    PlanPublished,
    PlanTerms,
    PlanVersion,
    plan_id,
)
from salesflow.domain.rep import RepJoined, RepState
from salesflow.domain.review import ReviewOpened, ReviewState
from salesflow.domain.smart import GoalScope
from salesflow.domain.state import ReplayContext, State
from salesflow.domain.statement import StatementFigures, StatementIssued, StatementState
from salesflow.domain.team import TeamFormed, TeamName, TeamState
from salesflow.domain.time import to_instant
from salesflow.domain.training import TrainingCourse, TrainingOffered, TrainingState
from salesflow.errors import InputError, NotFoundError
from salesflow.testing import HOUR, START

TALK = "words that nobody has to keep in memory " * 8


def test_a_summary_stands_where_the_deal_stands_and_keeps_no_words() -> None:
    facts: list[Fact] = [opened(), ContactLogged(channel="call", summary=TALK)]
    facts += [MessagePosted(text=TALK), ObjectionRaised(objection="O1", doubt=TALK)]
    facts += [QuoteIssued(quote="Q1", lines=(line(),)), QuoteAccepted(quote="Q1")]
    facts += [QuoteRevised(quote="Q8", lines=(line(),)), QuoteAccepted(quote="Q8")]
    facts += [QuoteAccepted(quote="Q9"), DealWon(), FeedbackReceived(text=TALK)]
    context = ReplayContext(PROCESSES)
    whole, summary = DealState(context), DealSummary(context)
    for event in events_of(facts):
        assert whole.evolve(event) == summary.evolve(event)
    for name in ("stage", "outcome", "status", "owner", "amount", "probability"):
        assert getattr(whole, name) == getattr(summary, name)
    assert TALK in str(vars(whole))
    assert TALK not in str(vars(summary))
    assert "licence" not in str(vars(summary))


def test_a_copy_keeps_what_it_held_when_the_other_goes_on() -> None:
    first, more = events_of([opened(), ObjectionRaised(objection="O1")])
    deal = DealState(ReplayContext(PROCESSES))
    deal.evolve(first)
    before = copy(deal)
    deal.evolve(more)
    after = copy(deal)
    assert (len(before.objections), len(after.objections)) == (0, 1)
    after.evolve(events_of([opened(), ObjectionRaised(objection="O2")])[1])
    assert [*deal.objections] == ["O1"]


def test_what_grows_in_a_state_grows_in_place() -> None:
    state = DealState(ReplayContext(PROCESSES))
    first, *doubts = events_of([opened(), *(ObjectionRaised(objection=f"O{n}") for n in "123")])
    state.evolve(first)
    assert state.objections == {}
    state.evolve(doubts[0])
    held = state.objections
    for event in doubts[1:]:
        state.evolve(event)
    assert state.objections is held
    assert [*held] == ["O1", "O2", "O3"]


def test_a_customer_with_very_many_people_is_read_and_goes_on() -> None:
    people = [ContactPersonAdded(person_id=UUID(int=n), name=f"P{n}") for n in range(1, 3_001)]
    given: list[Given] = [
        CustomerRegistered(name="Acme"),
        *(on(each, START) for each in people),
    ]
    assert len(read(Customer, given).people) == 3_000


def test_an_opening_of_somebody_elses_is_not_the_deals() -> None:
    class LeadTaken(Fact):
        """Somebody took the lead up."""

        kind = "acme.lead_taken"
        name_zh = "线索"
        is_opening = True

    class LeadDeal(Deal):
        """A deal that begins as a lead."""

        facts = (LeadTaken, *Deal.facts)

    events = events_of([LeadTaken(), opened(), DealWon()])
    deal = LeadDeal.replay(DEAL, events, context=ReplayContext(PROCESSES))
    assert (deal.title, deal.outcome) == ("ERP", "won")


def test_before_its_opening_a_deal_says_nothing() -> None:
    deal = Deal.load(DEAL, events_of([opened()]), as_of=to_instant(START - HOUR))
    with pytest.raises(NotFoundError, match="no deal"):
        _ = deal.is_open


def test_a_value_of_a_state_needs_no_annotation_and_cannot_hide_a_command() -> None:
    class Counting(DealState):
        """Counts."""

        calls = 0

        def evolve(self, event: Event) -> str | None:
            """Count it."""
            self.calls += isinstance(event.fact, ContactLogged)
            return super().evolve(event)

    class CountingDeal(Deal, Counting):
        """Counts."""

    events = events_of([opened(), ContactLogged(), ContactLogged()])
    counted = CountingDeal.replay(DEAL, events, context=ReplayContext(PROCESSES))
    assert counted.calls == 2

    class Winning(DealState):
        """Calls a value as the deal calls a command."""

        win: str = "never"

    with pytest.raises(InputError, match="win is a command of WinningDeal"):

        class WinningDeal(Deal, Winning):  # type: ignore[misc]
            """Refused."""


def test_no_state_of_an_aggregate_is_at_hand_to_be_changed() -> None:
    deal = deal_of(opened())
    shown = [getattr(deal, name) for name in dir(deal) if not name.startswith("_")]
    assert not any(isinstance(value, State) for value in shown)


DAYS: dict[str, Any] = {"first_day": date(2026, 3, 1), "last_day": date(2026, 3, 31)}
NAMES: dict[str, Any] = {"name_en": "A", "name_zh": "A"}
TERMS = PlanTerms(rate=Decimal("0.05"))
PLAN = PlanVersion(key="a", **NAMES, currency="CNY", starts=DAYS["first_day"], terms=TERMS)
ON_TIME = datetime(2026, 4, 1, tzinfo=UTC)
FIGURES = StatementFigures(
    plan="a", rep="ann", **DAYS, currency="CNY", as_of=ON_TIME, known_at=ON_TIME,
    earned=Decimal(0), payable=Decimal(0),
)  # fmt: skip
WATCHED = WatchedFigure(question="kpis", parameters="{}", figure="won")
OPENINGS: dict[type[State], Fact] = {
    AlertState: AlertDefined(
        alert="a", watched=WATCHED, condition="above", threshold=Decimal(1)
    ),
    CaseState: CasePublished(case="a", deal=DEAL),
    ContestState: ContestOpened(contest="a", title_en="A", title_zh="A", metric="won", **DAYS),
    GoalState: GoalSet(goal="a", metric="won", target=Decimal(1), scope=GoalScope(), **DAYS),
    ImprovementState: ImprovementProposed(
        improvement="a", hypothesis="it helps", change="strategy", metric="won"
    ),
    IncentivePlanState: PlanPublished(plan=PLAN),
    RepState: RepJoined(rep="a", team="east", name="Ann"),
    ReviewState: ReviewOpened(review="a", from_=DAYS["first_day"], to=DAYS["last_day"]),
    StatementState: StatementIssued(figures=FIGURES),
    TeamState: TeamFormed(team="a", name=TeamName(en="A", zh="A")),
    TrainingState: TrainingOffered(training="a", course=TrainingCourse(**NAMES)),
}


@pytest.mark.parametrize("state", OPENINGS, ids=lambda state: state.__name__)
def test_what_is_opened_under_the_id_of_another_key_counts_for_nothing(
    state: type[State],
) -> None:
    elsewhere = events_of([OPENINGS[state]])[0]
    found = state()
    assert str(found.evolve(elsewhere)).split(" another ")[0] in ("it names", "it is of")
    assert {**vars(found), "irregular": (), "_opening": None} == {
        **vars(state()),
        "irregular": (),
    }


def test_a_version_of_a_plan_in_another_currency_or_period_counts_for_nothing() -> None:
    said = []
    for change in ({}, {"version": 2, "currency": "USD"}, {"version": 3, "period": "year"}):
        fact = PlanPublished(plan=PLAN.model_copy(update=change))
        [event] = events_of([fact])
        said.append((fact, event._replace(stream_id=plan_id("a"))))
    plan = IncentivePlanState()
    told = [plan.evolve(event) for _, event in said]
    assert told == [None, *["a plan keeps its currency and its period"] * 2]
    assert [*plan.versions] == [1]
