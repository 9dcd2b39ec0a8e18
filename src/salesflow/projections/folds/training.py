"""Which trainings are offered: one row per training and span of time.

Answers "which courses are there, for which skills, and what should each of them move?" for any
moment. A retired training keeps its row and says so. Leaves out who took it (`rep_training`).
"""

from collections.abc import Iterable
from typing import Final, get_args

import sqlalchemy as sa

from salesflow.domain.event import Event
from salesflow.domain.training import TrainingFact, TrainingState
from salesflow.projections.table import Change, IntervalFold, IntervalTable, changes_by

__all__ = ["TRAINING", "TRAININGS"]

TRAINING: Final = IntervalTable(
    "training",
    1,
    attributes=(
        sa.Column("training", sa.String(100)),
        sa.Column("name_en", sa.Text),
        sa.Column("name_zh", sa.Text),
        sa.Column("skills", sa.Text),
        sa.Column("metric", sa.String(100)),
        sa.Column("stage", sa.String(100)),
        sa.Column("retired", sa.SmallInteger),
        sa.Column("event_id", sa.Uuid),
    ),
)
"""`training` is its key, `skills` those it is for (one a line), `metric` the figure it should
move (at `stage`, where it is one of a stage), `retired` 1 from when it is given no more,
`event_id` the fact that says so."""


def _changes(event: Event, training: TrainingState) -> Iterable[Change]:
    """Return what a fact that counts changed."""
    if training.course is None:
        return ()
    course = training.course
    row = (
        training.key,
        course.name_en,
        course.name_zh,
        "\n".join(course.skills) or None,
        course.metric,
        course.stage,
        int(training.is_retired),
        event.event_id,
    )
    return (((), row),)


TRAININGS: Final = IntervalFold(
    TRAINING, frozenset(get_args(TrainingFact)), changes_by(TrainingState, _changes)
)
