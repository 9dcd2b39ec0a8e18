"""How far a customer is engaged: one row per deal from each contact to the next.

Answers "when did we last talk, do they answer, with how many of their people, and what comes
next?" for any moment; the health of deals reads it. The row that holds says what all contacts
up to then come to. Leaves out who took part and what was said, which is personal: people are
counted by the names and the ids that contacts give them.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.deal.state import DealSummary
from salesflow.domain.event import Event
from salesflow.domain.time import Instant
from salesflow.projections.table import (
    Change,
    CopyableRows,
    Instants,
    IntervalFold,
    IntervalTable,
    OnState,
)

__all__ = ["ENGAGEMENT", "ENGAGEMENTS", "EngagementRows"]

ENGAGEMENT: Final = IntervalTable(
    "engagement",
    1,
    attributes=(
        sa.Column("contacts", sa.Integer),
        sa.Column("last_contact", Instants),
        sa.Column("replies", sa.Integer),
        sa.Column("unanswered", sa.Integer),
        sa.Column("unanswered_since", Instants),
        sa.Column("people", sa.Integer),
        sa.Column("next_step", sa.SmallInteger),
    ),
)
"""`replies` are contacts that the customer began, `unanswered` those of ours since the last of
them, the first of which was at `unanswered_since` (null where there is none). `people` are the
participants known by now, by name or by id: as many as names or as ids, whichever are more,
since one person may be named both ways; `next_step` is 1 where the last contact names one."""


class Contacted(NamedTuple):
    """A contact, as far as it is kept."""

    at: Instant
    event_id: UUID


class EngagementRows(CopyableRows):
    """One deal on its way through its contacts."""

    __slots__ = (
        *("contacts", "first_named", "ids", "last", "names", "next_step", "replies"),
        "unanswered",
    )

    def __init__(self) -> None:
        self.contacts = 0
        self.replies = 0
        self.last: Contacted | None = None
        self.next_step = False
        self.unanswered: list[Contacted] = []
        """The contacts of ours since the customer last began one."""
        self.names: set[str] = set()
        self.ids: set[UUID] = set()
        """The participants by now, as contacts name them: by name, or by the id of the contact
        person."""
        self.first_named: Contacted | None = None
        """The first contact that names anybody."""

    @property
    def people(self) -> int:
        """So many people took part by now, or more."""
        return max(len(self.names), len(self.ids))

    def apply(self, event: Event, _: DealSummary) -> Iterable[Change]:
        """Take the next fact that counts; only a contact changes anything."""
        fact = event.fact
        if type(fact) is not ContactLogged:
            return ()
        self._take(fact, Contacted(event.occurred, event.event_id))
        first = self.unanswered[0].at if self.unanswered else None
        row = (
            self.contacts,
            event.occurred,
            self.replies,
            len(self.unanswered),
            first,
            self.people,
            int(self.next_step),
        )
        return (((), row),)

    def _take(self, fact: ContactLogged, contact: Contacted) -> None:
        self.contacts += 1
        self.last = contact
        self.next_step = bool((fact.next_step or "").strip())
        if fact.direction == "in":
            self.replies += 1
            self.unanswered.clear()
        elif fact.direction == "out":
            self.unanswered.append(contact)
        self.names |= set(filter(None, map(_as_told_apart, fact.participants)))
        self.ids |= set(fact.contact_people or ())
        if self.first_named is None and self.people:
            self.first_named = contact


def _as_told_apart(name: str) -> str:
    """Return a name without what people write differently: its case and its blanks."""
    return " ".join(name.split()).casefold()


ENGAGEMENTS: Final = IntervalFold(
    ENGAGEMENT,
    frozenset({DealOpened, ContactLogged}),
    OnState(DealSummary, EngagementRows),
)
