"""What the figures of answers are counted in, so that a comparison writes them as tables do.

A question's own tables write each figure as its unit asks for: shares in per cent, days to a
tenth, amounts with their currency. A comparison lays out any question, and looks it up here by
the name of the field. A module of its own: here are names of fields alone, and nothing that is
compared. Leaves out counts: a whole number is written as it is.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, Literal

from pydantic import BaseModel

from salesflow.domain.metric import METRICS
from salesflow.domain.values import tidy
from salesflow.presentation.figure_text import FigureText
from salesflow.presentation.format import (
    Estimate,
    estimate_text,
    given_percent,
    number_text,
)
from salesflow.presentation.messages import Language

__all__ = ["FigureWriter", "Unit", "unit_of"]

Unit = Literal["money", "share", "given", "days", "seconds", "number", "points", "own", "plain"]
"""`given`: a share that somebody gave, written with all its digits; `own`: the unit that the
row, or the answer it is in, names, or that of the metric it names."""

UNITS: Final[Mapping[str, Unit]] = {
    **dict.fromkeys(
        (
            *("accrued", "advanced", "agreed", "amount", "amount_fixed", "amount_now"),
            *("as_issued", "as_known_now", "base", "changed", "commission", "credited"),
            *("created", "corrected", "dispute", "draw", "draw_balance", "earned", "entered"),
            *("entries", "entries_later", "expected_amount", "forecast", "forecast_best_case"),
            *("forecast_commit", "forecast_pipeline", "forecast_weighted", "from_differences"),
            *(
                "from_sales",
                "goal_remaining",
                "guarantee",
                "guaranteed",
                "late",
                "left",
                "list_value",
            ),
            *("middle", "moved_amount", "moved_on", "overdue_amount", "payable", "reached"),
            *("recovered", "retracted", "slipped_amount", "stood", "total", "weighted", "won"),
        ),
        "money",
    ),
    **dict.fromkeys(
        (
            *("accuracy", "accuracy_best_case", "accuracy_commit", "accuracy_weighted"),
            *("agreement", "attainment", "bias", "conversion", "conversion_change"),
            *("csat", "csat_top_box", "cumulative_share", "days_over_share", "entered_share"),
            *("error", "held_share", "history", "in_period", "lasting", "lost_share"),
            *("next_conversion", "p", "pace", "rate", "reached_share", "repeat_rate"),
            *("resolved", "response_rate", "share", "share_elapsed", "similar_won"),
            *("slippage", "slippage_by_value", "to_date", "win_rate", "win_rate_by_value"),
            *("win_rate_of_created", "win_rate_with", "win_rate_without", "within_share"),
            *("won_share", "disqualified", "lost", "moved"),
        ),
        "share",
    ),
    **dict.fromkeys(("confidence", "credit", "discount", "probability"), "given"),
    **dict.fromkeys(
        (
            *("cycle_days", "days", "days_mean", "days_median", "days_over", "days_p90"),
            *("days_waiting", "stay_change"),
        ),
        "days",
    ),
    **dict.fromkeys(
        ("closed_seconds", "first_to_last_seconds", "visits_seconds"),
        "seconds",
    ),
    **dict.fromkeys(
        (
            *("ces_mean", "coverage", "coverage_required", "csat_mean", "deals_expected"),
            *("per_deal", "scale_least", "scale_most", "score", "score_most"),
        ),
        "number",
    ),
    "nps": "points",
    **dict.fromkeys(
        (
            *("actual", "actual_gap", "adjusted", "after", "baseline", "before", "change"),
            *("changes", "compared", "detectable", "difference", "earlier", "expected_effect"),
            *("expected_now", "figure", "fixed", "fixed_figure", "found", "gap", "high"),
            *("limit", "low", "mean", "median", "needed_per_day", "now", "others", "own"),
            *("placebo_adjusted", "placebo_changes", "projected", "score_before", "target"),
            *("target_before", "target_gap", "threshold", "value", "value_before"),
            *("version_change",),
        ),
        "own",
    ),
}
"""By the name of the field, where it is an amount, a ratio, or else no count."""

CHANGES: Final = frozenset(
    {
        *("adjusted", "change", "changes", "conversion_change", "expected_effect"),
        *("next_conversion", "placebo_adjusted", "placebo_changes", "stay_change"),
        "version_change",
    }
)
"""Figures that are differences themselves: written with a sign, those of shares in points."""

OF_CLASS: Final[Mapping[tuple[str, str], Unit]] = {
    ("AccrualReached", "factor"): "plain",
    ("AccrualReached", "next_starts_at"): "money",
    ("AccrualReached", "rate"): "given",
    ("CalibrationBand", "given"): "share",
    ("CalibrationBand", "won"): "share",
    ("ChancesAfter", "won"): "share",
    ("CommissionLine", "share"): "given",
    ("CoverageMean", "lost"): "number",
    ("CoverageMean", "won"): "number",
    ("CoverageShare", "difference"): "share",
    ("Driver", "difference"): "share",
    ("EstimatedCommission", "share"): "given",
    ("ExchangeShown", "rate"): "plain",
    ("ForecastJudged", "difference"): "money",
    ("ForecastRangeView", "corrected"): "share",
    ("ImprovementEffectView", "version_change"): "share",
    ("PartShown", "factor"): "plain",
    ("PartShown", "rate"): "given",
    ("ScoreMoved", "score"): "own",
}
"""Where a field of one class is something else than those of its name."""

SUMS: Final = frozenset({"BacktestedRange", "PastForecast", "ForecastJudged", "RangeLine"})
"""Rows whose figures are amounts in the currency of the row, whatever they are called."""
UNIT_OF_KEY: Final[Mapping[object, str | None]] = {
    **{key: metric.unit for key, metric in METRICS.items()},
    "conversion": "share",
    "days": "days",
    "follow_ups": "number",
    "nps": "points",
    "csat": "share",
    "ces": "number",
    "discount": "share",
    **dict.fromkeys(("stalled", "overdue", "no_reply", "no_contact"), "days"),
    "pushed_repeatedly": "count",
    "probability_above_history": "share",
}
"""By the key of a metric, of what coaching measures, of a scale, of what a case or a warning is
about."""
NAMING: Final = ("metric", "measure", "scale", "reason", "figure")
"""Fields that name what the figures of a row are of."""
PLACES: Final[Mapping[str | None, int]] = {"days": 1, "points": 0}
"""How many places estimates of a unit have; those of others two."""


FIGURES: Final[Mapping[str, Callable[[Decimal], str]]] = {
    "given": given_percent,
    "number": number_text,
    "seconds": lambda value: f"{value:,} s",
    "points": lambda value: f"{value:z,.0f}",
    "plain": lambda value: f"{tidy(value):,f}",
}
"""How figures of a unit are written that no metric has."""
DIFFERENCES: Final[Mapping[str, Callable[[Decimal], str]]] = {
    "number": lambda value: ("+" if value > 0 else "") + number_text(value),
    "seconds": lambda value: f"{value:+,} s",
    "points": lambda value: f"{value:+z,.0f}",
    "plain": lambda value: f"{tidy(value):+,f}",
}
"""How differences of them are written."""


def unit_of(record: type[BaseModel], name: str) -> Unit | None:
    """Return what a figure of a record is counted in; None of what nobody has said it of."""
    found = OF_CLASS.get((record.__name__, name)) or UNITS.get(name)
    return "money" if found == "own" and record.__name__ in SUMS else found


class FigureWriter:
    """Writes the figures of one record of an answer: alone, and how far two are apart."""

    def __init__(self, record: BaseModel, view: BaseModel, language: Language) -> None:
        self._record, self._view, self._language = record, view, language

    def figure(self, name: str, value: Decimal) -> str:
        """Write one figure as the question's own tables do."""
        if name in CHANGES:
            return self.difference(name, value)
        unit, is_own = self._unit(name)
        if is_own and unit != "points":
            return self._text(unit).beside_target(value)
        writes = FIGURES.get(unit or "")
        return self._text(unit).figure(value) if writes is None else writes(value)

    def difference(self, name: str, value: Decimal) -> str:
        """Write how far two figures are apart, with a sign."""
        unit, is_own = self._unit(name)
        writes = None if is_own and unit != "points" else DIFFERENCES.get(unit or "")
        text = self._text("share" if unit == "given" else unit)
        return text.difference(value) if writes is None else writes(value)

    def estimate(self, name: str, estimate: Estimate | None) -> str:
        """Write a figure with its interval."""
        unit, _ = self._unit(name)
        if estimate is not None and name in CHANGES:
            value, interval = self._text(unit).estimate(estimate)
            return value if estimate.interval is None else f"{value} ({interval})"
        if unit == "share":
            return estimate_text(estimate, percent=True)
        return estimate_text(estimate, places=PLACES.get(unit, 2))

    def _unit(self, name: str) -> tuple[str | None, bool]:
        """Return what a figure is counted in, and whether the row or the answer says so."""
        unit = unit_of(type(self._record), name)
        return (self._own_unit(), True) if unit == "own" else (unit, False)

    def _text(self, unit: str | None) -> FigureText:
        return FigureText(unit, self._language, self._currency())

    def _own_unit(self) -> str | None:
        """Return the unit of the metric that the row names, or its goal, or the answer."""
        for place in (self._record, self._goal(), self._view):
            named = [getattr(place, name, None) for name in NAMING]
            found = next((each for each in named if each in UNIT_OF_KEY), None)
            if found is not None:
                return UNIT_OF_KEY[found]
            unit = _first_of(place, ("unit",)) if place is not None else None
            if unit is not None and type(place).__name__ != "UnitAround":
                return unit
        return None

    def _currency(self) -> str | None:
        places = (self._record, self._goal(), self._view)
        return next(filter(None, (_first_of(each, ("currency",)) for each in places)), None)

    def _goal(self) -> BaseModel | None:
        """Return the goal that a row is about, whose unit is that of the row."""
        about = _first_of(self._record, ("goal",))
        goals = getattr(self._view, "goals", ()) if about else ()
        return next((each for each in goals if getattr(each, "goal", None) == about), None)


def _first_of(place: BaseModel | None, names: tuple[str, ...]) -> str | None:
    """Return the first of some fields that holds a text."""
    found = (getattr(place, name, None) for name in names)
    return next((value for value in found if isinstance(value, str)), None)
