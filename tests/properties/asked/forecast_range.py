"""The range of a forecast, and what going through every deal, window and run gives."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.forecast_ranges import Known, ranges_in
from oracle.periods import period_of
from properties.asked.case import Case
from properties.asked.periods import periods
from properties.world import instant
from salesflow.projections.forecast.forecast_range import ForecastRange, ForecastRangeView

__all__ = ["CASE"]

ASKED: tuple[dict[str, Any], ...] = (
    {},
    {"by": "owner"},
    {"owner": "ann", "by": "owner"},
    {"process": "standard"},
)


def asked() -> st.SearchStrategy[ForecastRange]:
    """Draw a range to ask for."""
    return st.builds(
        lambda period, given: ForecastRange.model_validate(
            {"from_": period[0], "to": period[1], **given}
        ),
        periods(),
        st.sampled_from(ASKED),
    )


def said(view: ForecastRangeView) -> dict[str, Any]:
    """Write the answer as the oracle does."""
    lines = {
        ("all" if number == 0 else "rep", line.method, line.owner, line.currency): (
            line.deals,
            line.deals_expected,
            line.won_deals,
            *(line.won, line.low, line.middle, line.high),
        )
        for number, found in enumerate((view.lines, view.reps))
        for line in found
    }
    return {
        "period": (instant(view.period.start), instant(view.period.end)),
        "windows": view.windows,
        "left_out": view.without_amount,
        "lines": lines,
    }


def wanted(
    raw: list[Raw], question: ForecastRange, as_of: int, known_at: int
) -> dict[str, Any]:
    """Ask the oracle by both methods."""
    span = period_of(question.from_, question.to, as_of)
    only = {"process": question.process, "owner": question.owner}
    known = Known(raw, span, as_of, known_at, only)
    history, process = (ranges_in(known, method) for method in ("history", "process"))
    lines = {}
    for method, found in (("history", history), ("process", process)):
        for key, (deals, expected, count, *amounts) in found["lines"].items():
            owner = None if key[0] == "all" else key[1]
            if key[0] == "rep" and (question.by is None or method == "process"):
                continue
            lines[key[0], method, owner, key[-1]] = (
                *(deals, Decimal(expected) / 1_000_000, count),
                *(Decimal(each) / 1_000_000 for each in amounts),
            )
    return {
        "period": span,
        "windows": history["windows"],
        "left_out": max(history["left_out"], process["left_out"]),
        "lines": lines,
    }


CASE = Case(asked(), said, wanted)
