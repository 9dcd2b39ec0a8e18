"""The figures of one line of the KPIs, worked out from bookings, openings and closings.

What each figure means is said by the view. Filters have been applied by whoever read the
rows; here rows are put to spans and groups and counted. Nothing is rounded before it is shown.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.values import Currency, SafeText, Value
from salesflow.projections.estimates import Estimate, Share, ratio, share
from salesflow.projections.kpi_contacts import (
    Contact,
    FollowUps,
    Response,
    Score,
    first_response,
    follow_ups,
    top_box,
)
from salesflow.projections.kpi_groups import Group, Grouping, group_order
from salesflow.projections.kpi_rows import Booked, Closed, closing_whose, lasted, opening_whose
from salesflow.projections.kpi_velocity import Velocity, velocity
from salesflow.projections.periods import Span
from salesflow.projections.records import Role
from salesflow.projections.spread import Spread, spread
from salesflow.projections.tables import AMOUNT_SCALE
from salesflow.projections.totals import Total, totals

__all__ = [
    "KpiLine",
    "Rows",
    "Standing",
    "ValueRate",
    "kpi_lines",
]


class ValueRate(Value):
    """What was won of what was won or lost, in one currency."""

    currency: Currency
    rate: Decimal


class KpiLine(Value):
    """The figures of one span of days and one group."""

    first: Annotated[date, Role.KEY]
    last: Annotated[date, Role.KEY]
    """The last day of the span, included."""
    group: Annotated[SafeText | None, Role.KEY]
    """The rep, team, customer's id, lead source or process; None where nobody said it."""
    sales: tuple[Total, ...]
    orders: int
    """Deals standing won, closed in the span, and repeat orders placed in it."""
    repeat_orders: int
    created: int
    created_won: int
    created_open: int
    win_rate_of_created: Decimal | None
    won: int
    lost: int
    disqualified: int
    win_rate: Estimate | None
    win_rate_by_value: tuple[ValueRate, ...]
    cycle: Spread
    """Of the deals won in the span, from opening to closing."""
    new_customers: int
    """Customers whose first deal standing won was won in the span."""
    customers: int
    """Customers with at least one order by the end of the span."""
    customers_again: int
    """Those of them with two orders or more."""
    repeat_rate: Decimal | None
    follow_ups: FollowUps
    first_response: Spread
    """Of the deals opened in the span, from opening to the first outbound contact."""
    csat: Estimate | None
    """The share of 4 and 5 among the scores from 1 to 5 received in the span."""
    velocity: Velocity
    """At the end of the span, or at the moment where that comes first."""


class Rows(NamedTuple):
    """What happened in all spans of a question."""

    booked: Sequence[Booked]
    closed: Sequence[Closed]
    contacts: Sequence[Contact]
    responses: Mapping[UUID, Response]
    scores: Sequence[Score]


class Standing(NamedTuple):
    """What is counted once for a span, by group."""

    new_customers: Counter[Group]
    buyers: Mapping[Group, Share]
    velocities: Mapping[Group, Velocity]


class _Group:
    """What belongs to one group."""

    def __init__(self) -> None:
        self.booked: list[Booked] = []
        self.opened: list[Closed] = []
        self.responses: list[tuple[Closed, Response]] = []
        """Of the deals opened: the first outbound contact of each that has one."""
        self.closed: list[Closed] = []
        self.contacts: list[Contact] = []
        self.scores: list[Score] = []


def kpi_lines(
    span: Span, rows: Rows, standing: Standing, grouping: Grouping, timezone: ZoneInfo
) -> Iterator[KpiLine]:
    """Give a line per group with anything in the span; one in any case without groups.

    A group whose open deals count for velocity has a line, whatever else happened.
    """
    groups: dict[Group, _Group] = defaultdict(_Group)
    if grouping.by is None:
        groups[None] = _Group()
    _sort_deals(span, rows, grouping, groups)
    for contact in rows.contacts:
        if span.holds(contact.whose.at) and grouping.wants(contact.whose):
            groups[grouping.of(contact.whose)].contacts.append(contact)
    for score in rows.scores:
        if span.holds(score.whose.at) and grouping.wants(score.whose):
            groups[grouping.of(score.whose)].scores.append(score)
    quiet = {group for group, each in standing.velocities.items() if each.open_deals}
    for group in sorted({*groups, *quiet}, key=group_order):
        yield _line(span, group, groups[group], standing, timezone)


def _sort_deals(
    span: Span, rows: Rows, grouping: Grouping, groups: dict[Group, _Group]
) -> None:
    for row in rows.booked:
        if span.holds(row.occurred) and grouping.wants(row.whose):
            groups[grouping.of(row.whose)].booked.append(row)
    for deal in rows.closed:
        opening, closing = opening_whose(deal), closing_whose(deal)
        if span.holds(opening.at) and grouping.wants(opening):
            group = groups[grouping.of(opening)]
            group.opened.append(deal)
            if deal.deal in rows.responses:
                group.responses.append((deal, rows.responses[deal.deal]))
        if closing is not None and span.holds(closing.at) and grouping.wants(closing):
            groups[grouping.of(closing)].closed.append(deal)


def _line(
    span: Span, group: Group, rows: _Group, standing: Standing, timezone: ZoneInfo
) -> KpiLine:
    won = [deal for deal in rows.closed if deal.outcome == "won"]
    lost = [deal for deal in rows.closed if deal.outcome == "lost"]
    repeats = sum(
        row.sign for row in rows.booked if row.kind == "repeated" and row.role == "owner"
    )
    created_won = sum(deal.outcome == "won" for deal in rows.opened)
    buyers = standing.buyers.get(group, Share(0, 0))
    return KpiLine(
        first=span.first,
        last=span.last,
        group=group,
        sales=totals(_part(row) for row in rows.booked),
        orders=len(won) + repeats,
        repeat_orders=repeats,
        created=len(rows.opened),
        created_won=created_won,
        created_open=sum(deal.outcome == "open" for deal in rows.opened),
        win_rate_of_created=ratio(created_won, len(rows.opened)),
        won=len(won),
        lost=len(lost),
        disqualified=sum(deal.outcome == "disqualified" for deal in rows.closed),
        win_rate=share(len(won), len(won) + len(lost)),
        win_rate_by_value=tuple(_by_value(won, lost)),
        cycle=spread(lasted(deal, timezone) for deal in won),
        new_customers=standing.new_customers[group],
        customers=buyers.whole,
        customers_again=buyers.part,
        repeat_rate=ratio(*buyers),
        follow_ups=follow_ups(rows.contacts),
        first_response=first_response(rows.responses, timezone),
        csat=top_box(rows.scores),
        velocity=standing.velocities.get(group) or velocity(0, (), timezone),
    )


def _part(row: Booked) -> tuple[str | None, Decimal, Decimal]:
    amount = Decimal(row.sign * (row.amount or 0)) / AMOUNT_SCALE
    return row.currency, amount, Decimal(row.share) / AMOUNT_SCALE


def _by_value(won: Sequence[Closed], lost: Sequence[Closed]) -> Iterator[ValueRate]:
    value: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for number, deals in enumerate((won, lost)):
        for deal in deals:
            if deal.currency is not None:
                value[deal.currency][number] += deal.amount or 0
    for currency, (gained, missed) in sorted(value.items()):
        rate = ratio(gained, gained + missed)
        if rate is not None:
            yield ValueRate(currency=currency, rate=rate)
