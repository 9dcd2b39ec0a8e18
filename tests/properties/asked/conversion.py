"""How many deals go on from each stage, and what a naive replay says of it."""

from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.conversions import conversion_in
from properties.asked.case import Case
from properties.world import instant
from salesflow.presentation.format import Estimate
from salesflow.projections.metrics.conversion_figures import StageConversion
from salesflow.projections.stages.conversion import Conversion, ConversionView

__all__ = ["CASE"]

ASKED = (
    Conversion(),
    Conversion(from_=date(2024, 1, 1), to=date(2025, 1, 1)),
    Conversion(from_=date(2023, 1, 1), to=date(2025, 1, 1), process="standard"),
    Conversion(from_=date(2024, 1, 1), to=date(2024, 1, 12), owner="ann"),
    Conversion(from_=date(2023, 12, 20), to=date(2024, 2, 1), process="crm"),
    Conversion(from_=date(2024, 1, 2), to=date(2024, 1, 3), owner="bob", process="standard"),
    Conversion(process="nonsense"),
)


def said(view: ConversionView) -> dict[str, Any]:
    """Write the answer as the oracle does."""
    return {
        "period": (instant(view.period.start), instant(view.period.end)),
        "before": (instant(view.before.start), instant(view.before.end)),
        "listed": [(stage.process, stage.stage) for stage in view.stages],
        "stages": {(s.process, s.stage): _stage(s) for s in view.stages},
        "stages_before": {(s.process, s.stage): _stage(s) for s in view.stages_before},
        "reach": {
            (r.process, r.stage): (
                r.created,
                r.entered,
                r.reached,
                {v.currency: (v.created, v.entered, v.reached) for v in r.values},
            )
            for r in view.reach
        },
        "transitions": {
            (t.process, t.stage, t.kind, t.target): (t.exits, t.exits_total)
            for t in view.transitions
        },
    }


def _stage(s: StageConversion) -> dict[str, Any]:
    return {
        "counts": {
            "entered": s.entered,
            "moved_on": s.moved_on,
            "left": s.left,
            "still_there": s.still_there,
            "entries": s.entries,
            "entries_later": s.entries_later,
        },
        "to_date": _value(s.to_date),
        "resolved": _value(s.resolved),
        "in_period": s.in_period,
        "values": {
            v.currency: (
                v.entered, v.moved_on, v.left, v.to_date, v.resolved, v.entries,
                v.entries_later, v.in_period,
            )
            for v in s.values
        },
    }  # fmt: skip


def _value(estimate: Estimate | None) -> Decimal | None:
    return None if estimate is None else estimate.value


def wanted(
    raw: list[Raw], question: Conversion, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Ask the oracle."""
    return conversion_in(
        raw,
        as_of,
        known_at,
        first=question.from_,
        after=question.to,
        process=question.process,
        owner=question.owner,
    )


CASE = Case(st.sampled_from(ASKED), said, wanted)
