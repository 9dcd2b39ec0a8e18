"""A month looked at as a whole, and what a naive count of its parts says."""

from datetime import date
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.periods import period_before, period_of
from oracle.strategy import strategy_in
from properties.asked.case import Case, by_currency
from properties.asked.feedback import said_of_figures
from salesflow.projections.feedback.follow_up import DetractorFollowUps
from salesflow.projections.review.strategy_review import StrategyReview, StrategyReviewView

__all__ = ["ASKED", "CASE"]

ASKED = (
    StrategyReview(from_=date(2023, 7, 1), to=date(2024, 7, 1)),
    StrategyReview(from_=date(2024, 1, 1), to=date(2024, 2, 1)),
    StrategyReview(from_=date(2024, 3, 1), to=date(2024, 6, 1)),
)


def said(view: StrategyReviewView) -> dict[str, Any]:
    """Write the answer as the oracle does."""
    return {
        "feedback": [*map(said_of_figures, (view.feedback, view.feedback_before))],
        "follow_up": [*map(_follow_up, (view.follow_up, view.follow_up_before))],
        "themes": {
            each.theme: (each.responses, each.detractors)
            for each in view.themes
            if each.responses
        },
        "funnel": {
            (each.process, each.stage): (
                *(each.deals, each.deals_without_amount),
                *(by_currency(each.amounts), by_currency(each.weighted)),
            )
            for each in view.funnel
            if each.deals or each.amounts
        },
        "cases": [(each.case, list(each.lessons)) for each in view.cases],
        "market": {
            (each.figure, str(each.first), str(each.last)): each.value for each in view.market
        },
        "improvements": {each.improvement: each.state for each in view.improvements},
        "actions": [
            (str(each.due), each.review, each.action, each.owner, each.overdue)
            for each in view.actions
        ],
    }


def _follow_up(its: DetractorFollowUps) -> tuple[int, ...]:
    return its.detractors, its.followed_up, its.within, its.due


def wanted(
    raw: list[Raw], question: StrategyReview, as_of: int, known_at: int
) -> dict[str, Any]:
    """Ask the oracle of each part."""
    days = (question.from_, question.to)
    both = (period_of(*days, as_of), period_before(*days, as_of))
    found = strategy_in(raw, both, as_of, known_at)
    found["funnel"] = {key: its for key, its in found["funnel"].items() if its[0] or its[2]}
    return found


CASE = Case(st.sampled_from(ASKED), said, wanted)
