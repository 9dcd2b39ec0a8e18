"""The stages in which deals are held up, and what a naive replay says of them."""

from datetime import date
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.bottlenecks import bottlenecks_in
from oracle.known import is_unknown
from oracle.periods import period_before, period_of
from properties.asked.case import Case, by_currency
from properties.asked.periods import periods
from properties.asked.retrospective import Near
from salesflow.projections.stages.bottlenecks import (
    Bottlenecks,
    BottlenecksView,
    StageStay,
)

__all__ = ["CASE"]

YEAR = (date(2023, 7, 1), date(2024, 7, 1))
PARTS: tuple[dict[str, Any], ...] = (
    {},
    {"owner": "ann"},
    {"process": "standard"},
    {"team": "east"},
    {"team": "south", "process": "crm"},
)


def asked() -> st.SearchStrategy[Bottlenecks]:
    """Draw a period and a part of sales to ask about."""
    return st.builds(
        lambda period, part: Bottlenecks.model_validate(
            {"from_": period[0], "to": period[1], **part}
        ),
        st.one_of(st.just(YEAR), periods()),
        st.sampled_from(PARTS),
    )


def said(view: BottlenecksView) -> dict[Any, Any]:
    """Write the answer as the oracle does."""
    found: dict[Any, Any] = {}
    for each in view.stages:
        assert not each.lowest_conversion or each.figures.left >= 10
        assert not each.longest_stay or each.figures.visits >= 10
        sides = (_stay(each.figures), _stay(each.figures_before))
        here = (each.deals, each.deals_overdue, by_currency(each.amounts))
        found[each.process, each.stage] = (*sides, here)
        if each.stay_change is not None:
            medians = each.figures.days_median, each.figures_before.days_median
            assert medians[0] is not None
            assert medians[1] is not None
            assert each.stay_change == medians[0].value - medians[1].value
    return found


def _stay(stay: StageStay) -> dict[str, Any]:
    median = stay.days_median
    interval = median and median.interval
    ends = (interval.low, interval.high) if interval else (None, None)
    return {
        "entered": stay.entered,
        "left": stay.left,
        "conversion": None if stay.conversion is None else stay.conversion.value,
        "visits": stay.visits,
        "median": None if median is None else (median.value, *ends),
    }


def wanted(
    raw: list[Raw], question: Bottlenecks, as_of: int, known_at: int
) -> dict[Any, Any] | None:
    """Ask the oracle about the period and the one before."""
    only = {"owner": question.owner, "team": question.team, "process": question.process}
    if is_unknown(raw, only, as_of, known_at):
        return None
    days = (question.from_, question.to)
    both = (period_of(*days, as_of), period_before(*days, as_of))
    found: dict[Any, Any] = Near(bottlenecks_in(raw, both, as_of, known_at, only))
    return found


CASE = Case(asked(), said, wanted)
