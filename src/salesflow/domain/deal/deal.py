"""`Deal`: the parts put together, and how a believed fact reaches them."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import ClassVar, Final, Self, get_args
from uuid import UUID

from salesflow.domain.aggregate import OccurredAt, ReplayContext
from salesflow.domain.customer import Customer
from salesflow.domain.deal.activities import ActivityFact
from salesflow.domain.deal.after_sales import ServiceFact
from salesflow.domain.deal.merging import Merging, MergingFact
from salesflow.domain.deal.money import BillingFact
from salesflow.domain.deal.outcomes import OutcomeFact
from salesflow.domain.deal.people import PeopleFact
from salesflow.domain.deal.quotes import QuoteFact
from salesflow.domain.deal.stages import DealOpened, StageFact
from salesflow.domain.deal.state import STAGE_FACTS, VALUE_FACTS, DealValue, StageState
from salesflow.domain.event import Event, Fact
from salesflow.domain.process import ProcessVersion
from salesflow.domain.values import Money
from salesflow.domain.wording import quoted
from salesflow.errors import InputError, StageError

__all__ = ["Deal"]

Part = Callable[["Deal", Fact, Event], None]

STANDING_FACTS = VALUE_FACTS | STAGE_FACTS
"""The facts after which a deal may stand elsewhere or be worth something else."""


class Deal(Merging):
    """One possible sale to one customer, from prospecting to after-sales service."""

    facts: ClassVar[tuple[type[Fact], ...]] = (
        *get_args(StageFact),
        *get_args(OutcomeFact),
        *get_args(MergingFact),
        *get_args(ActivityFact),
        *get_args(QuoteFact),
        *get_args(BillingFact),
        *get_args(PeopleFact),
        *get_args(ServiceFact),
    )

    _ground: StageState
    _worth: DealValue

    @classmethod
    def open(
        cls,
        process: ProcessVersion,
        *,
        customer: Customer | UUID | None = None,
        title: str,
        owner: str,
        amount: Money | None = None,
        expected_close: date | None = None,
        lead_source: str | None = None,
        stage: str | None = None,
        occurred_at: OccurredAt = None,
        id: UUID | None = None,
    ) -> Self:
        """Take on a prospect under a published process, in its first stage or one you name.

        `customer` may be an id of your own: whoever is registered under it, then or later, is
        shown by name; nobody has to be.
        """
        if not title.strip():
            raise InputError("a deal needs a title")
        first = process.open_stages[0].key if stage is None else stage
        if process.stage(first).category != "open":
            raise StageError(f"a deal is opened in an open stage; {quoted(first)} is none")
        self = cls.new(id, ReplayContext({(process.key, process.version): process}))
        self._record(
            DealOpened(
                process=process.key,
                process_version=process.version,
                stage=first,
                title=title,
                owner=owner,
                customer_id=customer.id if isinstance(customer, Customer) else customer,
                amount=amount,
                expected_close=expected_close,
                lead_source=lead_source,
            ),
            occurred_at,
        )
        return self

    def _start(self) -> None:
        self._ground = StageState(self.world.processes)
        self._worth = DealValue()
        self.title = ""
        self.opened_at = self.closed_at = None
        self.first_outcome = self.first_closed_at = self.first_won_at = None
        self.ever_won = False
        self.irregular = []
        self._start_stages()
        self._start_outcomes()
        self._start_merging()
        self._start_talks()
        self._start_quotes()
        self._start_money()
        self._start_people()
        self._start_service()

    def _apply(self, event: Event) -> None:
        fact, kind, ground = event.fact, type(event.fact), self._ground
        before = ground.outcome
        groundless = ground.evolve(event)
        if groundless is not None:
            self.irregular.append((event, groundless))
            return
        if kind in STANDING_FACTS:
            self._worth = self._worth.after(fact)
            self._stand()
        apply = _APPLY.get(kind)
        if apply is not None:  # else it is of a subclass, which applies it
            apply(self, fact, event)
        if ground.outcome != before:
            self._close(event)

    def _stand(self) -> None:
        """Say where the deal stands and what it is worth there."""
        ground, worth = self._ground, self._worth
        self._process = ground.process
        self.process, self.process_version = ground.process_key, ground.process_version
        self.stage, self.outcome = ground.stage, ground.outcome
        self.merged_into, self.last_open_stage = ground.merged_into, ground.last_open_stage
        self.amount, self.expected_close, self.category_given, self.probability_given = worth
        self.probability = worth.probability(ground.stage_in_force, ground.outcome)
        self.forecast_category = worth.category(ground.stage_in_force, ground.outcome)

    def _close(self, event: Event) -> None:
        """Note when the outcome came about; the first one is kept for good."""
        if self.outcome != "lost":
            self.lost_because = self.lost_to = None
        time = None if self.outcome == "open" else self._time(event)
        self.closed_at = time
        if self.outcome == "open":
            return
        if self.first_outcome is None:
            self.first_outcome, self.first_closed_at = self.outcome, time
        if self.outcome == "won" and not self.ever_won:
            self.ever_won, self.first_won_at = True, time


def _routes() -> Mapping[type[Fact], Part]:
    parts: tuple[tuple[object, Callable[..., None]], ...] = (
        (StageFact, Deal._apply_stage),
        (OutcomeFact, Deal._apply_outcome),
        (MergingFact, Deal._apply_merging),
        (ActivityFact, Deal._apply_talk),
        (QuoteFact, Deal._apply_quote),
        (BillingFact, Deal._apply_money),
        (PeopleFact, Deal._apply_people),
        (ServiceFact, Deal._apply_service),
    )
    return {cls: apply for union, apply in parts for cls in get_args(union)}


_APPLY: Final = _routes()
