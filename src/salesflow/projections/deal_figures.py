"""What tables show of a deal after a fact, worked out once for all of them.

Amounts and probabilities are in whole millionths, days are ISO dates, as rows hold them.
"""

from typing import NamedTuple
from uuid import UUID

from salesflow.domain.deal.state import DealSummary
from salesflow.domain.event import Event
from salesflow.projections.table import millionths

__all__ = ["DealFigures", "actor_of", "figures_of"]

_new = tuple.__new__


class DealFigures(NamedTuple):
    """Where a deal stands and what it is worth, as a row of `deal_state`."""

    process: str
    process_version: int
    stage: str
    outcome: str
    owner: str | None
    customer_id: UUID | None
    amount: int | None
    currency: str | None
    expected_close: str | None
    forecast_category: str
    probability: int
    lead_source: str | None


def figures_of(deal: DealSummary) -> DealFigures:
    """Return the figures of a deal, which are kept with it until the next fact."""
    found = deal.figures
    if not isinstance(found, DealFigures):
        money, close = deal.amount, deal.expected_close
        status, category, probability = deal.outlook
        shown = (
            deal.process,
            deal.process_version,
            deal.stage,
            status,
            deal.owner,
            deal.customer_id,
            None if money is None else millionths(money.amount),
            None if money is None else money.currency,
            None if close is None else close.isoformat(),
            category,
            millionths(probability),
            deal.lead_source,
        )
        found = deal.figures = _new(DealFigures, shown)
    return found


def actor_of(event: Event) -> str | None:
    """Return who recorded a fact; nobody is known to have done what was imported."""
    return event.actor if event.source is None else None
