"""Who is to take which training and who has: one row per rep, training and span of time.

Answers "who was assigned this, who completed it, and when for the first time?" for any moment.
Leaves out what a training is (`training`), and whether it moved anything.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, get_args

import sqlalchemy as sa

from salesflow.domain.event import Event
from salesflow.domain.rep import RepFact, RepState
from salesflow.domain.rep_development import TrainingAssigned, TrainingCompleted, TrainingTaken
from salesflow.domain.time import to_instant
from salesflow.projections.table import (
    Change,
    Instants,
    IntervalFold,
    IntervalTable,
    Millionths,
    changes_by,
    millionths,
)

__all__ = ["REP_TRAINING", "REP_TRAININGS"]

REP_TRAINING: Final = IntervalTable(
    "rep_training",
    1,
    keys=(sa.Column("training", sa.String(100)),),
    attributes=(
        sa.Column("rep", sa.Text),
        sa.Column("status", sa.String(10)),
        sa.Column("assigned", Instants),
        sa.Column("due", sa.String(10)),
        sa.Column("first_completed", Instants),
        sa.Column("completed", Instants),
        sa.Column("score", Millionths),
        sa.Column("score_most", Millionths),
        sa.Column("event_id", sa.Uuid),
    ),
)
"""`training` is its key, `status` assigned or completed; `assigned` and `completed` say when
that was last, `first_completed` when it was completed for the first time; `score` is what was
reached then, of `score_most`."""


def _changes(event: Event, rep: RepState) -> Iterable[Change]:
    """Return what a fact that counts changed."""
    fact = event.fact
    if not isinstance(fact, TrainingAssigned | TrainingCompleted):
        return ()
    taken = rep.trainings[fact.training]
    return (((taken.training,), (rep.reference, *_cells(taken), event.event_id)),)


def _cells(taken: TrainingTaken) -> tuple[str | int | None, ...]:
    return (
        "assigned" if taken.is_open else "completed",
        _instant(taken.assigned_at),
        None if taken.due is None else taken.due.isoformat(),
        _instant(taken.first_completed_at),
        _instant(taken.completed_at),
        None if taken.score is None else millionths(taken.score),
        None if taken.score_most is None else millionths(taken.score_most),
    )


def _instant(at: datetime | None) -> int | None:
    return None if at is None else to_instant(at)


REP_TRAININGS: Final = IntervalFold(
    REP_TRAINING, frozenset(get_args(RepFact)), changes_by(RepState, _changes)
)
