"""Where a deal stands as its believed history goes by: stage and outcome, whose, worth what.

The one reading of it that every table about deals shares. Facts without ground change nothing.
"""

from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

from salesflow.domain.deal.amounts import WORTH_FACTS, Worth
from salesflow.domain.deal.ground import Ground
from salesflow.domain.deal.merging import DealMerged, DealUnmerged
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealReopened
from salesflow.domain.deal.people import CustomerChanged, OwnerAssigned
from salesflow.domain.deal.stages import DealMigrated, DealOpened, StageMoved
from salesflow.domain.facts import Event, Fact
from salesflow.domain.processes import ProcessVersion

__all__ = ["STANDING_FACTS", "Standing"]

STANDING_FACTS: frozenset[type[Fact]] = WORTH_FACTS | {
    StageMoved,
    DealLost,
    DealDisqualified,
    DealReopened,
    DealMigrated,
    DealMerged,
    DealUnmerged,
    OwnerAssigned,
    CustomerChanged,
}
"""The facts that can change where a deal stands."""


class Standing:
    """One deal on its way through its history."""

    __slots__ = ("customer_id", "ground", "lead_source", "owner", "worth")

    def __init__(self, processes: Mapping[tuple[str, int], ProcessVersion]) -> None:
        self.ground = Ground(processes)
        self.worth = Worth()
        self.owner: str | None = None
        self.customer_id: UUID | None = None
        self.lead_source: str | None = None

    def take(self, event: Event) -> bool:
        """Take the next believed fact; False when it has no ground and changes nothing."""
        if self.ground.judge(event) is not None:
            return False
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
        return True

    @property
    def outcome(self) -> str:
        """Open, won, lost, disqualified or, while it is merged into another, merged."""
        return self.ground.outcome if self.ground.merged_into is None else "merged"

    @property
    def category(self) -> str:
        """Where it counts in a forecast."""
        return self.worth.category(self.ground.stage_in_force, self.ground.outcome)

    @property
    def probability(self) -> Decimal:
        """The chance to win it."""
        return self.worth.probability(self.ground.stage_in_force, self.ground.outcome)
