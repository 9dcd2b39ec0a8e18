"""What any metric comes to in any spans of days, for anybody: exact, all of them in one pass.

Goals, rep cards, leaderboards, contests, alerts and the effects of trainings and changes are
made of these values. What a metric counts is what `Kpis` counts under that name, and at a stage
what `Conversion` and `StageTimes` count; see `salesflow.domain.metric`. Sales belong to owner
and collaborators by their shares as of the win, so that nothing is counted twice.

    measured = Measurement(reader, spans, MetricScope(team="east"), by="rep")
    measured.of("sales"), measured.of("win_rate")

Leaves out figures that are reported from outside.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from operator import add
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np

from salesflow.domain.computed_once import computed_once
from salesflow.domain.metric import Metric, ensure_at_stage, ensure_of_product, metric_of
from salesflow.domain.time import Instant
from salesflow.errors import InputError
from salesflow.presentation.format import Estimate, Total
from salesflow.projections.core.column_figures import exact_sums
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import NOTHING, Column, HeldRows
from salesflow.projections.core.currency import CurrencyConverter, totals_of_pairs
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.contact import CONTACT
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.folds.product_booking import PRODUCT_BOOKING
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.metrics.kpi_figures import (
    Lines,
    ValueRate,
    created_of,
    csat_of,
    customers_of,
    decided_of,
    follow_ups_of,
    sales_of,
    velocities_of,
)
from salesflow.projections.metrics.kpi_rows import (
    OUTCOMES,
    WON,
    KpiRows,
    KpiTables,
    SpanRows,
    cells_of,
)
from salesflow.projections.metrics.stage_figures import StageRows
from salesflow.projections.scope import EVERYTHING, By, Group, Grouping, MetricScope

__all__ = [
    "METRIC_FOLDS",
    "BookedPart",
    "ContributingDeal",
    "KpiTables",
    "Measurement",
    "MetricFigure",
    "metric_values",
]

METRIC_FOLDS: Final = tuple(
    table.name
    for table in (
        *(BOOKING, CLOSING, CONTACT, CUSTOMER),
        *(DEAL_STATE, FEEDBACK, MEMBERSHIP, PRODUCT_BOOKING, STAGE_VISIT),
    )
)
"""The tables that metrics are worked out from, for whoever asks a question of them."""

VELOCITY_DAYS: Final = 90


class MetricFigure(NamedTuple):
    """What a metric comes to in one span, for one group."""

    span: int
    """Its number among those asked about."""
    group: Group
    """The rep, team, customer's id, lead source or process; None for all, or for nobody."""
    value: Decimal | None
    """A count, a share, days; None of money, and where it is undefined, as 0 ÷ 0 is.

    Of a rate by value it is None where there are several currencies.
    """
    amounts: tuple[Total, ...]
    """Of money: a sum in each currency."""
    n: int
    """How many it rests on: bookings, deals, customers, answers or visits."""

    def in_unit(self, metric: Metric, currency: str | None = None) -> Decimal | None:
        """Return it as one number; of money the sum in a currency, or in the only one.

        Of money in several currencies, of which none is named, it is None.
        """
        if metric.unit != "money":
            return self.value
        found = [it.amount for it in self.amounts if currency in (None, it.currency)]
        if not found:
            return metric.of_nothing
        return found[0] if len(found) == 1 else None


class ContributingDeal(NamedTuple):
    """A deal that a figure rests on, and when what counts of it happened."""

    deal: UUID
    at: Instant


class BookedPart(NamedTuple):
    """What counts of a booking of a deal: `part` millionths of its amount in millionths."""

    deal: UUID
    at: Instant
    amount: int
    currency: str | None
    part: int
    """Below 0 of what was taken back."""


def _latest(found: tuple[HeldRows, Column]) -> list[ContributingDeal]:
    """Return the deals of rows, each once, the latest first."""
    rows, at = found
    return _each_once(map(ContributingDeal, rows.cells("entity_id"), at.tolist()))


def _each_once(behind: Iterable[ContributingDeal]) -> list[ContributingDeal]:
    """Return deals each once, with the last of what happened to it, the latest first."""
    latest: dict[UUID, Instant] = {}
    for deal, at in behind:
        latest[deal] = max(at, latest.get(deal, at))
    found = [ContributingDeal(*each) for each in latest.items()]
    return sorted(found, key=lambda it: (-it.at, it.deal.int))


