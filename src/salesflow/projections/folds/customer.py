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
from salesflow.projections.table import Change, IntervalFold, IntervalTable, changes_by

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


def _changes(_: Event, customer: CustomerState) -> Iterable[Change]:
    """Return what a fact that counts changed."""
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
    changes_by(CustomerState, _changes),
)
