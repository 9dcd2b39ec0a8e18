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
from salesflow.projections.core.amounts import Amounts, rate_days
from salesflow.projections.core.column_figures import elapsed, first_rows, places_among
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import Column, Flags, HeldRows
from salesflow.projections.core.currency import CurrencyConverter
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.contact import CONTACT
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.scope import Attribution, Grouping
from salesflow.projections.table import Processes

__all__ = [
    "Booked",
    "KpiRows",
    "LatelyClosed",
    "Orders",
    "SpanRows",
    "lasted",
    "read_booked",
    "read_rows",
]

BOOKED: Final = Attribution("credited", "person", "customer_id", "process")
OPENED: Final = Attribution("opened", "opened_owner", "opened_customer_id", "opened_process")
CLOSED: Final = Attribution("closed", "owner", "customer_id", "process")
OCCURRED: Final = Attribution("occurred", "owner", "customer_id", "process")
OPEN: Final = Attribution("valid_from", "owner", "customer_id", "process")
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

    def where(self, kept: Flags) -> "SpanRows":
        """Return some of them."""
        return SpanRows(self.rows.where(kept), self.span[kept], self.group[kept])


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
    """A code of the words of outcomes; see `KpiRows.closed`."""
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
    responded: Column
    """The microseconds from each opening to the first response; -1 without one."""
    closed: SpanRows
    decided: SpanRows
    """Those closed that count in win rates."""
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


def lasted(closed: HeldRows, reader: Reader) -> Column:
    """Return the microseconds from opening to closing of closed deals."""
    days_only = (closed["opened_day_only"] == 1) & (closed["closed_day_only"] == 1)
    return elapsed(closed["opened"], closed["closed"], days_only, reader.timezone)


def read_rows(
    reader: Reader,
    spans: Sequence[Span],
    exchange: CurrencyConverter,
    grouping: Grouping,
    velocity_days: int,
) -> KpiRows:
    """Read what happened in some spans, each of which begins where the one before it ends."""
    return _KpiReader(reader, spans, exchange, grouping).read(velocity_days)


