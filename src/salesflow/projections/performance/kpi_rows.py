"""The rows behind the figures of a period: bookings, deals, orders, contacts and scores.

Each kind is read once for all spans of a question; each row is put to the span in which it
happened, and to a group. Open deals, and those that closed lately, are read as they stood at
the end of each span.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from salesflow.domain.process import WIN_RATE
from salesflow.domain.time import Instant, starts_of_last_days
from salesflow.projections.core.amounts import Amounts, RateInstants
from salesflow.projections.core.column_figures import elapsed, first_rows, places_among
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import (
    KNOWN,
    NO_NUMBER,
    NOTHING,
    Column,
    Flags,
    Happened,
    Having,
    HeldRows,
    all_happened,
)
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
    "OUTCOMES",
    "WON",
    "Booked",
    "KpiRows",
    "KpiTables",
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
SPANS: Final = 6
"""So many kinds of rows are put to the spans in which they happened."""
LASTED: Final = ("opened", "closed", "opened_day_only", "closed_day_only")
"""The columns that say how long a deal lasted."""
ANSWERED: Final = ("entity_id", "occurred", "position", "day_only")
"""The columns of contacts that say which came first, and when."""
STAGE: Final = ("process", "process_version", "stage")
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


class KpiTables(NamedTuple):
    """The rows of the tables behind the figures, of one moment."""

    bookings: HeldRows
    contacts: HeldRows
    feedback: HeldRows
    standing: HeldRows
    """How deals began and ended, as they stand."""
    closings: HeldRows
    """How deals began and ended, with what held before."""
    deals: HeldRows
    """Deals as they stood, with what held before."""

    @classmethod
    def read(cls, reader: Reader) -> "KpiTables":
        """Read them all."""
        return cls(
            bookings=reader.columns(BOOKING),
            contacts=reader.columns(CONTACT),
            feedback=reader.columns(FEEDBACK),
            standing=reader.columns(CLOSING),
            closings=reader.columns(CLOSING, ended=True),
            deals=reader.columns(DEAL_STATE, ended=True),
        )


def read_rows(
    reader: Reader,
    tables: KpiTables,
    spans: Sequence[Span],
    exchange: CurrencyConverter,
    grouping: Grouping,
    velocity_days: int,
) -> KpiRows:
    """Choose what happened in some spans, each of which begins where the one before it ends."""
    return _KpiReader(reader, tables, spans, exchange, grouping).read(velocity_days)


class _Kind(NamedTuple):
    """Rows of one kind, and which of them are asked for."""

    rows: HeldRows
    at: str
    """The column that says when each happened."""
    whose: Attribution
    columns: Sequence[str] = ()
    """What else is asked of them."""
    having: Having | None = None
    from_the_first: bool = False
    """Whether those before the spans are asked for too."""


class _KpiReader:
    """Chooses the rows of one question, and works out what is asked of each."""

    def __init__(
        self,
        reader: Reader,
        tables: KpiTables,
        spans: Sequence[Span],
        exchange: CurrencyConverter,
        grouping: Grouping,
    ) -> None:
        self._reader = reader
        self._tables = tables
        self._exchange = exchange
        self._grouping = grouping
        self._start, self._end = spans[0].start, spans[-1].end
        self._edges = np.array([*(span.start for span in spans), self._end])
        self._ends = np.minimum(self._edges[1:] - 1, reader.read_point.as_of)
        """Where each span ends, or the moment."""
        self._outcomes = tables.closings.numbering("outcome", OUTCOMES)
        """By code; those of none of them are -1."""

    def read(self, velocity_days: int) -> KpiRows:
        """Choose each kind of them once."""
        kinds = self._kinds()
        *found, answers = all_happened([*map(self._chosen, kinds), self._answers()])
        found[0], times = _netted(found[0])
        open_span, open_deals = self._open_deals()
        lately_span, lately = self._lately(velocity_days)
        of_each = [(rows, kind.whose, None) for rows, kind in zip(found, kinds, strict=True)]
        stood = (open_deals, OPEN, self._ends[open_span]), (lately, CLOSED, None)
        *groups, of_open, of_lately = self._grouping.of_each([*of_each, *stood])
        booked, opened, closed, contacts, scores, new_customers = (
            SpanRows(rows, np.searchsorted(self._edges, rows[kind.at], "right") - 1, group)
            for rows, kind, group in zip(found[:SPANS], kinds, groups, strict=False)
        )
        outcome = self._outcomes[closed.rows["outcome"]]
        decided = _count_in_win_rates(outcome)
        return KpiRows(
            booked=booked,
            booked_times=times,
            booked_amounts=self._booked_amounts(booked, times),
            opened=opened,
            outcome_of_opened=self._outcomes[opened.rows["outcome"]],
            responded=self._responded(opened.rows, answers),
            closed=closed,
            outcome_of_closed=outcome,
            lasted=self._lasted(closed.rows),
            decided=decided,
            decided_amounts=self._worth(closed.rows, self._last(closed.span), decided),
            contacts=contacts,
            scores=scores,
            orders=self._orders(found[SPANS:], groups[SPANS:]),
            new_customers=new_customers,
            open_deals=(open_span, of_open),
            lately=self._lately_closed(lately, lately_span, of_lately),
        )

    def _kinds(self) -> list[_Kind]:
        """Return what is asked of each kind of rows: those put to spans first, then orders."""
        tables, standing = self._tables, self._tables.standing
        scored: Having = {"kind": "received", "scale": "csat", "score": KNOWN}
        not_merged: Having = {"outcome": OUTCOMES}
        won = standing.fit({"outcome": "won"}, "customer_id", "closed", "entity_id")
        return [
            _Kind(tables.bookings, "occurred", BOOKED, ("sign", "entity_id", "share")),
            _Kind(
                *(standing, "opened", OPENED, ("entity_id", "outcome", "opened_day_only")),
                not_merged,
            ),
            _Kind(standing, "closed", CLOSED, ("outcome", *LASTED), not_merged),
            _Kind(tables.contacts, "occurred", OCCURRED, ("entity_id",)),
            _Kind(tables.feedback, "occurred", OCCURRED, ("score",), scored),
            _Kind(self._first_won(won), "closed", CLOSED),
            _Kind(won, "closed", CLOSED, ("customer_id",), from_the_first=True),
            _Kind(
                *(tables.bookings, "occurred", BOOKED, ("customer_id", "sign")),
                {"kind": "repeated", "role": "owner"},
                from_the_first=True,
            ),
        ]

    def _chosen(self, kind: _Kind) -> Happened:
        """Return which rows of a kind are asked for, of the process and the rep asked for."""
        start = NO_NUMBER if kind.from_the_first else self._start
        wanted = {**self._wanted(kind.whose), **(kind.having or {})}
        return Happened(kind.rows, kind.at, start, self._end, wanted, kind.columns)

    def _answers(self) -> Happened:
        """Return which contacts answered the opening of deals opened in the spans."""
        contacts, outbound = self._tables.contacts, {"direction": "out"}
        return Happened(contacts, "opened", self._start, self._end, outbound, ANSWERED)

    def _wanted(self, whose: Attribution) -> dict[str, str | None]:
        """Return what rows have that are of the process and the rep asked for."""
        return {whose.process: self._grouping.process, whose.rep: self._grouping.owner}

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
        opened_at, closed_at, of_opening, of_closing = (closed[name] for name in LASTED)
        days_only: Flags = (of_opening == 1) & (of_closing == 1)
        return elapsed(opened_at, closed_at, days_only, self._reader.timezone)

    def _responded(self, opened: HeldRows, answers: HeldRows) -> Column:
        """Return how long after its opening each deal was responded to; -1 for never."""
        of, at, position, day_only = (answers[name] for name in ANSWERED)
        first = first_rows(of, at, position)
        place = places_among(of[first], opened["entity_id"])
        answered, row = place >= 0, first[place[place >= 0]]
        days_only = (opened["opened_day_only"][answered] == 1) & (day_only[row] == 1)
        since, times = opened["opened"][answered], np.full(len(place), -1, np.int64)
        times[answered] = elapsed(since, at[row], days_only, self._reader.timezone)
        return times

    def _orders(self, rows: Sequence[HeldRows], groups: Sequence[Column]) -> Orders:
        """Return what was ordered before the spans' end: deals won, and repeat orders."""
        won, repeated = rows
        customer = np.append(won["customer_id"], repeated["customer_id"])
        at = np.append(won["closed"], repeated["occurred"])
        weight = np.append(np.ones(won.count, np.int64), repeated["sign"])
        named = customer != NOTHING
        survivors = self._grouping.customers.survivors(customer[named])
        return Orders(at[named], np.concatenate(groups)[named], survivors, weight[named])

    def _first_won(self, won: HeldRows) -> HeldRows:
        """Return the first deal won of each customer that nothing says was one before."""
        customer, closed, deals = won["customer_id"], won["closed"], won["entity_id"]
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

    def _open_deals(self) -> tuple[Column, HeldRows]:
        """Return the spans at whose end deals were open that qualify, and the deals."""
        known_at, wanted = self._reader.read_point.known_at, self._wanted(OPEN)
        deals, stood = self._tables.deals.held_at(
            self._ends, known_at, {"outcome": "open", **wanted}, *STAGE
        )
        span, row = np.nonzero(stood & _are_qualifying(deals, self._reader))
        return span, deals.ordered(row)

    def _lately(self, velocity_days: int) -> tuple[Column, HeldRows]:
        """Return the spans at whose end deals stood that were won or lost lately, and these."""
        known_at, zone = self._reader.read_point.known_at, self._reader.timezone
        wanted: Having = {"outcome": tuple(WIN_RATE), **self._wanted(CLOSED)}
        since = starts_of_last_days(velocity_days, self._ends.tolist(), zone)
        rows, stood = self._tables.closings.held_at(
            self._ends, known_at, wanted, after={"closed": np.array(since)}
        )
        span, row = np.nonzero(stood)
        return span, rows.ordered(row, "outcome", *LASTED)

    def _lately_closed(self, deals: HeldRows, span: Column, group: Column) -> LatelyClosed:
        outcome = self._outcomes[deals["outcome"]]
        won_amounts = self._worth(deals, self._ends[span], outcome == WON)
        return LatelyClosed(span, group, outcome, self._lasted(deals), won_amounts)


def _count_in_win_rates(outcome: Column) -> Flags:
    """Return which of some outcomes, by their numbers, count in win rates."""
    return np.isin(outcome, [OUTCOMES.index(each) for each in WIN_RATE])


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
    alike = grouped(*(rows[name] for name in STAGE))
    found = [
        _qualifies((process, version), stage, reader.processes)
        for process, version, stage in rows.records(*STAGE, rows=alike.first)
    ]
    return np.array(found, np.bool_)[alike.of]


def _qualifies(version: tuple[str, int], stage: str, processes: Processes) -> bool:
    found = processes.get(version)
    return found is None or found.is_qualifying(stage)
