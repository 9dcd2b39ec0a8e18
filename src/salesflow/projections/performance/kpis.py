"""The figures of a period: sales, orders, win rates, customers, by rep, team and more.

Answers "how did we do?" for any period and any past moment, the period before beside it.
Sales stand where they were booked; counts and rates use the outcome standing at the moment, so
a deal counts once, in the period of its last believed closing. Customers merged at the moment
count as one. Leaves out what stands open (funnel), how it got there (flow, conversion) and
what is likely (forecast).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from salesflow.domain.calendar import FiscalCalendar
from salesflow.domain.time import Moment, Period
from salesflow.domain.values import Reference
from salesflow.presentation.format import (
    NO_VALUE,
    CellValue,
    Percent,
    percent_text,
    span_text,
    written_rows,
)
from salesflow.presentation.messages import Language, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.currency import MoneyQuestion, MoneyView, RateRule
from salesflow.projections.core.question import (
    PeriodQuestion,
    Reader,
    Span,
    span_of,
)
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.contact import CONTACT
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.metrics.goal_rows import GOAL_FOLDS
from salesflow.projections.metrics.kpi_figures import (
    KpiLine,
    kpi_lines,
)
from salesflow.projections.metrics.kpi_rows import KpiRows, KpiTables
from salesflow.projections.metrics.period_goals import PeriodGoal, goal_table, period_goals
from salesflow.projections.scope import (
    By,
    Grouping,
    MetricScope,
    early_reps_note,
    head_of_groups,
)

__all__ = ["Kpis", "KpisView", "kpi_tables"]


# How KPIs are laid out for people: small tables, the period in their titles.
#
# A period alone stands beside the one before it, a figure a row. Reps, teams or parts of the
# period are rows of three tables each, since no screen is wide enough for all figures at once.

Figures = Mapping[str, Callable[[KpiLine], CellValue]]


def _by_value(line: KpiLine) -> str:
    rates = line.win_rate_by_value
    return " + ".join(f"{percent_text(its.rate)} ({its.currency})" for its in rates) or NO_VALUE


SALES: Final[Figures] = {
    "Sales": lambda line: line.sales,
    "Orders": lambda line: line.orders,
    "Win rate by value": _by_value,
    "Qualified deals": lambda line: line.velocity.open_deals,
    "Sales velocity per day": lambda line: line.velocity.per_day,
}
DEALS: Final[Figures] = {
    "Created": lambda line: line.created,
    "Won": lambda line: line.won,
    "Lost": lambda line: line.lost,
    "Win rate": lambda line: Percent(line.win_rate),
    "Created deals won to date": lambda line: Percent(line.win_rate_of_created),
    "Sales cycle, median (days)": lambda line: line.cycle.days_median,
    "Sales cycle, P90 (days)": lambda line: line.cycle.days_p90,
}
CUSTOMERS: Final[Figures] = {
    "New customers": lambda line: line.new_customers,
    "Repeat purchase rate": lambda line: Percent(line.repeat_rate),
    "Activities": lambda line: line.follow_ups.contacts,
    "Activities per deal": lambda line: line.follow_ups.per_deal,
    "First response, median (days)": lambda line: line.first_response.days_median,
    "CSAT top box": lambda line: Percent(line.csat),
}
PARTS: Final[Mapping[str, Figures]] = {
    "Sales and open pipeline": SALES,
    "Deals created and closed": DEALS,
    "Customers and activities": CUSTOMERS,
}
FIGURES: Final[Figures] = {
    **{name: SALES[name] for name in ("Sales", "Orders")},
    **{name: DEALS[name] for name in ("Created", "Won", "Lost", "Win rate")},
    "Win rate by value": SALES["Win rate by value"],
    **DEALS,
    **SALES,
    **CUSTOMERS,
}
"""All of them, what is asked first and most told first."""


def kpi_tables(
    lines: Sequence[KpiLine], before: Sequence[KpiLine], by: str | None
) -> list[TableOfView]:
    """Lay out the lines of a period and of the one before it, by group where there is one."""
    if by is not None:
        return [*_grouped((*lines, *before), head_of_groups(by))]
    if len(lines) == 1:
        return [_beside((*lines, *before))]
    rows = (*lines, *before)
    return [_part(title, rows, "Period", _days) for title in PARTS]


def _grouped(lines: Iterable[KpiLine], by: str) -> Iterator[TableOfView]:
    for days, rows in groupby(lines, _days):
        group = tuple(rows)
        for title in PARTS:
            yield _part(title, group, by, lambda line: line.group or NO_VALUE, about=days)


def _part(
    title: str,
    lines: Iterable[KpiLine],
    first: str,
    named: Callable[[KpiLine], str],
    about: str = "",
) -> TableOfView:
    figures = PARTS[title]
    rows = [(named(line), *(figure(line) for figure in figures.values())) for line in lines]
    return TableOfView(title, (first, *figures), written_rows(rows), about=about)


def _beside(lines: Sequence[KpiLine]) -> TableOfView:
    rows = [(name, *map(figure, lines)) for name, figure in FIGURES.items()]
    columns = ("Figure", *map(_days, lines))
    return TableOfView("KPIs", columns, written_rows(rows), words=("Figure",))


def _days(line: KpiLine) -> str:
    return span_text(line.first, line.last)


Each = Literal["month", "quarter", "year"]
DAYS_MAX: Final = 3653


class KpisView(MoneyView):
    """A line for each span of the period and each group, and those of the period before."""

    population: ClassVar[str] = (
        "sales: bookings that happened in the period by the moment; orders, win rate and cycle:"
        " deals whose current close date falls in it; created: deals created in it; merged"
        " deals are left out; owner, customer, process and team are those of that time;"
        " activities and CSAT scores: those of the period, whatever became of the deal;"
        " customers: those of"
        " deals won and repeat orders, merged ones as one; velocity: deals open at the end of"
        " the period or at the moment, and those closed in the days before it"
    )
    formula: ClassVar[str] = (
        "sales = sum of bookings x share, per currency, less refunds (but of what was"
        " overpaid); orders = deals currently won"
        " + repeat orders; win rate = won / (won + lost), by count with its 95% Wilson interval"
        " and by value; created deals won to date = currently won / created; cycle = closed -"
        " created"
        " of won deals; new customers = whose first deal currently won falls in the period, no"
        " customer since a day before it; repeat purchase rate = customers with 2 orders or"
        " more / with 1 or more, by the end of the period; first response = first outbound"
        " activity - created, of deals created in the period; CSAT top box = share of 4-5 among"
        " 1-5, with its interval;"
        " qualified deals = open deals at or past the qualifying stage of their process, all of"
        " a process that names none; velocity = qualified deals x mean won amount x win rate /"
        " mean cycle days"
    )
    period: Period
    before: Period
    by: By | None
    lines: tuple[KpiLine, ...]
    lines_before: tuple[KpiLine, ...]
    """The whole period before, group by group."""
    before_joining: int
    """Of how many reps the first team stands for a time before they joined it."""
    all_qualified: tuple[Reference, ...]
    """Processes of open deals that name no qualifying stage: each of their deals counts."""
    goals: tuple[PeriodGoal, ...]
    """Those of the same days and of the same scope or group, and how far they are attained."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the figures out, those of the period before beside or below them."""
        tables = kpi_tables(self.lines, self.lines_before, self.by)
        notes = [*self._notes(language)]
        if notes:
            tables[0] = tables[0]._replace(notes=(*tables[0].notes, *notes))
        return [*tables, *([goal_table(self.goals, language)] if self.goals else [])]

    def _notes(self, language: Language) -> Iterator[str]:
        if self.before_joining:
            yield early_reps_note(self.before_joining, language)
        if self.all_qualified:
            yield say(
                "without a qualifying stage every open deal counts as qualified: {processes}",
                language,
                processes=", ".join(self.all_qualified),
            )


