"""The state of a deal: what follows from its believed history, for whoever asks.

Commands are checked on it, read tables are made of it, timelines and cases walk it: all evolve
this one class, one event after the other. Its parts stand beside the facts that change them.

An event may have lost what it builds on: a win is retracted, and the refund after it hangs in
the air. Such a fact is irregular: it changes nothing and counts in no figure. Exit criteria,
skipping and returning never make a fact irregular: rules change, history does not. Entering a
stage that means won, lost or disqualified *is* that outcome, so it counts whenever the outcome
would: also while merged, and after another outcome.
"""

from collections.abc import Callable, Iterator
from typing import Final, get_args

from salesflow.domain.arguments import internal
from salesflow.domain.deal.activities import ActivityFact, ActivityState
from salesflow.domain.deal.after_sales import (
    AfterSalesState,
    FeedbackFollowedUp,
    FeedbackReceived,
    FeedbackTagged,
    InterviewHeld,
    ServiceDelivered,
    ServiceFact,
    SurveySent,
)
from salesflow.domain.deal.billing import (
    BillingFact,
    BillingState,
    InvoiceIssued,
    LineItemsAgreed,
    PaymentReceived,
    TermsAgreed,
)
from salesflow.domain.deal.committee import CommitteeFact, CommitteeState
from salesflow.domain.deal.merging import MergeState, MergingFact
from salesflow.domain.deal.outcomes import (
    OutcomeFact,
    OutcomeState,
)
from salesflow.domain.deal.people import (
    DealHandedOver,
    HandoverAcknowledged,
    HelpGiven,
    HelpRequested,
    MeetingHeld,
    MessagePosted,
    OwnerAssigned,
    PeopleFact,
    PeopleState,
)
from salesflow.domain.deal.quotes import (
    Quote,
    QuoteDrafted,
    QuoteFact,
    QuoteIssued,
    QuoteRevised,
    QuotesState,
)
from salesflow.domain.deal.stages import (
    DealOpened,
    StageFact,
    StageState,
)
from salesflow.domain.event import Event, Fact
from salesflow.domain.process import TASK_COMPLETED
from salesflow.domain.state import EMPTY_CONTEXT, ReplayContext, appended, values_of, with_item
from salesflow.domain.wording import Message

__all__ = ["STATE_FACTS", "DealState", "DealSummary"]

BEFORE_OPENING: Final = Message("before the deal was opened")


class DealState(
    StageState,
    OutcomeState,
    MergeState,
    CommitteeState,
    QuotesState,
    BillingState,
    PeopleState,
    AfterSalesState,
):
    """All that is so of one deal by now; before its opening nothing but that."""

    def __init__(
        self, context: ReplayContext = EMPTY_CONTEXT, opening: Event | None = None
    ) -> None:
        """Begin with the event that opened the deal; one that opened something else is none."""
        is_ours = opening is not None and isinstance(opening.fact, DealOpened)
        super().__init__(context, opening if is_ours else None)

    def evolve(self, event: Event) -> str | None:
        """Take in the next believed fact; return why it is irregular, None when it counts."""
        fact, before = event.fact, self.outcome
        if self._opening is None and isinstance(fact, DealOpened):
            self._opening = event
        if self._is_early(event):
            irregular: str | None = BEFORE_OPENING
        else:
            change = _CHANGES.get(type(fact))
            irregular = None if change is None else change(self, fact, event)
        if irregular is not None:
            self.irregular = appended(self.irregular, (event, irregular))
        elif self.outcome != before:
            self._note_outcome(event)
        return irregular

    def _is_early(self, event: Event) -> bool:
        """Return whether it happened before the deal was opened."""
        opening = self._opening
        return opening is None or event.occurred < opening.occurred

    @internal
    def meets(self, criterion: str) -> bool:
        """Return whether an exit criterion is met; one that is not known here is not."""
        is_met = _MET.get(criterion)
        if is_met is not None:
            return is_met(self)
        task = criterion.removeprefix(TASK_COMPLETED)
        return task != criterion and task in self.tasks_done


