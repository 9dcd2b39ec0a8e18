"""People: who owns the deal, who works on it, who helps, and whose deal it is.

The owner is credited with what the collaborators leave over; their shares never add up to
more than the whole. Changes of people may be planned ahead with `effective_from`. What one
owner hands over to the next may be told before or after the deal is theirs: it belongs to
their ownership of that time, or to the next one.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar, NamedTuple, Self, assert_never
from uuid import UUID

from salesflow.domain.aggregate import OccurredAt, is_untimed
from salesflow.domain.alike_names import perhaps
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
from salesflow.errors import InputError, RuleError

__all__ = [
    "Collaborator",
    "CollaboratorJoined",
    "CollaboratorLeft",
    "CustomerChanged",
    "DealHandedOver",
    "FurtherAnswer",
    "HandoverAcknowledged",
    "HelpGiven",
    "HelpRequest",
    "HelpRequested",
    "MeetingHeld",
    "MessagePosted",
    "OwnerAssigned",
    "OwnerHandover",
    "People",
    "PeopleFact",
    "PeopleState",
]

NOTHING = Decimal(0)
WHOLE = Decimal(1)
BOTH = 2
"""It takes two to meet."""


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
    """Somebody wrote about the deal, to the whole team where nobody is named."""

    kind: ClassVar[str] = "deal.message_posted"
    name_zh: ClassVar[str] = "即时通讯"
    text: Personal | None = None
    by: Reference | None = None
    to: tuple[Reference, ...] = ()
    channel: Reference | None = None
    """chat, email, call, or whatever the house calls it."""


class MeetingHeld(Fact):
    """We met among ourselves about the deal; a meeting with the customer is a contact."""

    kind: ClassVar[str] = "deal.meeting_held"
    name_zh: ClassVar[str] = "内部会议"
    participants: tuple[Reference, ...] = ()
    departments: tuple[SafeText, ...] = ()
    """The departments that took part."""
    subject: Personal | None = None
    """What it was about."""
    decided: Personal | None = None
    """What was decided."""


class HelpRequested(Fact):
    """Somebody asked for help with the deal; it stays open until somebody gives it."""

    kind: ClassVar[str] = "deal.help_requested"
    name_zh: ClassVar[str] = "求助"
    request: Reference
    question: Personal | None = None
    by: Reference | None = None
    department: SafeText | None = None
    """The department that was asked."""


class HelpGiven(Fact):
    """Somebody helped."""

    kind: ClassVar[str] = "deal.help_given"
    name_zh: ClassVar[str] = "协助"
    request: Reference
    answer: Personal | None = None
    by: Reference | None = None


class DealHandedOver(Fact):
    """What there was to hand over to a new owner was handed over."""

    kind: ClassVar[str] = "deal.handed_over"
    name_zh: ClassVar[str] = "商机交接"
    to: Reference
    open_tasks: tuple[Personal, ...] = ()
    """What is still to be done."""
    promises: tuple[Personal, ...] = ()
    """What was promised to the customer."""
    contact_people: tuple[UUID, ...] = ()
    """Ids of contact people of the customer: those the new owner was introduced to."""
    note: Personal | None = None
    by: Reference | None = None


class HandoverAcknowledged(Fact):
    """The new owner has what they need, and takes it from here."""

    kind: ClassVar[str] = "deal.handover_acknowledged"
    name_zh: ClassVar[str] = "确认接手"
    by: Reference
    """The new owner."""
    note: Personal | None = None


PeopleFact = (
    OwnerAssigned
    | CollaboratorJoined
    | CollaboratorLeft
    | CustomerChanged
    | MessagePosted
    | MeetingHeld
    | HelpRequested
    | HelpGiven
    | DealHandedOver
    | HandoverAcknowledged
)


class Collaborator(NamedTuple):
    """Somebody who works on the deal beside its owner."""

    person: str
    department: str | None
    role: str | None
    credit: Decimal


class FurtherAnswer(NamedTuple):
    """What somebody added to the first answer to a call for help."""

    by: str | None
    answer: str | None


class HelpRequest(NamedTuple):
    """A call for help, and who answered it."""

    key: str
    question: str | None
    department: str | None
    given: bool
    by: str | None = None
    """Who gave it first."""
    asked_by: str | None = None
    answer: str | None = None
    further: tuple[FurtherAnswer, ...] = ()
    """What others added, in order."""


class OwnerHandover(NamedTuple):
    """A deal went from one owner to another, and what was handed over with it."""

    former: str
    owner: str
    because: str | None
    handed_over: DealHandedOver | None = None
    """None while nothing was."""
    acknowledged: bool = False
    """Whether the new owner said that they have what they need."""


def _answered(asked: HelpRequest, fact: HelpGiven) -> HelpRequest:
    """Return a call for help with one more answer; the first one stays the first."""
    if not asked.given:
        return asked._replace(given=True, by=fact.by, answer=fact.answer)
    return asked._replace(further=(*asked.further, FurtherAnswer(fact.by, fact.answer)))


class PeopleState(DealCore):
    """Who works on a deal, and for whom; owner and customer stand in `DealCore`."""

    collaborators: Mapping[str, Collaborator] = EMPTY
    """By person."""
    messages: Sequence[MessagePosted] = ()
    meetings: Sequence[MeetingHeld] = ()
    """Those among ourselves."""
    help_requests: Mapping[str, HelpRequest] = EMPTY
    """By their key."""
    handovers: Sequence[OwnerHandover] = ()
    """From owner to owner; the last one is that to whoever owns it now."""
    _handed_ahead: Mapping[str, DealHandedOver] = EMPTY
    """What was handed over to somebody before the deal is theirs."""

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
                self._hand_to(fact)
            case CollaboratorJoined(person=person):
                joined = Collaborator(person, fact.department, fact.role, fact.credit)
                self.collaborators = with_item(self.collaborators, person, joined)
            case CollaboratorLeft():
                self.collaborators = without(self.collaborators, fact.person)
            case CustomerChanged():
                self.customer_id = fact.customer_id
            case MessagePosted():
                self.messages = appended(self.messages, fact)
            case MeetingHeld():
                self.meetings = appended(self.meetings, fact)
            case HelpRequested(request=key):
                asked = HelpRequest(
                    *(key, fact.question, fact.department, False, None, fact.by),
                )
                self.help_requests = with_item(self.help_requests, key, asked)
            case HelpGiven(request=key):
                if key in self.help_requests:
                    given = _answered(self.help_requests[key], fact)
                    self.help_requests = with_item(self.help_requests, key, given)
            case DealHandedOver(to=owner) if self.owner == owner:
                self._note_handover(handed_over=fact)
            case DealHandedOver(to=owner):
                self._handed_ahead = with_item(self._handed_ahead, owner, fact)
            case HandoverAcknowledged():
                if self.owner == fact.by:
                    self._note_handover(acknowledged=True)
            case _:
                assert_never(fact)

    def _hand_to(self, fact: OwnerAssigned) -> None:
        former, owner = self.owner, fact.owner
        self.owner = owner
        if former == owner:
            return
        ahead = self._handed_ahead.get(owner)
        self._handed_ahead = without(self._handed_ahead, owner)
        if former is not None:
            handover = OwnerHandover(former, owner, fact.because, ahead)
            self.handovers = appended(self.handovers, handover)

    def _note_handover(self, **noted: object) -> None:
        """Note something of the last hand-over; there is none to the first owner."""
        if self.handovers:
            last = self.handovers[-1]._replace(**noted)  # type: ignore[arg-type]
            self.handovers = [*self.handovers[:-1], last]


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

    def hand_over(
        self,
        *,
        to: str | None = None,
        open_tasks: tuple[str, ...] = (),
        promises: tuple[str, ...] = (),
        contact_people: tuple[UUID, ...] = (),
        note: str | None = None,
        by: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Hand over what is open, promised and known to the owner who follows.

        To whoever owns the deal then, unless somebody is named who is to own it later.
        """
        then = self._at(occurred_at)
        owner = then.owner if to is None else trimmed(to)
        if owner is None:
            raise RuleError(f"deal {self.id} has no owner; say whom it is handed over to")
        if owner == then.owner and not then.handovers:
            raise RuleError(
                f"{quoted(owner)} is the first owner of deal {self.id}; say in `to` who is to"
                " own it, or assign the new owner first"
            )
        if not any((open_tasks, promises, contact_people, (note or "").strip())):
            raise InputError(
                "say what is handed over: open tasks, promises, people or a note; that there"
                " is nothing open is a note too"
            )
        fact = DealHandedOver(
            to=owner,
            open_tasks=open_tasks,
            promises=promises,
            contact_people=contact_people,
            note=note,
            by=by,
        )
        self._record(fact, occurred_at)

    def acknowledge_handover(
        self,
        *,
        by: str | None = None,
        note: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Say as the new owner that you have what you need."""
        then = self._at(occurred_at)
        owner = then.owner if by is None else trimmed(by)
        if owner is None or owner != then.owner:
            raise RuleError(
                f"deal {self.id} is owned by {quoted(then.owner or 'nobody')} then; only the"
                " new owner acknowledges what was handed over"
            )
        if not then.handovers:
            raise RuleError(
                f"{quoted(owner)} is the first owner of deal {self.id}; nobody had it before"
            )
        if then.handovers[-1].acknowledged:
            raise RuleError(f"{quoted(owner)} has acknowledged it already")
        self._record(HandoverAcknowledged(by=owner, note=note), occurred_at)

    def add_collaborator(
        self,
        person: str,
        *,
        department: str | None = None,
        role: str | None = None,
        credit: Decimal | str | None = None,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Bring somebody in, with a share of the credit; again to change role or share.

        What is not named stays as it is, and is nothing of somebody new.
        """
        starts = self._effective(effective_from)
        then = self._planned(occurred_at, starts)
        person, share = trimmed(person), None if credit is None else number(credit)
        if then.owner == person:
            raise RuleError(
                f"{quoted(person)} owns deal {self.id} and is credited with the rest"
            )
        named = {"department": department, "role": role, "credit": share}
        fact = then._as_joined(person, named, starts)
        for state in [then, *self._as_planned(then, person)]:
            state._ensure_room_for(fact)
        self._record(fact, occurred_at)

    def _as_joined(
        self, person: str, named: Mapping[str, object], starts: datetime | None
    ) -> CollaboratorJoined:
        """Return how somebody joins; what is not named stays as it is. Refuse no change."""
        before = self.collaborators.get(person)
        stays = {name: getattr(before, name, None) for name in named}
        its = {n: stays[n] if it is None else it for n, it in named.items()}
        fact = CollaboratorJoined.model_validate(
            {"person": person, "effective_from": starts}
            | {name: it for name, it in its.items() if it is not None}
        )
        if before == Collaborator(person, fact.department, fact.role, fact.credit):
            raise RuleError(
                f"{quoted(person)} works on deal {self.id} already, with that role and share"
            )
        return fact

    def _ensure_room_for(self, fact: CollaboratorJoined) -> None:
        """Refuse shares that are more than the whole together."""
        others = (c.credit for c in self.collaborators.values() if c.person != fact.person)
        given = sum(others, fact.credit)
        if given > WHOLE:
            raise RuleError(
                f"the collaborators of deal {self.id} would share {given:%}; there is no"
                " more than the whole"
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
        channel: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Write to the team, or to some of it."""
        fact = MessagePosted(
            text=require_text(text, "a message"), by=by, to=to, channel=channel
        )
        self._record(fact, occurred_at)

    def hold_meeting(
        self,
        *,
        participants: tuple[str, ...],
        departments: tuple[str, ...] = (),
        subject: str | None = None,
        decided: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note that we met among ourselves: who, what about, and what was decided."""
        if len({*map(trimmed, participants)}) + len(departments) < BOTH:
            raise InputError(
                "name at least two participants, or one and the other's department"
            )
        fact = MeetingHeld(
            participants=participants,
            departments=departments,
            subject=subject,
            decided=decided,
        )
        self._record(fact, occurred_at)

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
        fact = HelpGiven(request=request, answer=require_text(answer, "an answer"), by=by)
        if fact.request not in self._at(occurred_at).help_requests:
            raise RuleError(self._not_asked(fact.request))
        self._record(fact, occurred_at)

    def _not_asked(self, request: str) -> str:
        """Say that nobody asked for something by a time, and what else was asked for, when."""
        asked = {
            event.fact.request: event
            for event in self._history
            if isinstance(event.fact, HelpRequested)
        }
        said = f"nobody asked for {quoted(request)} on deal {self.id}"
        if request in asked and is_untimed(asked[request]):
            return f"{said} by that time; it is asked for when that is recorded"
        if request in asked:
            at = asked[request].occurred_at
            if self._context.knows_days:
                at = at.astimezone(self._context.timezone)
            return f"{said} by that time; it was asked for at {at:%Y-%m-%d %H:%M}"
        return f"{said}{perhaps(request, asked)}; asked for: {', '.join(asked) or 'nothing'}"

    def _as_planned(self, then: Self, person: str) -> Iterator[Self]:
        """Yield the deal as it is to be after each plan, until one is about this person."""
        plans = (CollaboratorJoined, CollaboratorLeft, OwnerAssigned)
        for event in self._history:
            if event.effective > then._as_of and isinstance(event.fact, plans):
                if getattr(event.fact, "person", None) == person:
                    return
                yield self._until(event.effective, untimed=True)
