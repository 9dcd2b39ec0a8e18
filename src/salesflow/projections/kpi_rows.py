"""The rows behind the figures of a period: bookings, and deals with their opening and closing.

Each is read once for all spans of a question, and sorted to spans and groups afterwards.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from salesflow.domain.moments import Instant, microseconds_between
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.kpi_groups import Grouping, Whose
from salesflow.projections.one_currency import Exchange
from salesflow.projections.periods import Span
from salesflow.projections.questions import Reader

__all__ = [
    "CLOSED_COLUMNS",
    "Booked",
    "Closed",
    "closing_whose",
    "in_one_currency",
    "lasted",
    "opening_whose",
    "read_booked",
    "read_closed",
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
    def whose(self) -> Whose:
        """To whom it is credited."""
        about = (self.customer_id, self.lead_source, self.process)
        return Whose(self.credited, self.person, *about)


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


def opening_whose(row: Closed) -> Whose:
    """Say whose a deal was when it was opened."""
    whose = (row.opened, row.opened_owner, row.opened_customer_id)
    return Whose(*whose, row.lead_source, row.opened_process)


def closing_whose(row: Closed) -> Whose | None:
    """Say whose a deal was when it closed; None while it is open."""
    if row.closed is None:
        return None
    return Whose(row.closed, row.owner, row.customer_id, row.lead_source, row.process)


def read_booked(reader: Reader, start: Instant, end: Instant) -> list[Booked]:
    """Read what is booked in `[start, end)`; what was taken back again is left out."""
    c = BOOKING.c
    shown: list[sa.ColumnElement[Any]] = [c[name] for name in Booked._fields]
    select = sa.select(*shown).where(
        BOOKING.posted(reader.cut), c.occurred >= start, c.occurred < end
    )
    standing: Counter[Booked] = Counter()
    for row in map(Booked._make, reader.rows(select)):
        standing[row._replace(sign=1)] += row.sign
    return [row._replace(sign=times) for row, times in standing.items() if times]


def read_closed(reader: Reader, start: Instant, end: Instant) -> list[Closed]:
    """Read the deals that were opened or closed in `[start, end)`."""
    c = CLOSING.c
    select = sa.select(*CLOSED_COLUMNS).where(
        CLOSING.seen(reader.cut),
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
    exchange: Exchange,
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


def won_or_lost_in(deal: Closed, exchange: Exchange, end: Instant) -> Closed:
    """Convert the amount of a deal that was won or lost; nothing counts that of another."""
    if deal.outcome not in ("won", "lost"):
        return deal
    day = exchange.day(end, event=deal.closed, closing=deal.closed)
    into = exchange.into(deal.currency, day, of=deal.deal)
    return deal._replace(currency=into.currency, amount=into.millionths(deal.amount))


def _booked_in(row: Booked, exchange: Exchange, end: Instant) -> Booked:
    day = exchange.day(end, event=row.occurred, closing=row.credited)
    into = exchange.into(row.currency, day, of=row, times=abs(row.sign))
    return row._replace(currency=into.currency, amount=into.millionths(row.amount))


def lasted(deal: Closed, timezone: ZoneInfo) -> int:
    """Give the microseconds from opening to closing of a closed deal."""
    assert deal.closed is not None
    days_only = bool(deal.opened_day_only and deal.closed_day_only)
    return microseconds_between(deal.opened, deal.closed, timezone, days_only=days_only)
