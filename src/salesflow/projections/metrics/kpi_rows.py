"""The rows behind the figures of a period: bookings, deals, orders, contacts and scores.

Each kind is chosen once for all spans of a question; each row is put to the span in which it
happened, and to a group. Open deals, and those that closed lately, are chosen as they stood
at the end of each span.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from salesflow.domain.computed_once import computed_once
from salesflow.domain.process import WIN_RATE
from salesflow.domain.time import Instant, start_of_last_days
from salesflow.projections.core.amounts import Amounts, RateInstants
from salesflow.projections.core.column_figures import elapsed, first_rows, places_among
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import (
    NO_NUMBER,
    NOTHING,
    Column,
    Flags,
    Having,
    HeldRows,
    Words,
)
from salesflow.projections.core.currency import CurrencyConverter
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.contact import CONTACT
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.folds.product_booking import PRODUCT_BOOKING
from salesflow.projections.metrics.visits import Steps, read_steps
from salesflow.projections.scope import Attribution, Grouping
from salesflow.projections.table import Processes

__all__ = [
    "OUTCOMES",
    "WON",
    "Booked",
    "KpiRows",
    "KpiTables",
    "LatelyClosed",
    "Orders",
    "SpanRows",
    "cells_of",
    "read_booked",
]

BOOKED: Final = Attribution("credited", "person", "customer_id", "process")
OPENED: Final = Attribution("opened", "opened_owner", "opened_customer_id", "opened_process")
CLOSED: Final = Attribution("closed", "owner", "customer_id", "process")
OCCURRED: Final = Attribution("occurred", "owner", "customer_id", "process")
OPEN: Final = Attribution("valid_from", "owner", "customer_id", "process")
OUTCOMES: Final = ("won", "lost", "disqualified", "open")
"""As what deals stand, which columns say by number; what is merged is none of these."""
WON: Final = OUTCOMES.index("won")
NOT_MERGED: Final[Having] = {"outcome": OUTCOMES}
CSAT_RECEIVED: Final[Having] = {"kind": "received", "scale": "csat"}
REPEATED: Final[Having] = {"kind": "repeated", "role": "owner"}
"""What customers ordered again: each order once, by what is booked of its owner."""
STAGE: Final = ("process", "process_version", "stage")
ALIKE: Final = (
    *("position", "occurred", "kind", "role", "person", "share", "amount", "currency"),
    *("process", "customer_id", "lead_source", "credited"),
)
"""What a booking and the one that takes it back have in common: the fact behind both, too, so
that a sale told once more is one booking for all who share in it."""
CELL: Final = 32
"""Bits of a group in the number of a line."""


def cells_of(span: Column, group: Column) -> Column:
    """Return spans and groups as one number each; that of no group comes first."""
    return (span.astype(np.int64) << CELL) + group + 1


class SpanRows(NamedTuple):
    """Rows of what happened: in which span of a question each did, and its group."""

    rows: HeldRows
    span: Column
    group: Column


class Orders(NamedTuple):
    """What customers bought, once for each order."""

    at: Column
    group: Column
    customer: Column
    """The code of the customer it counts for."""
    weight: Column
    """A repeat order taken back weighs minus one."""


class LatelyClosed(NamedTuple):
    """Deals won or lost in the days before the end of a span, once for each such span."""

    span: Column
    group: Column
    outcome: Column
    """Its number in `OUTCOMES`."""
    lasted: Column
    amounts: Amounts
    """Of those won."""


class Booked(NamedTuple):
    """A booking's part of one person; `sign` counts those alike, those taken back as minus."""

    occurred: Instant
    sign: int
    person: str | None
    share: int
    amount: int | None
    currency: str | None
    process: str
    credited: Instant


def read_booked(reader: Reader, start: Instant, end: Instant) -> list[Booked]:
    """Read what is booked in `[start, end)`; what was taken back again is left out."""
    rows, times = _netted(reader.columns(BOOKING).between("occurred", start, end))
    cells = {name: rows.cells(name) for name in Booked._fields}
    cells["sign"] = times.tolist()
    return [*map(Booked._make, zip(*cells.values(), strict=True))]


