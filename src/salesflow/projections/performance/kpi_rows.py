"""The rows behind the figures of a period: bookings, and deals with their opening and closing.

Each is read once for all spans of a question, and sorted to spans and groups afterwards.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from salesflow.domain.time import Instant, from_instant, microseconds_between
from salesflow.domain.values import SafeText, Value
from salesflow.projections.core.currency import CurrencyConverter
from salesflow.projections.core.period import Span
from salesflow.projections.core.question import Reader
from salesflow.projections.core.statistics import Estimate, Share, Spread, ratio, share, spread
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.contact import CONTACT
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.scope.grouping import Attribution, Group, Grouping

__all__ = [
    "CLOSED_COLUMNS",
    "Booked",
    "Closed",
    "Contact",
    "ContactsBy",
    "CustomerOrders",
    "FollowUps",
    "Response",
    "Score",
    "closing_whose",
    "first_response",
    "follow_ups",
    "in_one_currency",
    "lasted",
    "opening_whose",
    "read_booked",
    "read_closed",
    "read_contacts",
    "read_responses",
    "read_scores",
    "top_box",
    "won_or_lost_in",
]


class Booked(NamedTuple):
    """A booking's part of one person; `sign` says how many there are alike."""

    occurred: Instant
    sign: int
    kind: str
    role: str
    person: str | None
    share: int
    amount: int | None
    currency: str | None
    process: str
    customer_id: UUID | None
    lead_source: str | None
    credited: Instant

    @property
    def whose(self) -> Attribution:
        """To whom it is credited."""
        about = (self.customer_id, self.lead_source, self.process)
        return Attribution(self.credited, self.person, *about)


class Closed(NamedTuple):
    """A deal with its opening, and its closing where it has one."""

    deal: UUID
    opened: Instant
    opened_day_only: int
    opened_process: str
    opened_owner: str | None
    opened_customer_id: UUID | None
    outcome: str
    closed: Instant | None
    closed_day_only: int | None
    process: str
    owner: str | None
    customer_id: UUID | None
    lead_source: str | None
    amount: int | None
    currency: str | None


def _closed_columns() -> list[sa.ColumnElement[Any]]:
    c = CLOSING.c
    return [c.entity_id, *(c[name] for name in Closed._fields[1:])]


CLOSED_COLUMNS = _closed_columns()
"""What to select to make a `Closed` of each row."""


def opening_whose(row: Closed) -> Attribution:
    """Say whose a deal was when it was opened."""
    whose = (row.opened, row.opened_owner, row.opened_customer_id)
    return Attribution(*whose, row.lead_source, row.opened_process)


def closing_whose(row: Closed) -> Attribution | None:
    """Say whose a deal was when it closed; None while it is open."""
    if row.closed is None:
        return None
    return Attribution(row.closed, row.owner, row.customer_id, row.lead_source, row.process)


def read_booked(reader: Reader, start: Instant, end: Instant) -> list[Booked]:
    """Read what is booked in `[start, end)`; what was taken back again is left out."""
    c = BOOKING.c
    shown: list[sa.ColumnElement[Any]] = [c[name] for name in Booked._fields]
    select = sa.select(*shown).where(
        BOOKING.posted_by(reader.read_point), c.occurred >= start, c.occurred < end
    )
    standing: Counter[Booked] = Counter()
    for row in map(Booked._make, reader.rows(select)):
        standing[row._replace(sign=1)] += row.sign
    return [row._replace(sign=times) for row, times in standing.items() if times]


def read_closed(reader: Reader, start: Instant, end: Instant) -> list[Closed]:
    """Read the deals that were opened or closed in `[start, end)`."""
    c = CLOSING.c
    select = sa.select(*CLOSED_COLUMNS).where(
        CLOSING.visible_at(reader.read_point),
        c.outcome != "merged",
        sa.or_(
            sa.and_(c.opened >= start, c.opened < end),
            sa.and_(c.closed >= start, c.closed < end),
        ),
    )
    return [Closed._make(row) for row in reader.rows(select)]


