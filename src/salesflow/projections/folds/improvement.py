"""Which improvements there are: one row per improvement and span without a change.

Answers "what are we trying, since when, and what did we conclude?" for any moment. Leaves out
the hypothesis, which is in free words and stays in the log, and whether it did any good, which
is a question.
"""

from collections.abc import Iterable
from typing import Final, get_args

import sqlalchemy as sa

from salesflow.domain.event import Event
from salesflow.domain.improvement import ImprovementFact, ImprovementState
from salesflow.projections.table import (
    Change,
    Instants,
    IntervalFold,
    IntervalTable,
    changes_by,
)

__all__ = ["IMPROVEMENT", "IMPROVEMENTS"]

IMPROVEMENT: Final = IntervalTable(
    "improvement",
    1,
    attributes=(
        sa.Column("improvement", sa.Text),
        sa.Column("change", sa.String(10)),
        sa.Column("metric", sa.String(100)),
        sa.Column("stage", sa.String(100)),
        sa.Column("process", sa.Text),
        sa.Column("process_version", sa.Integer),
        sa.Column("state", sa.String(10)),
        sa.Column("outcome", sa.String(12)),
        sa.Column("proposed", Instants),
        sa.Column("started", Instants),
        sa.Column("concluded", Instants),
        sa.Column("teams_started", sa.Integer),
    ),
)
"""`change` is process or strategy, `state` proposed, running or concluded, `outcome` adopted,
reverted or inconclusive; `started` is the first start, null before any."""


def _changes(_: Event, improvement: ImprovementState) -> Iterable[Change]:
    """Return what a fact that counts changed."""
    proposed = improvement.proposed
    if proposed is None or improvement.opening is None:
        return ()
    starts = [start.effective for start in improvement.starts.values()]
    concluded = improvement.concluded
    row = (
        improvement.key,
        proposed.change,
        proposed.metric,
        proposed.stage,
        proposed.process,
        proposed.process_version,
        improvement.progress,
        improvement.outcome,
        improvement.opening.effective,
        min(starts, default=None),
        None if concluded is None else concluded.effective,
        len(starts),
    )
    return (((), row),)


IMPROVEMENTS: Final = IntervalFold(
    IMPROVEMENT, frozenset(get_args(ImprovementFact)), changes_by(ImprovementState, _changes)
)