class KpiTables:
    """The rows of the tables behind the figures, of one moment; each is read when needed."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @computed_once
    def bookings(self) -> HeldRows:
        """What is booked of each deal."""
        return self._reader.columns(BOOKING)

    @computed_once
    def product_bookings(self) -> HeldRows:
        """What of each booking each product is."""
        return self._reader.columns(PRODUCT_BOOKING)

    @computed_once
    def contacts(self) -> HeldRows:
        """The contacts with customers."""
        return self._reader.columns(CONTACT)

    @computed_once
    def feedback(self) -> HeldRows:
        """What customers were asked and what they said."""
        return self._reader.columns(FEEDBACK)

    @computed_once
    def standing(self) -> HeldRows:
        """How deals began and ended, as they stand."""
        return self._reader.columns(CLOSING)

    @computed_once
    def closings(self) -> HeldRows:
        """How deals began and ended, with what held before."""
        return self._reader.columns(CLOSING, ended=True)

    @computed_once
    def deals(self) -> HeldRows:
        """Deals as they stood, with what held before."""
        return self._reader.columns(DEAL_STATE, ended=True)

    @computed_once
    def steps(self) -> Steps:
        """The ways of all deals through their stages, but for those that stand merged."""
        steps = read_steps(self._reader)
        return steps.where(~steps.merged)

    @property
    def words(self) -> Mapping[str, Words]:
        """What the codes of their columns stand for, which is the same in all of them."""
        return self.bookings.words


class KpiRows:
    """What happened in all spans of a question, and how deals stood at the end of each.

    Each span begins where the one before it ends. Each kind of rows is chosen once, when it is
    asked for.
    """

    def __init__(
        self,
        reader: Reader,
        tables: KpiTables,
        spans: Sequence[Span],
        exchange: CurrencyConverter,
        grouping: Grouping,
        velocity_days: int,
    ) -> None:
        self._reader = reader
        self._tables = tables
        self._exchange = exchange
        self._grouping = grouping
        self._velocity_days = velocity_days
        self._start, self._end = spans[0].start, spans[-1].end
        self._edges = np.array([*(span.start for span in spans), self._end])
        self._ends = np.minimum(self._edges[1:] - 1, reader.read_point.as_of)
        """Where each span ends, or the moment."""
        self._asked_spans: Flags = np.ones(len(spans), np.bool_)
        self._asked_cells: Callable[[], Column] | None = None

    def ask_only(self, spans: Flags, cells: Callable[[], Column] | None) -> None:
        """Say which figures are asked for: of some spans, of some groups where any are named.

        An amount without a rate is noted only where it would count in one of them.
        """
        self._asked_spans, self._asked_cells = spans, cells

    @computed_once
    def _netted_bookings(self) -> tuple[SpanRows, Column]:
        bookings, product = self._tables.bookings, self._grouping.within.product
        if product is not None:
            bookings = self._tables.product_bookings.among("product", product)
        bookings, times = _netted(self._happened(bookings, "occurred", BOOKED))
        return self._put(bookings, "occurred", BOOKED), times

    @property
    def booked(self) -> SpanRows:
        """What was booked and not taken back."""
        return self._netted_bookings[0]

    @property
    def booked_times(self) -> Column:
        """How often each booking counts, those taken back as minus."""
        return self._netted_bookings[1]

    @computed_once
    def booked_amounts(self) -> Amounts:
        """What each booking is worth."""
        booked, times = self._netted_bookings
        dated = RateInstants(self._last(booked.span), "occurred", "credited")
        asked = np.abs(times) * self._asked(booked.span, booked.group)
        return Amounts.converted(booked.rows, self._exchange, dated, of="position", times=asked)

    @computed_once
    def opened(self) -> SpanRows:
        """The deals that were opened."""
        return self._in_spans(self._tables.standing, "opened", OPENED, NOT_MERGED)

    @computed_once
    def outcome_of_opened(self) -> Column:
        """How those stand: the number in `OUTCOMES`."""
        return self.opened.rows.numbers("outcome", OUTCOMES)

    @computed_once
    def responded(self) -> Column:
        """The microseconds from each opening to the first response; -1 without one."""
        return self._responded(self.opened.rows)

    @computed_once
    def closed(self) -> SpanRows:
        """The deals that closed."""
        having = {**NOT_MERGED, **self._at_stage}
        closings, product = self._tables.standing, self._grouping.within.product
        if product is not None:
            closings = _sold(closings, self._tables.product_bookings.among("product", product))
        return self._in_spans(closings, "closed", CLOSED, having)

    @computed_once
    def outcome_of_closed(self) -> Column:
        """With what those closed: the number in `OUTCOMES`."""
        return self.closed.rows.numbers("outcome", OUTCOMES)

    @computed_once
    def lasted(self) -> Column:
        """The microseconds from opening to closing."""
        return self._lasted(self.closed.rows)

    @computed_once
    def decided(self) -> Flags:
        """Which of those closed count in win rates."""
        return _count_in_win_rates(self.outcome_of_closed)

    @computed_once
    def decided_amounts(self) -> Amounts:
        """What those are worth that count in win rates."""
        asked = self._asked(self.closed.span, self.closed.group)
        end = self._last(self.closed.span)
        return self._worth(self.closed.rows, end, asked, self.decided)

    @computed_once
    def contacts(self) -> SpanRows:
        """The contacts that took place."""
        return self._in_spans(self._tables.contacts, "occurred", OCCURRED, self._at_stage)

    @computed_once
    def scores(self) -> SpanRows:
        """The answers about satisfaction that have a score."""
        scored = self._tables.feedback.where(self._tables.feedback.known("score"))
        having = {**CSAT_RECEIVED, **self._at_stage}
        return self._in_spans(scored, "occurred", OCCURRED, having)

    @computed_once
    def orders(self) -> Orders:
        """What was ordered before the spans' end: deals won, and repeat orders."""
        return self._orders(self._won)

    @computed_once
    def new_customers(self) -> SpanRows:
        """The first deal won of each customer that was none before."""
        return self._in_spans(self._first_won(self._won), "closed", CLOSED)

    @computed_once
    def open_deals(self) -> tuple[Column, Column]:
        """The span and the group of each deal that qualifies, open at a span's end."""
        return self._open_deals()

    @computed_once
    def staffed_teams(self) -> tuple[Column, Column]:
        """The span and the number of each team that somebody was in, in groups by team."""
        teams = [
            (span, team)
            for span, end in enumerate(self._ends.tolist())
            if self._edges[span] <= end
            for team in self._grouping.staffed(int(self._edges[span]), end)
        ]
        columns = np.array(teams, np.int64).reshape(-1, 2)
        return columns[:, 0], columns[:, 1]

    @computed_once
    def lately(self) -> LatelyClosed:
        """The deals that stood won or lost at the end of a span, and closed lately."""
        return self._closed_lately(self._velocity_days)

    @computed_once
    def _won(self) -> HeldRows:
        return self._tables.standing.among("outcome", "won")

    @property
    def _at_stage(self) -> Having:
        stage = self._grouping.within.stage
        return {} if stage is None else {"stage": stage}

    def _happened(
        self,
        rows: HeldRows,
        at: str,
        whose: Attribution,
        having: Having | None = None,
        *,
        from_the_first: bool = False,
    ) -> HeldRows:
        """Return rows of the process and the rep asked for that happened in the spans.

        The column `at` says when each did; with `from_the_first` also those before the spans.
        """
        start = NO_NUMBER if from_the_first else self._start
        wanted = {**self._grouping.wanted(whose), **(having or {})}
        found = rows.between(at, start, self._end, wanted)
        in_team = self._grouping.in_team(found, whose)
        return found if in_team is None else found.where(in_team)

    def _in_spans(
        self, rows: HeldRows, at: str, whose: Attribution, having: Having | None = None
    ) -> SpanRows:
        """Return the same, each with its span and its group."""
        return self._put(self._happened(rows, at, whose, having), at, whose)

    def _put(self, rows: HeldRows, at: str, whose: Attribution) -> SpanRows:
        """Put what happened in the spans to the span in which it did, and to a group."""
        span = np.searchsorted(self._edges, rows[at], "right") - 1
        return SpanRows(rows, span, self._grouping.of(rows, whose))

    def _last(self, span: Column) -> Column:
        """Return the last instants of spans."""
        last: Column = self._edges[1:][span] - 1
        return last

    def _asked(self, span: Column, group: Column) -> Column:
        """Return 1 for each row that counts in a figure that is asked for, else 0."""
        asked = self._asked_spans[span]
        if self._asked_cells is not None:
            asked = asked & np.isin(cells_of(span, group), self._asked_cells())
        return asked.astype(np.int64)

    def _worth(self, closed: HeldRows, end: Column, asked: Column, some: Flags) -> Amounts:
        """Return what some of closed deals are worth, each at the end of a period."""
        dated, rows = RateInstants(end[some], "closed", "closed"), closed.where(some)
        return Amounts.converted(rows, self._exchange, dated, of="entity_id", times=asked[some])

    def _lasted(self, closed: HeldRows) -> Column:
        """Return the microseconds from opening to closing of closed deals."""
        opened_at, closed_at = closed.cut("opened", "closed")
        days_only = closed.say("opened_day_only", "closed_day_only")
        return elapsed(opened_at, closed_at, days_only, self._reader.timezone)

    def _responded(self, opened: HeldRows) -> Column:
        """Return how long after its opening each deal was responded to; -1 for never."""
        contacts, outbound = self._tables.contacts, {"direction": "out"}
        answers = contacts.between("opened", self._start, self._end, outbound)
        of, at, position = answers.cut("entity_id", "occurred", "position")
        first = first_rows(of, at, position)
        place = places_among(of[first], opened["entity_id"])
        answered, row = place >= 0, first[place[place >= 0]]
        days_only = opened.say("opened_day_only")[answered] & answers.say("day_only")[row]
        since, times = opened["opened"][answered], np.full(len(place), -1, np.int64)
        times[answered] = elapsed(since, at[row], days_only, self._reader.timezone)
        return times

    def _orders(self, won: HeldRows) -> Orders:
        """Return what was ordered before the spans' end: deals won, and repeat orders."""
        bookings = self._tables.bookings
        won = self._happened(won, "closed", CLOSED, from_the_first=True)
        repeated = self._happened(bookings, "occurred", BOOKED, REPEATED, from_the_first=True)
        group = np.append(self._grouping.of(won, CLOSED), self._grouping.of(repeated, BOOKED))
        customer = np.append(won["customer_id"], repeated["customer_id"])
        at = np.append(won["closed"], repeated["occurred"])
        weight = np.append(np.ones(won.count, np.int64), repeated["sign"])
        named = customer != NOTHING
        survivors = self._grouping.customers.survivors(customer[named])
        return Orders(at[named], group[named], survivors, weight[named])

    def _first_won(self, won: HeldRows) -> HeldRows:
        """Return the first deal won of each customer that nothing says was one before."""
        customer, closed, deals = won.cut("customer_id", "closed", "entity_id")
        mine = np.flatnonzero((closed < self._end) & (customer != NOTHING))
        customers = self._grouping.customers
        customer = customers.survivors(customer[mine])
        order = np.lexsort([closed[mine], customer])
        customer, rows = customer[order], mine[order]
        at, deal = closed[rows], deals[rows]
        first = first_rows(customer, at, _ranks(customer, at, deal, won))
        first = first[at[first] >= self._start]
        new = customers.are_new(customer[first], at[first], self._reader.timezone)
        is_first = np.zeros(won.count, np.bool_)
        is_first[rows[first[new]]] = True
        return won.where(is_first)

    def _open_deals(self) -> tuple[Column, Column]:
        """Return the span and the group of each deal that qualifies, open at a span's end."""
        known_at, wanted = self._reader.read_point.known_at, self._grouping.wanted(OPEN)
        deals, stood = self._tables.deals.held_at(
            self._ends, known_at, {"outcome": "open", **wanted}
        )
        span, row = np.nonzero(stood & _are_qualifying(deals, self._reader))
        found = deals.ordered(row)
        in_team = self._grouping.in_team(found, OPEN, self._ends[span])
        if in_team is not None:
            span, found = span[in_team], found.ordered(np.flatnonzero(in_team))
        return span, self._grouping.of(found, OPEN, self._ends[span])

    def _closed_lately(self, velocity_days: int) -> LatelyClosed:
        """Return the deals that stood won or lost at the end of a span, and closed lately."""
        known_at, zone = self._reader.read_point.known_at, self._reader.timezone
        wanted: Having = {"outcome": tuple(WIN_RATE), **self._grouping.wanted(CLOSED)}
        since = [start_of_last_days(velocity_days, end, zone) for end in self._ends.tolist()]
        closings, stood = self._tables.closings.held_at(
            self._ends, known_at, wanted, after={"closed": np.array(since)}
        )
        span, row = np.nonzero(stood)
        deals = closings.ordered(row)
        in_team = self._grouping.in_team(deals, CLOSED)
        if in_team is not None:
            span, deals = span[in_team], deals.ordered(np.flatnonzero(in_team))
        outcome = deals.numbers("outcome", OUTCOMES)
        group = self._grouping.of(deals, CLOSED)
        asked = self._asked(span, group)
        won_amounts = self._worth(deals, self._ends[span], asked, outcome == WON)
        return LatelyClosed(span, group, outcome, self._lasted(deals), won_amounts)


