"""The figures of one line of the KPIs, worked out from bookings, openings and closings.

What each figure means is said by the view. Filters have been applied by whoever read the
rows; here rows are put to spans and groups and counted. Nothing is rounded before it is shown.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.process import win_rate_of
from salesflow.domain.time import DAY, Instant, from_instant, microseconds_between
from salesflow.domain.values import Currency, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Estimate, Total, totals
from salesflow.projections.core.currency import CurrencyConverter
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.core.statistics import (
    Share,
    Spread,
    decimal_of,
    ratio,
    ratios,
    shares,
    spreads,
)
from salesflow.projections.performance.kpi_rows import (
    Booked,
    ClosingRow,
    Contact,
    CustomerOrder,
    EndOfSpan,
    OpenDeals,
    Response,
    Rows,
    Score,
    closing_attribution,
    in_report_currency,
    opening_attribution,
)
from salesflow.projections.scope import Attribution, Group, Grouping, group_order
from salesflow.projections.table import AMOUNT_SCALE, Processes

__all__ = [
    "KpiLine",
    "ValueRate",
    "Velocity",
    "kpi_lines",
]


# Sales velocity: how much money a day the pipeline brings, judged by what closed lately.
#
# Velocity = open deals at or past the qualifying stage x mean won amount x win rate ÷ mean
# cycle days. The deals are those open at the end of a span (or at the moment), the last three
# figures those of deals that closed in the days before it. The mean won amount is a sum of
# money in each currency: so much of each does a won deal bring on the average. Where a process
# names no qualifying stage all its open deals count.


class Velocity(Value):
    """How much money a day the open deals bring, and what it is worked out from."""

    open_deals: int
    """Open deals at or past the qualifying stage of their process."""
    won_mean: tuple[Total, ...]
    """Of the deals won lately whose amount is known."""
    win_rate: Decimal | None
    cycle_days: Decimal | None
    """The mean of the deals won lately, from opening to closing."""
    per_day: tuple[Total, ...]
    """Empty where it is undefined: nothing won lately, or won in no time."""


def _velocities(
    reader: Reader, end: EndOfSpan, grouping: Grouping, exchange: CurrencyConverter
) -> dict[Group, Velocity]:
    """Return the velocity at an instant of every group that has open deals or closed any."""
    opened: Counter[Group] = Counter()
    for row in end.open_deals:
        about = (row.rep, row.customer_id, row.lead_source, row.process)
        attribution = Attribution(end.at, *about)
        if grouping.wants(attribution) and _qualifies(row, reader.processes):
            opened[grouping.of(attribution)] += row.deals
    closed: dict[Group, list[ClosingRow]] = defaultdict(list)
    for deal in end.closed:
        whose = closing_attribution(deal)
        if whose is not None and grouping.wants(whose):
            worth = (
                in_report_currency(deal, exchange, end.at) if deal.outcome == "won" else deal
            )
            closed[grouping.of(whose)].append(worth)
    return {
        group: _velocity(opened[group], closed[group], reader.timezone)
        for group in {*opened, *closed}
    }


def _velocity(open_deals: int, closed: Sequence[ClosingRow], timezone: ZoneInfo) -> Velocity:
    """Work the velocity out from so many open deals, and from deals won or lost lately."""
    won = [deal for deal in closed if deal.outcome == "won"]
    gained, counted = win_rate_of(_by_outcome(closed), 0)
    means = _won_mean(won)
    cycle = Fraction(sum(_lasted(deal, timezone) for deal in won), len(won) or 1) / DAY
    per_day: dict[str, Fraction] = {}
    if cycle and counted:
        speed = open_deals * Fraction(gained, counted) / cycle
        per_day = {currency: amount * speed for currency, amount in means.items()}
    return Velocity(
        open_deals=open_deals,
        won_mean=_totals(means),
        win_rate=ratio(gained, counted),
        cycle_days=decimal_of(cycle) if won else None,
        per_day=_totals(per_day),
    )


def _by_outcome(deals: Iterable[ClosingRow]) -> Counter[str]:
    return Counter(deal.outcome for deal in deals)


def _lasted(deal: ClosingRow, timezone: ZoneInfo) -> int:
    """Return the microseconds from opening to closing of a closed deal."""
    assert deal.closed is not None
    days_only = bool(deal.opened_day_only and deal.closed_day_only)
    return microseconds_between(deal.opened, deal.closed, timezone, days_only=days_only)


def _won_mean(won: Sequence[ClosingRow]) -> dict[str, Fraction]:
    sums: Counter[str] = Counter()
    known = [(d.currency, d.amount) for d in won if d.currency is not None]
    for currency, amount in known:
        sums[currency] += amount or 0
    return {c: Fraction(amount, AMOUNT_SCALE * len(known)) for c, amount in sums.items()}


def _totals(sums: dict[str, Fraction]) -> tuple[Total, ...]:
    return tuple(
        Total(currency=currency, amount=decimal_of(amount))
        for currency, amount in sorted(sums.items())
    )


def _qualifies(row: OpenDeals, processes: Processes) -> bool:
    process = processes.get((row.process, row.process_version))
    return process is None or process.is_qualifying(row.stage)


# The orders of customers: who bought for the first time in a period, and who came back.
#
# An order is a deal standing won at the moment, or a repeat order. A customer is new once, with
# the first deal standing won, for whoever won it; customers merged into one have one first
# deal. Orders without a customer count for nobody.

AGAIN: Final = 2
"""With so many orders a customer has bought again."""


class CustomerOrders:
    """All orders of customers up to the end of a period."""

    def __init__(
        self, rows: Rows, end: Instant, grouping: Grouping, timezone: ZoneInfo
    ) -> None:
        won = [order for order in rows.won if order.at < end]
        repeated = [order for order in rows.repeated if order.at < end]
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
    """Return whether nothing says that the customer was one before the day of an order."""
    since = grouping.customers.since(grouping.customers.survivor(order.customer_id))
    return since is None or since >= from_instant(order.at).astimezone(timezone).date()


def _when(order: CustomerOrder) -> tuple[Instant, UUID]:
    return order.at, order.deal


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


def _follow_ups(contacts: Sequence[Contact]) -> FollowUps:
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


def _first_responses(
    responses: Iterable[tuple[ClosingRow, Response]], timezone: ZoneInfo
) -> list[int]:
    """Return the times from the opening of deals to the first outbound contact of each."""
    return [
        microseconds_between(
            deal.opened,
            first.at,
            timezone,
            days_only=bool(deal.opened_day_only and first.day_only),
        )
        for deal, first in responses
    ]


def _top_box(scores: Sequence[Score]) -> Share:
    """Count the scores in the top two box, and all of them."""
    return Share(sum(each.score >= TOP_BOX for each in scores), len(scores))


# A line of the KPIs: what one span of days and one group comes to.


class ValueRate(Value):
    """What was won of what was won or lost, in one currency."""

    currency: Currency
    rate: Decimal


class KpiLine(Value):
    """The figures of one span of days and one group."""

    first: Annotated[date, FieldRole.KEY]
    last: Annotated[date, FieldRole.KEY]
    """The last day of the span, included."""
    group: Annotated[SafeText | None, FieldRole.KEY]
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


class SpanTotals(NamedTuple):
    """What is counted once for a span, by group."""

    new_customers: Counter[Group]
    buyers: Mapping[Group, Share]
    velocities: Mapping[Group, Velocity]


class _KpiGroup:
    """What belongs to one group."""

    def __init__(self) -> None:
        self.booked: list[Booked] = []
        self.opened: list[ClosingRow] = []
        self.responses: list[tuple[ClosingRow, Response]] = []
        """Of the deals opened: the first outbound contact of each that has one."""
        self.closed: list[ClosingRow] = []
        self.contacts: list[Contact] = []
        self.scores: list[Score] = []

    def repeats(self) -> int:
        """Count the repeat orders, once each whoever shares in them."""
        repeated = (row for row in self.booked if row.kind == "repeated")
        return sum(row.sign for row in repeated if row.role == "owner")


def kpi_lines(
    reader: Reader,
    spans: Sequence[Span],
    rows: Rows,
    grouping: Grouping,
    exchange: CurrencyConverter,
) -> tuple[KpiLine, ...]:
    """Return a line for each span and each group that has anything in it."""
    timezone = reader.timezone
    orders = CustomerOrders(rows, spans[-1].end, grouping, timezone)
    lines: list[KpiLine] = []
    for span in spans:
        totals = SpanTotals(
            orders.new_customers(span),
            orders.buyers(span),
            _velocities(reader, rows.ends[span], grouping, exchange),
        )
        lines += _lines_of(span, rows, totals, grouping, timezone)
    return tuple(lines)


def _lines_of(
    span: Span, rows: Rows, totals: SpanTotals, grouping: Grouping, timezone: ZoneInfo
) -> Iterator[KpiLine]:
    """Return a line per group with anything in the span; one in any case without groups.

    A group whose open deals count for velocity has a line, whatever else happened.
    """
    groups: dict[Group, _KpiGroup] = defaultdict(_KpiGroup)
    if grouping.by is None:
        groups[None] = _KpiGroup()
    _sort_deals(span, rows, grouping, groups)
    for contact in rows.contacts:
        if span.holds(contact.whose.at) and grouping.wants(contact.whose):
            groups[grouping.of(contact.whose)].contacts.append(contact)
    for score in rows.scores:
        if span.holds(score.whose.at) and grouping.wants(score.whose):
            groups[grouping.of(score.whose)].scores.append(score)
    quiet = {group for group, each in totals.velocities.items() if each.open_deals}
    for group in sorted({*groups, *quiet}, key=group_order):
        yield _line(span, group, groups[group], totals, timezone)


def _sort_deals(
    span: Span, rows: Rows, grouping: Grouping, groups: dict[Group, _KpiGroup]
) -> None:
    for row in rows.booked:
        if span.holds(row.occurred) and grouping.wants(row.whose):
            groups[grouping.of(row.whose)].booked.append(row)
    for deal in rows.closed:
        opening, closing = opening_attribution(deal), closing_attribution(deal)
        if span.holds(opening.at) and grouping.wants(opening):
            group = groups[grouping.of(opening)]
            group.opened.append(deal)
            if deal.deal in rows.responses:
                group.responses.append((deal, rows.responses[deal.deal]))
        if closing is not None and span.holds(closing.at) and grouping.wants(closing):
            groups[grouping.of(closing)].closed.append(deal)


def _line(
    span: Span, group: Group, rows: _KpiGroup, span_totals: SpanTotals, timezone: ZoneInfo
) -> KpiLine:
    outcomes, repeats = _by_outcome(rows.closed), rows.repeats()
    created_won = sum(deal.outcome == "won" for deal in rows.opened)
    buyers = span_totals.buyers.get(group, Share(0, 0))
    of_created, repeat_rate = ratios(Share(created_won, len(rows.opened)), buyers)
    win_rate, csat = shares(Share(*win_rate_of(outcomes, 0)), _top_box(rows.scores))
    cycle, first_response = spreads(
        [_lasted(deal, timezone) for deal in rows.closed if deal.outcome == "won"],
        _first_responses(rows.responses, timezone),
    )
    return KpiLine(
        first=span.first,
        last=span.last,
        group=group,
        sales=totals([_part(row) for row in rows.booked]),
        orders=outcomes["won"] + repeats,
        repeat_orders=repeats,
        created=len(rows.opened),
        created_won=created_won,
        created_open=sum(deal.outcome == "open" for deal in rows.opened),
        win_rate_of_created=of_created,
        won=outcomes["won"],
        lost=outcomes["lost"],
        disqualified=outcomes["disqualified"],
        win_rate=win_rate,
        win_rate_by_value=tuple(_by_value(rows.closed)),
        cycle=cycle,
        new_customers=span_totals.new_customers[group],
        customers=buyers.whole,
        customers_again=buyers.part,
        repeat_rate=repeat_rate,
        follow_ups=_follow_ups(rows.contacts),
        first_response=first_response,
        csat=csat,
        velocity=span_totals.velocities.get(group) or _velocity(0, (), timezone),
    )


def _part(row: Booked) -> tuple[str | None, Decimal, Decimal]:
    amount = Decimal(row.sign * (row.amount or 0)) / AMOUNT_SCALE
    return row.currency, amount, Decimal(row.share) / AMOUNT_SCALE


def _by_value(closed: Iterable[ClosingRow]) -> Iterator[ValueRate]:
    value: dict[str, Counter[str]] = defaultdict(Counter)
    for deal in closed:
        if deal.currency is not None:
            value[deal.currency][deal.outcome] += deal.amount or 0
    for currency, amounts in sorted(value.items()):
        rate = ratio(*win_rate_of(amounts, 0))
        if rate is not None:
            yield ValueRate(currency=currency, rate=rate)
