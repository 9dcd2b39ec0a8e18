"""People: who owns the deal, who works on it, who helps, and whose deal it is.

The owner is credited with what the collaborators leave over; their shares never add up to
more than the whole. Changes of people may be planned ahead with `effective_from`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar, NamedTuple, Self, assert_never
from uuid import UUID

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.customer import Customer
from salesflow.domain.deal.core import DealCommands, DealCore, require_reason, require_text
from salesflow.domain.event import Event, Fact, PlannedFact
from salesflow.domain.state import EMPTY, appended, with_item, without
from salesflow.domain.values import (
    Personal,
    Reason,
    Reference,
    SafeText,
    Share,
    number,
    trimmed,
)
from salesflow.domain.wording import quoted
from salesflow.errors import RuleError

__all__ = [
    "Collaborator",
    "CollaboratorJoined",
    "CollaboratorLeft",
    "CustomerChanged",
    "HelpGiven",
    "HelpRequest",
    "HelpRequested",
    "MessagePosted",
    "OwnerAssigned",
    "People",
    "PeopleFact",
    "PeopleState",
]

NOTHING = Decimal(0)
WHOLE = Decimal(1)


class OwnerAssigned(PlannedFact):
    """A rep took the deal over, with all that the collaborators' shares leave of it."""

    kind: ClassVar[str] = "deal.owner_assigned"
    name_zh: ClassVar[str] = "分配销售人员"
    changes_summary: ClassVar[bool] = True
    owner: Reference
    because: Reason | None = None


class CollaboratorJoined(PlannedFact):
    """Somebody from another team works on the deal; joining again replaces role and share."""

    kind: ClassVar[str] = "deal.collaborator_joined"
    name_zh: ClassVar[str] = "加入跨部门协作"
    person: Reference
    department: SafeText | None = None
    role: SafeText | None = None
    credit: Share = NOTHING
    """Their part of the credit for the deal."""


class CollaboratorLeft(PlannedFact):
    """Somebody no longer works on the deal; their share goes back to the owner."""

    kind: ClassVar[str] = "deal.collaborator_left"
    name_zh: ClassVar[str] = "退出协作"
    person: Reference
    because: Reason | None = None


class CustomerChanged(Fact):
    """The deal turned out to be another customer's."""

    kind: ClassVar[str] = "deal.customer_changed"
    name_zh: ClassVar[str] = "更换客户"
    changes_summary: ClassVar[bool] = True
    customer_id: UUID | None = None
    because: Reason | None = None


class MessagePosted(Fact):
    """Somebody wrote to the team about the deal."""

    kind: ClassVar[str] = "deal.message_posted"
    name_zh: ClassVar[str] = "即时通讯"
    text: Personal | None = None
    by: Reference | None = None
    to: tuple[Reference, ...] = ()


class HelpRequested(Fact):
    """Somebody asked for help with the deal; it stays open until somebody gives it."""

    kind: ClassVar[str] = "deal.help_requested"
    name_zh: ClassVar[str] = "求助"
    request: Reference
    question: Personal | None = None
    by: Reference | None = None
    department: SafeText | None = None


class HelpGiven(Fact):
    """Somebody helped."""

    kind: ClassVar[str] = "deal.help_given"
    name_zh: ClassVar[str] = "协助"
    request: Reference
    answer: Personal | None = None
    by: Reference | None = None


PeopleFact = (
    OwnerAssigned
    | CollaboratorJoined
    | CollaboratorLeft
    | CustomerChanged
    | MessagePosted
    | HelpRequested
    | HelpGiven
)


class Collaborator(NamedTuple):
    """Somebody who works on the deal beside its owner."""

    person: str
    department: str | None
    role: str | None
    credit: Decimal


class HelpRequest(NamedTuple):
    """A call for help, and who answered it."""

    key: str
    question: str | None
    department: str | None
    given: bool
    by: str | None = None


class PeopleState(DealCore):
    """Who works on a deal, and for whom; owner and customer stand in `DealCore`."""

    collaborators: Mapping[str, Collaborator] = EMPTY
    """By person."""
    messages: Sequence[MessagePosted] = ()
    help_requests: Mapping[str, HelpRequest] = EMPTY
    """By their key."""

    @property
    def credits(self) -> dict[str, Decimal]:
        """Who is credited with which part; the owner with the remainder."""
        shares = {c.person: c.credit for c in self.collaborators.values() if c.credit}
        if self.owner is not None:
            rest = max(WHOLE - sum(shares.values(), NOTHING), NOTHING)
            shares[self.owner] = shares.get(self.owner, NOTHING) + rest
        return shares

    def _evolve_people(self, fact: PeopleFact, _: Event) -> None:
        match fact:
            case OwnerAssigned():
                self.owner = fact.owner
            case CollaboratorJoined(person=person):
                joined = Collaborator(person, fact.department, fact.role, fact.credit)
                self.collaborators = with_item(self.collaborators, person, joined)
            case CollaboratorLeft():
                self.collaborators = without(self.collaborators, fact.person)
            case CustomerChanged():
                self.customer_id = fact.customer_id
            case MessagePosted():
                self.messages = appended(self.messages, fact)
            case HelpRequested(request=key):
                asked = HelpRequest(key, fact.question, fact.department, given=False)
                self.help_requests = with_item(self.help_requests, key, asked)
            case HelpGiven(request=key):
                if key in self.help_requests:
                    given = self.help_requests[key]._replace(given=True, by=fact.by)
                    self.help_requests = with_item(self.help_requests, key, given)
            case _:
                assert_never(fact)


