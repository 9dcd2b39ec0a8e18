"""Which reviews there are and how they stand: one row per review and span without a change.

Answers "which reviews are open, of whom and of which period, how many of their actions are
open?" for any moment. Leaves out findings, actions and their words: actions have rows of their
own, the words stay in the log.
"""

from collections.abc import Iterable
from typing import Final, get_args

import sqlalchemy as sa

from salesflow.domain.event import Event
from salesflow.domain.review import ReviewFact, ReviewState
from salesflow.projections.table import (
    Change,
    Instants,
    IntervalFold,
    IntervalTable,
    changes_by,
)

__all__ = ["REVIEW", "REVIEWS"]

REVIEW: Final = IntervalTable(
    "review",
    1,
    attributes=(
        sa.Column("review", sa.Text),
        sa.Column("from_day", sa.String(10)),
        sa.Column("to_day", sa.String(10)),
        sa.Column("owner", sa.Text),
        sa.Column("team", sa.Text),
        sa.Column("process", sa.Text),
        sa.Column("follows", sa.Text),
        sa.Column("state", sa.String(10)),
        sa.Column("opened", Instants),
        sa.Column("closed", Instants),
        sa.Column("findings", sa.Integer),
        sa.Column("actions", sa.Integer),
        sa.Column("actions_open", sa.Integer),
    ),
)
"""`from_day` and `to_day` are ISO dates, the first day of the period and the first one after
it; `state` is open or closed, `closed` is null while it is open."""


def _changes(_: Event, review: ReviewState) -> Iterable[Change]:
    """Return what a fact that counts changed."""
    if not review.key:
        return ()
    assert review.opening is not None, "it was opened"
    closed = review.closed
    row = (
        review.key,
        None if review.from_ is None else review.from_.isoformat(),
        None if review.to is None else review.to.isoformat(),
        review.owner,
        review.team,
        review.process,
        review.follows,
        "open" if closed is None else "closed",
        review.opening.effective,
        None if closed is None else closed.effective,
        len(review.findings),
        len(review.actions),
        len(review.open_actions),
    )
    return (((), row),)


REVIEWS: Final = IntervalFold(
    REVIEW, frozenset(get_args(ReviewFact)), changes_by(ReviewState, _changes)
)
