"""How goals are written for people: values in the unit of their metric, letters, standings.

It is a module of its own: what several answers show of goals, and nothing that is worked out.
"""

from decimal import Decimal
from typing import Final

from salesflow.domain.metric import Metric
from salesflow.domain.smart import Basis
from salesflow.presentation.format import (
    NO_VALUE,
    given_percent,
    money_text,
    number_text,
    percent_text,
)
from salesflow.presentation.messages import Language, in_language

__all__ = ["basis_text", "measure_text", "share_text"]

BASES: Final[dict[Basis, str]] = {
    "metric_and_scope": "metric and scope are named",
    "computed_metric": "worked out from deals",
    "reported_figure": "reported from outside",
    "within_past_range": "reached in a past period",
    "beyond_past_range": "beyond all past periods",
    "justified": "somebody says why",
    "no_past": "no past period is known",
    "parent_goal": "a parent goal is named",
    "strategy": "a strategy is named",
    "nothing_named": "nothing is named",
    "period": "a period with an end",
}
PERCENT: Final = "share"


def basis_text(basis: Basis, language: Language) -> str:
    """Say what a letter of SMART rests on."""
    return in_language(BASES[basis], language)


def measure_text(
    value: Decimal | None, metric: Metric, currency: str | None, unit: str | None = None
) -> str:
    """Write a value in the unit of its metric: money, a share, a count, or a plain number."""
    if value is None:
        return NO_VALUE
    match metric.unit or unit:
        case "money":
            return money_text(value, currency)
        case "share":
            return given_percent(round(value, 3))
        case "count" | None:
            return f"{round(value, 2).normalize():,f}"
        case "days" | "number":
            return number_text(value)
        case other:
            return f"{round(value, 2).normalize():,f} {other}"


def share_text(share: Decimal | None) -> str:
    """Write how far a goal is attained; below nothing too, where a level went the wrong way."""
    return percent_text(share)
