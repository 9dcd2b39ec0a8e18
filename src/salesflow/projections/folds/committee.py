"""Who at the customer has a say: a row per deal and person, with role, stance, last contact.

Answers "who decides, are they for us, and when did we last meet them?" for any moment; how far
committees are covered is counted on these rows. A row ends when somebody has no say any more.
Leaves out what people are called, which is personal.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, get_args
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.deal.activities import ContactLogged, DecisionProcessMapped
from salesflow.domain.deal.committee import CommitteeFact, CommitteeMember, changed_members
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.deal.state import DealSummary
from salesflow.domain.event import Event
from salesflow.domain.time import to_instant
from salesflow.projections.table import (
    Change,
    CopyableRows,
    Instants,
    IntervalFold,
    IntervalTable,
    OnState,
    Row,
)

__all__ = ["COMMITTEE", "COMMITTEES"]

COMMITTEE: Final = IntervalTable(
    "committee",
    1,
    keys=(sa.Column("person_id", sa.String(36)),),
    attributes=(
        sa.Column("roles", sa.String(100)),
        sa.Column("stance", sa.String(10)),
        sa.Column("last_contact", Instants),
    ),
)
"""`person_id` is the text of the id, `roles` are words of `CommitteeRole`, a space between two;
`last_contact` is the instant of the last contact that names the person by id, null where there
was none."""


class CommitteeRows(CopyableRows):
    """The committee of one deal as it becomes known."""

    __slots__ = ("_contacted", "_members")

    def __init__(self) -> None:
        self._members: dict[UUID, CommitteeMember] = {}
        self._contacted: dict[UUID, datetime | None] = {}

    def apply(self, event: Event, _: DealSummary) -> Iterable[Change]:
        """Take the next fact that counts; it may change several people at once."""
        fact = event.fact
        if isinstance(fact, ContactLogged):
            if not fact.contact_people:
                return ()
            at = event.occurred_at
            self._contacted.update(dict.fromkeys(fact.contact_people, at))
        changed = [*changed_members(self._members, self._contacted, fact)]
        for person, member in changed:
            if member is None:
                self._members.pop(person, None)
            else:
                self._members[person] = member
        return [((str(person),), _row(member)) for person, member in changed]


def _row(member: CommitteeMember | None) -> Row | None:
    if member is None:
        return None
    last = member.last_contact
    return " ".join(member.roles), member.stance, None if last is None else to_instant(last)


COMMITTEES: Final = IntervalFold(
    COMMITTEE,
    frozenset({DealOpened, ContactLogged, DecisionProcessMapped, *get_args(CommitteeFact)}),
    OnState(DealSummary, CommitteeRows),
)
