"""Who every customer is counted as: one row per customer and span of time without a change.

Answers "since when is this a customer, how is it judged, and whose deals are its deals?" for
any moment. While it is merged into another entry its deals count for that one; the row names
the next entry of a chain, not its end, since the rest of the chain has rows of its own. Leaves
out names and contact people, which are personal, and that a prospect became a customer, which
its deals say.
"""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.customer import (
    CustomerMarkedLoyal,
    CustomerMerged,
    CustomerQualified,
    CustomerRegistered,
    CustomerUnmerged,
    Standing,
)
from salesflow.domain.event import Event
from salesflow.domain.time import Instant
from salesflow.projections.table import Change, IntervalFold, IntervalTable, Processes

__all__ = ["CUSTOMER", "CUSTOMERS"]

CUSTOMER: Final = IntervalTable(
    "customer",
    1,
    attributes=(
        sa.Column("customer_since", sa.String(10)),
        sa.Column("standing", sa.String(10)),
        sa.Column("merged_into", sa.Uuid),
        sa.Column("segment", sa.Text),
        sa.Column("region", sa.Text),
    ),
)
"""`customer_since` is an ISO date where that is older than the log, `standing` is prospect,
qualified or loyal, as somebody judged it."""


class CustomerState:
    """One customer on the way through its history."""

    __slots__ = ("merged_into", "opened", "registered", "standing")

    def __init__(self, _: Processes) -> None:
        self.opened: Instant | None = None
        self.registered: CustomerRegistered | None = None
        self.standing: Standing = "prospect"
        self.merged_into: UUID | None = None

    def apply(self, event: Event) -> Iterable[Change]:
        """Take the next believed fact; one from before the registration changes nothing."""
        fact = event.fact
        if self.opened is None:
            if not isinstance(fact, CustomerRegistered):
                return ()
            self.opened, self.registered = event.occurred, fact
        elif event.occurred < self.opened:
            return ()
        match fact:
            case CustomerQualified() if self.standing == "prospect":
                self.standing = "qualified"
            case CustomerMarkedLoyal():
                self.standing = "loyal"
            case CustomerMerged():
                self.merged_into = fact.into
            case CustomerUnmerged():
                self.merged_into = None
            case _:
                pass  # a second registration says nothing, contact people have no rows
        return (self._change(),)

    def _change(self) -> Change:
        known = self.registered
        assert known is not None
        since = known.customer_since
        return (), (
            None if since is None else since.isoformat(),
            self.standing,
            self.merged_into,
            known.segment,
            known.region,
        )


CUSTOMERS: Final = IntervalFold(
    CUSTOMER,
    frozenset(
        {
            CustomerRegistered,
            CustomerQualified,
            CustomerMarkedLoyal,
            CustomerMerged,
            CustomerUnmerged,
        }
    ),
    CustomerState,
)
