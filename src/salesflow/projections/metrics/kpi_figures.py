"""The figures of the lines of the KPIs, worked out from bookings, openings and closings.

What each figure means is said by the view. A line is of one span of days and one group. Rows
have been put to spans and groups by whoever read them; here each figure is worked out for all
lines at once. Nothing is rounded before it is shown.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from operator import add
from typing import Annotated, Any, Final, NamedTuple

import numpy as np

from salesflow.domain.process import win_rate_of
from salesflow.domain.time import DAY
from salesflow.domain.unchecked import Fields, unchecked, unchecked_all
from salesflow.domain.values import Currency, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Estimate, Total
from salesflow.projections.core.column_figures import exact_sums
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import NOTHING, Column, HeldRows
from salesflow.projections.core.currency import AMOUNT_PLACES, totals_of_pairs
from salesflow.projections.core.question import Span
from salesflow.projections.core.statistics import (
    Spread,
    ratio,
    ratios,
    shares,
    spreads,
)
from salesflow.projections.metrics.kpi_rows import (
    CELL,
    OUTCOMES,
    WON,
    KpiRows,
    SpanRows,
    cells_of,
)
from salesflow.projections.scope import Group, Grouping, unnamed_last
from salesflow.projections.table import AMOUNT_SCALE

__all__ = [
    "KpiLine",
    "Lines",
    "ValueRate",
    "Velocity",
    "created_of",
    "csat_of",
    "customers_of",
    "decided_of",
    "follow_ups_of",
    "kpi_lines",
    "sales_of",
    "velocities_of",
]

AGAIN: Final = 2
"""With so many orders a customer has bought again."""
TOP_BOX: Final = 4
"""The lowest score of the top two box, of five."""


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


_velocity_values: Final = unchecked_all(Velocity)
_by_channel: Final = unchecked(ContactsBy)
_followed_up: Final = unchecked_all(FollowUps)
_value_rates: Final = unchecked_all(ValueRate)
_kpi_lines: Final = unchecked_all(KpiLine)
NO_FOLLOW_UPS: Final = FollowUps(contacts=0, deals=0, per_deal=None, by_channel=())
NO_VELOCITY: Final = Velocity(
    open_deals=0, won_mean=(), win_rate=None, cycle_days=None, per_day=()
)
"""Of most customers in most months nothing else is to be said; it is said by one value."""


def kpi_lines(spans: Sequence[Span], rows: KpiRows, grouping: Grouping) -> list[KpiLine]:
    """Return a line for each span and each group that has anything in it, in their order.

    One in any case without groups. A group whose open deals count for velocity has a line, and
    so has a team that somebody was in, whatever else happened.
    """
    happened = (rows.booked, rows.opened, rows.closed, rows.contacts, rows.scores)
    cells = [cells_of(each.span, each.group) for each in happened]
    cells += [cells_of(*rows.open_deals), cells_of(*rows.staffed_teams)]
    lines = Lines(cells, len(spans), grouping)
    columns: dict[str, Sequence[Any]] = {
        **lines.named(spans),
        **sales_of(rows, lines),
        **created_of(rows, lines),
        **decided_of(rows, lines),
        **customers_of(rows, lines, spans),
        "follow_ups": follow_ups_of(rows.contacts, lines),
        "csat": csat_of(rows.scores, lines),
        "velocity": velocities_of(rows, lines),
    }
    columns["orders"] = [*map(add, columns["won"], columns["repeat_orders"])]
    names = [*KpiLine.model_fields]
    each = [*zip(*(columns[name] for name in names), strict=True)]
    return _kpi_lines([dict(zip(names, each[n], strict=True)) for n in lines.in_order()])


class Lines:
    """The lines of an answer, and to which of them rows belong."""

    def __init__(self, cells: Sequence[Column], spans: int, grouping: Grouping) -> None:
        """Make a line for each of some cells, and without groups for each of so many spans."""
        found = [*cells]
        if grouping.by is None:
            found.append(cells_of(np.arange(spans), np.full(spans, NOTHING)))
        self._cells: Final = np.unique(np.concatenate(found))
        groups = (self._cells & (1 << CELL) - 1) - 1
        self._names, self._place = grouping.in_order(groups)

    @property
    def spans(self) -> Column:
        """The number of the span of each line."""
        numbers: Column = self._cells >> CELL
        return numbers

    @property
    def groups(self) -> list[Group]:
        """What the group of each line is called."""
        return [self._names[place] for place in self._place.tolist()]

    def __len__(self) -> int:
        return len(self._cells)

    def named(self, spans: Sequence[Span]) -> dict[str, Sequence[Any]]:
        """Return the days and the group of each line."""
        span = self.spans.tolist()
        return {
            "first": [spans[number].first for number in span],
            "last": [spans[number].last for number in span],
            "group": self.groups,
        }

    def in_order(self) -> list[int]:
        """Return the lines in order of their spans, and then of their groups by name."""
        found: list[int] = np.lexsort([self._place, self.spans]).tolist()
        return found

    def of(self, span: Column, group: Column) -> Column:
        """Return the line of each span and group; -1 where there is none."""
        cells = cells_of(span, group)
        place = np.searchsorted(self._cells, cells)
        there = self._cells[np.minimum(place, len(self) - 1)] if len(self) else cells - 1
        return np.where(there == cells, place, -1)

    def count(self, rows: SpanRows) -> list[int]:
        """Count rows line by line."""
        return self.counts(self.of(rows.span, rows.group))

    def outcomes(self, line: Column, outcome: Column) -> dict[str, list[int]]:
        """Count deals line by line and by their outcomes, which are given by number."""
        return {name: self.counts(line[outcome == n]) for n, name in enumerate(OUTCOMES)}

    def counts(self, line: Column) -> list[int]:
        """Count how often each line is met; -1 is none."""
        counts: list[int] = np.bincount(line[line >= 0], minlength=len(self)).tolist()
        return counts

    def spreads(self, line: Column, times: Column) -> list[Spread]:
        """Return how the times of each line are spread."""
        return spreads(line, times, len(self))


def sales_of(rows: KpiRows, lines: Lines) -> dict[str, Sequence[Any]]:
    """Add up what is booked, each booking by its share, and count repeat orders.

    Those count once each, whoever shares in them.
    """
    booked, times = rows.booked, rows.booked_times
    line = lines.of(booked.span, booked.group)
    parts = times * booked.rows["share"]
    count, places = len(lines), 2 * AMOUNT_PLACES
    repeats = booked.rows.fitting({"kind": "repeated", "role": "owner"})
    return {
        "sales": rows.booked_amounts.totals(line, count, parts, places=places),
        "repeat_orders": exact_sums(times[repeats], line[repeats], count).tolist(),
    }


def created_of(rows: KpiRows, lines: Lines) -> dict[str, Sequence[Any]]:
    """Count the deals opened, and those of them that stand won or open."""
    line, responded = lines.of(rows.opened.span, rows.opened.group), rows.responded >= 0
    created, outcomes = lines.counts(line), lines.outcomes(line, rows.outcome_of_opened)
    return {
        "created": created,
        "created_won": outcomes["won"],
        "created_open": outcomes["open"],
        "win_rate_of_created": ratios(outcomes["won"], created),
        "first_response": lines.spreads(line[responded], rows.responded[responded]),
    }


def decided_of(rows: KpiRows, lines: Lines) -> dict[str, Sequence[Any]]:
    """Count the deals that closed, and work out win rates and cycles."""
    line, won = lines.of(rows.closed.span, rows.closed.group), rows.outcome_of_closed == WON
    outcomes = lines.outcomes(line, rows.outcome_of_closed)
    return {
        **{outcome: outcomes[outcome] for outcome in ("won", "lost", "disqualified")},
        "win_rate": shares(*_win_rates(outcomes)),
        "win_rate_by_value": _by_value(rows, line[rows.decided], len(lines)),
        "cycle": lines.spreads(line[won], rows.lasted[won]),
    }


def _win_rates(outcomes: Mapping[str, Sequence[int]]) -> tuple[list[int], list[int]]:
    """Return what was won, and all that counts, of the counts of each outcome line by line."""
    counts = {outcome: np.array(each, np.int64) for outcome, each in outcomes.items()}
    gained, counted = win_rate_of(counts, np.zeros_like(counts["won"]))
    return gained.tolist(), counted.tolist()


def _by_value(rows: KpiRows, line: Column, count: int) -> list[tuple[ValueRate, ...]]:
    """Return what was won of what was won or lost, line by line and in each currency."""
    outcome, kinds = rows.outcome_of_closed[rows.decided], len(OUTCOMES)
    found: list[tuple[ValueRate, ...]] = [()] * count
    for currency, here in rows.decided_amounts.by_currency():
        amounts, cells = rows.decided_amounts.amount[here], (line * kinds + outcome)[here]
        sums = exact_sums(amounts, cells, count * kinds).reshape(count, kinds).T
        gained, counted = win_rate_of(
            dict(zip(OUTCOMES, sums, strict=True)), np.zeros(count, np.int64)
        )
        some = np.flatnonzero(counted)
        rates = ratios(gained[some].tolist(), counted[some].tolist())
        values = _value_rates([{"currency": currency, "rate": rate} for rate in rates])
        for number, value in zip(some.tolist(), values, strict=True):
            found[number] += (value,)
    return found


# The orders of customers: who bought for the first time in a period, and who came back.
#
# An order is a deal standing won at the moment, or a repeat order. A customer is new once, with
# the first deal standing won, for whoever won it; customers merged into one have one first
# deal. Orders without a customer count for nobody.


def customers_of(
    rows: KpiRows, lines: Lines, spans: Sequence[Span]
) -> dict[str, Sequence[Any]]:
    """Count who had ordered, and ordered again, by the end of each line's span."""
    orders, ends = rows.orders, np.array([span.end for span in spans])
    buyers = grouped(orders.group, orders.customer)
    group, count = orders.group[buyers.first], np.zeros(len(buyers.first), np.int64)
    placed = np.searchsorted(ends, orders.at, "right")
    lines_of_once, lines_of_again = [], []
    for span in range(len(spans)):
        now = placed == span
        np.add.at(count, buyers.of[now], orders.weight[now])
        line = lines.of(np.full(len(group), span), group)
        lines_of_once.append(line[count >= 1])
        lines_of_again.append(line[count >= AGAIN])
    once, again = (lines.counts(np.concatenate(it)) for it in (lines_of_once, lines_of_again))
    return {
        "new_customers": lines.count(rows.new_customers),
        "customers": once,
        "customers_again": again,
        "repeat_rate": ratios(again, once),
    }


