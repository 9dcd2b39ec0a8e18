"""Contests: one row per contest, from the day it was announced, and whether it is closed.

Answers "which contests are on, by which metric, for whom?" for any moment. Leaves out who
takes part, prizes and results, which are nested and stay in the log.
"""

from collections.abc import Iterable
from typing import Final, get_args

import sqlalchemy as sa

from salesflow.domain.contest import ContestFact, ContestState
from salesflow.domain.event import Event
from salesflow.projections.table import Change, IntervalFold, IntervalTable, changes_by

__all__ = ["CONTEST", "CONTESTS"]

CONTEST: Final = IntervalTable(
    "contest",
    1,
    attributes=(
        sa.Column("contest", sa.Text),
        sa.Column("title_en", sa.Text),
        sa.Column("title_zh", sa.Text),
        sa.Column("metric", sa.Text),
        sa.Column("contestants", sa.String(8)),
        sa.Column("first_day", sa.String(10)),
        sa.Column("last_day", sa.String(10)),
        sa.Column("closed", sa.SmallInteger),
    ),
)
"""`contestants` is rep or team; the period's days are ISO dates."""


def _changes(_: Event, contest: ContestState) -> Iterable[Change]:
    """Return what a fact that counts changed."""
    if contest.opened is None:
        return ()
    opened = contest.opened
    row = (
        opened.contest,
        opened.title_en,
        opened.title_zh,
        opened.metric,
        opened.by,
        opened.first_day.isoformat(),
        opened.last_day.isoformat(),
        int(contest.results is not None),
    )
    return (((), row),)


CONTESTS: Final = IntervalFold(
    CONTEST, frozenset(get_args(ContestFact)), changes_by(ContestState, _changes)
)