class Kpis(MoneyQuestion[KpisView], PeriodQuestion[KpisView]):
    """How did we do in a period?"""

    name: ClassVar[str] = "kpis"
    folds: ClassVar[tuple[str, ...]] = (
        BOOKING.name,
        CLOSING.name,
        CONTACT.name,
        CUSTOMER.name,
        DEAL_STATE.name,
        FEEDBACK.name,
        MEMBERSHIP.name,
        *GOAL_FOLDS,
    )
    rates_usual: ClassVar[RateRule] = "event"
    each: Each | None = None
    """A line for each fiscal month, quarter or year of the period; one for all left out."""
    by: By | None = None
    """A line for each rep, team, customer, channel (lead source) or process."""
    process: Reference | None = None
    """Only deals of this process (its key) at the time; all when left out."""
    owner: Reference | None = None
    """Only deals owned by this rep, and sales credited to them; all when left out."""
    team: Reference | None = None
    """Only deals and sales of those who were in this team (its key) at the time."""
    velocity_days: Annotated[int, Field(ge=1, le=DAYS_MAX, strict=True)] = 90
    """Velocity is judged by the deals that closed in so many days."""

    def answer(self, reader: Reader, moment: Moment) -> KpisView:
        """Read what happened in the period, and work the figures out."""
        tables = KpiTables(reader)
        within = MetricScope(process=self.process, owner=self.owner, team=self.team)
        grouping = Grouping(reader, self.by, tables.words, within)
        span, before = self.spans(reader)
        exchange = self.exchange(reader)
        spans = tuple(_parts(span, self.each, reader))
        every = (before, *spans)
        rows = KpiRows(reader, tables, every, exchange, grouping, self.velocity_days)
        lines = kpi_lines(every, rows, grouping)
        earlier = sum(line.first < span.first for line in lines)
        return KpisView(
            moment=moment,
            period=span.period(),
            before=before.period(),
            by=self.by,
            lines=tuple(lines[earlier:]),
            lines_before=tuple(lines[:earlier]),
            before_joining=grouping.before_joining,
            all_qualified=tuple(self._all_qualified(reader)),
            goals=tuple(period_goals(reader, spans, self.by, within)),
            rates=exchange.used,
        )

    def _all_qualified(self, reader: Reader) -> list[str]:
        """Return the processes of open deals that name no qualifying stage."""
        deals = reader.columns(DEAL_STATE)
        rows = deals.where(
            deals.has("outcome", "open") & deals.fitting({"process": self.process})
        )
        alike = grouped(rows["process"], rows["process_version"])
        versions = rows.records("process", "process_version", rows=alike.first)
        known = (reader.processes.get(version) for version in versions)
        return sorted({it.key for it in known if it is not None and not it.qualifying_stage})


def _parts(span: Span, each: Each | None, reader: Reader) -> Iterator[Span]:
    """Cut a period into the fiscal months, quarters or years it touches, at its own edges."""
    if each is None:
        yield span
        return
    calendar: FiscalCalendar = reader.calendar
    day: date = span.first
    while day <= span.last:
        last = min(calendar.span(each, day).last, span.last)
        yield span_of(day, last, reader)
        day = date.fromordinal(last.toordinal() + 1)
