"""The pipeline as double-entry books: every change of a deal's standing as a movement.

Answers "what came into this part of the pipeline, what left it, and why?". A movement has two
legs, the cell the deal left and the cell it entered; a cell holds attributes of the deal only.
The sum of all legs in a cell is what stands there, so opening + movements = closing for any
part of the pipeline and any two moments. Leaves out what a deal did in a cell (see visits).
"""

from collections.abc import Iterable, Iterator
from datetime import date
from operator import itemgetter
from typing import Final, NamedTuple

import sqlalchemy as sa

from salesflow.domain.deal.merging import DealMerged, DealUnmerged
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealReopened, DealWon
from salesflow.domain.deal.stages import DealMigrated, StageMoved
from salesflow.domain.deal.state import STATE_FACTS, DealSummary
from salesflow.domain.event import Event, Fact
from salesflow.domain.process import ProcessVersion
from salesflow.projections.deal_figures import DealFigures, figures_of
from salesflow.projections.table import (
    Cell,
    CopyableRows,
    Ledger,
    LedgerTable,
    Millionths,
    OnState,
    Row,
    Shares,
)

__all__ = ["KINDS", "LEG", "PIPELINE", "PIPELINE_LEDGER"]

KINDS: Final = (
    "created", "advanced", "returned", "increased", "decreased", "redenominated", "pushed",
    "pulled_in", "recategorised", "reweighted", "transferred", "migrated", "merged",
    "unmerged", "won", "lost", "disqualified", "reopened",
)  # fmt: skip
"""Every kind of movement."""


class Leg(NamedTuple):
    """The cell a deal stands in, and what it is worth there, in whole millionths.

    `close` is an ISO date. A deal without an amount has no currency and is worth 0.
    """

    process: str
    process_version: int
    stage: str
    outcome: str
    owner: str | None
    currency: str | None
    amount: int
    close: str | None
    category: str
    probability: int


LEG: Final[tuple[sa.Column[Cell], ...]] = (
    sa.Column("process", sa.Text),
    sa.Column("process_version", sa.Integer),
    sa.Column("stage", sa.Text),
    sa.Column("outcome", sa.String(20)),
    sa.Column("owner", sa.Text),
    sa.Column("currency", sa.String(3)),
    sa.Column("amount", Millionths),
    sa.Column("close", sa.String(10)),
    sa.Column("category", sa.String(20)),
    sa.Column("probability", Shares),
)
"""The columns of a leg; the table has them twice, as `left_…` and `entered_…`."""

PIPELINE: Final = LedgerTable(
    "pipeline",
    2,
    attributes=(
        sa.Column("kind", sa.String(20)),
        *(sa.Column(f"left_{column.name}", column.type) for column in LEG),
        *(sa.Column(f"entered_{column.name}", column.type) for column in LEG),
    ),
    cells=("process", "process_version", "stage", "outcome", "currency"),
)
"""A deal's first movement, created, left no cell: its `left_…` are all null."""

KIND_OF: Final[dict[type[Fact], str]] = {
    DealWon: "won",
    DealLost: "lost",
    DealDisqualified: "disqualified",
    DealReopened: "reopened",
    DealMigrated: "migrated",
    DealMerged: "merged",
    DealUnmerged: "unmerged",
}
"""What the facts that take a deal to another stage or outcome are called, besides moves."""

_new = tuple.__new__
_of_leg = itemgetter(
    *map(
        DealFigures._fields.index,
        (
            *("process", "process_version", "stage", "outcome", "owner", "currency", "amount"),
            *("expected_close", "forecast_category", "probability"),
        ),
    )
)
"""Gives the figures that make up a leg, in its order."""
CREATED: Final[Row] = ("created", *(None,) * len(LEG))
NEVER: Final = date.max.isoformat()


class Pipeline(CopyableRows):
    """One deal on its way through the books."""

    __slots__ = ("_leg", "_process")

    def __init__(self) -> None:
        self._leg: Leg | None = None
        self._process: ProcessVersion | None = None

    def apply(self, event: Event, deal: DealSummary) -> Iterable[Row]:
        """Take the next fact that counts, post its movements."""
        left, process = self._leg, self._process
        entered = self._leg = _leg(deal)
        self._process = deal.version_in_force
        if left is None:
            return ((*CREATED, *entered),)
        return _movements(event.fact, left, entered, process)


def _leg(deal: DealSummary) -> Leg:
    shown = figures_of(deal)
    leg = _new(Leg, _of_leg(shown))
    return leg._replace(amount=0) if shown.amount is None else leg


def _movements(
    fact: Fact, left: Leg, entered: Leg, process: ProcessVersion | None
) -> Iterable[Row]:
    """Go from cell to cell: amount, currency, expected close, owner, then stage and outcome."""
    if left == entered:
        return ()
    if left[4:8] == entered[4:8] and left[:4] != entered[:4]:  # as most facts do
        return ((_kind(fact, left.stage, process), *left, *entered),)
    cells, found = left, list[Row]()
    for kind, moved in _steps(fact, left, entered, process):
        found.append((kind, *cells, *moved))
        cells = moved
    return found


def _steps(
    fact: Fact, left: Leg, entered: Leg, process: ProcessVersion | None
) -> Iterator[tuple[str, Leg]]:
    cell = left
    for kind, moved in _worth_steps(cell, entered):
        cell = moved
        yield kind, cell
    if cell.owner != entered.owner:
        cell = cell._replace(owner=entered.owner)
        yield "transferred", cell
    if cell[:4] != entered[:4]:
        yield _kind(fact, left.stage, process), entered


def _worth_steps(left: Leg, entered: Leg) -> Iterator[tuple[str, Leg]]:
    cell, more = left, "increased" if entered.amount >= left.amount else "decreased"
    if None in (cell.currency, entered.currency) and cell.currency != entered.currency:
        cell = cell._replace(amount=entered.amount, currency=entered.currency)
        yield more, cell
    if cell.amount != entered.amount:
        cell = cell._replace(amount=entered.amount)
        yield more, cell
    if cell.currency != entered.currency:
        cell = cell._replace(currency=entered.currency)
        yield "redenominated", cell
    if cell.close != entered.close:
        later = (entered.close or NEVER) > (cell.close or NEVER)
        cell = cell._replace(close=entered.close)
        yield "pushed" if later else "pulled_in", cell
    if cell[:4] != entered[:4]:
        return  # category and probability are those of the stage or outcome entered
    if cell.category != entered.category:
        cell = cell._replace(category=entered.category)
        yield "recategorised", cell
    if cell.probability != entered.probability:
        cell = cell._replace(probability=entered.probability)
        yield "reweighted", cell


def _kind(fact: Fact, stage: str, process: ProcessVersion | None) -> str:
    """Name what took a deal to another stage or outcome."""
    if isinstance(fact, StageMoved):
        return _direction(fact.target, stage, process)
    return KIND_OF[type(fact)]


def _direction(target: str, stage: str, process: ProcessVersion | None) -> str:
    if process is None:
        return "advanced"
    category = process.categories[target]
    if category in ("won", "lost", "disqualified"):
        return category
    return "advanced" if process.steps(stage, target) >= 0 else "returned"


PIPELINE_LEDGER: Final = Ledger(PIPELINE, STATE_FACTS, OnState(DealSummary, Pipeline))
