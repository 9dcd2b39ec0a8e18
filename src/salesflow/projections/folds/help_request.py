"""Help that was asked for: one row per request, which changes when it is answered.

Answers "how soon are we helped, by which department and by whom, and what is still open?" for
any moment. The first answer counts; others may add to it. Owner and process are those of the
deal when help was asked for. Leaves out question and answer, which are personal.
"""

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from salesflow.domain.deal.people import HelpGiven, HelpRequested
from salesflow.domain.deal.state import STATE_FACTS, DealSummary
from salesflow.domain.event import Event
from salesflow.projections.deal_figures import actor_of
from salesflow.projections.table import (
    Change,
    CopyableRows,
    Instants,
    IntervalFold,
    IntervalTable,
    OnState,
    Row,
)

__all__ = ["HELP_REQUEST", "HELP_REQUESTS"]

HELP_REQUEST: Final = IntervalTable(
    "help_request",
    1,
    keys=(sa.Column("position", sa.BigInteger, autoincrement=False),),
    attributes=(
        sa.Column("occurred", Instants),
        sa.Column("day_only", sa.SmallInteger),
        sa.Column("request", sa.Text),
        sa.Column("asked_by", sa.Text),
        sa.Column("department", sa.Text),
        sa.Column("process", sa.Text),
        sa.Column("owner", sa.Text),
        sa.Column("answered", Instants),
        sa.Column("answered_day_only", sa.SmallInteger),
        sa.Column("answered_by", sa.Text),
        sa.Column("answers", sa.Integer),
    ),
)
"""`position` is that of the request, `department` the one that was asked; `answered` is the
instant of the first answer and `answered_by` who gave it (null while it is open)."""

ASKED: Final = 7
"""How many attributes say what was asked; the rest, what became of it."""
OPEN: Final[Row] = (None, 0, None, 0)


class HelpRows(CopyableRows):
    """One deal on its way through the help it got."""

    __slots__ = ("_requests",)

    def __init__(self) -> None:
        self._requests: dict[str, tuple[int, Row]] = {}
        """Position and row of the last request under each key."""

    def apply(self, event: Event, deal: DealSummary) -> Iterable[Change]:
        """Take the next fact that counts; an answer to nothing that was asked does not."""
        match event.fact:
            case HelpRequested() as fact:
                asked = (event.occurred, int(event.precision == "day"), fact.request)
                about = (fact.department, deal.process, deal.owner)
                row = (*asked, fact.by or actor_of(event), *about, *OPEN)
                self._requests[fact.request] = event.position, row
                return (((event.position,), row),)
            case HelpGiven(request=key) as fact if key in self._requests:
                position, row = self._requests[key]
                first, answers = row[ASKED:-1], row[-1]
                assert isinstance(answers, int)
                if not answers:
                    on_day = int(event.precision == "day")
                    first = (event.occurred, on_day, fact.by or actor_of(event))
                row = (*row[:ASKED], *first, answers + 1)
                self._requests[key] = position, row
                return (((position,), row),)
            case _:
                return ()  # whose the deal is, its state says


HELP_REQUESTS: Final = IntervalFold(
    HELP_REQUEST,
    STATE_FACTS | {HelpRequested, HelpGiven},
    OnState(DealSummary, HelpRows),
)