def in_one_currency(
    booked: Sequence[Booked],
    closed: Sequence[Closed],
    exchange: CurrencyConverter,
    spans: Sequence[Span],
    grouping: Grouping,
) -> tuple[Sequence[Booked], Sequence[Closed]]:
    """Convert what is asked about; a period end is that of the span something falls in."""
    if exchange.currency is None:
        return booked, closed
    ends = [span.end - 1 for span in spans]
    sales = [
        _booked_in(row, exchange, ends[bisect_left(ends, row.occurred)])
        for row in booked
        if grouping.wants(row.whose)
    ]
    deals = list(closed)
    for number, deal in enumerate(closed):
        whose = closing_whose(deal)
        if (
            whose is not None
            and grouping.wants(whose)
            and any(s.holds(whose.at) for s in spans)
        ):
            deals[number] = won_or_lost_in(deal, exchange, ends[bisect_left(ends, whose.at)])
    return sales, deals


def won_or_lost_in(deal: Closed, exchange: CurrencyConverter, end: Instant) -> Closed:
    """Convert the amount of a deal that was won or lost; nothing counts that of another."""
    if deal.outcome not in ("won", "lost"):
        return deal
    day = exchange.day(end, event=deal.closed, closing=deal.closed)
    into = exchange.into(deal.currency, day, of=deal.deal)
    return deal._replace(currency=into.currency, amount=into.millionths(deal.amount))


def _booked_in(row: Booked, exchange: CurrencyConverter, end: Instant) -> Booked:
    day = exchange.day(end, event=row.occurred, closing=row.credited)
    into = exchange.into(row.currency, day, of=row, times=abs(row.sign))
    return row._replace(currency=into.currency, amount=into.millionths(row.amount))


def lasted(deal: Closed, timezone: ZoneInfo) -> int:
    """Give the microseconds from opening to closing of a closed deal."""
    assert deal.closed is not None
    days_only = bool(deal.opened_day_only and deal.closed_day_only)
    return microseconds_between(deal.opened, deal.closed, timezone, days_only=days_only)


# The orders of customers: who bought for the first time in a period, and who came back.
#
# An order is a deal standing won at the moment, or a repeat order. A customer is new once, with
# the first deal standing won, for whoever won it; customers merged into one have one first
# deal. Orders without a customer count for nobody.

AGAIN: Final = 2
"""With so many orders a customer has bought again."""


class CustomerOrder(NamedTuple):
    """What a customer bought once; a repeat order taken back weighs minus one."""

    at: Instant
    deal: UUID
    weight: int
    credited: Instant
    rep: str | None
    customer_id: UUID
    lead_source: str | None
    process: str

    @property
    def whose(self) -> Attribution:
        """To whom it is credited."""
        return Attribution._make(self[3:])


class CustomerOrders:
    """All orders of customers up to the end of a period."""

    def __init__(
        self,
        won: list[CustomerOrder],
        repeated: list[CustomerOrder],
        grouping: Grouping,
        timezone: ZoneInfo,
    ) -> None:
        survivor = grouping.customers.survivor
        self._orders = [
            (order.at, grouping.of(order.whose), survivor(order.customer_id), order.weight)
            for order in (*won, *repeated)
            if grouping.wants(order.whose)
        ]
        first: dict[UUID, CustomerOrder] = {}
        for order in won:
            customer = survivor(order.customer_id)
            first[customer] = min(order, first.get(customer, order), key=_when)
        self._first = [
            (order.at, grouping.of(order.whose))
            for order in first.values()
            if grouping.wants(order.whose) and _is_new(order, grouping, timezone)
        ]

    @classmethod
    def read(cls, reader: Reader, end: Instant, grouping: Grouping) -> "CustomerOrders":
        """Read what customers ordered before the end of a period."""
        return cls(_won(reader, end), _repeated(reader, end), grouping, reader.timezone)

    def new_customers(self, span: Span) -> Counter[Group]:
        """Count the customers whose first deal was won in a span."""
        return Counter(group for at, group in self._first if span.holds(at))

    def buyers(self, span: Span) -> dict[Group, Share]:
        """Count who had ordered again, of those who had ordered, by the end of a span."""
        orders: Counter[tuple[Group, UUID]] = Counter()
        for at, group, customer, weight in self._orders:
            if at < span.end:
                orders[group, customer] += weight
        found: dict[Group, Share] = defaultdict(lambda: Share(0, 0))
        for (group, _), count in orders.items():
            again, once = found[group]
            found[group] = Share(again + (count >= AGAIN), once + (count >= 1))
        return found


