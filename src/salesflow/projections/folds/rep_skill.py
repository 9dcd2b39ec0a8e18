"""How well reps do what they do: one row per rep, skill and span of time, as assessed last.

Answers "who negotiates well, by whose judgement, since when?" for any moment. Leaves out the
course of assessments over time, which a rep card tells, and their evidence, which is personal.
"""

from collections.abc import Iterable
from typing import Final, get_args

import sqlalchemy as sa

from salesflow.domain.event import Event
from salesflow.domain.rep import RepFact, RepState
from salesflow.domain.rep_development import SkillAssessed
from salesflow.projections.table import (
    Change,
    IntervalFold,
    IntervalTable,
    Millionths,
    changes_by,
    millionths,
)

__all__ = ["REP_SKILL", "REP_SKILLS"]

REP_SKILL: Final = IntervalTable(
    "rep_skill",
    1,
    keys=(sa.Column("skill", sa.String(100)),),
    attributes=(
        sa.Column("rep", sa.Text),
        sa.Column("score", Millionths),
        sa.Column("scale_least", Millionths),
        sa.Column("scale_most", Millionths),
        sa.Column("assessed_by", sa.Text),
        sa.Column("assessments", sa.Integer),
        sa.Column("event_id", sa.Uuid),
    ),
)
"""`score` lies on the scale from `scale_least` to `scale_most`, `assessments` says how often
the skill was assessed by then."""


def _changes(event: Event, rep: RepState) -> Iterable[Change]:
    """Return what a fact that counts changed."""
    fact = event.fact
    if not isinstance(fact, SkillAssessed):
        return ()
    row = (
        rep.reference,
        millionths(fact.score),
        millionths(fact.scale_least),
        millionths(fact.scale_most),
        fact.assessed_by or event.actor,
        sum(rating.skill == fact.skill for rating in rep.ratings),
        event.event_id,
    )
    return (((fact.skill,), row),)


REP_SKILLS: Final = IntervalFold(
    REP_SKILL, frozenset(get_args(RepFact)), changes_by(RepState, _changes)
)
