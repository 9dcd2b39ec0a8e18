"""Which products each deal was shown, and what became of it: one row per deal and product.

Answers "what do demos win?" for any moment of both axes; late facts and retractions need no
line here. Leaves out what customers said of it, which stays in the log.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from acme_demos.facts import DemoGiven
from salesflow.domain.deal.state import STATE_FACTS, DealState
from salesflow.domain.event import Event
from salesflow.projections.table import (
    Change,
    CopyableRows,
    IntervalFold,
    IntervalTable,
    OnState,
)

__all__ = ["DEMO", "DEMOS"]

DEMO = IntervalTable(
    "acme_demo",
    1,
    keys=(sa.Column("product", sa.String(500)),),
    attributes=(
        sa.Column("demos", sa.Integer),
        sa.Column("owner", sa.Text),
        sa.Column("outcome", sa.Text),
    ),
)


class DemoRows(CopyableRows):
    """One deal on its way through its demos."""

    __slots__ = ("_demos",)

    def __init__(self) -> None:
        self._demos: dict[str, int] = {}

    def apply(self, event: Event, deal: DealState) -> Iterable[Change]:
        """Take the next fact that counts; a row that stays as it is goes on."""
        if isinstance(event.fact, DemoGiven):
            product = event.fact.product
            self._demos[product] = self._demos.get(product, 0) + 1
        for product, demos in self._demos.items():
            yield (product,), (demos, deal.owner, deal.outcome)


DEMOS = IntervalFold(DEMO, STATE_FACTS | {DemoGiven}, OnState(DealState, DemoRows))
