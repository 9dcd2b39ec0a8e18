"""The orders of customers: who bought for the first time in a period, and who came back.

An order is a deal standing won at the moment, or a repeat order. A customer is new once, with
the first deal standing won, for whoever won it; customers merged into one have one first deal.
Orders without a customer count for nobody.
"""

from collections import Counter, defaultdict
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from salesflow.domain.moments import Instant, from_instant
from salesflow.projections.estimates import Share
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.kpi_groups import Group, Grouping, Whose
from salesflow.projections.periods import Span
from salesflow.projections.questions import Reader

__all__ = ["Orders"]

AGAIN: Final = 2
"""With so many orders a customer has bought again."""


class Order(NamedTuple):
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
    def whose(self) -> Whose:
        """To whom it is credited."""
        return Whose._make(self[3:])


class Orders:
    """All orders of customers up to the end of a period."""

    def __init__(
        self, won: list[Order], repeated: list[Order], grouping: Grouping, timezone: ZoneInfo
    ) -> None:
        survivor = grouping.customers.survivor
        self._orders = [
            (order.at, grouping.of(order.whose), survivor(order.customer_id), order.weight)
            for order in (*won, *repeated)
            if grouping.wants(order.whose)
        ]
        first: dict[UUID, Order] = {}
        for order in won:
            customer = survivor(order.customer_id)
            first[customer] = min(order, first.get(customer, order), key=_when)
        self._first = [
            (order.at, grouping.of(order.whose))
            for order in first.values()
            if grouping.wants(order.whose) and _is_new(order, grouping, timezone)
        ]

    @classmethod
    def read(cls, reader: Reader, end: Instant, grouping: Grouping) -> "Orders":
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


def _is_new(order: Order, grouping: Grouping, timezone: ZoneInfo) -> bool:
    """Say whether nothing says that the customer was one before the day of an order."""
    since = grouping.customers.since(grouping.customers.survivor(order.customer_id))
    return since is None or since >= from_instant(order.at).astimezone(timezone).date()


def _when(order: Order) -> tuple[Instant, UUID]:
    return order.at, order.deal


def _won(reader: Reader, end: Instant) -> list[Order]:
    c = CLOSING.c
    shown: list[sa.ColumnElement[Any]] = [
        *(c.closed, c.entity_id, sa.literal_column("1"), c.closed.label("credited")),
        *(c.owner, c.customer_id, c.lead_source, c.process),
    ]
    select = sa.select(*shown).where(
        CLOSING.seen(reader.cut),
        c.outcome == "won",
        c.closed < end,
        c.customer_id.is_not(None),
    )
    return [Order._make(row) for row in reader.rows(select)]


def _repeated(reader: Reader, end: Instant) -> list[Order]:
    c = BOOKING.c
    shown: list[sa.ColumnElement[Any]] = [
        *(c.occurred, c.entity_id, c.sign, c.credited),
        *(c.person, c.customer_id, c.lead_source, c.process),
    ]
    select = sa.select(*shown).where(
        BOOKING.posted(reader.cut),
        c.kind == "repeated",
        c.role == "owner",
        c.occurred < end,
        c.customer_id.is_not(None),
    )
    return [Order._make(row) for row in reader.rows(select)]
