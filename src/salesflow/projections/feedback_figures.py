"""Scores of customers as figures: NPS, CSAT, CES and response rate, each with its interval.

Whoever counts scores (feedback, key figures) counts them here, so that one scale is never
taken for another: NPS is made of scores from 0 to 10 alone, CSAT of 1 to 5, CES of 1 to 7.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from salesflow.domain.deal.service import Scale
from salesflow.domain.values import Value
from salesflow.projections.estimates import (
    Estimate,
    estimate_text,
    mean,
    net_promoters,
    share,
)

__all__ = ["FIGURE_COLUMNS", "Answers", "FeedbackFigures", "counted", "figures_text"]

PROMOTER, PASSIVE, SATISFIED = 9, 7, 4
"""The lowest score of a promoter, of a passive (both of 10) and of the top box (of 5)."""

FIGURE_COLUMNS: Final = (
    "Responses", "NPS", "Promoters", "Passives", "Detractors", "CSAT top box", "CSAT mean",
    "CES mean", "Sent", "Answered", "Response rate",
)  # fmt: skip


class FeedbackFigures(Value):
    """What was said on each scale, and how many of those asked said something."""

    responses: int
    """All feedback, words without a score included."""
    promoters: int
    passives: int
    detractors: int
    nps: Estimate | None
    """Share of promoters less that of detractors, x 100; None without a score from 0 to 10."""
    csat_scores: int
    satisfied: int
    csat_top_box: Estimate | None
    """Share of 4 and 5 among the scores from 1 to 5."""
    csat_mean: Estimate | None
    ces_scores: int
    ces_mean: Estimate | None
    """Mean of the scores from 1 to 7."""
    sent: int
    answered: int
    """How many of the surveys sent in the period have been answered by the moment."""
    response_rate: Estimate | None


class Answers(NamedTuple):
    """So many rows alike: surveys sent, or feedback with one score on one scale."""

    rows: int
    process_version: int
    """The newest of theirs, to name stages by."""
    kind: str
    scale: Scale | None
    score: int | None
    answered: int
    group: tuple[str | None, ...]


def counted(answers: Iterable[Answers]) -> FeedbackFigures:
    """Work out the figures of some answers.

    Raises:
        SalesflowError: when a mean has an interval and scipy is not installed.
    """
    scores: dict[str | None, Counter[int]] = defaultdict(Counter)
    responses = sent = answered = 0
    for each in answers:
        if each.kind == "sent":
            sent += each.rows
            answered += each.rows * each.answered
            continue
        responses += each.rows
        if each.score is not None:
            scores[each.scale][each.score] += each.rows
    nps, csat, ces = scores["nps"], scores["csat"], scores["ces"]
    promoters, satisfied = _at_least(PROMOTER, nps), _at_least(SATISFIED, csat)
    passives = _at_least(PASSIVE, nps) - promoters
    detractors = nps.total() - promoters - passives
    return FeedbackFigures(
        responses=responses,
        promoters=promoters,
        passives=passives,
        detractors=detractors,
        nps=net_promoters(promoters, detractors, nps.total()),
        csat_scores=csat.total(),
        satisfied=satisfied,
        csat_top_box=share(satisfied, csat.total()),
        csat_mean=mean(csat),
        ces_scores=ces.total(),
        ces_mean=mean(ces),
        sent=sent,
        answered=answered,
        response_rate=share(answered, sent),
    )


def figures_text(figures: FeedbackFigures) -> tuple[str, ...]:
    """Write the figures for people, in the order of `FIGURE_COLUMNS`."""
    return (
        f"{figures.responses:,}",
        estimate_text(figures.nps),
        f"{figures.promoters:,}",
        f"{figures.passives:,}",
        f"{figures.detractors:,}",
        estimate_text(figures.csat_top_box, percent=True),
        estimate_text(figures.csat_mean, places=2),
        estimate_text(figures.ces_mean, places=2),
        f"{figures.sent:,}",
        f"{figures.answered:,}",
        estimate_text(figures.response_rate, percent=True),
    )


def _at_least(lowest: int, scores: Counter[int]) -> int:
    return sum(times for score, times in scores.items() if score >= lowest)
