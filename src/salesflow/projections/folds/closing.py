"""How every deal began and how it ended: one row per deal and standing outcome.

Answers "when was it opened, how and when did it close, whose was it then, and for how much?"
for any moment; win rates, orders and cycle lengths count these rows. A deal counts once, with
its last believed closing, which is its own won, lost or disqualified fact: a merge takes it out
while it stands, and unmerging brings it back as it was closed before. Its attributes are those
of that instant (of the opening while it is open), since a rate belongs to whoever had the deal
when it closed. Leaves out what became of it afterwards: that is its deal.
"""

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from salesflow.domain.deal.outcomes import DealDisqualified, DealLost
from salesflow.domain.deal.state import STATE_FACTS, DealSummary
from salesflow.domain.event import Event, Fact
from salesflow.domain.time import Instant
from salesflow.projections.deal_figures import figures_of
from salesflow.projections.table import (
    Change,
    CopyableRows,
    Instants,
    IntervalFold,
    IntervalTable,
    Millionths,
    OnState,
    Row,
)

__all__ = ["CLOSING", "CLOSINGS"]

CLOSING: Final = IntervalTable(
    "closing",
    2,
    attributes=(
        sa.Column("opened", Instants),
        sa.Column("opened_day_only", sa.SmallInteger),
        sa.Column("opened_process", sa.Text),
        sa.Column("opened_owner", sa.Text),
        sa.Column("opened_customer_id", sa.Uuid),
        sa.Column("outcome", sa.String(20)),
        sa.Column("closed", Instants),
        sa.Column("closed_day_only", sa.SmallInteger),
        sa.Column("process", sa.Text),
        sa.Column("process_version", sa.Integer),
        sa.Column("stage", sa.Text),
        sa.Column("owner", sa.Text),
        sa.Column("customer_id", sa.Uuid),
        sa.Column("lead_source", sa.Text),
        sa.Column("amount", Millionths),
        sa.Column("currency", sa.String(3)),
        sa.Column("because", sa.Text),
        sa.Column("competitor", sa.Text),
    ),
)
"""`opened` and `closed` are instants (`closed` is null while open), `…_day_only` is 1 where no
more than the day is known, `opened_process`, `opened_owner` and `opened_customer_id` are those
of the opening, `amount` is in whole millionths. `outcome` is open, won, lost, disqualified or
merged; `stage` is where the deal stood before it closed; `because` and `competitor` are those
of a loss or a disqualification."""


class ClosingRows(CopyableRows):
    """One deal on its way through its outcomes."""

    __slots__ = ("_opened", "_outcome", "_own", "_own_outcome", "_stage")

    def __init__(self) -> None:
        self._opened: Row = ()
        self._outcome = self._own_outcome = ""
        self._own: Row = ()
        self._stage = ""

    def apply(self, event: Event, deal: DealSummary) -> Iterable[Change]:
        """Take the next fact that counts; only another outcome is another row."""
        if not self._opened:
            self._opened = (*_when(event), deal.process, deal.owner, deal.customer_id)
            self._stage = deal.stage
        if deal.outcome != self._own_outcome:
            self._own_outcome = deal.outcome
            self._own = self._row(event, deal, self._own_outcome)
        if deal.status == self._outcome:
            self._stage = deal.stage
            return ()
        self._outcome = deal.status
        merged = deal.merged_into is not None
        row = self._row(event, deal, self._outcome) if merged else self._own
        self._stage = deal.stage
        return (((), row),)

    def _row(self, event: Event, deal: DealSummary, outcome: str) -> Row:
        shown = figures_of(deal)
        closed = (None, None) if outcome == "open" else _when(event)
        return (
            *self._opened,
            outcome,
            *closed,
            shown.process,
            shown.process_version,
            self._stage,
            shown.owner,
            shown.customer_id,
            shown.lead_source,
            shown.amount,
            shown.currency,
            *_reason(event.fact),
        )


def _when(event: Event) -> tuple[Instant, int]:
    return event.effective, int(event.precision == "day")


def _reason(fact: Fact) -> tuple[str | None, str | None]:
    match fact:
        case DealLost():
            return fact.because, fact.competitor
        case DealDisqualified():
            return fact.because, None
        case _:
            return None, None


CLOSINGS: Final = IntervalFold(CLOSING, STATE_FACTS, OnState(DealSummary, ClosingRows))