_MET: Final[dict[str, Callable[[DealState], bool]]] = {
    "contact_logged": lambda deal: bool(deal.contacts),
    "customer_answered": lambda deal: any(c.direction == "in" for c in deal.contacts),
    "customer_named": lambda deal: deal.customer_id is not None,
    "intent_stated": lambda deal: deal.intent is not None,
    "need_identified": lambda deal: bool(deal.needs),
    "budget_confirmed": lambda deal: deal.budget is not None,
    "decision_process_mapped": lambda deal: deal.decision is not None,
    "solution_proposed": lambda deal: bool(deal.solutions),
    "amount_known": lambda deal: deal.amount is not None,
    "expected_close_known": lambda deal: deal.expected_close is not None,
    "quote_issued": lambda deal: deal.ever_issued,
    "quote_accepted": lambda deal: deal.accepted_quote is not None,
    "terms_agreed": lambda deal: deal.terms is not None,
    "objections_resolved": lambda deal: all(o.resolved for o in deal.objections.values()),
}
"""When each of `process.CRITERIA` is met."""

Change = Callable[[DealState, Fact, Event], str | None]


def _changes() -> Iterator[tuple[type[Fact], Change]]:
    parts: tuple[tuple[object, Callable[..., str | None]], ...] = (
        (StageFact, DealState._evolve_stages),
        (OutcomeFact, DealState._evolve_outcome),
        (MergingFact, DealState._evolve_merging),
        (ActivityFact, DealState._evolve_activities),
        (CommitteeFact, DealState._evolve_committee),
        (QuoteFact, DealState._evolve_quotes),
        (BillingFact, DealState._evolve_billing),
        (PeopleFact, DealState._evolve_people),
        (ServiceFact, DealState._evolve_service),
    )
    for union, change in parts:
        for cls in get_args(union):
            yield cls, change


_CHANGES: Final = dict(_changes())
"""The part of the state that each fact changes."""

STATE_FACTS: Final[frozenset[type[Fact]]] = frozenset(c for c in _CHANGES if c.changes_summary)
"""The facts that can change where a deal stands: stage, outcome, worth, owner, customer."""


class DealSummary(DealState):
    """A deal's state for read tables: it keeps what they show of every deal, and no more.

    Tables hold the states of many deals. What facts say beside stage, outcome, worth, owner,
    customer and the shares of collaborators is not kept; of quotes only that they are there.
    """

    figures: object = None
    """What tables made of it, for all of them until the next fact."""

    def evolve(self, event: Event) -> str | None:
        """Take in the next believed event; return why it is irregular, None when it counts."""
        fact, kind = event.fact, type(event.fact)
        if kind in _ALL_DETAILS:
            opening = self._opening  # as `_is_early` says, of two facts in three
            is_early = opening is None or event.occurred < opening.occurred
            return BEFORE_OPENING if is_early else None
        self.figures = None
        if kind in _OFFERS and not self._is_early(event):
            assert isinstance(fact, QuoteDrafted | QuoteIssued), "no other fact is among them"
            self._note_offer(fact)
            self.ever_issued = self.ever_issued or isinstance(fact, QuoteIssued)
            return None
        irregular = super().evolve(event)
        if irregular is None and kind in _WITHOUT_DETAILS:  # nearly all that tables read
            return None
        kept = vars(self)
        for name in _DETAILS & kept.keys():
            del kept[name]
        if irregular is None and isinstance(fact, QuoteRevised):
            self._note_offer(fact)
        return irregular

    def _note_offer(self, fact: QuoteDrafted | QuoteIssued | QuoteRevised) -> None:
        quote = Quote(fact.quote, "issued", (), None)
        self.offers = with_item(self.offers, quote.key, quote)


_DETAILS: Final = frozenset(
    {
        *("irregular", "line_items", "messages", "meetings", "help_requests"),
        *("handovers", "_handed_ahead"),
    }
).union(*(values_of(p) for p in (ActivityState, CommitteeState, BillingState, AfterSalesState)))

_OFFERS: Final = frozenset({QuoteDrafted, QuoteIssued})
_WITHOUT_DETAILS: Final = STATE_FACTS - {LineItemsAgreed, OwnerAssigned}
"""The facts that leave nothing in a state but what a summary keeps."""

_ALL_DETAILS: Final = frozenset(
    {
        *get_args(ActivityFact),
        *get_args(CommitteeFact),
        *(TermsAgreed, InvoiceIssued, PaymentReceived),
        *(MessagePosted, MeetingHeld, HelpRequested, HelpGiven),
        *(DealHandedOver, HandoverAcknowledged),
        *(ServiceDelivered, SurveySent, FeedbackReceived),
        *(FeedbackFollowedUp, FeedbackTagged, InterviewHeld),
    }
)
"""The facts that always count, and of which a summary keeps nothing."""
