"""The figures of the lines of the KPIs, worked out from bookings, openings and closings.

What each figure means is said by the view. A line is of one span of days and one group. Rows
have been put to spans and groups by whoever read them; here each figure is worked out for all
lines at once. Nothing is rounded before it is shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from operator import add
from typing import Annotated, Any, Final, NamedTuple

import numpy as np

from salesflow.domain.process import win_rate_of
from salesflow.domain.time import DAY
from salesflow.domain.unchecked import unchecked, unchecked_all
from salesflow.domain.values import Currency, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Estimate, Total
from salesflow.projections.core.column_figures import exact_sums
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import NOTHING, Column
from salesflow.projections.core.currency import AMOUNT_PLACES, totals_of_each
from salesflow.projections.core.question import Span
from salesflow.projections.core.statistics import (
    Spread,
    ratio,
    ratios,
    shares,
    spreads,
)
from salesflow.projections.performance.kpi_rows import OUTCOMES, WON, KpiRows, SpanRows
from salesflow.projections.scope import Grouping, unnamed_last
from salesflow.projections.table import AMOUNT_SCALE

__all__ = [
    "KpiLine",
    "ValueRate",
    "Velocity",
    "kpi_lines",
]

CELL: Final = 32
"""Bits of a group in the number of a line."""
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


_velocity_of: Final = unchecked(Velocity)
_by_channel: Final = unchecked(ContactsBy)
_followed_up: Final = unchecked(FollowUps)
_value_rate: Final = unchecked(ValueRate)
_lines: Final = unchecked_all(KpiLine)
NO_FOLLOW_UPS: Final = FollowUps(contacts=0, deals=0, per_deal=None, by_channel=())
NO_VELOCITY: Final = Velocity(
    open_deals=0, won_mean=(), win_rate=None, cycle_days=None, per_day=()
)
"""Of most customers in most months nothing else is to be said; it is said by one value."""
_total: Final = unchecked(Total)


def kpi_lines(spans: Sequence[Span], rows: KpiRows, grouping: Grouping) -> list[KpiLine]:
    """Return a line for each span and each group that has anything in it, in their order.

    One in any case without groups. A group whose open deals count for velocity has a line,
    whatever else happened.
    """
    lines = _Lines(rows, len(spans), grouping)
    columns: dict[str, Sequence[Any]] = {
        **_sales(rows, lines),
        **_created(rows, lines),
        **_decided(rows, lines),
        **_customers(rows, lines, spans),
        "follow_ups": _follow_ups(rows.contacts, lines),
        "csat": _csat(rows.scores, lines),
        "velocity": _velocities(rows, lines),
    }
    columns["orders"] = [*map(add, columns["won"], columns["repeat_orders"])]
    each = zip(*columns.values(), strict=True)
    fields = [
        {
            "first": spans[span].first,
            "last": spans[span].last,
            "group": group,
            **dict(zip(columns, figures, strict=True)),
        }
        for (span, group), figures in zip(lines.named(), each, strict=True)
    ]
    return sorted(_lines(fields), key=lambda line: (line.first, *unnamed_last(line.group)))


class _Lines:
    """The lines of an answer, and to which of them rows belong."""

    def __init__(self, rows: KpiRows, spans: int, grouping: Grouping) -> None:
        happened = (rows.booked, rows.opened, rows.closed, rows.contacts, rows.scores)
        found = [_cells(each.span, each.group) for each in happened]
        found.append(_cells(*rows.open_deals))
        if grouping.by is None:
            found.append(_cells(np.arange(spans), np.full(spans, NOTHING)))
        self._cells: Final = np.unique(np.concatenate(found))
        self._grouping = grouping

    def __len__(self) -> int:
        return len(self._cells)

    def named(self) -> list[tuple[int, str | None]]:
        """Return the span and the group of each line."""
        spans, groups = self._cells >> CELL, (self._cells & (1 << CELL) - 1) - 1
        names = self._grouping.names(groups)
        return [*zip(spans.tolist(), names, strict=True)]

    def of(self, span: Column, group: Column) -> Column:
        """Return the line of each span and group; -1 where there is none."""
        cells = _cells(span, group)
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


def _cells(span: Column, group: Column) -> Column:
    """Return spans and groups as one number each; that of no group comes first."""
    return (span.astype(np.int64) << CELL) + group + 1


def _sales(rows: KpiRows, lines: _Lines) -> dict[str, Sequence[Any]]:
    """Add up what is booked, each booking by its share, and count repeat orders.

    Those count once each, whoever shares in them.
    """
    booked, times = rows.booked, rows.booked_times
    line = lines.of(booked.span, booked.group)
    parts = times * booked.rows["share"]
    sums = rows.booked_amounts.sums(line, len(lines), parts)
    repeats = booked.rows.fitting({"kind": "repeated", "role": "owner"})
    return {
        "sales": totals_of_each(sums, places=2 * AMOUNT_PLACES),
        "repeat_orders": exact_sums(times[repeats], line[repeats], len(lines)).tolist(),
    }


def _created(rows: KpiRows, lines: _Lines) -> dict[str, Sequence[Any]]:
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


def _decided(rows: KpiRows, lines: _Lines) -> dict[str, Sequence[Any]]:
    """Count the deals that closed, and work out win rates and cycles."""
    line, won = lines.of(rows.closed.span, rows.closed.group), rows.outcome_of_closed == WON
    outcomes = lines.outcomes(line, rows.outcome_of_closed)
    return {
        **{outcome: outcomes[outcome] for outcome in ("won", "lost", "disqualified")},
        "win_rate": shares(*_win_rates(outcomes)),
        "win_rate_by_value": [*_by_value(rows, line[rows.decided], len(lines))],
        "cycle": lines.spreads(line[won], rows.lasted[won]),
    }


def _win_rates(outcomes: Mapping[str, Sequence[int]]) -> tuple[list[int], list[int]]:
    """Return what was won, and all that counts, of the counts of each outcome line by line."""
    counts = {outcome: np.array(each, np.int64) for outcome, each in outcomes.items()}
    gained, counted = win_rate_of(counts, np.zeros_like(counts["won"]))
    return gained.tolist(), counted.tolist()


def _by_value(rows: KpiRows, line: Column, count: int) -> Iterator[tuple[ValueRate, ...]]:
    """Yield what was won of what was won or lost, line by line and in each currency."""
    outcome, kinds = rows.outcome_of_closed[rows.decided], len(OUTCOMES)
    found = rows.decided_amounts.sums(line * kinds + outcome, count * kinds)
    for first in range(0, len(found), kinds):
        sums = found[first : first + kinds]
        yield tuple(_value_rates(dict(zip(OUTCOMES, sums, strict=True)))) if any(sums) else ()


def _value_rates(sums: Mapping[str, Mapping[str, int]]) -> Iterator[ValueRate]:
    for currency in sorted({currency for each in sums.values() for currency in each}):
        amounts = {outcome: each.get(currency, 0) for outcome, each in sums.items()}
        rate = ratio(*win_rate_of(amounts, 0))
        if rate is not None:
            yield _value_rate(currency=currency, rate=rate)


# The orders of customers: who bought for the first time in a period, and who came back.
#
# An order is a deal standing won at the moment, or a repeat order. A customer is new once, with
# the first deal standing won, for whoever won it; customers merged into one have one first
# deal. Orders without a customer count for nobody.


def _customers(rows: KpiRows, lines: _Lines, spans: Sequence[Span]) -> dict[str, Sequence[Any]]:
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


def _follow_ups(contacts: SpanRows, lines: _Lines) -> list[FollowUps]:
    """Count contacts, the deals they were about, and by which channel they were."""
    line, words = lines.of(contacts.span, contacts.group), contacts.rows.words["channel"]
    channel, deal = contacts.rows.cut("channel", "entity_id")
    about, alike = grouped(line, deal).first, grouped(line, channel)
    by_channel: list[dict[str | None, int]] = [{} for _ in range(len(lines))]
    of_channel = cache(lambda name, times: _by_channel(channel=name, contacts=times))
    some = line[alike.first].tolist(), channel[alike.first].tolist(), alike.counts().tolist()
    for number, code, times in zip(*some, strict=True):
        by_channel[number][words[code]] = times
    each = zip(lines.counts(line), lines.counts(line[about]), by_channel, strict=True)
    return [
        _followed_up(
            contacts=count,
            deals=deals,
            per_deal=ratio(count, deals),
            by_channel=tuple(
                [of_channel(name, times[name]) for name in sorted(times, key=unnamed_last)]
            ),
        )
        if count
        else NO_FOLLOW_UPS
        for count, deals, times in each
    ]


def _csat(scores: SpanRows, lines: _Lines) -> list[Estimate | None]:
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


def _velocities(rows: KpiRows, lines: _Lines) -> list[Velocity]:
    """Return the velocity of each line at the end of its span."""
    lately, count = rows.lately, len(lines)
    line, is_won = lines.of(lately.span, lately.group), lately.outcome == WON
    outcomes = lines.outcomes(line, lately.outcome)
    mine = line[is_won] >= 0
    won, amounts = line[is_won][mine], lately.amounts.where(mine)
    each = zip(
        lines.counts(lines.of(*rows.open_deals)),
        amounts.sums(won, count),
        lines.counts(won[amounts.known]),
        exact_sums(lately.lasted[is_won][mine], won, count).tolist(),
        outcomes["won"],
        zip(*_win_rates(outcomes), strict=True),
        strict=True,
    )
    return [
        _velocity(open_deals, _Won(sums, known, spent, count), rate)
        for open_deals, sums, known, spent, count, rate in each
    ]


class _Won(NamedTuple):
    """Deals that were won lately: what they brought by currency, and how long they lasted."""

    sums: Mapping[str, int]
    known: int
    """Of so many of them the amount is known."""
    spent: int
    deals: int


def _velocity(open_deals: int, won: _Won, rate: tuple[int, int]) -> Velocity:
    """Work a velocity out from the deals that are open and from those that closed lately."""
    gained, counted = rate
    if not open_deals and not counted:
        return NO_VELOCITY
    cycle, known = won.deals * DAY, won.known * AMOUNT_SCALE
    return _velocity_of(
        open_deals=open_deals,
        won_mean=_shared(won.sums, 1, known),
        win_rate=ratio(gained, counted),
        cycle_days=ratio(won.spent, cycle),
        per_day=_shared(won.sums, open_deals * gained * cycle, known * counted * won.spent),
    )


def _shared(sums: Mapping[str, int], times: int, whole: int) -> tuple[Total, ...]:
    """Return sums times a number and divided by a whole; nothing where that is nothing."""
    shares = {currency: ratio(amount * times, whole) for currency, amount in sums.items()}
    return tuple(
        [
            _total(currency=currency, amount=share)
            for currency, share in shares.items()
            if share is not None
        ]
    )
