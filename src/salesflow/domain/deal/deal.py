"""`Deal`: its state, and the commands of all its parts."""

from datetime import date
from typing import ClassVar, Self, get_args
from uuid import UUID

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.customer import Customer
from salesflow.domain.deal.activities import ActivityFact
from salesflow.domain.deal.after_sales import AfterSales, ServiceFact
from salesflow.domain.deal.billing import Billing, BillingFact
from salesflow.domain.deal.committee import Committee, CommitteeFact
from salesflow.domain.deal.core import require_worth
from salesflow.domain.deal.merging import Merging, MergingFact
from salesflow.domain.deal.outcomes import OutcomeFact, Outcomes
from salesflow.domain.deal.people import People, PeopleFact
from salesflow.domain.deal.quotes import QuoteFact, Quotes
from salesflow.domain.deal.stages import DealOpened, StageFact, Stages
from salesflow.domain.deal.state import DealState
from salesflow.domain.event import Fact
from salesflow.domain.process import ProcessVersion
from salesflow.domain.state import ReplayContext
from salesflow.domain.values import Money
from salesflow.domain.wording import quoted
from salesflow.errors import InputError, StageError

__all__ = ["Deal"]


class Deal(
    Stages, Outcomes, Merging, Committee, Quotes, Billing, People, AfterSales, DealState
):
    """One possible sale to one customer, from prospecting to after-sales service."""

    facts: ClassVar[tuple[type[Fact], ...]] = (
        *get_args(StageFact),
        *get_args(OutcomeFact),
        *get_args(MergingFact),
        *get_args(ActivityFact),
        *get_args(CommitteeFact),
        *get_args(QuoteFact),
        *get_args(BillingFact),
        *get_args(PeopleFact),
        *get_args(ServiceFact),
    )

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

        The customer may be an id of your own: whoever is registered under it, then or later, is
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
                amount=require_worth(amount, what="what a deal may bring"),
                expected_close=expected_close,
                lead_source=lead_source,
            ),
            occurred_at,
        )
        return self
