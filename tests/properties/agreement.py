"""Where the engine and the oracle are laid side by side: the same words for both."""

from typing import Any
from uuid import UUID

from oracle.deals import State
from properties.world import instant
from salesflow.domain.deal import Deal

__all__ = ["OF_A_DEAL", "said_by_deal", "said_by_oracle"]

OF_A_DEAL = (
    "process", "process_version", "stage", "outcome", "merged_into", "owner", "customer",
    "amount", "expected_close", "forecast_category", "probability", "opened", "closed",
    "first_outcome", "first_closed", "first_won", "irregular",
)  # fmt: skip


def said_by_deal(deal: Deal) -> dict[str, Any]:
    """Read off an aggregate what the oracle also says."""
    return {
        "process": deal.process,
        "process_version": deal.process_version,
        "stage": deal.stage,
        "outcome": deal.outcome,
        "merged_into": _text(deal.merged_into),
        "owner": deal.owner,
        "customer": _text(deal.customer_id),
        "amount": deal.amount and (deal.amount.amount, deal.amount.currency),
        "expected_close": deal.expected_close and deal.expected_close.isoformat(),
        "forecast_category": deal.forecast_category,
        "probability": deal.probability,
        "opened": deal.opened_at and instant(deal.opened_at),
        "closed": deal.closed_at and instant(deal.closed_at),
        "first_outcome": deal.first_outcome,
        "first_closed": deal.first_closed_at and instant(deal.first_closed_at),
        "first_won": deal.first_won_at and instant(deal.first_won_at),
        "irregular": sorted(str(event.event_id) for event, _ in deal.irregular),
    }


def said_by_oracle(state: State) -> dict[str, Any]:
    """Pick from the oracle's state what the aggregate also says."""
    return {
        **{name: state[name] for name in OF_A_DEAL},
        "irregular": sorted(state["irregular"]),
    }


def _text(id: UUID | None) -> str | None:
    return None if id is None else str(id)
