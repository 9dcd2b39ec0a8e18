"""The rows behind the figures of a period: bookings, deals, orders, contacts and scores.

Each is read once for all spans of a question, and sorted to spans and groups afterwards; open
deals are read as they stand at the end of each span.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.process import WIN_RATE
from salesflow.domain.time import Instant, start_of_last_days
from salesflow.projections.core.currency import CurrencyConverter
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.contact import CONTACT
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.scope import Attribution, Grouping
from salesflow.projections.table import Selection

__all__ = [
    "Booked",
    "ClosingRow",
    "Contact",
    "CustomerOrder",
    "EndOfSpan",
    "OpenDeals",
    "Response",
    "Rows",
    "Score",
    "closing_attribution",
    "in_report_currency",
    "opening_attribution",
    "read_booked",
    "read_rows",
]


class Booked(NamedTuple):
    """A booking's part of one person; `sign` counts those alike, those taken back as minus."""

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


class ClosingRow(NamedTuple):
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


Columns = list[sa.ColumnElement[Any]]

CLOSING_COLUMNS: Columns = [
    CLOSING.c.entity_id,
    *(CLOSING.c[name] for name in ClosingRow._fields[1:]),
]
"""What to select to make a `ClosingRow` of each row."""


def opening_attribution(row: ClosingRow) -> Attribution:
    """Say whose a deal was when it was opened."""
    attribution = (row.opened, row.opened_owner, row.opened_customer_id)
    return Attribution(*attribution, row.lead_source, row.opened_process)


def closing_attribution(row: ClosingRow) -> Attribution | None:
    """Say whose a deal was when it closed; None while it is open."""
    if row.closed is None:
        return None
    return Attribution(row.closed, row.owner, row.customer_id, row.lead_source, row.process)


class OpenDeals(NamedTuple):
    """So many open deals alike."""

    deals: int
    process_version: int
    stage: str
    rep: str | None
    customer_id: UUID | None
    lead_source: str | None
    process: str


class EndOfSpan(NamedTuple):
    """What stood open at the end of a span, or at the moment, and what had closed lately."""

    at: Instant
    open_deals: Sequence[OpenDeals]
    closed: Sequence[ClosingRow]
    """Deals won or lost in the days before it."""


class Rows(NamedTuple):
    """What happened in all spans of a question, and what was ordered before their end."""

    booked: Sequence[Booked]
    closed: Sequence[ClosingRow]
    contacts: Sequence["Contact"]
    responses: Mapping[UUID, "Response"]
    """By deal: the first outbound contact of each that was opened in a span."""
    scores: Sequence["Score"]
    won: Sequence["CustomerOrder"]
    repeated: Sequence["CustomerOrder"]
    ends: Mapping[Span, EndOfSpan]


def read_rows(
    reader: Reader,
    spans: Sequence[Span],
    exchange: CurrencyConverter,
    grouping: Grouping,
    velocity_days: int,
) -> Rows:
    """Read what happened in some spans, each of which begins where the one before it ends."""
    start, end = spans[0].start, spans[-1].end
    ends = [span.closing(reader.read_point.as_of) for span in spans]
    found = reader.rows_of(
        [
            _booked_in_span(start, end),
            _closed(start, end),
            _contacts(start, end),
            _responses(start, end),
            _scores(start, end),
            _won(end),
            _repeated(end),
            *_at_ends(reader, ends, velocity_days),
        ]
    )
    booked, closed = _in_one_currency(
        _netted(next(found)), [*map(ClosingRow._make, next(found))], exchange, spans, grouping
    )
    return Rows(
        booked,
        closed,
        contacts=[*map(Contact._make, next(found))],
        responses=_first(next(found)),
        scores=[*map(Score._make, next(found))],
        won=[*map(CustomerOrder._make, next(found))],
        repeated=[*map(CustomerOrder._make, next(found))],
        ends=dict(zip(spans, _ends(ends, found), strict=True)),
    )


def read_booked(reader: Reader, start: Instant, end: Instant) -> list[Booked]:
    """Read what is booked in `[start, end)`; what was taken back again is left out."""
    return _netted(next(reader.rows_of([_booked_in_span(start, end)])))


def _booked_in_span(start: Instant, end: Instant) -> Selection:
    c = BOOKING.c
    shown: Columns = [c[name] for name in Booked._fields]
    select = sa.select(*shown).where(c.occurred >= start, c.occurred < end)
    return Selection(BOOKING, select)


def _netted(rows: Iterable[sa.Row[Any]]) -> list[Booked]:
    """Return what is booked and was not taken back again."""
    totals: Counter[Booked] = Counter()
    for row in map(Booked._make, rows):
        totals[row._replace(sign=1)] += row.sign
    return [row._replace(sign=times) for row, times in totals.items() if times]


def _closed(start: Instant, end: Instant) -> Selection:
    """Select the deals that were opened or closed in `[start, end)`."""
    c = CLOSING.c
    select = sa.select(*CLOSING_COLUMNS).where(
        c.outcome != "merged",
        sa.or_(
            sa.and_(c.opened >= start, c.opened < end),
            sa.and_(c.closed >= start, c.closed < end),
        ),
    )
    return Selection(CLOSING, select)