def metric_values(
    reader: Reader,
    metric: str,
    spans: Sequence[Span],
    within: MetricScope = EVERYTHING,
    *,
    by: By | None = None,
) -> list[MetricFigure]:
    """Return what one metric comes to in each span and for each group; see `Measurement`."""
    return Measurement(reader, spans, within, by=by).of(metric)


class Measurement:
    """Measures metrics in some spans of days, which may overlap, within a scope and by groups.

    Rows are read once for all metrics that need them, and tables once for all measurements
    that share them. Amounts are converted where a converter is handed in. Without groups there
    is a figure for each span; with them, one for each group of which there is anything to be
    measured.
    """

    def __init__(
        self,
        reader: Reader,
        spans: Sequence[Span],
        within: MetricScope = EVERYTHING,
        *,
        by: By | None = None,
        exchange: CurrencyConverter | None = None,
        tables: KpiTables | None = None,
    ) -> None:
        tables = tables or KpiTables(reader)
        exchange = exchange or CurrencyConverter(reader)
        self._grouping = Grouping(reader, by, tables.words, within)
        self._stage: Final = StageRows(reader, tables, spans, self._grouping)
        self._layers: Final = [
            _Layer(
                KpiRows(reader, tables, chain, exchange, self._grouping, VELOCITY_DAYS),
                self._grouping,
                chain,
                numbers,
            )
            for chain, numbers in _layers(spans)
        ]
        self.ask_only(None)

    def ask_only(self, asked: Collection[tuple[int, Group]] | None) -> None:
        """Say which figures are asked for, by the number of the span and the group; or all.

        Amounts that count in no other are not noted to lack a rate.
        """
        for layer in self._layers:
            layer.ask_only(asked)

    @property
    def before_joining(self) -> int:
        """Of how many reps the first team stands for a time before they joined it, so far."""
        return self._grouping.before_joining

    def of(self, key: str) -> list[MetricFigure]:
        """Return what a metric comes to, in order of the spans and then of the groups' names.

        Raises:
            InputError: for a metric that is not worked out from deals, or cannot be measured
                at a stage, or only there.
        """
        metric, stage = metric_of(key), self._grouping.within.stage
        if metric.is_figure:
            raise InputError(f"{key} is reported from outside; it is not worked out from deals")
        ensure_at_stage(metric, stage)
        ensure_of_product(metric, self._grouping.within.product)
        return self._figures(FIGURES[metric.key])

    def deals(self, key: str, number: int = 0) -> list[ContributingDeal]:
        """Return the deals that a metric rests on in one of the spans, the latest first.

        A deal is there once, with the last of what happened to it. None of those metrics that
        are of customers, or of what stands open.
        """
        made_of = MADE_OF.get(metric_of(key).key)
        if made_of is not None:
            return _each_once(one for each in made_of for one in self.deals(each, number))
        figure = FIGURES[metric_of(key).key]
        if figure.at_stage:
            return _latest(self._stage.rows_of(figure.part, number))
        for layer in self._layers:
            for place, numbers in enumerate(layer.numbers):
                if number in numbers:
                    return _latest(layer.rows_of(metric_of(key).key, figure.part, place))
        return []

    def booked_parts(self, number: int = 0) -> list[BookedPart]:
        """Return what counts of each booking in one of the spans, which sales are made of."""
        for layer in self._layers:
            for place, numbers in enumerate(layer.numbers):
                if number in numbers:
                    return layer.booked_parts(place)
        return []

    def _figures(self, figure: "_Figure") -> list[MetricFigure]:
        if figure.at_stage:
            lines, columns = getattr(self._stage, figure.part)
            spans = [[number] for number in lines.spans.tolist()]
            return _in_order(_measured(lines, columns, figure, spans))
        found: list[MetricFigure] = []
        for layer in self._layers:
            lines, columns = getattr(layer, figure.part)
            asked = [layer.numbers[place] for place in lines.spans.tolist()]
            found += _measured(lines, columns, figure, asked)
        return _in_order(found)


