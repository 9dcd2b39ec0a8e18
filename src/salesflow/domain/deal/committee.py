"""The buying committee: who at the customer has a say, in which role, and for or against us.

A person is named by an opaque id, as contact people of customers are; what they are called is
personal. Whom a decision process names by id belongs to the committee too, until that process
is mapped anew without them. A contact that names somebody by id is their last one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final, Literal, NamedTuple, assert_never, get_args
from uuid import UUID, uuid4

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.deal.activities import (
    Activities,
    ActivityFact,
    ActivityState,
    ContactLogged,
    DecisionMaker,
    DecisionProcessMapped,
)
from salesflow.domain.event import Event, Fact
from salesflow.domain.state import EMPTY, with_item, without
from salesflow.domain.values import Name, Personal, Reason
from salesflow.errors import InputError, RuleError

__all__ = [
    "COMMITTEE_ROLES",
    "Committee",
    "CommitteeFact",
    "CommitteeMember",
    "CommitteeMemberIdentified",
    "CommitteeMemberLeft",
    "CommitteeRole",
    "CommitteeState",
    "Stance",
    "StanceObserved",
    "changed_members",
    "roles_nobody_fills",
]


CommitteeRole = Literal[
    "economic_buyer", "decision_maker", "champion", "influencer", "user", "gatekeeper", "other"
]
"""`economic_buyer`: releases the money; `decision_maker`: says yes or no; `champion`: sells for
us inside; `influencer`: is asked for an opinion; `user`: will work with it; `gatekeeper`:
decides who gets through, as buyers and lawyers do."""
Stance = Literal["supporter", "neutral", "opponent", "unknown"]
COMMITTEE_ROLES: Final[tuple[CommitteeRole, ...]] = get_args(CommitteeRole)[:-1]
"""The roles that a committee is looked through for; `other` is none that anybody misses."""


class CommitteeMemberIdentified(Fact):
    """Somebody at the customer has a say; named again, what is said replaces what was known."""

    kind: ClassVar[str] = "deal.committee_member_identified"
    name_zh: ClassVar[str] = "识别采购委员会成员"
    person_id: UUID
    """The id of the contact person at the customer."""
    name: Name | None = None
    roles: tuple[CommitteeRole, ...] = ()
    """In which role; one person often has several."""
    stance: Stance | None = None
    """Whether they are for us."""
    note: Personal | None = None


class StanceObserved(Fact):
    """It became clear whether somebody on the committee is for us."""

    kind: ClassVar[str] = "deal.stance_observed"
    name_zh: ClassVar[str] = "了解成员立场"
    person_id: UUID
    """The id of the contact person at the customer."""
    stance: Stance
    """Whether they are for us."""
    because: Reason | None = None


class CommitteeMemberLeft(Fact):
    """Somebody has no say any more: another post, another firm."""

    kind: ClassVar[str] = "deal.committee_member_left"
    name_zh: ClassVar[str] = "成员退出采购委员会"
    person_id: UUID
    """The id of the contact person at the customer."""
    because: Reason | None = None


CommitteeFact = CommitteeMemberIdentified | StanceObserved | CommitteeMemberLeft


class CommitteeMember(NamedTuple):
    """Somebody at the customer who has a say in the purchase, as known."""

    person_id: UUID
    name: str | None = None
    roles: tuple[CommitteeRole, ...] = ()
    stance: Stance = "unknown"
    last_contact: datetime | None = None
    """When they last took part in a contact that names them by id; None for never."""
    only_mapped: bool = False
    """Whether nothing but the decision process names them."""


Changed = Iterator[tuple[UUID, CommitteeMember | None]]
"""A member from now on; None for somebody who is none any more."""


def changed_members(
    members: Mapping[UUID, CommitteeMember],
    contacted: Mapping[UUID, datetime | None],
    fact: Fact,
) -> Changed:
    """Yield what a fact changes in a committee, for the state of a deal and for read tables.

    `contacted` says when each person took part in a contact last, this fact included.
    """
    match fact:
        case ContactLogged():
            for person in fact.contact_people or ():
                if person in members:
                    known = members[person]._replace(last_contact=contacted.get(person))
                    yield person, known
        case DecisionProcessMapped():
            yield from _mapped(members, contacted, fact.people)
        case CommitteeMemberIdentified(person_id=person):
            known = members.get(person) or _new(person, contacted)
            yield (
                person,
                known._replace(
                    name=fact.name or known.name,
                    roles=tuple(dict.fromkeys(fact.roles)) or known.roles,
                    stance=fact.stance or known.stance,
                    only_mapped=False,
                ),
            )
        case StanceObserved(person_id=person):
            known = members.get(person) or _new(person, contacted)
            yield person, known._replace(stance=fact.stance, only_mapped=False)
        case CommitteeMemberLeft(person_id=person):
            yield person, None
        case _:
            pass  # no other fact is about the committee


def roles_nobody_fills(members: Iterable[CommitteeMember]) -> list[CommitteeRole]:
    """Return the roles that no member has."""
    filled = {role for member in members for role in member.roles}
    return [role for role in COMMITTEE_ROLES if role not in filled]


def _new(person: UUID, contacted: Mapping[UUID, datetime | None]) -> CommitteeMember:
    return CommitteeMember(person, last_contact=contacted.get(person))


def _mapped(
    members: Mapping[UUID, CommitteeMember],
    contacted: Mapping[UUID, datetime | None],
    people: Iterable[DecisionMaker],
) -> Changed:
    """Yield whom a map of the decision process adds, and whom an earlier map alone named."""
    named = {each.person_id: each for each in people if each.person_id is not None}
    for person, member in members.items():
        if member.only_mapped and person not in named:
            yield person, None
    for person, each in named.items():
        known = members.get(person) or _new(person, contacted)._replace(only_mapped=True)
        role = [role for role in get_args(CommitteeRole) if role == each.role]
        yield (
            person,
            known._replace(name=known.name or each.name, roles=known.roles or tuple(role)),
        )


class CommitteeState(ActivityState):
    """Who at the customer has a say in a deal; contacts and the decision process tell of it."""

    committee: Mapping[UUID, CommitteeMember] = EMPTY
    """By the id of the person, in the order in which they became known."""
    _contacted: Mapping[UUID, datetime | None] = EMPTY
    """When each person took part in a contact last, whether they have a say or not."""

    @property
    def roles_unfilled(self) -> Sequence[CommitteeRole]:
        """The roles that nobody known on the committee has; none while nobody is known."""
        return roles_nobody_fills(self.committee.values()) if self.committee else []

    def _evolve_activities(self, fact: ActivityFact, event: Event) -> None:
        super()._evolve_activities(fact, event)
        match fact:
            case ContactLogged(contact_people=people) if people:
                for person in people:
                    self._contacted = with_item(self._contacted, person, self._time(event))
                self._change_committee(fact)
            case DecisionProcessMapped():
                self._change_committee(fact)
            case _:
                pass  # no other activity is about people on their side

    def _evolve_committee(self, fact: CommitteeFact, _: Event) -> None:
        match fact:
            case CommitteeMemberIdentified() | StanceObserved() | CommitteeMemberLeft():
                self._change_committee(fact)
            case _:
                assert_never(fact)

    def _change_committee(self, fact: Fact) -> None:
        for person, member in [*changed_members(self.committee, self._contacted, fact)]:
            if member is None:
                self.committee = without(self.committee, person)
            else:
                self.committee = with_item(self.committee, person, member)


class Committee(Activities, CommitteeState):
    """What a rep learns of the people who decide."""

    def identify_committee_member(
        self,
        name: str | None = None,
        *,
        person_id: UUID | None = None,
        roles: tuple[CommitteeRole, ...] = (),
        stance: Stance | None = None,
        note: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> UUID:
        """Note who has a say; gives the id to name them by.

        Name them by the id of the contact person where there is one. Named again, what is said
        replaces what was known of them.
        """
        if person_id is None and not (name or "").strip():
            raise InputError("name who has a say, or say the id of the contact person")
        said = (name, roles, stance, note)
        if person_id in self._at(occurred_at).committee and not any(said):
            raise InputError("say what is new of them: a role, a stance, a name or a note")
        person = uuid4() if person_id is None else person_id
        fact = CommitteeMemberIdentified(
            person_id=person, name=name, roles=roles, stance=stance, note=note
        )
        self._record(fact, occurred_at)
        return person

    def observe_stance(
        self,
        person_id: UUID,
        stance: Stance,
        *,
        because: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note whether somebody on the committee is for us, and what showed it."""
        member = self._at(occurred_at)._member(person_id)
        if member.stance == stance:
            raise RuleError(
                f"person {person_id} is known as {stance} on deal {self.id} already"
            )
        fact = StanceObserved(person_id=person_id, stance=stance, because=because)
        self._record(fact, occurred_at)

    def remove_committee_member(
        self, person_id: UUID, *, because: str | None = None, occurred_at: OccurredAt = None
    ) -> None:
        """Note that somebody has no say any more."""
        self._at(occurred_at)._member(person_id)
        self._record(CommitteeMemberLeft(person_id=person_id, because=because), occurred_at)

    def _member(self, person_id: UUID) -> CommitteeMember:
        found = self.committee.get(person_id)
        if found is None:
            known = ", ".join(map(str, self.committee)) or "nobody"
            raise RuleError(
                f"person {person_id} is not on the committee of deal {self.id}; known are"
                f" {known}; identify them first"
            )
        return found
