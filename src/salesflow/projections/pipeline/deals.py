"""The list of deals: which there are at a moment, where each stands and what it is worth.

Answers "which deals are there?" for any past moment on both time axes, by stage, owner or
outcome; a deal's id leads on to its timeline. Leaves out the customer's name, which is the
customer's own, and sums, which are the funnel's.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, NamedTuple
from uuid import UUID

from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Event, FactRetracted, believed_history
from salesflow.domain.time import Instant, Moment, from_instant
from salesflow.domain.values import Currency, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import NO_VALUE, amount_text, short_id
from salesflow.presentation.messages import Language, in_language
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.column_groups import foremost
from salesflow.projections.core.columns import HeldRows
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.question import Limit, Question, Reader, View
from salesflow.projections.deal_figures import DealFigures
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.scope import stage_name

__all__ = ["DealStanding", "Deals", "DealsView"]


COLUMNS = ("Deal", "Title", "Stage", "Outcome", "Owner", "Amount", "Expected close")
LISTED = 50


class DealStanding(Value):
    """A deal and where it stands, unchanged since `since`."""

    deal: Annotated[UUID, FieldRole.KEY]
    title: Annotated[SafeText | None, FieldRole.NAME]
    process: Reference
    process_version: Annotated[int, FieldRole.TRAIT]
    stage: Reference
    stage_en: SafeText
    stage_zh: SafeText
    outcome: Reference
    owner: Reference | None
    customer_id: UUID | None
    amount: Decimal | None
    currency: Currency | None
    expected_close: SafeText | None
    forecast_category: Reference
    probability: Decimal
    lead_source: SafeText | None
    since: datetime


class DealsView(View):
    """Some of the deals there are at the moment, and how many there are in all."""

    population: ClassVar[str] = "every deal on record at the as-of time, as filtered"
    formula: ClassVar[str] = "sorted by latest change, newest first"
    deals: tuple[DealStanding, ...]
    deals_total: int
    """How many there are in all, the listed ones included."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the list out: a row per deal, its id by the first digits."""
        listed = (
            f"{in_language('listed', language)} {len(self.deals):,}"
            f" · {in_language('in all', language)} {self.deals_total:,}"
        )
        rows = tuple(
            (
                short_id(deal.deal),
                deal.title or NO_VALUE,
                deal.stage_zh if language == "zh" else deal.stage_en,
                deal.outcome,
                deal.owner or NO_VALUE,
                amount_text(deal.amount, deal.currency),
                deal.expected_close or NO_VALUE,
            )
            for deal in self.deals
        )
        title = "List of deals"
        return [
            TableOfView(title, COLUMNS, rows, (listed,), words=("Outcome",), by_weight=True)
        ]


class Deals(Question[DealsView]):
    """Which deals are there at a moment?"""

    name: ClassVar[str] = "deals"
    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)
    process: Reference | None = None
    """Only deals of this process (its key); all when left out."""
    stage: Reference | None = None
    """Only deals that stand in this stage (its key) at the moment."""
    owner: Reference | None = None
    """Only deals owned by this rep at the moment."""
    outcome: Literal["open", "won", "lost", "disqualified", "merged"] | None = None
    """Only deals that stand so at the moment."""
    limit: Limit = LISTED
    """How many to list at most. Default: 50."""

    def answer(self, reader: Reader, moment: Moment) -> DealsView:
        """Read the deals' rows that hold at the moment."""
        deals = self._wanted(reader)
        listed = _newest(deals, self.limit)
        ids = [row.entity_id for row in listed]
        titles = _titles(reader.streams(ids, DealOpened, FactRetracted))
        return DealsView(
            moment=moment,
            deals=tuple(_standing(row, titles.get(row.entity_id), reader) for row in listed),
            deals_total=len(deals),
        )

    def _wanted(self, reader: Reader) -> HeldRows:
        deals = reader.columns(DEAL_STATE)
        names = ("process", "stage", "owner", "outcome")
        return deals.where(deals.fitting({name: getattr(self, name) for name in names}))


class _Row(NamedTuple):
    """A row of a deal, since when it holds, and what it shows."""

    entity_id: UUID
    valid_from: Instant
    shown: DealFigures


def _newest(deals: HeldRows, limit: int) -> list[_Row]:
    """Return the deals that changed last: newest first, by id."""
    changed = deals["valid_from"]
    rows = foremost(limit, -changed)
    ids = deals.cells("entity_id", rows)
    times = changed[rows].tolist()
    order = sorted(range(len(ids)), key=lambda each: (-times[each], ids[each]))[:limit]
    shown = zip(*[deals.cells(name, rows[order]) for name in DealFigures._fields], strict=True)
    return [
        _Row(ids[each], times[each], DealFigures._make(figures))
        for each, figures in zip(order, shown, strict=True)
    ]


def _standing(row: _Row, title: str | None, reader: Reader) -> DealStanding:
    shown = row.shown
    stage = stage_name(shown.stage, shown.process, shown.process_version, reader.processes)
    return DealStanding(
        deal=row.entity_id,
        title=title,
        process=shown.process,
        process_version=shown.process_version,
        stage=shown.stage,
        stage_en=stage.name_en,
        stage_zh=stage.name_zh,
        outcome=shown.outcome,
        owner=shown.owner,
        customer_id=shown.customer_id,
        amount=None if shown.amount is None else unscaled(shown.amount),
        currency=shown.currency,
        expected_close=shown.expected_close,
        forecast_category=shown.forecast_category,
        probability=unscaled(shown.probability),
        lead_source=shown.lead_source,
        since=from_instant(row.valid_from),
    )


def _titles(streams: Mapping[UUID, list[Event]]) -> dict[UUID, str | None]:
    """Return the titles of the openings, which stand first; no other fact changes them."""
    believes = {deal: believed_history(events) for deal, events in streams.items()}
    openings = {deal: history[0].fact for deal, history in believes.items() if history}
    return {deal: fact.title for deal, fact in openings.items() if isinstance(fact, DealOpened)}