class _Figure(NamedTuple):
    """Where a metric's values come from: a part of what is worked out, and its columns."""

    part: str
    value: str
    n: str
    at_stage: bool = False


FIGURES: Final[Mapping[str, _Figure]] = {
    "sales": _Figure("booked", "sales", "bookings"),
    "repeat_orders": _Figure("booked", "repeat_orders", "repeat_orders"),
    "orders": _Figure("ordered", "orders", "orders"),
    "sales_per_customer": _Figure("ordered", "sales_per_customer", "buyers"),
    "created": _Figure("created", "created", "created"),
    "win_rate_of_created": _Figure("created", "win_rate_of_created", "created"),
    "first_response_days": _Figure("created", "first_response_days", "responded"),
    "won": _Figure("decided", "won", "won"),
    "lost": _Figure("decided", "lost", "lost"),
    "disqualified": _Figure("decided", "disqualified", "disqualified"),
    "win_rate": _Figure("decided", "win_rate", "counted"),
    "win_rate_by_value": _Figure("decided", "win_rate_by_value", "counted"),
    "cycle_days": _Figure("decided", "cycle_days", "won"),
    "cycle_days_mean": _Figure("decided", "cycle_days_mean", "won"),
    "cycle_days_p90": _Figure("decided", "cycle_days_p90", "won"),
    "new_customers": _Figure("customers", "new_customers", "new_customers"),
    "repeat_rate": _Figure("customers", "repeat_rate", "customers"),
    "contacts": _Figure("contacts", "contacts", "contacts"),
    "contacts_per_deal": _Figure("contacts", "contacts_per_deal", "deals"),
    "csat": _Figure("csat", "csat", "answers"),
    "velocity": _Figure("velocity", "velocity", "decided"),
    "qualified_deals": _Figure("velocity", "qualified_deals", "qualified_deals"),
    "stage_entries": _Figure("entries", "stage_entries", "stage_entries", at_stage=True),
    "stage_conversion": _Figure("entries", "stage_conversion", "cohort", at_stage=True),
    "stage_conversion_resolved": _Figure(
        "entries", "stage_conversion_resolved", "resolved", at_stage=True
    ),
    "stage_days": _Figure("stays", "stage_days", "stays", at_stage=True),
}

BEHIND: Final = {
    "booked": ("occurred", "booked"),
    "created": ("opened", "opened"),
    "contacts": ("occurred", "contacts"),
    "csat": ("occurred", "scores"),
}
"""When what a part counts happened, and which rows those are; all others count closings."""
MADE_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "orders": ("won", "repeat_orders"),
    "sales_per_customer": ("sales",),
}
"""The metrics whose deals are behind a metric that is made of several, or of another one."""
OUTCOMES_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "lost": ("lost",),
    "disqualified": ("disqualified",),
    "win_rate": ("won", "lost"),
    "win_rate_by_value": ("won", "lost"),
}
"""The outcomes of the deals that a metric of closed ones rests on; won where none are named."""

_Part = tuple[Lines, Mapping[str, Sequence[Any]]]


def _measured(
    lines: Lines,
    columns: Mapping[str, Sequence[Any]],
    figure: _Figure,
    spans: Sequence[Sequence[int]],
) -> list[MetricFigure]:
    """Put each line's value to the spans that it is of."""
    each = zip(spans, lines.groups, columns[figure.value], columns[figure.n], strict=True)
    return [
        MetricFigure(span, group, *_value_and_amounts(value), n)
        for numbers, group, value, n in each
        for span in numbers
    ]


def _in_order(figures: Iterable[MetricFigure]) -> list[MetricFigure]:
    return sorted(figures, key=lambda it: (it.span, it.group is None, it.group or ""))


def _value_and_amounts(value: object) -> tuple[Decimal | None, tuple[Total, ...]]:
    match value:
        case Estimate():
            return value.value, ()
        case int():
            return Decimal(value), ()
        case tuple() if value and isinstance(value[0], ValueRate):
            return (value[0].rate if len(value) == 1 else None), ()
        case tuple():
            return None, value
        case Decimal() | None:
            return value, ()
        case _:
            raise AssertionError(value)


