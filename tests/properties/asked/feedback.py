"""What customers said, and what a naive replay says they said."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.feedback import feedback_in
from oracle.periods import period_before, period_of
from properties.asked.case import Case
from properties.world import instant
from salesflow.presentation.format import Estimate
from salesflow.projections.feedback.feedback import Feedback, FeedbackFigures, FeedbackView
from salesflow.projections.feedback.follow_up import DetractorFollowUps

__all__ = ["CASE", "said_of_estimate", "said_of_figures"]

NEW_YEAR = date(2024, 1, 1)
YEAR = {"from_": date(2023, 7, 1), "to": date(2024, 7, 1)}
"""Nearly all that random histories tell."""

ASKED = (
    Feedback(),
    Feedback.model_validate({"by": "stage", "within": 1, **YEAR}),
    Feedback.model_validate({"by": "owner", **YEAR}),
    Feedback.model_validate({"by": "product", **YEAR}),
    Feedback.model_validate({"owner": "ann", "by": "stage", **YEAR}),
    Feedback.model_validate({"survey": "s0", "limit": 1, "by": "product", **YEAR}),
    Feedback(process="standard", from_=date(2024, 1, 2), to=date(2024, 3, 1)),
    Feedback(by="owner", from_=NEW_YEAR, to=date(2024, 1, 12)),
)


def said(view: FeedbackView) -> dict[str, Any]:
    """Write the answer as the oracle does."""
    keys: dict[Any, Any] = {
        (group.key if group.process is None else (group.process, group.key)): said_of_figures(
            group.figures
        )
        for group in view.groups
    }
    assert len(keys) == len(view.groups)
    return {
        "period": (instant(view.period.start), instant(view.period.end)),
        "before": (instant(view.before.start), instant(view.before.end)),
        "total": said_of_figures(view.total),
        "total_before": said_of_figures(view.total_before),
        "groups": keys,
        "follow_up": _said_of_follow_up(view.follow_up),
        "follow_up_before": _said_of_follow_up(view.follow_up_before),
        "themes": {
            each.theme: (each.responses, each.detractors)
            for each in view.themes
            if each.responses
        },
        "themes_before": {
            each.theme: each.responses_before for each in view.themes if each.responses_before
        },
        "words_total": view.verbatims_total,
        "words": [
            (
                said.position, str(said.deal), instant(said.occurred_at), said.stage,
                said.owner, said.products, said.survey, said.scale, said.score, said.text,
            )
            for said in view.verbatims
        ],
    }  # fmt: skip


def _said_of_follow_up(its: DetractorFollowUps) -> tuple[int, ...]:
    if its.within_share is not None:
        assert its.within_share.value == Decimal(its.within) / its.due
    return its.detractors, its.followed_up, its.within, its.due


def said_of_figures(figures: FeedbackFigures) -> dict[str, Any]:
    """Write figures as the oracle does."""
    return {
        "responses": figures.responses,
        "nps": (
            figures.promoters,
            figures.passives,
            figures.detractors,
            said_of_estimate(figures.nps),
        ),
        "csat": (
            figures.csat_scores,
            figures.satisfied,
            said_of_estimate(figures.csat_top_box),
            said_of_estimate(figures.csat_mean),
        ),
        "ces": (figures.ces_scores, said_of_estimate(figures.ces_mean)),
        "asked": (figures.sent, figures.answered, said_of_estimate(figures.response_rate)),
    }


def said_of_estimate(estimate: Estimate | None) -> tuple[object, ...] | None:
    """Write a figure and its interval as the oracle does."""
    if estimate is None:
        return None
    if estimate.interval is None:
        return estimate.value, None, None
    return estimate.value, _near(estimate.interval.low), _near(estimate.interval.high)


def _near(limit: Decimal) -> object:
    """Let two ways of working a limit out differ in their last digits."""
    return pytest.approx(float(limit), abs=1e-6)


def wanted(raw: list[Raw], question: Feedback, as_of: int, known_at: int) -> dict[str, Any]:
    """Ask the oracle about the period and the one before."""
    days = (question.from_, question.to)
    period, before = period_of(*days, as_of), period_before(*days, as_of)
    only = {
        "process": question.process,
        "owner": question.owner,
        "survey": question.survey,
    }
    found = feedback_in(
        raw, period, as_of, known_at, by=question.by, within=question.within, **only
    )
    earlier = feedback_in(raw, before, as_of, known_at, within=question.within, **only)
    return {
        "period": period,
        "before": before,
        "total": found["total"],
        "total_before": earlier["total"],
        "follow_up": found["follow_up"],
        "follow_up_before": earlier["follow_up"],
        "themes": found["themes"],
        "themes_before": {theme: its[0] for theme, its in earlier["themes"].items()},
        "groups": found["groups"],
        "words_total": len(found["words"]),
        "words": found["words"][: question.limit],
    }


CASE = Case(st.sampled_from(ASKED), said, wanted)
