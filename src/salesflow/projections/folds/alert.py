"""Which alerts are defined: one row per alert and span of time without a change.

Answers "what is watched, by which condition, and is it raised?" for any moment. Leaves out the
figures that were found, and whom it is for: those stay in the log.
"""

from collections.abc import Iterable
from typing import Final, get_args

import sqlalchemy as sa

from salesflow.domain.alert import AlertFact, AlertState
from salesflow.domain.event import Event
from salesflow.projections.table import (
    Change,
    Instants,
    IntervalFold,
    IntervalTable,
    Millionths,
    changes_by,
    millionths,
)

__all__ = ["ALERT", "ALERTS"]

ALERT: Final = IntervalTable(
    "alert",
    1,
    attributes=(
        sa.Column("alert", sa.Text),
        sa.Column("question", sa.Text),
        sa.Column("figure", sa.Text),
        sa.Column("condition", sa.String(10)),
        sa.Column("threshold", Millionths),
        sa.Column("days", sa.Integer),
        sa.Column("state", sa.String(10)),
        sa.Column("raised_since", Instants),
    ),
)
"""`threshold` is in whole millionths, `state` is clear, raised or retired, `raised_since` the
instant at which it was raised, null while it is not."""


def _changes(_: Event, alert: AlertState) -> Iterable[Change]:
    """Return what a fact that counts changed."""
    if alert.watched is None:
        return ()
    raised = alert.raised
    row = (
        alert.key,
        alert.watched.question,
        alert.watched.figure,
        alert.condition,
        millionths(alert.threshold),
        alert.days,
        alert.standing,
        None if raised is None else raised.effective,
    )
    return (((), row),)


ALERTS: Final = IntervalFold(
    ALERT, frozenset(get_args(AlertFact)), changes_by(AlertState, _changes)
)
