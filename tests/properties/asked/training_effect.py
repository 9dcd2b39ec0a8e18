"""What a training moved, and what a naive count says of it."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.people import effect_at, is_known_training
from properties.asked.case import Case
from salesflow.presentation.format import Estimate
from salesflow.projections.people.training_effect import TrainingEffect, TrainingEffectView

__all__ = ["CASE", "TRAININGS"]

TRAININGS = ("nego-1", "product-2")
NEAR = 1e-7


class Near:
    """A float that was worked out in another order; equal to all that lie very near."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        if other is None or math.isnan(self.value):
            return other is None and math.isnan(self.value)
        return isinstance(other, float) and abs(other - self.value) <= NEAR * (
            1 + abs(self.value)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Near({self.value})"


def asked() -> st.SearchStrategy[TrainingEffect]:
    """Draw effects to ask for."""
    return st.builds(
        TrainingEffect,
        training=st.sampled_from(TRAININGS),
        metric=st.sampled_from(("won", "contacts", "win_rate")),
        window=st.sampled_from((7, 14, 20)),
    )


def said(view: TrainingEffectView) -> dict[str, Any]:
    """Write the people and the estimates as the oracle does."""
    both = (_value(view.effect.changes), _value(view.effect.adjusted))
    return {
        "people": [
            (
                *(each.start, each.rep, each.group == "trained"),
                *map(_fraction, (each.earlier, each.before, each.after)),
            )
            for each in sorted(view.people, key=lambda each: (each.start, each.rep))
        ],
        "not_compared": {each.rep: each.why for each in view.not_compared},
        "estimates": None if both[0] is None else both,
    }


def wanted(
    raw: list[Raw], question: TrainingEffect, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Ask the oracle the same."""
    if not is_known_training(raw, question.training, known_at):
        return None
    assert question.metric is not None
    at = (as_of, known_at)
    found = effect_at(raw, question.training, question.metric, question.window, at)
    if found["estimates"] is not None:
        found["estimates"] = tuple(map(Near, found["estimates"]))
    return found


def _fraction(figure: Decimal | None) -> Fraction | None:
    return None if figure is None else Fraction(figure).limit_denominator(10**6)


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else float(estimate.value)


CASE = Case(asked(), said, wanted)
