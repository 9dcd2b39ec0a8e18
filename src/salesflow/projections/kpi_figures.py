"""The figures of one line of the KPIs, worked out from bookings, openings and closings.

What each figure means is said by the view. Filters have been applied by whoever read the
rows; here rows are put to spans and groups and counted. Nothing is rounded before it is shown.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Final, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.moments import Instant, from_instant
from salesflow.domain.values import Currency, SafeText, Value
from salesflow.projections.amounts import Total, totals, totals_text
from salesflow.projections.estimates import Estimate, estimate_text, ratio, share
from salesflow.projections.periods import Span
from salesflow.projections.records import Role
from salesflow.projections.stage_time_figures import Spread, spread
from salesflow.projections.tables import AMOUNT_SCALE
from salesflow.projections.teams import Teams
from salesflow.projections.visits import DAY

__all__ = [
    "COLUMNS",
    "Booked",
    "By",
    "Closed",
    "Grouping",
    "KpiLine",
    "ValueRate",
    "figures_text",
    "kpi_lines",
]

By = Literal["rep", "team", "customer", "channel", "process"]
Group = str | None

COLUMNS: Final = (
    "Sales", "Orders", "Created", "Won", "Lost", "Win rate", "Win rate by value",
    "Of created", "Cycle days median", "Cycle days p90",
)  # fmt: skip


class ValueRate(Value):
    """What was won of what was won or lost, in one currency."""

    currency: Currency
    rate: Decimal


class KpiLine(Value):
    """The figures of one span of days and one group."""

    first: Annotated[date, Role.KEY]
    last: Annotated[date, Role.KEY]
    """The last day of the span, included."""
    group: Annotated[SafeText | None, Role.KEY]
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


class Booked(NamedTuple):
    """A booking's part of one person."""

    occurred: Instant
    sign: int
    kind: str
    role: str
    person: str | None
    share: int
    amount: int | None
    currency: str | None
    process: str
    customer_id: UUID | None
    lead_source: str | None
    credited: Instant


class Closed(NamedTuple):
    """A deal with its opening, and its closing where it has one."""

    opened: Instant
    opened_day_only: int
    opened_process: str
    opened_owner: str | None
    opened_customer_id: UUID | None
    outcome: str
    closed: Instant | None
    closed_day_only: int | None
    process: str
    owner: str | None
    customer_id: UUID | None
    lead_source: str | None
    amount: int | None
    currency: str | None


class Whose(NamedTuple):
    """To whom something belonged when it happened."""

    at: Instant
    rep: str | None
    customer_id: UUID | None
    lead_source: str | None
    process: str


class Grouping:
    """To which group something belongs, and whether it was asked for at all."""

    def __init__(
        self, by: By | None, teams: Teams, *, process: str | None, owner: str | None
    ) -> None:
        self.by: Final = by
        self._teams = teams
        self._process = process
        self._owner = owner

    def wants(self, whose: Whose) -> bool:
        """Say whether it is of the process and the rep asked for."""
        return self._process in (None, whose.process) and self._owner in (None, whose.rep)

    def of(self, whose: Whose) -> Group:
        """Say to which group it belongs."""
        match self.by:
            case None:
                return None
            case "rep":
                return whose.rep
            case "team":
                return self._teams.of(whose.rep, whose.at)
            case "customer":
                return None if whose.customer_id is None else str(whose.customer_id)
            case "channel":
                return whose.lead_source
            case "process":
                return whose.process


def _opening(row: Closed) -> Whose:
    whose = (row.opened, row.opened_owner, row.opened_customer_id)
    return Whose(*whose, row.lead_source, row.opened_process)


def _closing(row: Closed) -> Whose | None:
    if row.closed is None:
        return None
    return Whose(row.closed, row.owner, row.customer_id, row.lead_source, row.process)


class _Rows:
    """What belongs to one group."""

    def __init__(self) -> None:
        self.booked: list[Booked] = []
        self.opened: list[Closed] = []
        self.closed: list[Closed] = []


