"""The figures of a period: sales, orders, win rates and cycle, by rep, team, customer and more.

Answers "how did we do?" for any period and any past moment, the period before beside it.
Sales stand where they were booked; counts and rates use the outcome standing at the moment, so
a deal counts once, in the period of its last believed closing. Leaves out what stands open
(funnel), how it got there (flow, conversion) and what is likely (forecast).
"""

from collections.abc import Iterator
from datetime import date
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from salesflow.domain.calendar import FiscalCalendar
from salesflow.domain.moments import Moment, Period
from salesflow.domain.values import Reference, SafeText
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.kpi_figures import (
    COLUMNS,
    Booked,
    By,
    Closed,
    Grouping,
    KpiLine,
    figures_text,
    kpi_lines,
)
from salesflow.projections.periods import PeriodQuestion, Span, span_of
from salesflow.projections.questions import Reader, TableOfView, View
from salesflow.projections.teams import Teams
from salesflow.projections.words import Language, in_language

__all__ = ["Kpis", "KpisView"]

Each = Literal["month", "quarter", "year"]


class KpisView(View):
    """A line for each span of the period and each group, and those of the period before."""

    population: ClassVar[str] = (
        "sales: bookings that happened in the period by the moment; orders, win rate and cycle:"
        " deals whose standing closing falls in it; created: deals opened in it; merged deals"
        " are left out; owner, customer, process and team are those of that time"
    )
    formula: ClassVar[str] = (
        "sales = sum of bookings x share, per currency; orders = deals standing won + repeat"
        " orders; win rate = won / (won + lost), by count with its 95 % Wilson interval and by"
        " value; of created = standing won / created; cycle = closed - opened of won deals"
    )
    population_zh: ClassVar[str] = (
        "销售额：截至该时刻、期间内发生的入账；订单、赢单率与周期：当前所信结束时间落在期间内的商机；"
        "新建：期间内创建的商机；不含已合并商机；负责人、客户、流程与团队取当时的值"
    )
    formula_zh: ClassVar[str] = (
        "销售额 = 入账 × 分成之和，按币种；订单 = 赢单商机 + 重复订单；"
        "赢单率 = 赢单 ÷（赢单 + 输单），附 95% 置信区间，亦按金额；"
        "新建赢单率 = 新建中已赢单 ÷ 新建；周期 = 赢单商机的结束 − 创建"
    )
    period: Period
    before: Period
    timezone: SafeText
    """The business time zone, in which the tables show times."""
    by: By | None
    lines: tuple[KpiLine, ...]
    lines_before: tuple[KpiLine, ...]
    """The whole period before, group by group."""
    before_joining: int
    """How often a rep's first team stands for a time before they joined it."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the figures out: a row per span and group, then those of the period before."""
        first = ("Period", *(() if self.by is None else (self.by.capitalize(),)))
        rows = tuple(self._row(line) for line in (*self.lines, *self.lines_before))
        notes: tuple[str, ...] = ()
        if self.before_joining:
            told = in_language("times a rep's first team stands for a time before it", language)
            notes = (f"{self.before_joining:,} {told}",)
        return [TableOfView("Kpis", (*first, *COLUMNS), rows, notes=notes)]

    def _row(self, line: KpiLine) -> tuple[str, ...]:
        group = () if self.by is None else (line.group or "–",)
        return (f"{line.first} … {line.last}", *group, *figures_text(line))


class Kpis(PeriodQuestion[KpisView]):
    """How did we do in a period?"""

    name: ClassVar[str] = "kpis"
    folds: ClassVar[tuple[str, ...]] = (BOOKING.name, CLOSING.name, MEMBERSHIP.name)
    each: Each | None = None
    """A line for each fiscal month, quarter or year of the period; one for all left out."""
    by: By | None = None
    """A line for each rep, team, customer, channel (lead source) or process."""
    process: Reference | None = None
    """Only deals of this process (its key) at the time; all when left out."""
    owner: Reference | None = None
    """Only deals owned by this rep, and sales credited to them; all when left out."""

    def answer(self, reader: Reader, moment: Moment) -> KpisView:
        """Read what was booked, opened and closed in the period, and work the figures out."""
        teams = Teams.read(reader)
        grouping = Grouping(self.by, teams, process=self.process, owner=self.owner)
        span, before = self.span(reader), self.span_before(reader)
        spans = tuple(_parts(span, self.each, reader))
        return KpisView(
            moment=moment,
            period=span.period(),
            before=before.period(),
            timezone=reader.timezone.key,
            by=self.by,
            lines=tuple(self._lines(reader, spans, grouping)),
            lines_before=tuple(self._lines(reader, (before,), grouping)),
            before_joining=teams.before_joining,
        )

    def _lines(
        self, reader: Reader, spans: tuple[Span, ...], grouping: Grouping
    ) -> Iterator[KpiLine]:
        whole = (spans[0].start, spans[-1].end)
        booked = [Booked._make(row) for row in reader.rows(self._booked(reader, *whole))]
        closed = [Closed._make(row) for row in reader.rows(self._closed(reader, *whole))]
        zone: ZoneInfo = reader.timezone
        for span in spans:
            yield from kpi_lines(span, booked, closed, grouping, zone)

    def _booked(self, reader: Reader, start: int, end: int) -> sa.Select[Any]:
        c = BOOKING.c
        shown: list[sa.ColumnElement[Any]] = [
            *(c.occurred, c.sign, c.kind, c.role, c.person, c.share, c.amount, c.currency),
            *(c.process, c.customer_id, c.lead_source, c.credited),
        ]
        return sa.select(*shown).where(
            BOOKING.posted(reader.cut), c.occurred >= start, c.occurred < end
        )

    def _closed(self, reader: Reader, start: int, end: int) -> sa.Select[Any]:
        c = CLOSING.c
        shown: list[sa.ColumnElement[Any]] = [
            *(c.opened, c.opened_day_only, c.opened_process, c.opened_owner),
            *(c.opened_customer_id, c.outcome, c.closed, c.closed_day_only, c.process),
            *(c.owner, c.customer_id, c.lead_source, c.amount, c.currency),
        ]
        return sa.select(*shown).where(
            CLOSING.seen(reader.cut),
            c.outcome != "merged",
            sa.or_(
                sa.and_(c.opened >= start, c.opened < end),
                sa.and_(c.closed >= start, c.closed < end),
            ),
        )


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
