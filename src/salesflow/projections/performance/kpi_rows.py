"""The rows behind the figures of a period: bookings, deals, orders, contacts and scores.

Each kind is read once for all spans of a question; each row is put to the span in which it
happened, and to a group. Open deals, and those that closed lately, are read as they stood at
the end of each span.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

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
    HeldRows,
    all_happened,
)
from salesflow.projections.core.currency import CurrencyConverter
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.contact import CONTACT
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.scope import Attribution, Grouping
from salesflow.projections.table import Processes

__all__ = [
    "OUTCOMES",
    "WON",
    "Booked",
    "KpiRows",
    "LatelyClosed",
    "Orders",
    "SpanRows",
    "read_booked",
    "read_rows",
]

BOOKED: Final = Attribution("credited", "person", "customer_id", "process")
OPENED: Final = Attribution("opened", "opened_owner", "opened_customer_id", "opened_process")
CLOSED: Final = Attribution("closed", "owner", "customer_id", "process")
OCCURRED: Final = Attribution("occurred", "owner", "customer_id", "process")
OPEN: Final = Attribution("valid_from", "owner", "customer_id", "process")
OUTCOMES: Final = ("won", "lost", "disqualified", "open")
"""As what deals stand, which columns say by number; what is merged is none of these."""
WON: Final = OUTCOMES.index("won")
ALIKE: Final = (
    *("occurred", "kind", "role", "person", "share", "amount", "currency"),
    *("process", "customer_id", "lead_source", "credited"),
)
"""What a booking and the one that takes it back have in common."""


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


class KpiRows(NamedTuple):
    """What happened in all spans of a question, and how deals stood at the end of each."""

    booked: SpanRows
    booked_times: Column
    """How often each booking counts, those taken back as minus."""
    booked_amounts: Amounts
    opened: SpanRows
    outcome_of_opened: Column
    """Its number in `OUTCOMES`."""
    responded: Column
    """The microseconds from each opening to the first response; -1 without one."""
    closed: SpanRows
    outcome_of_closed: Column
    """Its number in `OUTCOMES`."""
    lasted: Column
    """The microseconds from opening to closing."""
    decided: Flags
    """Which of those closed count in win rates."""
    decided_amounts: Amounts
    contacts: SpanRows
    scores: SpanRows
    orders: Orders
    new_customers: SpanRows
    """The first deal won of each customer that was none before."""
    open_deals: tuple[Column, Column]
    """The span and the group of each deal that was open at the end of a span."""
    lately: LatelyClosed


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


def read_rows(
    reader: Reader,
    closings: HeldRows,
    spans: Sequence[Span],
    exchange: CurrencyConverter,
    grouping: Grouping,
    velocity_days: int,
) -> KpiRows:
    """Read what happened in some spans, each of which begins where the one before it ends.

    Closings are those of the moment, and those that held before it.
    """
    return _KpiReader(reader, closings, spans, exchange, grouping).read(velocity_days)


class _KpiReader:
    """Reads the rows of one question."""

    def __init__(
        self,
        reader: Reader,
        closings: HeldRows,
        spans: Sequence[Span],
        exchange: CurrencyConverter,
        grouping: Grouping,
    ) -> None:
        self._reader = reader
        self._exchange = exchange
        self._grouping = grouping
        self._start, self._end = spans[0].start, spans[-1].end
        self._edges = np.array([*(span.start for span in spans), self._end])
        self._ends = np.minimum(self._edges[1:] - 1, reader.read_point.as_of)
        """Where each span ends, or the moment."""
        self._bookings = reader.columns(BOOKING)
        self._closings = closings

    def read(self, velocity_days: int) -> KpiRows:
        """Read each kind of them once."""
        bookings, times = _netted(self._happened(self._bookings, "occurred", BOOKED))
        standing = self._standing()
        contacts = self._reader.columns(CONTACT)
        won = standing.fit({"outcome": "won"})
        booked, opened, closed, contacted, scores, new_customers = self._in_spans(
            (bookings, "occurred", BOOKED),
            (standing, "opened", OPENED),
            (standing, "closed", CLOSED),
            (contacts, "occurred", OCCURRED),
            (self._scores(), "occurred", OCCURRED),
            (self._first_won(won), "closed", CLOSED),
        )
        outcome = closed.rows.numbers("outcome", OUTCOMES)
        decided = _count_in_win_rates(outcome)
        return KpiRows(
            booked=booked,
            booked_times=times,
            booked_amounts=self._booked_amounts(booked, times),
            opened=opened,
            outcome_of_opened=opened.rows.numbers("outcome", OUTCOMES),
            responded=self._responded(opened.rows, contacts),
            closed=closed,
            outcome_of_closed=outcome,
            lasted=self._lasted(closed.rows),
            decided=decided,
            decided_amounts=self._worth(closed.rows, self._last(closed.span), decided),
            contacts=contacted,
            scores=scores,
            orders=self._orders(won),
            new_customers=new_customers,
            open_deals=self._open_deals(),
            lately=self._lately(velocity_days),
        )

    def _happened(
        self,
        rows: HeldRows,
        at: str,
        whose: Attribution,
        *,
        since: Instant | None = None,
        **having: str,
    ) -> HeldRows:
        """Return rows of the process and the rep asked for that happened in the spans.

        Or from an earlier instant on. They have the words that some columns are to have.
        """
        start = self._start if since is None else since
        return rows.happened(at, start, self._end, {**self._wanted(whose), **having})

    def _wanted(self, whose: Attribution) -> dict[str, str | None]:
        """Return what rows have that are of the process and the rep asked for."""
        return {whose.process: self._grouping.process, whose.rep: self._grouping.owner}

    def _in_spans(self, *kinds: tuple[HeldRows, str, Attribution]) -> list[SpanRows]:
        """Put rows of several kinds to the spans in which they happened, and to groups.

        Of the process and the rep asked for; what happened in no span is left out.
        """
        wanted = [(rows, at, self._wanted(whose)) for rows, at, whose in kinds]
        found = all_happened(wanted, self._start, self._end)
        whose = [whose for *_, whose in kinds]
        groups = self._grouping.of_each([*zip(found, whose, strict=True)])
        return [
            SpanRows(rows, np.searchsorted(self._edges, rows[at], "right") - 1, group)
            for rows, (_, at, _), group in zip(found, kinds, groups, strict=True)
        ]

    def _last(self, span: Column) -> Column:
        """Return the last instants of spans."""
        last: Column = self._edges[1:][span] - 1
        return last

    def _booked_amounts(self, booked: SpanRows, times: Column) -> Amounts:
        dated = RateInstants(self._last(booked.span), "occurred", "credited")
        return Amounts.converted(booked.rows, self._exchange, dated, times=np.abs(times))

    def _worth(self, closed: HeldRows, end: Column, some: Flags) -> Amounts:
        """Return what some of closed deals are worth, each at the end of a period."""
        dated = RateInstants(end[some], "closed", "closed")
        return Amounts.converted(closed.where(some), self._exchange, dated, of="entity_id")

    def _lasted(self, closed: HeldRows) -> Column:
        """Return the microseconds from opening to closing of closed deals."""
        opened_at, closed_at = closed.cut("opened", "closed")
        days_only = closed.say("opened_day_only", "closed_day_only")
        return elapsed(opened_at, closed_at, days_only, self._reader.timezone)

    def _standing(self) -> HeldRows:
        """Return the deals as they stand at the moment, without those that are merged."""
        rows, read_point = self._closings, self._reader.read_point
        [now] = rows.held_at(np.array([read_point.as_of]), read_point.known_at)
        return rows.where(now & ~rows.has("outcome", "merged"))

    def _responded(self, opened: HeldRows, contacts: HeldRows) -> Column:
        """Return how long after its opening each deal was responded to; -1 for never."""
        found = contacts.happened("opened", self._start, self._end, {"direction": "out"})
        of, at, position = found.cut("entity_id", "occurred", "position")
        deals, since = opened.cut("entity_id", "opened")
        first = first_rows(of, at, position)
        place = places_among(of[first], deals)
        answered, row = place >= 0, first[place[place >= 0]]
        days_only = opened.say("opened_day_only")[answered] & found.say("day_only")[row]
        times = np.full(len(place), -1, np.int64)
        times[answered] = elapsed(since[answered], at[row], days_only, self._reader.timezone)
        return times

    def _scores(self) -> HeldRows:
        """Return the CSAT scores received."""
        rows = self._reader.columns(FEEDBACK).fit({"kind": "received", "scale": "csat"})
        return rows.where(rows.known("score"))

    def _orders(self, won: HeldRows) -> Orders:
        """Return what was ordered before the spans' end: deals won, and repeat orders."""
        won = self._happened(won, "closed", CLOSED, since=NO_NUMBER)
        bookings, of_owner = self._bookings, {"kind": "repeated", "role": "owner"}
        repeated = self._happened(bookings, "occurred", BOOKED, since=NO_NUMBER, **of_owner)
        at = np.append(won["closed"], repeated["occurred"])
        group = np.concatenate(self._grouping.of_each([(won, CLOSED), (repeated, BOOKED)]))
        again, sign = repeated.cut("customer_id", "sign")
        customer = np.append(won["customer_id"], again)
        weight = np.append(np.ones(won.count, np.int64), sign)
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
        """Return the span and the group of deals that qualify, open at the end of a span."""
        wanted = {"outcome": "open", **self._wanted(OPEN)}
        rows = self._reader.columns(DEAL_STATE, ended=True).fit(wanted)
        stood = rows.held_at(self._ends, self._reader.read_point.known_at)
        at_any = np.logical_or.reduce(stood)
        rows = rows.where(at_any)
        span, row = np.nonzero(stood[:, at_any] & _are_qualifying(rows, self._reader))
        return span, self._grouping.of(rows.ordered(row), OPEN, self._ends[span])

    def _lately(self, velocity_days: int) -> LatelyClosed:
        """Return the deals that stood won or lost at the end of a span, and closed lately."""
        rows, zone = self._closings, self._reader.timezone
        rows = rows.where(rows.has("outcome", *WIN_RATE) & rows.fitting(self._wanted(CLOSED)))
        since = [start_of_last_days(velocity_days, at, zone) for at in self._ends.tolist()]
        stood = rows.held_at(self._ends, self._reader.read_point.known_at)
        stood &= rows["closed"] >= np.array(since)[:, None]
        span, row = np.nonzero(stood)
        rows = rows.ordered(row)
        outcome = rows.numbers("outcome", OUTCOMES)
        return LatelyClosed(
            span,
            self._grouping.of(rows, CLOSED),
            outcome,
            self._lasted(rows),
            self._worth(rows, self._ends[span], outcome == WON),
        )


def _count_in_win_rates(outcome: Column) -> Flags:
    """Return which of some outcomes, by their numbers, count in win rates."""
    return np.isin(outcome, [OUTCOMES.index(each) for each in WIN_RATE])


def _netted(rows: HeldRows) -> tuple[HeldRows, Column]:
    """Return what is booked and was not taken back again, and how often each counts."""
    times, deals = rows.cut("sign", "entity_id")
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
    names = ("process", "process_version", "stage")
    alike = grouped(*rows.cut(*names))
    found = [
        _qualifies((process, version), stage, reader.processes)
        for process, version, stage in rows.records(*names, rows=alike.first)
    ]
    return np.array(found, np.bool_)[alike.of]


def _qualifies(version: tuple[str, int], stage: str, processes: Processes) -> bool:
    found = processes.get(version)
    return found is None or found.is_qualifying(stage)
