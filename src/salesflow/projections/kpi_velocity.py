"""Sales velocity: how much money a day the pipeline brings, judged by what closed lately.

Velocity = open deals at or past the qualifying stage x mean won amount x win rate ÷ mean cycle
days. The deals are those open at the end of a span (or at the moment), the last three figures
those of deals that closed in the days before it. The mean won amount is a sum of money in each
currency: so much of each does a won deal bring on the average. Where a process names no
qualifying stage all its open deals count.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from salesflow.domain.moments import DAY, Instant, from_instant, start_of_day
from salesflow.domain.values import Value
from salesflow.projections.estimates import decimal_of, ratio
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.kpi_groups import Group, Grouping, Whose
from salesflow.projections.kpi_rows import (
    CLOSED_COLUMNS,
    Closed,
    closing_whose,
    lasted,
    won_or_lost_in,
)
from salesflow.projections.one_currency import Exchange
from salesflow.projections.questions import Reader
from salesflow.projections.tables import AMOUNT_SCALE, Cut, Processes
from salesflow.projections.totals import Total

__all__ = ["Velocity", "velocities", "velocity"]


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


class _Open(NamedTuple):
    """So many open deals alike."""

    deals: int
    process_version: int
    stage: str
    rep: str | None
    customer_id: UUID | None
    lead_source: str | None
    process: str


def velocities(
    reader: Reader, at: Instant, days: int, grouping: Grouping, exchange: Exchange
) -> dict[Group, Velocity]:
    """Give the velocity at an instant of every group that has open deals or closed any."""
    cut = reader.cut._replace(as_of=at)
    opened = _open_deals(reader, cut, grouping)
    closed: dict[Group, list[Closed]] = defaultdict(list)
    for deal in _closed_lately(reader, cut, days):
        whose = closing_whose(deal)
        if whose is not None and grouping.wants(whose):
            worth = won_or_lost_in(deal, exchange, at) if deal.outcome == "won" else deal
            closed[grouping.of(whose)].append(worth)
    return {
        group: velocity(opened[group], closed[group], reader.timezone)
        for group in {*opened, *closed}
    }


def velocity(open_deals: int, closed: Sequence[Closed], timezone: ZoneInfo) -> Velocity:
    """Work the velocity out from so many open deals, and from deals won or lost lately."""
    won = [deal for deal in closed if deal.outcome == "won"]
    means = _won_mean(won)
    cycle = Fraction(sum(lasted(deal, timezone) for deal in won), len(won) or 1) / DAY
    per_day: dict[str, Fraction] = {}
    if cycle:
        speed = open_deals * Fraction(len(won), len(closed)) / cycle
        per_day = {currency: amount * speed for currency, amount in means.items()}
    return Velocity(
        open_deals=open_deals,
        won_mean=_totals(means),
        win_rate=ratio(len(won), len(closed)),
        cycle_days=decimal_of(cycle) if won else None,
        per_day=_totals(per_day),
    )


def _won_mean(won: Sequence[Closed]) -> dict[str, Fraction]:
    sums: Counter[str] = Counter()
    known = [(d.currency, d.amount) for d in won if d.currency is not None]
    for currency, amount in known:
        sums[currency] += amount or 0
    return {c: Fraction(amount, AMOUNT_SCALE * len(known)) for c, amount in sums.items()}


def _totals(sums: dict[str, Fraction]) -> tuple[Total, ...]:
    return tuple(
        Total(currency=currency, amount=decimal_of(amount))
        for currency, amount in sorted(sums.items())
    )


def _open_deals(reader: Reader, cut: Cut, grouping: Grouping) -> Counter[Group]:
    c = DEAL_STATE.c
    cells: list[sa.ColumnElement[Any]] = [
        *(c.process_version, c.stage, c.owner, c.customer_id, c.lead_source, c.process)
    ]
    select = sa.select(sa.func.count(), *cells).where(DEAL_STATE.seen(cut), c.outcome == "open")
    found: Counter[Group] = Counter()
    for row in map(_Open._make, reader.rows(select.group_by(*cells))):
        about = (row.rep, row.customer_id, row.lead_source, row.process)
        whose = Whose(cut.as_of, *about)
        if grouping.wants(whose) and _qualifies(row, reader.processes):
            found[grouping.of(whose)] += row.deals
    return found


def _qualifies(row: _Open, processes: Processes) -> bool:
    process = processes.get((row.process, row.process_version))
    if process is None or process.qualifying_stage is None:
        return True
    return process.order(row.stage) >= process.order(process.qualifying_stage)


def _closed_lately(reader: Reader, cut: Cut, days: int) -> list[Closed]:
    """Read the deals won or lost in so many days, the one of the instant included."""
    c = CLOSING.c
    last = from_instant(cut.as_of).astimezone(reader.timezone).date()
    start = start_of_day(last - timedelta(days=days - 1), reader.timezone)
    select = sa.select(*CLOSED_COLUMNS).where(
        CLOSING.seen(cut), c.outcome.in_(("won", "lost")), c.closed >= start
    )
    return [Closed._make(row) for row in reader.rows(select)]