def kpi_lines(
    span: Span,
    booked: Iterable[Booked],
    closed: Iterable[Closed],
    grouping: Grouping,
    timezone: ZoneInfo,
) -> Iterator[KpiLine]:
    """Give a line per group that has anything in the span; one in any case without groups."""
    groups: dict[Group, _Rows] = defaultdict(_Rows)
    if grouping.by is None:
        groups[None] = _Rows()
    for row in booked:
        whose = Whose(row.credited, row.person, row.customer_id, row.lead_source, row.process)
        if span.holds(row.occurred) and grouping.wants(whose):
            groups[grouping.of(whose)].booked.append(row)
    for deal in closed:
        opening, closing = _opening(deal), _closing(deal)
        if span.holds(opening.at) and grouping.wants(opening):
            groups[grouping.of(opening)].opened.append(deal)
        if closing is not None and span.holds(closing.at) and grouping.wants(closing):
            groups[grouping.of(closing)].closed.append(deal)
    for group in sorted(groups, key=lambda name: (name is None, name or "")):
        yield _line(span, group, groups[group], timezone)


def _line(span: Span, group: Group, rows: _Rows, timezone: ZoneInfo) -> KpiLine:
    won = [deal for deal in rows.closed if deal.outcome == "won"]
    lost = [deal for deal in rows.closed if deal.outcome == "lost"]
    repeats = sum(
        row.sign for row in rows.booked if row.kind == "repeated" and row.role == "owner"
    )
    created_won = sum(deal.outcome == "won" for deal in rows.opened)
    return KpiLine(
        first=span.first,
        last=span.last,
        group=group,
        sales=totals(_part(row) for row in rows.booked),
        orders=len(won) + repeats,
        repeat_orders=repeats,
        created=len(rows.opened),
        created_won=created_won,
        created_open=sum(deal.outcome == "open" for deal in rows.opened),
        win_rate_of_created=ratio(created_won, len(rows.opened)),
        won=len(won),
        lost=len(lost),
        disqualified=sum(deal.outcome == "disqualified" for deal in rows.closed),
        win_rate=share(len(won), len(won) + len(lost)),
        win_rate_by_value=tuple(_by_value(won, lost)),
        cycle=spread(_lasted(deal, timezone) for deal in won),
    )


def _part(row: Booked) -> tuple[str | None, Decimal, Decimal]:
    amount = Decimal(row.sign * (row.amount or 0)) / AMOUNT_SCALE
    return row.currency, amount, Decimal(row.share) / AMOUNT_SCALE


def _by_value(won: Sequence[Closed], lost: Sequence[Closed]) -> Iterator[ValueRate]:
    value: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for number, deals in enumerate((won, lost)):
        for deal in deals:
            if deal.currency is not None:
                value[deal.currency][number] += deal.amount or 0
    for currency, (gained, missed) in sorted(value.items()):
        rate = ratio(gained, gained + missed)
        if rate is not None:
            yield ValueRate(currency=currency, rate=rate)


def _lasted(deal: Closed, timezone: ZoneInfo) -> int:
    """Give the microseconds from opening to closing; whole days where both are only days."""
    assert deal.closed is not None
    if deal.opened_day_only and deal.closed_day_only:
        first, last = (
            from_instant(at).astimezone(timezone).toordinal()
            for at in (deal.opened, deal.closed)
        )
        return (last - first) * DAY
    return deal.closed - deal.opened


def figures_text(line: KpiLine) -> tuple[str, ...]:
    """Write the figures for people, in the order of `COLUMNS`."""
    created = line.win_rate_of_created
    return (
        totals_text(line.sales),
        f"{line.orders:,}",
        f"{line.created:,}",
        f"{line.won:,}",
        f"{line.lost:,}",
        estimate_text(line.win_rate, percent=True),
        " + ".join(f"{each.rate:.1%} {each.currency}" for each in line.win_rate_by_value)
        or "–",
        "–" if created is None else f"{created:.1%}",
        _days(line.cycle.days_median),
        _days(line.cycle.days_p90),
    )


def _days(days: Decimal | None) -> str:
    return "–" if days is None else f"{days:,.1f}"
