"""The customer: somebody deals are made with, from prospect to loyal customer.

Prospect, qualified and loyal are judgements somebody recorded; that a prospect became a
customer is derived from the first standing won deal, so no fact here says it. Contact people
are persons: their names are personal and can be erased.
"""

from collections.abc import Mapping, Set
from datetime import date
from typing import ClassVar, Final, Literal, NamedTuple, Self, assert_never, get_args
from uuid import UUID, uuid4

from salesflow.domain.aggregate import Aggregate, OccurredAt
from salesflow.domain.arguments import require_reason
from salesflow.domain.event import Event, Fact
from salesflow.domain.state import EMPTY, OpenedState, with_item, with_member, without
from salesflow.domain.values import Day, Flag, Name, Personal, Reason, SafeReason, SafeText
from salesflow.domain.wording import Message
from salesflow.errors import InputError, NotFoundError, RuleError

__all__ = [
    "ContactPerson",
    "ContactPersonAdded",
    "ContactPersonUpdated",
    "Customer",
    "CustomerFact",
    "CustomerMarkedLoyal",
    "CustomerMerged",
    "CustomerQualified",
    "CustomerRegistered",
    "CustomerState",
    "CustomerUnmerged",
    "PersonErased",
    "Standing",
]

Standing = Literal["prospect", "qualified", "loyal"]
BEFORE_REGISTERING: Final = Message("before the customer was registered")


class CustomerRegistered(Fact):
    """A customer came into the books, perhaps long after becoming one (`customer_since`)."""

    kind: ClassVar[str] = "customer.registered"
    name_zh: ClassVar[str] = "客户建档"
    is_opening: ClassVar[bool] = True
    name: Name | None = None
    natural_person: Flag = False
    customer_since: Day | None = None
    segment: SafeText | None = None
    region: SafeText | None = None


class CustomerQualified(Fact):
    """Somebody judged that this prospect has shown interest."""

    kind: ClassVar[str] = "customer.qualified"
    name_zh: ClassVar[str] = "意向客户"
    because: Reason | None = None


class CustomerMarkedLoyal(Fact):
    """Somebody judged that this customer is loyal."""

    kind: ClassVar[str] = "customer.marked_loyal"
    name_zh: ClassVar[str] = "忠诚客户"
    because: Reason | None = None


class ContactPersonAdded(Fact):
    """Somebody at the customer became known to us."""

    kind: ClassVar[str] = "customer.contact_person_added"
    name_zh: ClassVar[str] = "新增联系人"
    person_id: UUID
    name: Name | None = None
    position: Personal | None = None
    email: Personal | None = None
    phone: Personal | None = None


class ContactPersonUpdated(Fact):
    """What we know of a contact person changed; what is not named stays as it was."""

    kind: ClassVar[str] = "customer.contact_person_updated"
    name_zh: ClassVar[str] = "更新联系人"
    person_id: UUID
    name: Name | None = None
    position: Personal | None = None
    email: Personal | None = None
    phone: Personal | None = None


class CustomerMerged(Fact):
    """Two entries are the same customer; while this stands, deals count for the survivor."""

    kind: ClassVar[str] = "customer.merged"
    name_zh: ClassVar[str] = "客户合并"
    into: UUID
    because: Reason | None = None


class CustomerUnmerged(Fact):
    """They are two customers after all; each has its own deals again."""

    kind: ClassVar[str] = "customer.unmerged"
    name_zh: ClassVar[str] = "取消客户合并"
    because: Reason | None = None


class PersonErased(Fact):
    """A person's data was erased at their request; what remains names nobody."""

    kind: ClassVar[str] = "customer.person_erased"
    name_zh: ClassVar[str] = "个人信息删除"
    person_id: UUID
    because: SafeReason | None = None


CustomerFact = (
    CustomerRegistered
    | CustomerQualified
    | CustomerMarkedLoyal
    | ContactPersonAdded
    | ContactPersonUpdated
    | CustomerMerged
    | CustomerUnmerged
    | PersonErased
)


class ContactPerson(NamedTuple):
    """Somebody at the customer, as known; all None once erased."""

    person_id: UUID
    name: str | None = None
    position: str | None = None
    email: str | None = None
    phone: str | None = None


class CustomerState(OpenedState):
    """What is so of one customer by now."""

    name: str | None = None
    natural_person: bool = False
    customer_since: date | None = None
    segment: str | None = None
    region: str | None = None
    standing: Standing = "prospect"
    people: Mapping[UUID, ContactPerson] = EMPTY
    """The contact people by their id."""
    merged_into: UUID | None = None
    """The customer it is the same as; None while it stands on its own."""
    erased: Set[UUID] = frozenset()
    """The people who were erased."""

    def _change(self, event: Event, opening: Event) -> Message | None:
        fact: CustomerFact = event.fact  # type: ignore[assignment]
        is_open = isinstance(opening.fact, CustomerRegistered)
        if not is_open or event.occurred < opening.occurred:
            return BEFORE_REGISTERING
        match fact:
            case CustomerRegistered():
                return self._register(fact, event, opening)
            case CustomerQualified():
                self.standing = "qualified" if self.standing == "prospect" else self.standing
            case CustomerMarkedLoyal():
                self.standing = "loyal"
            case ContactPersonAdded():
                self._set_person(fact, ContactPerson(fact.person_id))
            case ContactPersonUpdated():
                self._set_person(fact, self.people.get(fact.person_id))
            case CustomerMerged():
                self.merged_into = fact.into
            case CustomerUnmerged():
                self.merged_into = None
            case PersonErased():
                self._erase(fact.person_id, event.stream_id)
            case _:
                assert_never(fact)
        return None

    def _register(
        self, fact: CustomerRegistered, event: Event, opening: Event
    ) -> Message | None:
        if event is not opening:
            return Message("the customer was registered before")
        self.name, self.natural_person = fact.name, fact.natural_person
        self.customer_since = fact.customer_since
        self.segment, self.region = fact.segment, fact.region
        return None

    def _set_person(
        self, fact: ContactPersonAdded | ContactPersonUpdated, before: ContactPerson | None
    ) -> None:
        if before is None or fact.person_id in self.erased:
            return
        person = ContactPerson(
            fact.person_id,
            fact.name or before.name,
            fact.position or before.position,
            fact.email or before.email,
            fact.phone or before.phone,
        )
        self.people = with_item(self.people, fact.person_id, person)

    def _erase(self, person_id: UUID, customer_id: UUID) -> None:
        self.erased = with_member(self.erased, person_id)
        self.people = without(self.people, person_id)
        self.name = None if person_id == customer_id else self.name


