"""What customers say a deal was decided by: one row per interview.

Answers "which closed deals were looked into by asking the buyer, when, and what did they say?"
for any moment; the seller's reason stands in the closing of the deal. An interview is held for
good: its row never ends. Leaves out the words, which are personal and stay in the log.
"""

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from salesflow.domain.deal.after_sales import InterviewHeld
from salesflow.domain.deal.state import STATE_FACTS, DealSummary
from salesflow.domain.event import Event
from salesflow.projections.table import (
    Change,
    CopyableRows,
    Instants,
    IntervalFold,
    IntervalTable,
    OnState,
)

__all__ = ["INTERVIEW", "INTERVIEWS"]

INTERVIEW: Final = IntervalTable(
    "interview",
    1,
    keys=(sa.Column("position", sa.BigInteger),),
    attributes=(
        sa.Column("occurred", Instants),
        sa.Column("held_by", sa.Text),
        sa.Column("reasons", sa.Text),
        sa.Column("competitor", sa.Text),
    ),
)
"""`reasons` are those the customer named, one a line."""


class InterviewRows(CopyableRows):
    """One deal on its way through what its customer was asked."""

    __slots__ = ()

    def apply(self, event: Event, _: DealSummary) -> Iterable[Change]:
        """Take the next fact that counts."""
        fact = event.fact
        if not isinstance(fact, InterviewHeld):
            return ()
        reasons = "\n".join(dict.fromkeys(fact.reasons)) or None
        row = (event.occurred, fact.by, reasons, fact.competitor)
        return (((event.position,), row),)


INTERVIEWS: Final = IntervalFold(
    INTERVIEW, STATE_FACTS | {InterviewHeld}, OnState(DealSummary, InterviewRows)
)
