"""The figures of a period, and what a naive replay says of them."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.kpis import kpis_in
from oracle.metrics import only_of
from oracle.periods import period_before, period_of
from oracle.teams import staffed_at
from properties.asked.case import (
    Case,
    by_currency,
    exchange_for,
    said_of_rates,
    with_rates,
)
from properties.asked.periods import periods
from properties.world import instant
from salesflow.projections.metrics.kpi_figures import KpiLine
from salesflow.projections.performance.kpis import Kpis, KpisView

__all__ = ["CASE"]

ONLY: tuple[dict[str, Any], ...] = (
    *({}, {"velocity_days": 2}, {"owner": "ann"}),
    *({"process": "standard"}, {"team": "east"}),
)
NEAR = Fraction(1, 10**20)
"""How near a Decimal of 28 digits comes to a fraction."""


def asked() -> st.SearchStrategy[Kpis]:
    """Draw figures to ask for."""
    return st.builds(
        lambda period, by, each, only, rates: Kpis.model_validate(
            {"from_": period[0], "to": period[1], "by": by, "each": each, **only, **rates}
        ),
        periods(),
        st.sampled_from((None, None, "rep", "team", "customer", "channel", "process")),
        st.sampled_from((None, None, "month", "quarter")),
        st.sampled_from(
            (
                {},
                {"velocity_days": 2},
                {"owner": "ann"},
                {"process": "standard"},
                {"team": "east"},
            )
        ),
        with_rates("event", "closing", "period_end"),
    )


def said(view: KpisView) -> dict[str, Any]:
    """Write the figures as the oracle does."""
    return {
        "lines": [_line(line) for line in view.lines],
        "before": [_line(line) for line in view.lines_before],
        "period": (instant(view.period.start), instant(view.period.end)),
        "rates": said_of_rates(view.rates),
    }


def wanted(raw: list[Raw], question: Kpis, as_of: int, known_at: int) -> dict[str, Any]:
    """Ask the oracle about every span of the period and about the period before."""
    days = (question.from_, question.to)
    only = only_of(
        raw, question.model_dump(include={"process", "owner", "team"}), as_of, known_at
    )
    exchange = exchange_for(raw, question, as_of, known_at)

    def lines(span: tuple[int, int]) -> list[Any]:
        found = kpis_in(
            raw,
            span,
            (as_of, known_at),
            by=question.by,
            only=only,
            days=question.velocity_days,
            exchange=exchange,
        )
        if question.by == "team" and question.owner is None:
            teams = staffed_at(raw, span[0], min(span[1] - 1, as_of), known_at)
            for team in teams if question.team is None else teams & {question.team}:
                found.setdefault(team, nobodys(raw, span, (as_of, known_at), exchange))
        groups = sorted(found, key=lambda group: (group is None, group or ""))
        for figures in found.values():
            del figures["bookings"]  # lines of the KPIs do not say what sales rest on
        return [(span, group, Near(found[group])) for group in groups]

    period = period_of(*days, as_of)
    return {
        "lines": [line for span in _spans(period, question.each) for line in lines(span)],
        "before": lines(period_before(*days, as_of)),
        "period": period,
        "rates": exchange.said(),
    }


def nobodys(raw: list[Raw], span: tuple[int, int], at: tuple[int, int], of: Any) -> Any:  # noqa: ANN401
    """Give the figures of those who did nothing."""
    found = kpis_in(raw, span, at, by=None, only=lambda _: False, days=1, exchange=of)
    return found[None]


def _spans(period: tuple[int, int], each: str | None) -> list[tuple[int, int]]:
    """Cut at the first of every month, or of every third one."""
    months = {None: (), "month": range(1, 13), "quarter": (1, 4, 7, 10)}[each]
    day, cuts = _day(period[0]) + timedelta(days=1), [period[0]]
    while instant(day) < period[1]:
        if day.day == 1 and day.month in months:
            cuts.append(instant(day))
        day += timedelta(days=1)
    return list(zip(cuts, [*cuts[1:], period[1]], strict=True))


def _day(at: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)


def _line(line: KpiLine) -> tuple[Any, ...]:
    first = datetime.combine(line.first, datetime.min.time(), UTC)
    after = datetime.combine(line.last, datetime.min.time(), UTC) + timedelta(days=1)
    names = ("orders", "repeat_orders", "created", "created_won", "created_open", "won")
    rate, cycle = line.win_rate, line.cycle
    spread = (cycle.days_median, cycle.days_mean, cycle.days_p90)
    figures = {
        **{name: getattr(line, name) for name in (*names, "lost", "disqualified")},
        "sales": by_currency(line.sales),
        "win_rate_of_created": line.win_rate_of_created,
        "win_rate": None if rate is None else (rate.value, rate.count),
        "win_rate_by_value": {each.currency: each.rate for each in line.win_rate_by_value},
        "cycle": None if None in spread else spread,
        **_about_customers(line),
    }
    return (instant(first), instant(after)), line.group, figures


def _about_customers(line: KpiLine) -> dict[str, Any]:
    followed, first, csat = line.follow_ups, line.first_response, line.csat
    speed = line.velocity
    spread = (first.days_median, first.days_mean, first.days_p90)
    return {
        "new_customers": line.new_customers,
        "buyers": (line.customers, line.customers_again, line.repeat_rate),
        "follow_ups": (
            followed.contacts,
            followed.deals,
            followed.per_deal,
            {each.channel: each.contacts for each in followed.by_channel},
        ),
        "first_response": None if None in spread else spread,
        "csat": None if csat is None else (csat.value, csat.count),
        "velocity": (
            speed.open_deals,
            by_currency(speed.won_mean),
            speed.win_rate,
            speed.cycle_days,
            by_currency(speed.per_day),
        ),
    }


class Near(dict[str, Any]):
    """Figures of the oracle; equal to those of a view whose ratios are near enough."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and _near(dict(self), other)

    __hash__ = None


def _near(wanted: Any, found: Any) -> bool:  # noqa: ANN401 - any figure
    if isinstance(wanted, dict):
        same = wanted.keys() == found.keys()
        return same and all(_near(wanted[key], found[key]) for key in wanted)
    if isinstance(wanted, tuple):
        same = isinstance(found, tuple) and len(wanted) == len(found)
        return same and all(map(_near, wanted, found))
    if isinstance(wanted, Fraction) and found is not None:
        return abs(wanted - Fraction(found)) <= NEAR * (1 + abs(wanted))
    return bool(wanted == found)


CASE = Case(asked(), said, wanted)
