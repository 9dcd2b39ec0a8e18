"""The figures of a period: sales, orders, win rates, customers, by rep, team and more.

Answers "how did we do?" for any period and any past moment, the period before beside it.
Sales stand where they were booked; counts and rates use the outcome standing at the moment, so
a deal counts once, in the period of its last believed closing. Customers merged at the moment
count as one. Leaves out what stands open (funnel), how it got there (flow, conversion) and
what is likely (forecast).
"""

from collections.abc import Iterator
from datetime import date
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from salesflow.domain.calendar import FiscalCalendar
from salesflow.domain.moments import Moment, Period
from salesflow.domain.values import Reference
from salesflow.projections.customers import Customers
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.contact import CONTACT
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.kpi_contacts import read_contacts, read_responses, read_scores
from salesflow.projections.kpi_figures import (
    KpiLine,
    Rows,
    Standing,
    kpi_lines,
)
from salesflow.projections.kpi_groups import By, Grouping
from salesflow.projections.kpi_layout import kpi_tables
from salesflow.projections.kpi_orders import Orders
from salesflow.projections.kpi_rows import in_one_currency, read_booked, read_closed
from salesflow.projections.kpi_velocity import velocities
from salesflow.projections.one_currency import Exchange, MoneyQuestion, MoneyView, RateRule
from salesflow.projections.periods import PeriodQuestion, Span, span_of
from salesflow.projections.questions import Reader, TableOfView
from salesflow.projections.teams import Teams
from salesflow.projections.words import Language, in_language

__all__ = ["Kpis", "KpisView"]

Each = Literal["month", "quarter", "year"]
DAYS_MAX: Final = 3653


class KpisView(MoneyView):
    """A line for each span of the period and each group, and those of the period before."""

    population: ClassVar[str] = (
        "sales: bookings that happened in the period by the moment; orders, win rate and cycle:"
        " deals whose standing closing falls in it; created: deals opened in it; merged deals"
        " are left out; owner, customer, process and team are those of that time; contacts and"
        " CSAT scores: those of the period, whatever became of the deal; customers: those of"
        " deals won and repeat orders, merged ones as one; velocity: deals open at the end of"
        " the period or at the moment, and those closed in the days before it"
    )
    formula: ClassVar[str] = (
        "sales = sum of bookings x share, per currency; orders = deals standing won + repeat"
        " orders; win rate = won / (won + lost), by count with its 95% Wilson interval and by"
        " value; of created = standing won / created; cycle = closed - opened of won deals;"
        " new customers = whose first deal standing won falls in the period, no customer since"
        " a day before it; repeat purchase rate = customers with 2 orders or more / with 1 or"
        " more, by the end of the period; first response = first outbound contact - opened, of"
        " deals opened in the period; CSAT top box = share of 4-5 among 1-5, with its interval;"
        " velocity = open deals at or past the qualifying stage x mean won amount x win rate /"
        " mean cycle days"
    )
    population_zh: ClassVar[str] = (
        "销售额：截至该时刻、期间内发生的入账；订单、赢单率与周期：当前所信结束时间落在期间内的商机；"
        "新建：期间内创建的商机；不含已合并商机；负责人、客户、流程与团队取当时的值；"
        "跟进与满意度评分：期间内发生的，不论商机结果；客户：赢单与重复订单的客户，已合并的视为同一客户；"
        "销售速度：期末 (或该时刻) 进行中的商机，以及此前若干天内结束的商机"
    )
    formula_zh: ClassVar[str] = (
        "销售额 = 入账 × 分成之和，按币种；订单 = 赢单商机 + 重复订单；"
        "赢单率 = 赢单 ÷（赢单 + 输单），附 95% 置信区间，亦按金额；"
        "新建赢单率 = 新建中已赢单 ÷ 新建；周期 = 赢单商机的结束 − 创建；"
        "新客户 = 首个赢单落在期间内、且此前未成为客户；"
        "重复购买率 = 截至期末订单 ≥ 2 的客户 ÷ 订单 ≥ 1 的客户；"
        "首次响应 = 首次我方跟进 − 创建 (期间内创建的商机)；"
        "满意度 = 1–5 分中 4–5 分的占比，附 95% 置信区间；"
        "销售速度 = 合格阶段及以后的进行中商机数 × 平均赢单金额 × 赢单率 ÷ 平均周期天数"
    )
    period: Period
    before: Period
    by: By | None
    lines: tuple[KpiLine, ...]
    lines_before: tuple[KpiLine, ...]
    """The whole period before, group by group."""
    before_joining: int
    """How often a rep's first team stands for a time before they joined it."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the figures out, those of the period before beside or below them."""
        tables = kpi_tables(self.lines, self.lines_before, self.by)
        if self.before_joining:
            told = in_language("times a rep's first team stands for a time before it", language)
            tables[0] = tables[0]._replace(notes=(f"{self.before_joining:,} {told}",))
        return tables


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
    velocity_days: Annotated[int, Field(ge=1, le=DAYS_MAX, strict=True)] = 90
    """Velocity is judged by the deals that closed in so many days."""

    def answer(self, reader: Reader, moment: Moment) -> KpisView:
        """Read what happened in the period, and work the figures out."""
        teams = Teams.read(reader)
        grouping = Grouping(
            self.by, teams, Customers.read(reader), process=self.process, owner=self.owner
        )
        span, before = self.span(reader), self.span_before(reader)
        exchange = self.exchange(reader)
        spans = tuple(_parts(span, self.each, reader))
        return KpisView(
            moment=moment,
            period=span.period(),
            before=before.period(),
            by=self.by,
            lines=tuple(self._lines(reader, spans, grouping, exchange)),
            lines_before=tuple(self._lines(reader, (before,), grouping, exchange)),
            before_joining=teams.before_joining,
            rates=exchange.used,
        )

    def _lines(
        self,
        reader: Reader,
        spans: tuple[Span, ...],
        grouping: Grouping,
        exchange: Exchange,
    ) -> Iterator[KpiLine]:
        start, end = spans[0].start, spans[-1].end
        booked, closed = in_one_currency(
            read_booked(reader, start, end),
            read_closed(reader, start, end),
            exchange,
            spans,
            grouping,
        )
        rows = Rows(
            booked,
            closed,
            read_contacts(reader, start, end),
            read_responses(reader, start, end),
            read_scores(reader, start, end),
        )
        orders = Orders.read(reader, end, grouping)
        for span in spans:
            at = span.closing(reader.cut.as_of)
            standing = Standing(
                orders.new_customers(span),
                orders.buyers(span),
                velocities(reader, at, self.velocity_days, grouping, exchange),
            )
            yield from kpi_lines(span, rows, standing, grouping, reader.timezone)


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
