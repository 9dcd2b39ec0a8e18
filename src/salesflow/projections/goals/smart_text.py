"""How it is written for people what a letter of SMART rests on."""

from typing import Final

from salesflow.domain.smart import Basis
from salesflow.presentation.messages import Language, in_language

__all__ = ["basis_text"]

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


def basis_text(basis: Basis, language: Language) -> str:
    """Say what a letter of SMART rests on."""
    return in_language(BASES[basis], language)