# How customers were dealt with in a period: contacts and satisfaction.
#
# A contact and an answer belong to whoever had the deal when they took place. Contacts count
# whatever became of the deal.


def follow_ups_of(contacts: SpanRows, lines: Lines) -> list[FollowUps]:
    """Count contacts, the deals they were about, and by which channel they were."""
    line = lines.of(contacts.span, contacts.group)
    if not len(line):
        return [NO_FOLLOW_UPS] * len(lines)
    about = grouped(line, contacts.rows["entity_id"]).first
    by_channel, counts = _by_channels(contacts.rows, line, len(lines)), lines.counts(line)
    deals = lines.counts(line[about])
    each = zip(counts, deals, ratios(counts, deals), by_channel, strict=True)
    some: list[Fields] = [
        {
            "contacts": count,
            "deals": deals,
            "per_deal": per_deal,
            "by_channel": tuple(channels),
        }
        for count, deals, per_deal, channels in each
        if count
    ]
    found = iter(_followed_up(some))
    return [next(found) if count else NO_FOLLOW_UPS for count in counts]


def _by_channels(contacts: HeldRows, line: Column, count: int) -> list[list[ContactsBy]]:
    """Count contacts by channel, line by line and in order of the channels' names."""
    channel, names = contacts.distinct("channel")
    order = sorted(range(len(names)), key=lambda number: unnamed_last(names[number]))
    found: list[list[ContactsBy]] = [[] for _ in range(count)]
    value = cache(lambda name, times: _by_channel(channel=name, contacts=times))
    for number in order:
        counts = np.bincount(line[channel == number], minlength=count)
        some = np.flatnonzero(counts)
        for place, times in zip(some.tolist(), counts[some].tolist(), strict=True):
            found[place].append(value(names[number], times))
    return found


