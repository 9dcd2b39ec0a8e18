"""Where reps differ from the others of their team, and what a naive count says."""

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.people import coaching_in, team_of_rep
from oracle.periods import period_of
from properties.asked.case import Case
from properties.asked.periods import periods
from properties.world import OWNERS
from salesflow.projections.people.coaching import Coaching, CoachingView

__all__ = ["CASE"]

ALL = 1_000


def asked() -> st.SearchStrategy[Coaching]:
    """Draw talks to prepare."""
    return st.builds(
        lambda period, of: Coaching.model_validate(
            {"from_": period[0], "to": period[1], "limit": ALL, **of}
        ),
        periods(),
        st.sampled_from(
            (
                *({}, {}, {"process": "standard"}, {"team": "east"}),
                *({"rep": rep} for rep in OWNERS),
            )
        ),
    )


def said(view: CoachingView) -> dict[Any, Any]:
    """Write the points as the oracle does."""
    found = {
        (each.rep, each.team, each.process, each.stage, each.measure): (
            Fraction(each.own).limit_denominator(10**15),
            each.own_count,
            Fraction(each.others).limit_denominator(10**15),
            each.others_count,
        )
        for each in view.points
    }
    assert len(found) == len(view.points) == view.compared
    for each in view.points:
        apart = each.difference.value - (each.own - each.others)
        assert abs(apart) < Fraction(1, 10**20)
        assert each.is_clear <= (each.difference.interval is not None)
    return found


def wanted(raw: list[Raw], question: Coaching, as_of: int, known_at: int) -> dict[Any, Any]:
    """Ask the oracle the same, and leave out who was not asked about."""
    span, at = period_of(question.from_, question.to, as_of), (as_of, known_at)
    team = question.team
    if question.rep is not None and team is None:
        team = team_of_rep(raw, question.rep, at)
    found = coaching_in(raw, span, at)
    return {
        key: (_near(own), own_count, _near(others), others_count)
        for key, (own, own_count, others, others_count) in found.items()
        if question.rep in (None, key[0])
        and ((question.rep is None and team is None) or key[1] == team)
        and question.process in (None, key[2])
    }


def _near(exact: Fraction) -> Fraction:
    return exact.limit_denominator(10**15)


CASE = Case(asked(), said, wanted)
