"""In which team every rep is: one row per rep and span of time in one team, or in none.

Answers "whose team is this rep in, and which fact put them there?" for any moment; figures by
team join it to deals, where the rep's reference stands as owner. A rep who left has a row
without a team. Leaves out what teams are called, which the team itself says, and people's
names, which are personal.
"""

from collections.abc import Iterable
from typing import Final, get_args

import sqlalchemy as sa

from salesflow.domain.event import Event
from salesflow.domain.rep import MembershipFact, RepState
from salesflow.projections.table import Change, IntervalFold, IntervalTable, changes_by

__all__ = ["MEMBERSHIP", "MEMBERSHIPS"]

MEMBERSHIP: Final = IntervalTable(
    "membership",
    1,
    attributes=(
        sa.Column("rep", sa.Text),
        sa.Column("team", sa.Text),
        sa.Column("event_id", sa.Uuid),
    ),
)
"""`rep` is the reference that deals name as owner, `team` the key of the team (null after
leaving), `event_id` the fact that put the rep there."""


def _changes(event: Event, rep: RepState) -> Iterable[Change]:
    """Return what a fact that counts changed."""
    return (((), (rep.reference, rep.team, event.event_id)),)


MEMBERSHIPS: Final = IntervalFold(
    MEMBERSHIP, frozenset(get_args(MembershipFact)), changes_by(RepState, _changes)
)
