"""Which stages every deal has been in: one row per visit, also those that lasted no time.

Answers "when did it enter, how, and how long did it stay?" for any moment; stage times and
conversion read it. The rows of a deal follow one another without a gap from its opening on:
where one ends the next begins. A visit ends with a move, an outcome or a merge. Closed time
(lost, disqualified, merged) is no visit: its row has no stage and is there to end the visit
before it and to be counted as closed. A won deal visits after-sales (or the stage that means
won); where its process has neither, its row has no stage either.

A visit goes on under another process version as long as process and stage keep their keys;
it keeps the version it was entered under. Where the migration puts the deal elsewhere, a row
of its own begins, entered as `migrated`. A move to the stage where the deal stands is none.
Leaves out how a visit ended: the row after it says so.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import sqlalchemy as sa

from salesflow.domain.deal.merging import DealMerged, DealUnmerged
from salesflow.domain.deal.outcomes import DealReopened
from salesflow.domain.deal.stages import DealMigrated, DealOpened
from salesflow.domain.deal.state import STATE_FACTS, DealSummary
from salesflow.domain.event import Event, Fact
from salesflow.domain.process import ProcessVersion
from salesflow.projections.deal_figures import figures_of
from salesflow.projections.table import (
    Cell,
    Change,
    CopyableRows,
    IntervalFold,
    IntervalTable,
    Millionths,
    OnState,
)

__all__ = ["STAGE_VISIT", "STAGE_VISITS"]

STAGE_VISIT: Final = IntervalTable(
    "stage_visit",
    2,
    keys=(sa.Column("begun", sa.BigInteger, autoincrement=False),),
    attributes=(
        sa.Column("process", sa.Text),
        sa.Column("process_version", sa.Integer),
        sa.Column("stage", sa.Text),
        sa.Column("outcome", sa.String(20)),
        sa.Column("entered", sa.String(20)),
        sa.Column("day_only", sa.SmallInteger),
        sa.Column("owner", sa.Text),
        sa.Column("amount", Millionths),
        sa.Column("currency", sa.String(3)),
        sa.Column("customer_id", sa.Uuid),
        sa.Column("lead_source", sa.Text),
    ),
    keeps_zero_length=True,
)
"""`begun` is the position of the event that began the row. In the order of (`valid_from`,
opened first, `begun`) the rows of a deal are its way.

`entered` is opened, advanced, skipped (advanced past a stage), returned, reopened, migrated,
unmerged, won, lost, disqualified or merged. `outcome` is how it stood: open, won, lost,
disqualified or merged. All attributes are those at the time of entering; `day_only` is 1 where
no more than the day of entering is known, `amount` is in whole millionths.
"""


BY_THEMSELVES: Final[Mapping[type[Fact], str]] = {
    DealOpened: "opened",
    DealMigrated: "migrated",
    DealMerged: "merged",
    DealUnmerged: "unmerged",
    DealReopened: "reopened",
}
"""Facts that say how a deal came where it stands, wherever that is."""


class Place(NamedTuple):
    """Where a deal stands; another place is another row."""

    outcome: str
    process: str | None = None
    stage: str | None = None


class StageVisitRows(CopyableRows):
    """One deal on its way through its stages."""

    __slots__ = ("_stage", "_standing", "begun", "place")

    def __init__(self) -> None:
        self._stage = ""
        self._standing: tuple[object, ...] = ()
        """Process, version, stage and outcome: as long as they stay, so does the place."""
        self.place: Place | None = None
        self.begun = 0

    def apply(self, event: Event, deal: DealSummary) -> Iterable[Change]:
        """Take the next fact that counts; one that leaves the deal in its place has no row."""
        standing = figures_of(deal)[:4]
        if standing == self._standing:
            return ()
        self._standing = standing
        left, self._stage = self._stage, deal.stage
        before, place = self.place, _place(deal)
        if place == before:
            return ()
        row = _row(deal, place, _entered(event.fact, before, left, deal), event)
        ended: list[Change] = [] if before is None else [((self.begun,), None)]
        self.place, self.begun = place, event.position
        return [*ended, ((event.position,), row)]


def _place(deal: DealSummary) -> Place:
    if deal.merged_into is not None:
        return Place("merged")
    unnamed = deal.outcome == "won" and deal.category(deal.stage) == "open"
    if deal.outcome in ("lost", "disqualified") or unnamed:
        return Place(deal.outcome)
    return Place(deal.outcome, deal.process, deal.stage)


def _entered(fact: Fact, before: Place | None, left: str, deal: DealSummary) -> str:
    """Return how the deal came here: by an outcome, by a fact of its own, or by a move."""
    by_itself = BY_THEMSELVES.get(type(fact))
    if by_itself is not None:
        return by_itself
    outcome = deal.outcome
    if before is not None and before.outcome != outcome:
        return outcome
    return _direction(left, deal.stage, deal.version_in_force)


def _direction(left: str, target: str, process: ProcessVersion | None) -> str:
    if process is None:
        return "advanced"
    place, target_place = process.order(left), process.order(target)
    if target_place <= place:
        return "returned"
    category = process.categories[target]
    between = process.stages[place + 1 : target_place] if place >= 0 else ()
    return "skipped" if any(s.category == category for s in between) else "advanced"


def _row(deal: DealSummary, place: Place, entered: str, event: Event) -> tuple[Cell, ...]:
    shown = figures_of(deal)
    return (
        shown.process,
        shown.process_version,
        place.stage,
        place.outcome,
        entered,
        int(event.precision == "day"),
        shown.owner,
        shown.amount,
        shown.currency,
        shown.customer_id,
        shown.lead_source,
    )


STAGE_VISITS: Final = IntervalFold(
    STAGE_VISIT, STATE_FACTS, OnState(DealSummary, StageVisitRows)
)