def _count_in_win_rates(outcome: Column) -> Flags:
    """Return which of some outcomes, by their numbers, count in win rates."""
    return np.isin(outcome, [OUTCOMES.index(each) for each in WIN_RATE])


def _sold(closings: HeldRows, bookings: HeldRows) -> HeldRows:
    """Return the closings that are wins with any of some bookings."""
    booked, closed = bookings.cut("entity_id", "credited"), closings.cut("entity_id", "closed")
    alike = grouped(*(np.append(*both) for both in zip(booked, closed, strict=True)))
    times = np.zeros(len(alike.first), np.int64)
    np.add.at(times, alike.of[: bookings.count], bookings["sign"])
    return closings.where(times[alike.of[bookings.count :]] > 0)


def _netted(rows: HeldRows) -> tuple[HeldRows, Column]:
    """Return what is booked and was not taken back again, and how often each counts."""
    times, deals = rows["sign"], rows["entity_id"]
    if (times > 0).all():
        return rows, times
    times = times.copy()
    changed = np.isin(deals, deals[times < 0])
    some = rows.where(changed)
    alike = grouped(*some.cut(*ALIKE))
    net = np.zeros(len(some), np.int64)
    np.add.at(net, alike.first[alike.of], some["sign"])
    times[changed] = net
    return rows.where(times != 0), times[times != 0]


