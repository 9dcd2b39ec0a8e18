"""The trend of the funnel, and what a naive replay says of every end by itself."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.funnels import funnel_at
from oracle.periods import period_of
from properties.asked.case import Case, exchange_for, said_of_rates, with_rates
from properties.asked.funnel import rounded, said
from properties.asked.periods import periods
from properties.world import instant
from salesflow.projections.pipeline.funnel_trend import FunnelTrend, FunnelTrendView

__all__ = ["CASE"]

DAY = 86_400_000_000
STEPS = {"month": 1, "quarter": 3, "year": 12}


def asked() -> st.SearchStrategy[FunnelTrend]:
    """Draw trends to ask for; of days only over a few."""
    return st.builds(
        lambda period, every, process, rates: FunnelTrend.model_validate(
            {
                "from_": period[0],
                "to": period[1],
                "every": "week" if every == "day" and not _short(period) else every,
                "process": process,
                **rates,
            }
        ),
        periods(),
        st.sampled_from(("month", "month", "day", "week", "quarter", "year")),
        st.sampled_from((None, None, "standard")),
        with_rates("period_end"),
    )


def said_of_ends(view: FunnelTrendView) -> dict[str, Any]:
    """Write a trend as the oracle does."""
    ends = [
        (instant(end.as_of), {**said(end.stages, end.closed), "open_deals": end.open_deals})
        for end in view.ends
    ]
    return {"ends": ends, "rates": said_of_rates(view.rates)}


def wanted(raw: list[Raw], question: FunnelTrend, as_of: int, known_at: int) -> dict[str, Any]:
    """Ask the oracle at the last instant of every step, or at the moment in the last one."""
    exchange = exchange_for(raw, question, as_of, known_at)
    ends = []
    for end in ends_of(question, as_of):
        found = funnel_at(
            raw,
            end,
            known_at,
            exchange=exchange,
            keep=lambda deal: question.process in (None, deal["process"]),
        )
        if question.report_currency is not None:
            rounded(found)
        del found["processes"]
        ends.append((end, found))
    return {"ends": ends, "rates": exchange.said()}


def ends_of(question: FunnelTrend, as_of: int) -> list[int]:
    """Go through the days of the period in UTC; an end is where the next day is a new step."""
    today = _date(as_of)
    first, after = _period(question, as_of)
    ends = []
    while first < after and first <= today:
        following = first + timedelta(days=1)
        if following == after or _step(question.every, following):
            ends.append(min(_instant(following) - 1, as_of))
        elif following > today:
            ends.append(as_of)
        first = following
    return ends


def _period(question: FunnelTrend, as_of: int) -> tuple[date, date]:
    if question.from_ is None and question.to is None:
        quarter = period_of(None, None, as_of)
        return date(_date(as_of).year - 1, 1, 1), _date(quarter[1])
    start, end = period_of(question.from_, question.to, as_of)
    return _date(start), _date(end)


def _step(every: str, day: date) -> bool:
    """Say whether a day is the first of a step."""
    if every == "day":
        return True
    if every == "week":
        return day.weekday() == 0
    return day.day == 1 and (day.month - 1) % STEPS[every] == 0


def _short(period: tuple[date | None, date | None]) -> bool:
    return None not in period and (period[1] - period[0]).days < 40  # type: ignore[operator]


def _date(at: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).date()


def _instant(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY


CASE = Case(asked(), said_of_ends, wanted)