def _layers(spans: Sequence[Span]) -> list[tuple[list[Span], list[list[int]]]]:
    """Lay spans out in as few rows as they overlap; each row has no gap and no overlap.

    Beside each span of a row stand the numbers of those asked about that are the same; days in
    between that nobody asked about have none.
    """
    numbers: dict[tuple[int, int], list[int]] = {}
    for number, span in enumerate(spans):
        numbers.setdefault((span.start, span.end), []).append(number)
    found: list[tuple[list[Span], list[list[int]]]] = []
    for key in sorted(numbers):
        span = spans[numbers[key][0]]
        row = next((row for row in found if row[0][-1].end <= span.start), None)
        if row is None:
            found.append(([span], [numbers[key]]))
            continue
        last = row[0][-1]
        if last.end < span.start:
            row[0].append(Span(last.end, span.start, last.last, span.first))
            row[1].append([])
        row[0].append(span)
        row[1].append(numbers[key])
    return found


class _Layer:
    """Spans that follow one another, and what is worked out in them when it is asked for."""

    def __init__(
        self,
        rows: KpiRows,
        grouping: Grouping,
        spans: Sequence[Span],
        numbers: Sequence[Sequence[int]],
    ) -> None:
        self._rows = rows
        self._grouping = grouping
        self._spans = spans
        self.numbers: Final = numbers

    def ask_only(self, asked: Collection[tuple[int, Group]] | None) -> None:
        """Say which figures are asked for, none of them of days that nobody asked about."""
        spans = np.array([bool(of) for of in self.numbers], np.bool_)
        cells = None if asked is None else partial(self._cells, asked)
        self._rows.ask_only(spans, cells)

    def _cells(self, asked: Collection[tuple[int, Group]]) -> Column:
        """Return the cells of some figures, by the groups that are known by now."""
        groups = defaultdict[int, list[int]](list)
        for number, group in asked:
            code = NOTHING if group is None else self._grouping.number(group)
            groups[number].append(code)
        found = [
            (place, group)
            for place, numbers in enumerate(self.numbers)
            for number in numbers
            for group in groups[number]
        ]
        return cells_of(*np.array(found, np.int64).reshape(-1, 2).T)

    def rows_of(self, metric: str, part: str, place: int) -> tuple[HeldRows, Column]:
        """Return the rows of a span that a metric rests on, and when each happened."""
        rows = self._rows
        at, name = BEHIND.get(part, ("closed", "closed"))
        found: SpanRows = getattr(rows, name)
        kept = found.span == place
        if part == "decided":
            outcomes = OUTCOMES_OF.get(metric, ("won",))
            kept &= np.isin(rows.outcome_of_closed, [OUTCOMES.index(name) for name in outcomes])
        elif part in ("velocity", "customers"):
            kept = np.zeros(len(kept), np.bool_)
        if metric == "repeat_orders":
            kept &= found.rows.has("kind", "repeated")
        chosen = found.rows.ordered(np.flatnonzero(kept))
        return chosen, chosen[at]

    def booked_parts(self, place: int) -> list[BookedPart]:
        """Return what counts of each booking in a span."""
        booked, times = self._rows.booked, self._rows.booked_times
        kept = np.flatnonzero(booked.span == place)
        rows = booked.rows.ordered(kept)
        parts = (times[kept] * rows["share"]).tolist()
        each = (rows.cells("entity_id"), rows["occurred"].tolist(), rows.amounts().tolist())
        return [*map(BookedPart, *each, rows.cells("currency"), parts)]

    def _lines(self, *cells: Column) -> Lines:
        return Lines(cells, len(self._spans), self._grouping)

    @computed_once
    def booked(self) -> _Part:
        """Sales and repeat orders."""
        rows = self._rows
        lines = self._lines(cells_of(rows.booked.span, rows.booked.group))
        return lines, {**sales_of(rows, lines), "bookings": self._bookings(lines)}

    def _bookings(self, lines: Lines) -> list[int]:
        """Count the bookings that sales are made of, each once, whoever shares in it."""
        rows, times = self._rows, self._rows.booked_times
        counted = np.flatnonzero(rows.booked_amounts.known)
        line = lines.of(rows.booked.span, rows.booked.group)[counted]
        each = grouped(line, rows.booked.rows["position"][counted]).first
        alike = np.abs(times[counted[each]])
        return [*map(int, exact_sums(alike, line[each], len(lines)))]

    @computed_once
    def ordered(self) -> _Part:
        """Orders, and sales for each customer who ordered."""
        rows, edges = self._rows, [span.end for span in self._spans]
        orders = rows.orders
        placed = np.searchsorted(edges, orders.at, "right")
        within = orders.at >= self._spans[0].start
        placed, group = placed[within], orders.group[within]
        each = grouped(placed, group, orders.customer[within])
        bought = exact_sums(orders.weight[within], each.of, len(each.first)) > 0
        won = rows.outcome_of_closed == WON
        of_won = (rows.closed.span[won], rows.closed.group[won])
        of_booked = (rows.booked.span, rows.booked.group)
        cells = (cells_of(*of) for of in (of_won, of_booked, (placed, group)))
        lines = self._lines(*cells)
        booked = sales_of(rows, lines)
        buyers = lines.counts(lines.of(placed[each.first[bought]], group[each.first[bought]]))
        return lines, {
            "orders": [*map(add, lines.counts(lines.of(*of_won)), booked["repeat_orders"])],
            "sales_per_customer": totals_of_pairs([*map(_for_each, booked["sales"], buyers)]),
            "buyers": buyers,
        }

    @computed_once
    def created(self) -> _Part:
        """Deals opened, and what became of them."""
        rows = self._rows
        lines = self._lines(cells_of(rows.opened.span, rows.opened.group))
        found = created_of(rows, lines)
        responded = rows.responded >= 0
        line = lines.of(rows.opened.span, rows.opened.group)
        return lines, {
            **found,
            "first_response_days": [each.days_median for each in found["first_response"]],
            "responded": lines.counts(line[responded]),
        }

    @computed_once
    def decided(self) -> _Part:
        """Deals closed, win rates and cycles."""
        rows = self._rows
        lines = self._lines(cells_of(rows.closed.span, rows.closed.group))
        found = decided_of(rows, lines)
        return lines, {
            **found,
            "counted": [0 if each is None else each.count for each in found["win_rate"]],
            "cycle_days": [each.days_median for each in found["cycle"]],
            "cycle_days_mean": [each.days_mean for each in found["cycle"]],
            "cycle_days_p90": [each.days_p90 for each in found["cycle"]],
        }

    @computed_once
    def customers(self) -> _Part:
        """New customers, and those who came back; whoever ever ordered has a line."""
        rows, spans = self._rows, len(self._spans)
        groups = np.unique(rows.orders.group)
        lines = self._lines(
            cells_of(np.repeat(np.arange(spans), len(groups)), np.tile(groups, spans)),
            cells_of(rows.new_customers.span, rows.new_customers.group),
        )
        return lines, customers_of(rows, lines, self._spans)

    @computed_once
    def contacts(self) -> _Part:
        """Contacts, and the deals they were about."""
        contacts = self._rows.contacts
        lines = self._lines(cells_of(contacts.span, contacts.group))
        found = follow_ups_of(contacts, lines)
        return lines, {
            "contacts": [each.contacts for each in found],
            "contacts_per_deal": [each.per_deal for each in found],
            "deals": [each.deals for each in found],
        }

    @computed_once
    def csat(self) -> _Part:
        """How satisfied customers are."""
        scores = self._rows.scores
        lines = self._lines(cells_of(scores.span, scores.group))
        found = csat_of(scores, lines)
        return lines, {
            "csat": found,
            "answers": [0 if each is None else each.count for each in found],
        }

    @computed_once
    def velocity(self) -> _Part:
        """How much money a day the open deals bring."""
        rows, lately = self._rows, self._rows.lately
        lines = self._lines(cells_of(*rows.open_deals), cells_of(lately.span, lately.group))
        found = velocities_of(rows, lines)
        return lines, {
            "velocity": [each.per_day for each in found],
            "qualified_deals": [each.open_deals for each in found],
            "decided": lines.counts(lines.of(lately.span, lately.group)),
        }


def _for_each(sums: Sequence[Total], customers: int) -> list[tuple[str, Decimal | None]]:
    """Share sums out among customers; nothing where there are none."""
    if not customers:
        return []
    return [(each.currency, each.amount / customers) for each in sums]