class _KpiReader:
    """Reads the rows of one question."""

    def __init__(
        self,
        reader: Reader,
        spans: Sequence[Span],
        exchange: CurrencyConverter,
        grouping: Grouping,
    ) -> None:
        self._reader = reader
        self._exchange = exchange
        self._grouping = grouping
        self._start, self._end = spans[0].start, spans[-1].end
        self._edges = np.array([*(span.start for span in spans), self._end])
        self._ends = [span.closing(reader.read_point.as_of) for span in spans]
        """Where each span ends, or the moment."""
        self._bookings = reader.columns(BOOKING)
        self._closings = reader.columns(CLOSING, ended=True)
        self._closed_until = self._closings.until(reader.read_point.known_at)

    def read(self, velocity_days: int) -> KpiRows:
        """Read each kind of them once."""
        booked, times = self._booked()
        standing = self._standing()
        opened = self._happened(standing, "opened", OPENED)
        closed = self._happened(standing, "closed", CLOSED)
        decided = closed.where(closed.rows.has("outcome", *WIN_RATE))
        contacts = self._reader.columns(CONTACT)
        return KpiRows(
            booked=booked,
            booked_times=times,
            booked_amounts=self._booked_amounts(booked, times),
            opened=opened,
            responded=self._responded(opened.rows, contacts),
            closed=closed,
            decided=decided,
            decided_amounts=self._worth(decided.rows, self._last(decided.span)),
            contacts=self._happened(contacts, "occurred", OCCURRED),
            scores=self._scores(),
            orders=self._orders(standing),
            new_customers=self._new_customers(standing),
            open_deals=self._open_deals(),
            lately=self._lately(velocity_days),
        )

    def _happened(self, rows: HeldRows, at: str, whose: Attribution) -> SpanRows:
        """Put rows that are asked about to the spans in which they happened."""
        rows = rows.between(at, self._start, self._end)
        rows = rows.where(self._grouping.wants(rows, whose))
        span = np.searchsorted(self._edges, rows[at], "right") - 1
        return SpanRows(rows, span, self._grouping.of(rows, whose))

    def _last(self, span: Column) -> Column:
        """Return the last instants of spans."""
        last: Column = self._edges[1:][span] - 1
        return last

    def _booked(self) -> tuple[SpanRows, Column]:
        """Return what is booked, and how often each counts."""
        rows = self._bookings.between("occurred", self._start, self._end)
        rows, times = _netted(rows.where(self._grouping.wants(rows, BOOKED)))
        return self._happened(rows, "occurred", BOOKED), times

    def _booked_amounts(self, booked: SpanRows, times: Column) -> Amounts:
        rows, last = booked.rows, self._last(booked.span)
        days = rate_days(self._exchange, last, event=rows["occurred"], closing=rows["credited"])
        return Amounts.of(rows).converted(self._exchange, days, times=np.abs(times))

    def _worth(self, closed: HeldRows, end: Column) -> Amounts:
        """Return what closed deals are worth, each at the end of a period."""
        at, deals = closed["closed"], closed["entity_id"]
        days = rate_days(self._exchange, end, event=at, closing=at)
        return Amounts.of(closed).converted(self._exchange, days, of=deals)

    def _standing(self) -> HeldRows:
        """Return the deals as they stand at the moment, without those that are merged."""
        rows, as_of = self._closings, self._reader.read_point.as_of
        return rows.where((self._closed_until > as_of) & ~rows.has("outcome", "merged"))

    def _responded(self, opened: HeldRows, contacts: HeldRows) -> Column:
        """Return how long after its opening each deal was responded to; -1 for never."""
        found = contacts.between("opened", self._start, self._end)
        found = found.where(found.has("direction", "out"))
        first = first_rows(found["entity_id"], found["occurred"], found["position"])
        place = places_among(found["entity_id"][first], opened["entity_id"])
        answered, row = place >= 0, first[place[place >= 0]]
        days_only = (opened["opened_day_only"][answered] == 1) & (found["day_only"][row] == 1)
        times = np.full(len(opened), -1, np.int64)
        times[answered] = elapsed(
            opened["opened"][answered], found["occurred"][row], days_only, self._reader.timezone
        )
        return times

    def _scores(self) -> SpanRows:
        """Return the CSAT scores received."""
        rows = self._reader.columns(FEEDBACK)
        is_score = rows.has("kind", "received") & rows.has("scale", "csat")
        return self._happened(rows.where(is_score & rows.known("score")), "occurred", OCCURRED)

    def _won(self, standing: HeldRows) -> HeldRows:
        """Return the deals of customers that stand won, and closed before the spans' end."""
        is_won = standing.has("outcome", "won") & (standing["closed"] < self._end)
        return standing.where(is_won & standing.known("customer_id"))

    def _orders(self, standing: HeldRows) -> Orders:
        """Return what was ordered before the spans' end: deals won, and repeat orders."""
        rows = self._bookings
        repeated = rows.has("kind", "repeated") & rows.has("role", "owner")
        repeated &= (rows["occurred"] < self._end) & rows.known("customer_id")
        sides = (
            (self._won(standing), "closed", CLOSED),
            (rows.where(repeated), "occurred", BOOKED),
        )
        found = []
        for orders, at, whose in sides:
            mine = orders.where(self._grouping.wants(orders, whose))
            weight = mine["sign"] if whose is BOOKED else np.ones(len(mine), np.int64)
            group = self._grouping.of(mine, whose)
            customer = self._grouping.survivors(mine["customer_id"])
            found.append((mine[at], group, customer, weight))
        return Orders(*map(np.concatenate, zip(*found, strict=True)))

    def _new_customers(self, standing: HeldRows) -> SpanRows:
        """Return the first deal won of each customer that nothing says was one before."""
        won = self._won(standing)
        customer = self._grouping.survivors(won["customer_id"])
        order = np.lexsort([won["closed"], customer])
        at, deal = won["closed"][order], won["entity_id"][order]
        first = first_rows(customer[order], at, _ranks(customer[order], at, deal, won))
        is_first = np.zeros(len(won), np.bool_)
        is_first[order[first]] = True
        found = self._happened(won.where(is_first), "closed", CLOSED)
        return found.where(self._grouping.are_new(found.rows, CLOSED, self._reader.timezone))

    def _open_deals(self) -> tuple[Column, Column]:
        """Return the span and the group of deals that qualify, open at the end of a span."""
        rows = self._reader.columns(DEAL_STATE, ended=True).among("outcome", "open")
        until = rows.until(self._reader.read_point.known_at)
        stood = (until > self._ends[0]) & (rows["valid_from"] <= self._ends[-1])
        rows = rows.where(stood & self._grouping.wants(rows, OPEN))
        rows = rows.where(_are_qualifying(rows, self._reader))
        until = rows.until(self._reader.read_point.known_at)
        spans, groups = [], []
        for span, at in enumerate(self._ends):
            open_then = rows.where((rows["valid_from"] <= at) & (until > at))
            spans.append(np.full(len(open_then), span))
            groups.append(self._grouping.of(open_then, OPEN, at))
        return np.concatenate(spans), np.concatenate(groups)

    def _lately(self, velocity_days: int) -> LatelyClosed:
        """Return the deals that stood won or lost at the end of a span, and closed lately."""
        rows, zone = self._closings, self._reader.timezone
        counts = rows.has("outcome", *WIN_RATE) & self._grouping.wants(rows, CLOSED)
        rows, until = rows.where(counts), self._closed_until[counts]
        since = [start_of_last_days(velocity_days, at, zone) for at in self._ends]
        stood = [
            (rows["valid_from"] <= at) & (until > at) & (rows["closed"] >= start)
            for at, start in zip(self._ends, since, strict=True)
        ]
        at_any = np.logical_or.reduce(stood)
        rows = rows.where(at_any)
        span, row = np.nonzero(np.stack(stood)[:, at_any])
        return self._stood(rows, row, span)

    def _stood(self, rows: HeldRows, row: Column, span: Column) -> LatelyClosed:
        """Put closed deals to the spans at whose ends they stood."""
        group, outcome = self._grouping.of(rows, CLOSED)[row], rows["outcome"][row]
        is_won = rows.has("outcome", "won")[row]
        end, at, deal = np.array(self._ends)[span], rows["closed"][row], rows["entity_id"][row]
        days = rate_days(self._exchange, end[is_won], event=at[is_won], closing=at[is_won])
        worth = Amounts.of(rows).where(row[is_won])
        worth = worth.converted(self._exchange, days, of=deal[is_won])
        return LatelyClosed(span, group, outcome, lasted(rows, self._reader)[row], worth)


def _netted(rows: HeldRows) -> tuple[HeldRows, Column]:
    """Return what is booked and was not taken back again, and how often each counts."""
    times = rows["sign"].astype(np.int64)
    changed = np.isin(rows["entity_id"], rows["entity_id"][times < 0])
    if changed.any():
        some = rows.where(changed)
        alike = grouped(*(some[name] for name in ALIKE))
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
    of = ("process", "process_version", "stage")
    alike = grouped(*(rows[name] for name in of))
    some, words = (rows[name][alike.first].tolist() for name in of), rows.words["stage"]
    found = [
        _qualifies((words[process], version), words[stage], reader.processes)
        for process, version, stage in zip(*some, strict=True)
    ]
    return np.array(found, np.bool_)[alike.of]


def _qualifies(version: tuple[str, int], stage: str, processes: Processes) -> bool:
    found = processes.get(version)
    return found is None or found.is_qualifying(stage)