class Customer(Aggregate, CustomerState):
    """One customer, or somebody who may become one."""

    noun: ClassVar[str] = "customer"
    facts: ClassVar[tuple[type[Fact], ...]] = get_args(CustomerFact)

    @classmethod
    def register(
        cls,
        *,
        name: str,
        natural_person: bool = False,
        customer_since: date | None = None,
        segment: str | None = None,
        region: str | None = None,
        occurred_at: OccurredAt = None,
        id: UUID | None = None,
    ) -> Self:
        """Take a customer into the books, perhaps one of long ago."""
        if not name.strip():
            raise InputError("a customer needs a name")
        self = cls.new(id)
        self._record(
            CustomerRegistered(
                name=name,
                natural_person=natural_person,
                customer_since=customer_since,
                segment=segment,
                region=region,
            ),
            occurred_at,
        )
        return self

    def qualify(self, *, because: str, occurred_at: OccurredAt = None) -> None:
        """Say that this prospect has shown interest, and how."""
        if self._at(occurred_at).standing != "prospect":
            raise RuleError(f"customer {self.id} is {self.standing} already")
        self._record(
            CustomerQualified(because=require_reason(because, "qualifying")), occurred_at
        )

    def mark_loyal(self, *, because: str, occurred_at: OccurredAt = None) -> None:
        """Say that this customer is loyal, and what shows it."""
        if self._at(occurred_at).standing == "loyal":
            raise RuleError(f"customer {self.id} is loyal already")
        self._record(
            CustomerMarkedLoyal(because=require_reason(because, "loyalty")), occurred_at
        )

    def add_person(
        self,
        *,
        name: str,
        position: str | None = None,
        email: str | None = None,
        phone: str | None = None,
        person_id: UUID | None = None,
        occurred_at: OccurredAt = None,
    ) -> UUID:
        """Note somebody at the customer; gives the id to name them by."""
        person_id = person_id or uuid4()
        if person_id in self.people or person_id in self.erased:
            raise RuleError(f"person {person_id} is known at customer {self.id} already")
        self._record(
            ContactPersonAdded(
                person_id=person_id, name=name, position=position, email=email, phone=phone
            ),
            occurred_at,
        )
        return person_id

    def update_person(
        self,
        person_id: UUID,
        *,
        name: str | None = None,
        position: str | None = None,
        email: str | None = None,
        phone: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Correct what is known of a contact person; what is not named stays."""
        self._at(occurred_at)._known_person(person_id)
        if not any([name, position, email, phone]):
            raise InputError("name at least one thing that changed")
        self._record(
            ContactPersonUpdated(
                person_id=person_id, name=name, position=position, email=email, phone=phone
            ),
            occurred_at,
        )

    def erase_person(
        self, person_id: UUID, *, because: str | None = None, occurred_at: OccurredAt = None
    ) -> None:
        """Record that a person (or this customer, when it is one) was erased."""
        if person_id != self.id:
            self._at(occurred_at)._known_person(person_id)
        elif not self.natural_person:
            raise RuleError(f"customer {self.id} is not a natural person")
        if because is not None:
            require_reason(because, "an erasure that names one")
        self._record(PersonErased(person_id=person_id, because=because), occurred_at)

    def merge_into(
        self, survivor: Self, *, because: str, occurred_at: OccurredAt = None
    ) -> None:
        """Say that this entry and another are the same customer; the other survives."""
        if survivor.id == self.id:
            raise RuleError(f"customer {self.id} cannot be merged into itself")
        for each in (self._at(occurred_at), survivor._at(occurred_at)):
            if each.merged_into is not None:
                raise RuleError(f"customer {each.id} is merged into {each.merged_into}")
        require_reason(because, "a merge")
        self._record(CustomerMerged(into=survivor.id, because=because), occurred_at)

    def unmerge(self, *, because: str, occurred_at: OccurredAt = None) -> None:
        """Say that they are two customers after all."""
        if self._at(occurred_at).merged_into is None:
            raise RuleError(f"customer {self.id} is not merged")
        self._record(
            CustomerUnmerged(because=require_reason(because, "unmerging")), occurred_at
        )

    def _known_person(self, person_id: UUID) -> ContactPerson:
        found = self.people.get(person_id)
        if found is None:
            raise NotFoundError(f"customer {self.id} has no contact person {person_id}")
        return found
