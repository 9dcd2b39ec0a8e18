"""What is reported from outside: one row per figure and period, as last reported.

Answers "how high was our market share in a quarter, and who says so?" for any moment. A later
report of the same period ends the row of the one before it.
"""

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from salesflow.domain.event import Event
from salesflow.domain.figures import FigureReported, FiguresState
from salesflow.projections.table import (
    Change,
    IntervalFold,
    IntervalTable,
    Millionths,
    changes_by,
    millionths,
)

__all__ = ["FIGURE_REPORT", "FIGURE_REPORTS"]

FIGURE_REPORT: Final = IntervalTable(
    "figure_report",
    1,
    keys=(
        sa.Column("figure", sa.String(100)),
        sa.Column("first_day", sa.String(10)),
        sa.Column("last_day", sa.String(10)),
    ),
    attributes=(
        sa.Column("value", Millionths),
        sa.Column("unit", sa.String(100)),
        sa.Column("source", sa.Text),
    ),
)
"""`value` is in whole millionths of its unit; the days are ISO dates, both included."""


def _changes(event: Event, _: FiguresState) -> Iterable[Change]:
    """Return what a fact that counts changed."""
    fact = event.fact
    if not isinstance(fact, FigureReported):
        return ()
    key = (fact.figure, fact.first_day.isoformat(), fact.last_day.isoformat())
    return ((key, (millionths(fact.value), fact.unit, fact.source)),)


FIGURE_REPORTS: Final = IntervalFold(
    FIGURE_REPORT, frozenset({FigureReported}), changes_by(FiguresState, _changes)
)
