"""What was agreed in reviews and what has become of it: one row per action and change of it.

Answers "who has which actions open, due when, from which review?" for any moment. An action
that a review took over has a row in each of both: in the earlier one it stands carried over.
Leaves out what is to be done and what came of it: the words stay in the log.
"""

from collections.abc import Iterable
from typing import Final, get_args

import sqlalchemy as sa

from salesflow.domain.event import Event
from salesflow.domain.review import (
    ActionAgreed,
    ActionCarriedOver,
    ActionCompleted,
    ActionDropped,
    AgreedAction,
    ReviewFact,
    ReviewOpened,
    ReviewState,
)
from salesflow.projections.table import (
    Change,
    Instants,
    IntervalFold,
    IntervalTable,
    Row,
    changes_by,
)

__all__ = ["REVIEW_ACTION", "REVIEW_ACTIONS"]

REVIEW_ACTION: Final = IntervalTable(
    "review_action",
    1,
    keys=(sa.Column("action", sa.String(100)),),
    attributes=(
        sa.Column("review", sa.Text),
        sa.Column("owner", sa.Text),
        sa.Column("due", sa.String(10)),
        sa.Column("state", sa.String(12)),
        sa.Column("agreed_in", sa.Text),
        sa.Column("agreed", Instants),
        sa.Column("ended", Instants),
        sa.Column("event_id", sa.Uuid),
    ),
)
"""`owner` does it by the end of the day `due`, an ISO date; `state` is open, done, dropped or
carried_over, `ended` is when it came to that; `agreed_in` is the review that agreed on it
first, `event_id` the event that brought it into this one."""


def _changes(event: Event, review: ReviewState) -> Iterable[Change]:
    """Return what a fact that counts changed."""
    fact = event.fact
    if not review.key:
        return ()
    match fact:
        case ReviewOpened():
            changed = [*review.actions]
        case ActionAgreed() | ActionCompleted() | ActionDropped() | ActionCarriedOver():
            changed = [fact.action]
        case _:
            changed = []  # no other fact is about an action
    return [((key,), _row(review.key, review.actions[key])) for key in changed]


def _row(review: str, action: AgreedAction) -> Row:
    return (
        review,
        action.owner,
        action.due.isoformat(),
        action.state,
        action.agreed_in,
        action.event.effective,
        None if action.ended is None else action.ended.effective,
        action.event.event_id,
    )


REVIEW_ACTIONS: Final = IntervalFold(
    REVIEW_ACTION, frozenset(get_args(ReviewFact)), changes_by(ReviewState, _changes)
)