def _at_ends(
    reader: Reader, ends: Iterable[Instant], velocity_days: int
) -> Iterator[Selection]:
    """Select what stood open at the end of each span, and what was won or lost lately."""
    for at in ends:
        yield _open_deals(at)
        yield _closed_lately(at, start_of_last_days(velocity_days, at, reader.timezone))


def _ends(
    ends: Iterable[Instant], found: Iterator[Iterable[sa.Row[Any]]]
) -> Iterator[EndOfSpan]:
    for at in ends:
        opened = [*map(OpenDeals._make, next(found))]
        yield EndOfSpan(at, opened, [*map(ClosingRow._make, next(found))])


def _open_deals(at: Instant) -> Selection:
    c = DEAL_STATE.c
    cells: list[sa.ColumnElement[Any]] = [
        *(c.process_version, c.stage, c.owner, c.customer_id, c.lead_source, c.process)
    ]
    select = sa.select(sa.func.count(), *cells).where(c.outcome == "open")
    return Selection(DEAL_STATE, select.group_by(*cells), at)


def _closed_lately(at: Instant, start: Instant) -> Selection:
    c = CLOSING.c
    select = sa.select(*CLOSING_COLUMNS).where(c.outcome.in_([*WIN_RATE]), c.closed >= start)
    return Selection(CLOSING, select, at)


def _in_one_currency(
    booked: Sequence[Booked],
    closed: Sequence[ClosingRow],
    exchange: CurrencyConverter,
    spans: Sequence[Span],
    grouping: Grouping,
) -> tuple[Sequence[Booked], Sequence[ClosingRow]]:
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
        attribution = closing_attribution(deal)
        if (
            attribution is not None
            and grouping.wants(attribution)
            and any(s.holds(attribution.at) for s in spans)
        ):
            deals[number] = in_report_currency(
                deal, exchange, ends[bisect_left(ends, attribution.at)]
            )
    return sales, deals


def in_report_currency(
    deal: ClosingRow, exchange: CurrencyConverter, end: Instant
) -> ClosingRow:
    """Convert the amount of a deal that counts in win rates; nothing counts that of another."""
    if deal.outcome not in WIN_RATE:
        return deal
    day = exchange.day(end, event=deal.closed, closing=deal.closed)
    into = exchange.into(deal.currency, day, of=deal.deal)
    return deal._replace(currency=into.currency, amount=into.millionths(deal.amount))


def _booked_in(row: Booked, exchange: CurrencyConverter, end: Instant) -> Booked:
    day = exchange.day(end, event=row.occurred, closing=row.credited)
    into = exchange.into(row.currency, day, of=row, times=abs(row.sign))
    return row._replace(currency=into.currency, amount=into.millionths(row.amount))


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


def _won(end: Instant) -> Selection:
    c = CLOSING.c
    shown: Columns = [
        *(c.closed, c.entity_id, sa.literal_column("1"), c.closed.label("credited")),
        *(c.owner, c.customer_id, c.lead_source, c.process),
    ]
    select = sa.select(*shown).where(
        c.outcome == "won", c.closed < end, c.customer_id.is_not(None)
    )
    return Selection(CLOSING, select)


def _repeated(end: Instant) -> Selection:
    c = BOOKING.c
    shown: Columns = [
        *(c.occurred, c.entity_id, c.sign, c.credited),
        *(c.person, c.customer_id, c.lead_source, c.process),
    ]
    select = sa.select(*shown).where(
        c.kind == "repeated",
        c.role == "owner",
        c.occurred < end,
        c.customer_id.is_not(None),
    )
    return Selection(BOOKING, select)


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


def _contacts(start: Instant, end: Instant) -> Selection:
    """Select the contacts of `[start, end)`."""
    c = CONTACT.c
    shown: Columns = [
        *(c.entity_id, c.channel),
        *(c.occurred, c.owner, c.customer_id, c.lead_source, c.process),
    ]
    select = sa.select(*shown).where(c.occurred >= start, c.occurred < end)
    return Selection(CONTACT, select)


def _responses(start: Instant, end: Instant) -> Selection:
    """Select the outbound contacts of deals opened in `[start, end)`."""
    c = CONTACT.c
    shown: Columns = [c.entity_id, c.occurred, c.position, c.day_only]
    select = sa.select(*shown).where(c.direction == "out", c.opened >= start, c.opened < end)
    return Selection(CONTACT, select)


def _first(rows: Iterable[sa.Row[Any]]) -> dict[UUID, Response]:
    """Return the first outbound contact of each deal that has one."""
    first: dict[UUID, Response] = {}
    for response in map(Response._make, rows):
        first[response.deal] = min(response, first.get(response.deal, response))
    return first


def _scores(start: Instant, end: Instant) -> Selection:
    """Select the CSAT scores received in `[start, end)`."""
    c = FEEDBACK.c
    shown: Columns = [*(c.score, c.occurred, c.owner, c.customer_id, c.lead_source, c.process)]
    select = sa.select(*shown).where(
        c.kind == "received",
        c.scale == "csat",
        c.score.is_not(None),
        c.occurred >= start,
        c.occurred < end,
    )
    return Selection(FEEDBACK, select)