class People(DealCommands, PeopleState):
    """Who takes a deal over, joins it, helps with it."""

    def assign_owner(
        self,
        owner: str,
        *,
        because: str | None = None,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Hand the deal to a rep, perhaps from a later day."""
        starts = self._effective(effective_from)
        fact = OwnerAssigned(owner=owner, because=because, effective_from=starts)
        if self._planned(occurred_at, starts).owner == fact.owner:
            raise RuleError(f"deal {self.id} is owned by {quoted(owner)} already")
        self._record(fact, occurred_at)

    def add_collaborator(
        self,
        person: str,
        *,
        department: str | None = None,
        role: str | None = None,
        credit: Decimal | str = NOTHING,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Bring somebody in, with a share of the credit; again to change role or share."""
        starts = self._effective(effective_from)
        then = self._planned(occurred_at, starts)
        person, share = trimmed(person), number(credit)
        if then.owner == person:
            raise RuleError(
                f"{quoted(person)} owns deal {self.id} and is credited with the rest"
            )
        for state in [then, *self._as_planned(then, person)]:
            others = [c.credit for c in state.collaborators.values() if c.person != person]
            given = sum(others, share)
            if given > WHOLE:
                raise RuleError(
                    f"the collaborators of deal {self.id} would share {given:%}; there is no"
                    " more than the whole"
                )
        self._record(
            CollaboratorJoined(
                person=person,
                department=department,
                role=role,
                credit=share,
                effective_from=starts,
            ),
            occurred_at,
        )

    def remove_collaborator(
        self,
        person: str,
        *,
        because: str | None = None,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note that somebody no longer works on it."""
        starts = self._effective(effective_from)
        person = trimmed(person)
        if person not in self._planned(occurred_at, starts).collaborators:
            raise RuleError(f"{quoted(person)} does not work on deal {self.id}")
        fact = CollaboratorLeft(person=person, because=because, effective_from=starts)
        self._record(fact, occurred_at)

    def change_customer(
        self, customer: Customer | UUID, *, because: str, occurred_at: OccurredAt = None
    ) -> None:
        """Say whose deal it really is."""
        customer_id = customer.id if isinstance(customer, Customer) else customer
        if self._at(occurred_at).customer_id == customer_id:
            raise RuleError(f"deal {self.id} is with customer {customer_id} already")
        fact = CustomerChanged(
            customer_id=customer_id, because=require_reason(because, "changing the customer")
        )
        self._record(fact, occurred_at)

    def post_message(
        self,
        text: str,
        *,
        by: str | None = None,
        to: tuple[str, ...] = (),
        occurred_at: OccurredAt = None,
    ) -> None:
        """Write to the team."""
        self._record(
            MessagePosted(text=require_text(text, "a message"), by=by, to=to), occurred_at
        )

    def request_help(
        self,
        question: str,
        *,
        department: str | None = None,
        by: str | None = None,
        request: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> str:
        """Ask for help; gives the key under which somebody answers."""
        taken = {e.fact.request for e in self._log if isinstance(e.fact, HelpRequested)}
        if request in taken:
            raise RuleError(f"deal {self.id} has a request {quoted(request)} already")
        key = self._fresh_key("H", taken) if request is None else trimmed(request)
        self._record(
            HelpRequested(
                request=key,
                question=require_text(question, "a question"),
                by=by,
                department=department,
            ),
            occurred_at,
        )
        return key

    def give_help(
        self,
        request: str,
        *,
        answer: str,
        by: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Answer a call for help; others may add to it."""
        if request not in self._at(occurred_at).help_requests:
            raise RuleError(f"nobody asked for {quoted(request)} on deal {self.id}")
        self._record(HelpGiven(request=request, answer=answer, by=by), occurred_at)

    def _as_planned(self, then: Self, person: str) -> Iterator[Self]:
        """Yield the deal as it is to be after each plan, until one is about this person."""
        plans = (CollaboratorJoined, CollaboratorLeft, OwnerAssigned)
        for event in self._history:
            if event.effective > then._as_of and isinstance(event.fact, plans):
                if getattr(event.fact, "person", None) == person:
                    return
                yield self._until(event.effective, untimed=True)