def _ranks(customer: Column, at: Column, deal: Column, won: HeldRows) -> Column:
    """Return in which order deals come that were won by one customer at the same time.

    That of their ids; deals that nobody has to choose between have none.
    """
    same = (customer[1:] == customer[:-1]) & (at[1:] == at[:-1])
    tied = np.zeros(len(at), np.bool_)
    tied[1:] |= same
    tied[:-1] |= same
    ids = {code: won.words["entity_id"][code] for code in deal[tied].tolist()}
    rank = {code: number for number, code in enumerate(sorted(ids, key=ids.__getitem__))}
    ranks = np.zeros(len(deal), np.int64)
    ranks[tied] = [rank[code] for code in deal[tied].tolist()]
    return ranks


def _are_qualifying(rows: HeldRows, reader: Reader) -> Flags:
    """Return which open deals stand at or past the qualifying stage of their process."""
    alike = grouped(*rows.cut(*STAGE))
    found = [
        _qualifies((process, version), stage, reader.processes)
        for process, version, stage in rows.records(*STAGE, rows=alike.first)
    ]
    return np.array(found, np.bool_)[alike.of]


def _qualifies(version: tuple[str, int], stage: str, processes: Processes) -> bool:
    found = processes.get(version)
    return found is None or found.is_qualifying(stage)