def _is_new(order: CustomerOrder, grouping: Grouping, timezone: ZoneInfo) -> bool:
    """Say whether nothing says that the customer was one before the day of an order."""
    since = grouping.customers.since(grouping.customers.survivor(order.customer_id))
    return since is None or since >= from_instant(order.at).astimezone(timezone).date()


def _when(order: CustomerOrder) -> tuple[Instant, UUID]:
    return order.at, order.deal


def _won(reader: Reader, end: Instant) -> list[CustomerOrder]:
    c = CLOSING.c
    shown: list[sa.ColumnElement[Any]] = [
        *(c.closed, c.entity_id, sa.literal_column("1"), c.closed.label("credited")),
        *(c.owner, c.customer_id, c.lead_source, c.process),
    ]
    select = sa.select(*shown).where(
        CLOSING.visible_at(reader.read_point),
        c.outcome == "won",
        c.closed < end,
        c.customer_id.is_not(None),
    )
    return [CustomerOrder._make(row) for row in reader.rows(select)]


def _repeated(reader: Reader, end: Instant) -> list[CustomerOrder]:
    c = BOOKING.c
    shown: list[sa.ColumnElement[Any]] = [
        *(c.occurred, c.entity_id, c.sign, c.credited),
        *(c.person, c.customer_id, c.lead_source, c.process),
    ]
    select = sa.select(*shown).where(
        BOOKING.posted_by(reader.read_point),
        c.kind == "repeated",
        c.role == "owner",
        c.occurred < end,
        c.customer_id.is_not(None),
    )
    return [CustomerOrder._make(row) for row in reader.rows(select)]


# How customers were dealt with in a period: contacts, first responses, satisfaction.
#
# A contact and an answer belong to whoever had the deal when they took place, a first response
# to whoever opened the deal. Contacts count whatever became of the deal.

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
    def whose(self) -> Attribution:
        """Whose the deal was."""
        return Attribution._make(self[2:])


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
    def whose(self) -> Attribution:
        """Whose the deal was."""
        return Attribution._make(self[1:])


def read_contacts(reader: Reader, start: Instant, end: Instant) -> list[Contact]:
    """Read the contacts of `[start, end)`."""
    c = CONTACT.c
    shown: list[sa.ColumnElement[Any]] = [
        *(c.entity_id, c.channel),
        *(c.occurred, c.owner, c.customer_id, c.lead_source, c.process),
    ]
    select = sa.select(*shown).where(
        CONTACT.visible_at(reader.read_point), c.occurred >= start, c.occurred < end
    )
    return [Contact._make(row) for row in reader.rows(select)]


def read_responses(reader: Reader, start: Instant, end: Instant) -> dict[UUID, Response]:
    """Read the first outbound contact of each deal opened in `[start, end)` that has one."""
    c = CONTACT.c
    shown: list[sa.ColumnElement[Any]] = [c.entity_id, c.occurred, c.position, c.day_only]
    select = sa.select(*shown).where(
        CONTACT.visible_at(reader.read_point),
        c.direction == "out",
        c.opened >= start,
        c.opened < end,
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
        FEEDBACK.visible_at(reader.read_point),
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
