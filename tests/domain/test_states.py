"""What a state keeps, for whom, and what it costs: rules that every state follows."""

from copy import copy
from uuid import UUID

import pytest

from given import DEAL, PROCESSES, Given, deal_of, events_of, line, on, opened, read
from salesflow.domain.customer import ContactPersonAdded, Customer, CustomerRegistered
from salesflow.domain.deal import Deal
from salesflow.domain.deal.activities import ContactLogged, ObjectionRaised
from salesflow.domain.deal.after_sales import FeedbackReceived
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.deal.people import MessagePosted
from salesflow.domain.deal.quotes import QuoteAccepted, QuoteIssued, QuoteRevised
from salesflow.domain.deal.state import DealState, DealSummary
from salesflow.domain.event import Event, Fact
from salesflow.domain.state import ReplayContext, State
from salesflow.domain.time import to_instant
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