def csat_of(scores: SpanRows, lines: Lines) -> list[Estimate | None]:
    """Return the share of scores in the top two box, line by line."""
    line = lines.of(scores.span, scores.group)
    satisfied = lines.counts(line[scores.rows["score"] >= TOP_BOX])
    return shares(satisfied, lines.counts(line))


# Sales velocity: how much money a day the pipeline brings, judged by what closed lately.
#
# Velocity = open deals at or past the qualifying stage x mean won amount x win rate ÷ mean
# cycle days. The deals are those open at the end of a span (or at the moment), the last three
# figures those of deals that closed in the days before it. The mean won amount is a sum of
# money in each currency: so much of each does a won deal bring on the average. Where a process
# names no qualifying stage all its open deals count.


def velocities_of(rows: KpiRows, lines: Lines) -> list[Velocity]:
    """Return the velocity of each line at the end of its span."""
    open_deals, won = lines.counts(lines.of(*rows.open_deals)), _won_lately(rows, lines)
    found = [NO_VELOCITY] * len(lines)
    some = [n for n, open in enumerate(open_deals) if open or won[n].counted]
    if not some:
        return found
    velocities = _velocities_of([open_deals[n] for n in some], [won[n] for n in some])
    for number, velocity in zip(some, velocities, strict=True):
        found[number] = velocity
    return found


