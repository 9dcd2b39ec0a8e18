"""Where every deal stands: one row per deal and span of time in which nothing changed.

Answers "in which stage, with what outcome, whose, worth what?" for any moment; the funnel,
the timeline and all questions about the state of deals read it. Leaves out contacts, quotes
and tasks, which have rows of their own or none.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.deal.amounts import WORTH_FACTS, Worth
from salesflow.domain.deal.ground import Ground
from salesflow.domain.deal.merging import DealMerged, DealUnmerged
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealReopened
from salesflow.domain.deal.people import CustomerChanged, OwnerAssigned
from salesflow.domain.deal.stages import DealMigrated, DealOpened, StageMoved
from salesflow.domain.facts import Event
from salesflow.projections.tables import (
    AMOUNT_SCALE,
    Cell,
    Change,
    Fold,
    IntervalTable,
    Processes,
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
        sa.Column("amount", sa.BigInteger),
        sa.Column("currency", sa.String(3)),
        sa.Column("expected_close", sa.String(10)),
        sa.Column("forecast_category", sa.String(20)),
        sa.Column("probability", sa.Integer),
        sa.Column("lead_source", sa.Text),
    ),
)
"""`amount` and `probability` are whole millionths, `expected_close` is an ISO date."""


class DealState:
    """One deal on its way through its history."""

    __slots__ = ("customer_id", "ground", "lead_source", "owner", "worth")

    def __init__(self, processes: Processes) -> None:
        self.ground = Ground(processes)
        self.worth = Worth()
        self.owner: str | None = None
        self.customer_id: UUID | None = None
        self.lead_source: str | None = None

    def apply(self, event: Event) -> Iterable[Change]:
        """Take the next believed fact; one without ground changes nothing."""
        if self.ground.judge(event) is not None:
            return ()
        fact = event.fact
        match fact:
            case DealOpened():
                self.owner, self.customer_id = fact.owner, fact.customer_id
                self.lead_source = fact.lead_source
            case OwnerAssigned():
                self.owner = fact.owner
            case CustomerChanged():
                self.customer_id = fact.customer_id
            case _:
                pass  # stage, outcome and worth are settled by Ground and Worth
        self.worth = self.worth.after(fact)
        return (((), self._row()),)

    def _row(self) -> tuple[Cell, ...]:
        ground, worth = self.ground, self.worth
        stage, money, close = ground.stage_in_force, worth.amount, worth.expected_close
        return (
            ground.process_key,
            ground.process_version,
            ground.stage,
            ground.outcome if ground.merged_into is None else "merged",
            self.owner,
            self.customer_id,
            None if money is None else _millionths(money.amount),
            None if money is None else money.currency,
            None if close is None else close.isoformat(),
            worth.category(stage, ground.outcome),
            _millionths(worth.probability(stage, ground.outcome)),
            self.lead_source,
        )


def _millionths(number: Decimal) -> int:
    return int(number * AMOUNT_SCALE)


DEAL_STATES: Final = Fold(
    DEAL_STATE,
    WORTH_FACTS
    | {
        StageMoved,
        DealLost,
        DealDisqualified,
        DealReopened,
        DealMigrated,
        DealMerged,
        DealUnmerged,
        OwnerAssigned,
        CustomerChanged,
    },
    DealState,
)
