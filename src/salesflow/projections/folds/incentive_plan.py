"""Incentive plans: one row per plan and version, from the day it became known.

Answers "which plans are there, and for whom?" for any moment. Which version is in force on a
day follows from `starts` and `last_day`. Leaves out the terms, which are nested and stay in
the log: a question replays the plan's few facts for them.
"""

from collections.abc import Iterable
from typing import Final, get_args

import sqlalchemy as sa

from salesflow.domain.event import Event
from salesflow.domain.incentive_plan import (
    IncentivePlanFact,
    IncentivePlanState,
    PlanVersion,
)
from salesflow.projections.table import Cell, Change, IntervalFold, IntervalTable, changes_by

__all__ = ["INCENTIVE_PLAN", "INCENTIVE_PLANS"]

INCENTIVE_PLAN: Final = IntervalTable(
    "incentive_plan",
    1,
    keys=(sa.Column("version", sa.Integer),),
    attributes=(
        sa.Column("plan", sa.Text),
        sa.Column("name_en", sa.Text),
        sa.Column("name_zh", sa.Text),
        sa.Column("currency", sa.String(3)),
        sa.Column("period", sa.String(8)),
        sa.Column("starts", sa.String(10)),
        sa.Column("last_day", sa.String(10)),
        sa.Column("crediting", sa.String(8)),
        sa.Column("reps", sa.Text),
        sa.Column("teams", sa.Text),
    ),
)
"""`starts` and `last_day` are ISO dates (the last one null while the plan is not retired),
`reps` and `teams` whom the version is for, one a line; both null where it is for all."""


def _changes(_: Event, plan: IncentivePlanState) -> Iterable[Change]:
    """Return what a fact that counts changed."""
    last_day = None if plan.last_day is None else plan.last_day.isoformat()
    return [((version.version,), _row(version, last_day)) for version in plan.versions.values()]


def _row(version: PlanVersion, last_day: str | None) -> tuple[Cell, ...]:
    return (
        version.key,
        version.name_en,
        version.name_zh,
        version.currency,
        version.period,
        version.starts.isoformat(),
        last_day,
        version.terms.crediting,
        "\n".join(version.reps) or None,
        "\n".join(version.teams) or None,
    )


INCENTIVE_PLANS: Final = IntervalFold(
    INCENTIVE_PLAN,
    frozenset(get_args(IncentivePlanFact)),
    changes_by(IncentivePlanState, _changes),
)