class _Won(NamedTuple):
    """Deals that were won lately: what they brought by currency, and how long they lasted."""

    sums: Mapping[str, int]
    known: int
    """Of so many of them the amount is known."""
    spent: int
    deals: int
    gained: int
    """So many of those that count in the win rate are won."""
    counted: int


def _won_lately(rows: KpiRows, lines: Lines) -> list[_Won]:
    """Return what was won lately, line by line."""
    lately, count = rows.lately, len(lines)
    line, is_won = lines.of(lately.span, lately.group), lately.outcome == WON
    outcomes = lines.outcomes(line, lately.outcome)
    mine = line[is_won] >= 0
    won, amounts = line[is_won][mine], lately.amounts.where(mine)
    columns = (
        amounts.sums(won, count),
        lines.counts(won[amounts.known]),
        exact_sums(lately.lasted[is_won][mine], won, count).tolist(),
        outcomes["won"],
        *_win_rates(outcomes),
    )
    return [*map(_Won, *columns)]


def _velocities_of(open_deals: Sequence[int], won: Sequence[_Won]) -> list[Velocity]:
    """Work velocities out from deals that are open and from those that closed lately."""
    cycles, known = [it.deals * DAY for it in won], [it.known * AMOUNT_SCALE for it in won]
    spent = [it.spent for it in won]
    times = [n * it.gained * days for n, it, days in zip(open_deals, won, cycles, strict=True)]
    wholes = [n * it.counted * it.spent for n, it in zip(known, won, strict=True)]
    sums = [it.sums for it in won]
    each = zip(
        open_deals,
        _shared(sums, [1] * len(won), known),
        ratios([it.gained for it in won], [it.counted for it in won]),
        ratios(spent, cycles),
        _shared(sums, times, wholes),
        strict=True,
    )
    names = [*Velocity.model_fields]
    return _velocity_values([dict(zip(names, figures, strict=True)) for figures in each])


def _shared(
    sums: Sequence[Mapping[str, int]], times: Sequence[int], wholes: Sequence[int]
) -> list[tuple[Total, ...]]:
    """Return sums, each times a number and divided by a whole; none where that is nothing."""
    each = [
        [(currency, ratio(amount * n, whole)) for currency, amount in amounts.items()]
        if whole
        else []
        for amounts, n, whole in zip(sums, times, wholes, strict=True)
    ]
    return totals_of_pairs(each)
