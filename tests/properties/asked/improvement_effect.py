"""What an improvement moved, and what a naive count says of it."""

import math
from fractions import Fraction
from typing import Any
from unittest.mock import ANY

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.improvements import improvement_at
from properties.asked.case import Case
from properties.asked.training_effect import Near
from salesflow.presentation.format import Estimate
from salesflow.projections.core.effects import Effect
from salesflow.projections.improvement.improvement_effect import (
    ImprovementEffect,
    ImprovementEffectView,
)
from salesflow.projections.improvement.improvement_figures import BeforeAfter

__all__ = ["CASE", "IMPROVEMENTS"]

IMPROVEMENTS = ("i0", "i1")


def asked() -> st.SearchStrategy[ImprovementEffect]:
    """Draw effects to ask for."""
    return st.builds(
        ImprovementEffect,
        improvement=st.sampled_from(IMPROVEMENTS),
        window=st.sampled_from((7, 20, 30)),
    )


def said(view: ImprovementEffectView) -> dict[str, Any]:
    """Write the teams and the estimates as the oracle does."""
    found: dict[str, Any] = {
        "metric": view.metric,
        "starts": {
            each.team or "": each.started for each in view.starts if each.started is not None
        },
        "planned": {
            each.team: str(each.planned) for each in view.starts if each.planned is not None
        },
        "outcome": None if view.concluded is None else view.concluded.outcome,
        "units": [
            (
                *(each.start, each.unit, each.group == "started"),
                *map(_fraction, (each.earlier, each.before, each.after)),
            )
            for each in sorted(view.units, key=lambda each: (each.start, each.unit))
        ],
        "estimates": _estimates(view.effect),
        "beside": _beside(view.before_after),
        "mean": _mean(view.before_after),
        "then": None,
    }
    if view.concluded is not None:
        found["then"] = {
            "estimates": _estimates(view.concluded.effect),
            "beside": _beside(view.concluded.before_after),
            "mean": _mean(view.concluded.before_after),
        }
    return found


def _estimates(effect: Effect | None) -> tuple[float | None, ...] | None:
    if effect is None or effect.changes is None:
        return None
    return _value(effect.changes), _value(effect.adjusted)


def _beside(it: BeforeAfter | None) -> tuple[Any, ...] | None:
    if it is None:
        return None
    change = None if it.change is None else it.change.value
    figures = map(_fraction, (it.before, it.after, change))
    return None if it.everybody else it.started, *figures


def _mean(it: BeforeAfter | None) -> float | None:
    """Write the mean change, which is that of the means before and after."""
    if it is None or it.mean is None:
        return None
    change = float(it.mean.change.value)
    assert Near(float(it.mean.after - it.mean.before)) == change
    return change


def _fraction(number: Any) -> Fraction | None:  # noqa: ANN401 - a Decimal or nothing
    return None if number is None else Fraction(number).limit_denominator(10**9)


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else float(estimate.value)


def wanted(
    raw: list[Raw], question: ImprovementEffect, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Ask the oracle the same."""
    found = improvement_at(raw, question.improvement, question.window, as_of, known_at)
    if found is None:
        return None
    then = found.get("then")
    return {
        "metric": found["metric"],
        "starts": found["starts"],
        "planned": found["planned"],
        "outcome": None if found["concluded"] is None else found["concluded"][0],
        "units": sorted(found["units"], key=lambda row: row[:2]),
        **_nearly(found),
        "then": then and _nearly(then),
    }


def _nearly(found: dict[str, Any]) -> dict[str, Any]:
    """Compare figures exactly, and what is estimated of them nearly."""
    mean = found["mean"]
    return {
        "estimates": _near(found["estimates"]),
        "beside": found["beside"],
        "mean": None if mean is None else Near(mean),
    }


def _near(estimates: tuple[float, ...] | None) -> tuple[object, ...] | None:
    """Compare what least squares tell; of a line that they do not, anything may be said."""
    if estimates is None:
        return None
    return tuple(ANY if math.isnan(each) else Near(each) for each in estimates)


CASE = Case(asked(), said, wanted)
