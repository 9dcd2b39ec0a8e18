"""Where every deal stands: one row per deal and span of time in which nothing changed.

Answers "in which stage, with what outcome, whose, worth what?" for any moment; the funnel,
the timeline and all questions about the state of deals read it. Leaves out contacts, quotes
and tasks, which have rows of their own or none.
"""

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from salesflow.domain.deal.state import STATE_FACTS, DealSummary
from salesflow.domain.event import Event
from salesflow.projections.deal_figures import figures_of
from salesflow.projections.table import (
    Change,
    CopyableRows,
    IntervalFold,
    IntervalTable,
    Millionths,
    OnState,
    Shares,
)

__all__ = ["DEAL_STATE", "DEAL_STATES"]

DEAL_STATE: Final = IntervalTable(
    "deal_state",
    1,
    attributes=(
        sa.Column("process", sa.Text),
        sa.Column("process_version", sa.Integer),
        sa.Column("stage", sa.Text),
        sa.Column("outcome", sa.String(20)),
        sa.Column("owner", sa.Text),
        sa.Column("customer_id", sa.Uuid),
        sa.Column("amount", Millionths),
        sa.Column("currency", sa.String(3)),
        sa.Column("expected_close", sa.String(10)),
        sa.Column("forecast_category", sa.String(20)),
        sa.Column("probability", Shares),
        sa.Column("lead_source", sa.Text),
    ),
)
"""`amount` and `probability` are whole millionths, `expected_close` is an ISO date: the columns
are those of `DealFigures`."""


class DealStateRows(CopyableRows):
    """One deal on its way through its history."""

    __slots__ = ()

    def apply(self, _: Event, deal: DealSummary) -> Iterable[Change]:
        """Take the next fact that counts: the row says where the deal stands after it."""
        return (((), figures_of(deal)),)


DEAL_STATES: Final = IntervalFold(DEAL_STATE, STATE_FACTS, OnState(DealSummary, DealStateRows))
