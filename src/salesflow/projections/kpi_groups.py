"""To which group a figure of a period belongs: a rep, a team, a customer, a channel, a process.

What happened belongs to whoever had the deal when it happened; what stands open, to whoever has
it at the time asked about. A customer is the one an entry counts as at the moment.
"""

from typing import Final, Literal, NamedTuple
from uuid import UUID

from salesflow.domain.moments import Instant
from salesflow.projections.customers import Customers
from salesflow.projections.teams import Teams

__all__ = ["By", "Group", "Grouping", "Whose", "group_order"]

By = Literal["rep", "team", "customer", "channel", "process"]
Group = str | None


class Whose(NamedTuple):
    """To whom something belonged when it happened."""

    at: Instant
    rep: str | None
    customer_id: UUID | None
    lead_source: str | None
    process: str


class Grouping:
    """To which group something belongs, and whether it was asked for at all."""

    def __init__(
        self,
        by: By | None,
        teams: Teams,
        customers: Customers,
        *,
        process: str | None,
        owner: str | None,
    ) -> None:
        self.by: Final = by
        self.customers: Final = customers
        self._teams = teams
        self._process = process
        self._owner = owner

    def wants(self, whose: Whose) -> bool:
        """Say whether it is of the process and the rep asked for."""
        return self._process in (None, whose.process) and self._owner in (None, whose.rep)

    def of(self, whose: Whose) -> Group:
        """Say to which group it belongs."""
        match self.by:
            case None:
                return None
            case "rep":
                return whose.rep
            case "team":
                return self._teams.of(whose.rep, whose.at)
            case "customer":
                return self._customer(whose.customer_id)
            case "channel":
                return whose.lead_source
            case "process":
                return whose.process

    def _customer(self, entry: UUID | None) -> Group:
        return None if entry is None else str(self.customers.survivor(entry))


def group_order(group: Group) -> tuple[bool, str]:
    """Sort groups by name, the one nobody named last."""
    return group is None, group or ""
