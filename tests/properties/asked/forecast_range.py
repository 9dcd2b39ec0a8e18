"""The range of a forecast, and what going through every deal, window and run gives."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.forecast_ranges import Known, ranges_in
from oracle.periods import period_of
from properties.asked.case import Case, exchange_for, said_of_rates, with_rates
from properties.asked.periods import periods
from properties.world import instant
from salesflow.projections.forecast.forecast_range import ForecastRange, ForecastRangeView

__all__ = ["CASE"]

ASKED: tuple[dict[str, Any], ...] = (
    {},
    {"by": "owner"},
    {"by": "team"},
    {"owner": "ann", "by": "owner"},
    {"team": "east", "by": "owner"},
    {"process": "standard"},
)


def asked() -> st.SearchStrategy[ForecastRange]:
    """Draw a range to ask for."""
    return st.builds(
        lambda period, given, rates: ForecastRange.model_validate(
            {"from_": period[0], "to": period[1], **given, **rates}
        ),
        periods(),
        st.sampled_from(ASKED),
        with_rates("period_end"),
    )


def said(view: ForecastRangeView) -> dict[str, Any]:
    """Write the answer as the oracle does."""
    lines = {
        (part, line.method, line.owner or line.team, line.currency): (
            line.deals,
            line.deals_expected,
            line.won_deals,
            *(line.won, line.low, line.middle, line.high),
        )
        for part, found in (("all", view.lines), ("rep", view.reps), ("team", view.teams))
        for line in found
    }
    return {
        "period": (instant(view.period.start), instant(view.period.end)),
        "windows": view.windows,
        "left_out": view.without_amount,
        "lines": lines,
        "in_doubt": [(str(each.deal), each.won, each.stood) for each in view.in_doubt],
        "corrected": view.corrected,
        "rates": said_of_rates(view.rates),
    }


def wanted(
    raw: list[Raw], question: ForecastRange, as_of: int, known_at: int
) -> dict[str, Any]:
    """Ask the oracle by both methods."""
    span = period_of(question.from_, question.to, as_of)
    only: dict[str, Any] = {"process": question.process, "owner": question.owner}
    only["team"] = question.team
    exchange = exchange_for(raw, question, as_of, known_at)
    only["exchange"] = exchange
    known = Known(raw, span, as_of, known_at, only)
    history, process = (ranges_in(known, method) for method in ("history", "process"))
    lines = {}
    for method, found in (("history", history), ("process", process)):
        for key, (deals, expected, count, *amounts) in found["lines"].items():
            owner = None if key[0] == "all" else key[1]
            wanted_by = {"rep": "owner", "team": "team"}.get(key[0], question.by)
            if wanted_by != question.by or (key[0] != "all" and method == "process"):
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
        "in_doubt": [
            (each["stream"], each["amount"][0], each["stood"]) for each in known.doubts
        ],
        "corrected": Decimal(known.corrected) / 1_000_000
        if known.doubts and known.lasts
        else None,
        "rates": exchange.said(),
    }


CASE = Case(asked(), said, wanted)
