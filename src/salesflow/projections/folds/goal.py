"""Which goals are set: one row per goal and span of time in which it stood unchanged.

Answers "what was to be reached, of whom, until when, and how sure were they?" for any moment. A
revised goal has a row for each of its targets; check-ins change the confidence. Leaves out the
words of people and what the past showed, which its stream says, and how far it is attained.
"""

from collections.abc import Iterable
from typing import Final, get_args

import sqlalchemy as sa

from salesflow.domain.event import Event
from salesflow.domain.goal import GoalFact, GoalState
from salesflow.projections.table import (
    Change,
    IntervalFold,
    IntervalTable,
    Millionths,
    Shares,
    changes_by,
    millionths,
)

__all__ = ["GOAL", "GOALS"]

GOAL: Final = IntervalTable(
    "goal",
    2,
    attributes=(
        sa.Column("goal", sa.String(100)),
        sa.Column("title", sa.Text),
        sa.Column("metric", sa.String(100)),
        sa.Column("target", Millionths),
        sa.Column("currency", sa.String(3)),
        sa.Column("unit", sa.String(100)),
        sa.Column("baseline", Millionths),
        sa.Column("team", sa.Text),
        sa.Column("rep", sa.Text),
        sa.Column("customer_id", sa.Uuid),
        sa.Column("channel", sa.Text),
        sa.Column("product", sa.Text),
        sa.Column("process", sa.Text),
        sa.Column("stage", sa.Text),
        sa.Column("first_day", sa.String(10)),
        sa.Column("last_day", sa.String(10)),
        sa.Column("parent", sa.String(100)),
        sa.Column("strategy", sa.Text),
        sa.Column("responsible", sa.Text),
        sa.Column("standing", sa.String(10)),
        sa.Column("revisions", sa.Integer),
        sa.Column("confidence", Shares),
    ),
)
"""`goal` is the key of the goal, `parent` that of the one above it. `target` and `baseline` are
in whole millionths, of money in `currency`, of outside figures in `unit`. A null in team, rep,
customer, channel, product, process and stage is all of them. `first_day` and `last_day` are ISO
dates, both included. `standing` is set, locked or abandoned; `confidence` is that of the last
check-in."""


def _changes(_: Event, goal: GoalState) -> Iterable[Change]:
    """Return what a fact that counts changed."""
    standing = "locked" if goal.locked else "set"
    sure = goal.check_ins[-1].confidence if goal.check_ins else None
    scope = goal.scope
    row = (
        *(goal.key, goal.title, goal.metric, millionths(goal.target)),
        *(goal.currency, goal.unit),
        None if goal.baseline is None else millionths(goal.baseline),
        *(scope.team, scope.rep, scope.customer, scope.channel),
        *(scope.product, scope.process, scope.stage),
        *(goal.first_day.isoformat(), goal.last_day.isoformat()),
        *(goal.parent, goal.strategy, goal.responsible),
        "abandoned" if goal.abandoned else standing,
        len(goal.revisions),
        None if sure is None else millionths(sure),
    )
    return (((), row),)


GOALS: Final = IntervalFold(
    GOAL, frozenset(get_args(GoalFact)), changes_by(GoalState, _changes)
)
