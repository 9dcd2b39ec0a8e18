"""How customers were dealt with in a period: contacts, first responses, satisfaction.

A contact and an answer belong to whoever had the deal when they took place, a first response
to whoever opened the deal. Contacts count whatever became of the deal.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from salesflow.domain.moments import Instant, microseconds_between
from salesflow.domain.values import SafeText, Value
from salesflow.projections.estimates import Estimate, ratio, share
from salesflow.projections.folds.contact import CONTACT
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.kpi_groups import Whose
from salesflow.projections.kpi_rows import Closed
from salesflow.projections.questions import Reader
from salesflow.projections.spread import Spread, spread

__all__ = [
    "Contact",
    "ContactsBy",
    "FollowUps",
    "Response",
    "Score",
    "first_response",
    "follow_ups",
    "read_contacts",
    "read_responses",
    "read_scores",
    "top_box",
]

TOP_BOX: Final = 4
"""The lowest score of the top two box, of five."""


class ContactsBy(Value):
    """Contacts by one channel."""

    channel: SafeText | None
    """Call, visit, email …; None where nobody said."""
    contacts: int


class FollowUps(Value):
    """The contacts of a period."""

    contacts: int
    deals: int
    """Deals with at least one of them."""
    per_deal: Decimal | None
    """Contacts of each of those deals."""
    by_channel: tuple[ContactsBy, ...]


class Contact(NamedTuple):
    """A contact, and whose it was."""

    deal: UUID
    channel: str | None
    at: Instant
    rep: str | None
    customer_id: UUID | None
    lead_source: str | None
    process: str

    @property
    def whose(self) -> Whose:
        """Whose the deal was."""
        return Whose._make(self[2:])


class Response(NamedTuple):
    """An outbound contact: of which deal, when, and where in the log."""

    deal: UUID
    at: Instant
    position: int
    day_only: int


class Score(NamedTuple):
    """A CSAT score from one to five, and whose it was."""

    score: int
    at: Instant
    rep: str | None
    customer_id: UUID | None
    lead_source: str | None
    process: str

    @property
    def whose(self) -> Whose:
        """Whose the deal was."""
        return Whose._make(self[1:])


def read_contacts(reader: Reader, start: Instant, end: Instant) -> list[Contact]:
    """Read the contacts of `[start, end)`."""
    c = CONTACT.c
    shown: list[sa.ColumnElement[Any]] = [
        *(c.entity_id, c.channel),
        *(c.occurred, c.owner, c.customer_id, c.lead_source, c.process),
    ]
    select = sa.select(*shown).where(
        CONTACT.seen(reader.cut), c.occurred >= start, c.occurred < end
    )
    return [Contact._make(row) for row in reader.rows(select)]


def read_responses(reader: Reader, start: Instant, end: Instant) -> dict[UUID, Response]:
    """Read the first outbound contact of each deal opened in `[start, end)` that has one."""
    c = CONTACT.c
    shown: list[sa.ColumnElement[Any]] = [c.entity_id, c.occurred, c.position, c.day_only]
    select = sa.select(*shown).where(
        CONTACT.seen(reader.cut), c.direction == "out", c.opened >= start, c.opened < end
    )
    first: dict[UUID, Response] = {}
    for response in map(Response._make, reader.rows(select)):
        first[response.deal] = min(response, first.get(response.deal, response))
    return first


def read_scores(reader: Reader, start: Instant, end: Instant) -> list[Score]:
    """Read the CSAT scores received in `[start, end)`."""
    c = FEEDBACK.c
    shown: list[sa.ColumnElement[Any]] = [
        *(c.score, c.occurred, c.owner, c.customer_id, c.lead_source, c.process)
    ]
    select = sa.select(*shown).where(
        FEEDBACK.seen(reader.cut),
        c.kind == "received",
        c.scale == "csat",
        c.score.is_not(None),
        c.occurred >= start,
        c.occurred < end,
    )
    return [Score._make(row) for row in reader.rows(select)]


def follow_ups(contacts: Sequence[Contact]) -> FollowUps:
    """Count contacts, the deals they were about, and by which channel they were."""
    deals = len({contact.deal for contact in contacts})
    channels = Counter(contact.channel for contact in contacts)
    names = sorted(channels, key=lambda name: (name is None, name or ""))
    return FollowUps(
        contacts=len(contacts),
        deals=deals,
        per_deal=ratio(len(contacts), deals),
        by_channel=tuple(ContactsBy(channel=n, contacts=channels[n]) for n in names),
    )


def first_response(responses: Iterable[tuple[Closed, Response]], timezone: ZoneInfo) -> Spread:
    """Spread the times from the opening of deals to the first outbound contact of each."""
    return spread(
        microseconds_between(
            deal.opened,
            first.at,
            timezone,
            days_only=bool(deal.opened_day_only and first.day_only),
        )
        for deal, first in responses
    )


def top_box(scores: Sequence[Score]) -> Estimate | None:
    """Give the share of scores in the top two box, and its interval."""
    return share(sum(each.score >= TOP_BOX for each in scores), len(scores))
