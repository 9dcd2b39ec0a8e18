"""Which level every rep has: one row per rep and span of time with one level and one plan.

Answers "who is senior, and what is everybody working towards?" for any moment. Leaves out the
levels of a plan that come after the next one, which a rep card tells.
"""

from collections.abc import Iterable
from typing import Final, get_args

import sqlalchemy as sa

from salesflow.domain.event import Event
from salesflow.domain.rep import RepFact, RepState
from salesflow.domain.rep_development import CareerPlanAgreed, RepPromoted, next_step
from salesflow.projections.table import Change, IntervalFold, IntervalTable, changes_by

__all__ = ["REP_LEVEL", "REP_LEVELS"]

REP_LEVEL: Final = IntervalTable(
    "rep_level",
    1,
    attributes=(
        sa.Column("rep", sa.Text),
        sa.Column("level", sa.String(100)),
        sa.Column("next_level", sa.String(100)),
        sa.Column("next_due", sa.String(10)),
        sa.Column("event_id", sa.Uuid),
    ),
)
"""`next_level` is the one of the career plan that comes behind the level, `next_due` the day by
which it should be reached; null where nobody said so."""


def _changes(event: Event, rep: RepState) -> Iterable[Change]:
    """Return what a fact that counts changed."""
    fact = event.fact
    if not isinstance(fact, RepPromoted | CareerPlanAgreed):
        return ()
    step = next_step(rep.level, rep.career_plan)
    row = (
        rep.reference,
        rep.level,
        None if step is None else step.level,
        None if step is None or step.due is None else step.due.isoformat(),
        event.event_id,
    )
    return (((), row),)


REP_LEVELS: Final = IntervalFold(
    REP_LEVEL, frozenset(get_args(RepFact)), changes_by(RepState, _changes)
)
