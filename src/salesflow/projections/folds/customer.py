"""Who every customer is counted as: one row per customer and span of time without a change.

Answers "since when is this a customer, how is it judged, and whose deals are its deals?" for
any moment. While it is merged into another entry its deals count for that one; the row names
the next entry of a chain, not its end, since the rest of the chain has rows of its own. Leaves
out names and contact people, which are personal, and that a prospect became a customer, which
its deals say.
"""

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from salesflow.domain.customer import (
    CustomerMarkedLoyal,
    CustomerMerged,
    CustomerQualified,
    CustomerRegistered,
    CustomerState,
    CustomerUnmerged,
)
from salesflow.domain.event import Event
from salesflow.domain.state import ReplayContext
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


class CustomerRows:
    """One customer on the way through its history."""

    __slots__ = ("_customer",)

    def __init__(self, processes: Processes) -> None:
        self._customer = CustomerState(ReplayContext(processes))

    def apply(self, event: Event) -> Iterable[Change]:
        """Take the next believed fact; an irregular one changes nothing."""
        customer = self._customer
        if customer.evolve(event) is not None:
            return ()
        since = customer.customer_since
        row = (
            None if since is None else since.isoformat(),
            customer.standing,
            customer.merged_into,
            customer.segment,
            customer.region,
        )
        return (((), row),)


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
    CustomerRows,
)
