"""From owner to owner: one row per change of owner, with what was handed over.

Answers "which deals changed hands, was anything handed over, and does the new owner have what
they need?" for any moment. What is handed over, and acknowledged, belongs to the ownership of
its time; what comes before the deal is somebody's waits until it is. Leaves out the tasks and
promises themselves, which are personal.
"""

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from salesflow.domain.deal.people import (
    DealHandedOver,
    HandoverAcknowledged,
    OwnerAssigned,
)
from salesflow.domain.deal.state import STATE_FACTS, DealSummary
from salesflow.domain.event import Event
from salesflow.projections.table import (
    Change,
    CopyableRows,
    Instants,
    IntervalFold,
    IntervalTable,
    OnState,
    Row,
)

__all__ = ["HANDOVER", "HANDOVERS"]

HANDOVER: Final = IntervalTable(
    "handover",
    1,
    keys=(sa.Column("position", sa.BigInteger, autoincrement=False),),
    attributes=(
        sa.Column("occurred", Instants),
        sa.Column("former", sa.Text),
        sa.Column("owner", sa.Text),
        sa.Column("process", sa.Text),
        sa.Column("handed_over", Instants),
        sa.Column("open_tasks", sa.Integer),
        sa.Column("promises", sa.Integer),
        sa.Column("contact_people", sa.Integer),
        sa.Column("acknowledged", Instants),
    ),
)
"""`position` is that of the assignment, `occurred` the instant from which the deal is the new
owner's. `handed_over` is null where nothing was, `acknowledged` where the new owner has not
said that they have what they need; the last one told counts of the former, the first of the
latter."""

WHOSE: Final = 4
"""How many attributes say whose it was and is; the rest, what was handed over."""
NOTHING_YET: Final[Row] = (None, 0, 0, 0)


class HandoverRows(CopyableRows):
    """One deal on its way from owner to owner."""

    __slots__ = ("_ahead", "_last", "_owner", "_position")

    def __init__(self) -> None:
        self._owner: str | None = None
        self._position = 0
        self._last: Row = ()
        """The last change of owner; nothing while the first one owns it."""
        self._ahead: dict[str, Row] = {}
        """What was handed over to whom before it is theirs."""

    def apply(self, event: Event, deal: DealSummary) -> Iterable[Change]:
        """Take the next fact that counts; it may be a change of owner, or tell of the last."""
        fact = event.fact
        match fact:
            case OwnerAssigned() if fact.owner != self._owner:
                former, self._owner = self._owner, fact.owner
                handed = self._ahead.pop(fact.owner, NOTHING_YET)
                if former is None:
                    return ()
                self._position = event.position
                whose = (event.effective, former, fact.owner, deal.process)
                return self._changed((*whose, *handed, None))
            case DealHandedOver():
                counts = map(len, (fact.open_tasks, fact.promises, fact.contact_people))
                handed = (event.occurred, *counts)
                if fact.to != self._owner:
                    self._ahead[fact.to] = handed
                elif self._last:
                    return self._changed((*self._last[:WHOSE], *handed, self._last[-1]))
            case HandoverAcknowledged() if self._last and fact.by == self._owner:
                if self._last[-1] is None:
                    return self._changed((*self._last[:-1], event.occurred))
            case _:
                self._owner = deal.owner
        return ()

    def _changed(self, row: Row) -> Iterable[Change]:
        self._last = row
        return (((self._position,), row),)


HANDOVERS: Final = IntervalFold(
    HANDOVER,
    STATE_FACTS | {DealHandedOver, HandoverAcknowledged},
    OnState(DealSummary, HandoverRows),
)
