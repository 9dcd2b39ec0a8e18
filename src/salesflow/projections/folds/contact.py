"""How customers were followed up: one row per contact with what was true of its deal then.

Answers "how often did we talk, by which channel, about deals in which stage, and how soon
after the opening did we first?" for any moment. A contact that took place stays so: its row
never ends. Stage, owner, process and customer are those where it stands in the deal's own
history. Contacts are counted whatever became of the deal, also while it is merged. Leaves out
who took part and what was said, which is personal and stays in the log.
"""

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from salesflow.domain.deal.activities import ContactLogged
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

__all__ = ["CONTACT", "CONTACTS"]

CONTACT: Final = IntervalTable(
    "contact",
    1,
    keys=(sa.Column("position", sa.BigInteger, autoincrement=False),),
    attributes=(
        sa.Column("occurred", Instants),
        sa.Column("day_only", sa.SmallInteger),
        sa.Column("channel", sa.Text),
        sa.Column("direction", sa.String(3)),
        sa.Column("process", sa.Text),
        sa.Column("process_version", sa.Integer),
        sa.Column("stage", sa.Text),
        sa.Column("owner", sa.Text),
        sa.Column("customer_id", sa.Uuid),
        sa.Column("lead_source", sa.Text),
        sa.Column("opened", Instants),
        sa.Column("opened_day_only", sa.SmallInteger),
    ),
)
"""`position` is that of the fact, `direction` is `out` where we contacted the customer, `in`
where they contacted us, null where nobody said. `opened` is the instant at which the deal was
opened; `day_only` and `opened_day_only` are 1 where no more than the day is known."""


class ContactRows(CopyableRows):
    """One deal on its way through its contacts."""

    __slots__ = ("_opened",)

    def __init__(self) -> None:
        self._opened: Row = ()

    def apply(self, event: Event, deal: DealSummary) -> Iterable[Change]:
        """Take the next fact that counts; a contact from before the opening does not."""
        fact = event.fact
        if not self._opened:
            self._opened = (event.occurred, int(event.precision == "day"))
        if type(fact) is not ContactLogged:
            return ()
        return (((event.position,), self._row(event, fact, deal)),)

    def _row(self, event: Event, fact: ContactLogged, deal: DealSummary) -> Row:
        return (
            event.occurred,
            int(event.precision == "day"),
            fact.channel,
            fact.direction,
            deal.process,
            deal.process_version,
            deal.stage,
            deal.owner,
            deal.customer_id,
            deal.lead_source,
            *self._opened,
        )


CONTACTS: Final = IntervalFold(
    CONTACT, STATE_FACTS | {ContactLogged}, OnState(DealSummary, ContactRows)
)
