"""A rep's card, and what a naive replay says of the rep."""

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw, moment
from oracle.metrics import metrics_in
from oracle.people import development_at, team_of_rep
from oracle.periods import period_of
from properties.asked.case import Case
from properties.asked.periods import periods
from properties.world import OWNERS, instant
from salesflow.projections.people.rep_card import RepCard, RepCardView

__all__ = ["CASE"]

MEASURED = ("created", "won", "lost", "win_rate", "contacts")


def asked() -> st.SearchStrategy[RepCard]:
    """Draw cards to ask for."""
    return st.builds(
        lambda rep, period: RepCard(rep=rep, from_=period[0], to=period[1]),
        st.sampled_from(OWNERS),
        periods(),
    )


def said(view: RepCardView) -> dict[str, Any]:
    """Write the card as the oracle does."""
    level = None if view.level_since is None else (view.level, instant(view.level_since))
    figures = {each.metric: each.value for each in view.figures}
    return {
        "team": view.team,
        "level": level,
        "plan": [
            (
                *(each.level, each.due and each.due.isoformat()),
                each.reached_at and instant(each.reached_at),
            )
            for each in view.career_plan
        ],
        "skills": sorted(
            (each.skill, instant(each.at), Fraction(each.score)) for each in view.skills
        ),
        "trainings": {
            (each.training, each.number): (
                *(each.status, each.assigned_at and instant(each.assigned_at)),
                each.completed_at and instant(each.completed_at),
            )
            for each in view.trainings
        },
        "figures": {
            metric: None if value is None else Fraction(value).limit_denominator(10**6)
            for metric in MEASURED
            for value in (figures[metric],)
        },
    }


def wanted(raw: list[Raw], question: RepCard, as_of: int, known_at: int) -> dict[str, Any]:
    """Ask the oracle the same."""
    told = development_at(raw, question.rep, as_of, known_at)
    span, at = period_of(question.from_, question.to, as_of), (as_of, known_at)
    found = metrics_in(raw, MEASURED, span, at, by=None, scope={"owner": question.rep})
    nothing = {metric: (None if metric == "win_rate" else 0, 0) for metric in MEASURED}
    return {
        "team": team_of_rep(raw, question.rep, at),
        "level": told["level"],
        "plan": [(*step, told["reached"].get(step[0])) for step in told["plan"]],
        "skills": sorted((skill, when, score) for skill, when, score, _ in told["skills"]),
        "trainings": {
            (training, number): (
                *(_status(taken, as_of), taken.get("assigned")),
                taken.get("completed"),
            )
            for training, times in told["times"].items()
            for number, taken in enumerate(times, 1)
        },
        "figures": {metric: found[metric].get(None, nothing[metric])[0] for metric in MEASURED},
    }


def _status(taken: dict[str, Any], as_of: int) -> str:
    assigned, completed = taken.get("assigned"), taken.get("completed")
    if assigned is None or (completed is not None and completed >= assigned):
        return "completed"
    today = moment(as_of).date().isoformat()
    return "overdue" if taken["due"] is not None and taken["due"] < today else "open"


CASE = Case(asked(), said, wanted)
