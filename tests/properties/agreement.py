"""Where the engine and the oracle are laid side by side: the same words for both."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from oracle.deals import State
from oracle.timelines import SHOWN
from properties.world import instant
from salesflow.domain.deal import Deal
from salesflow.projections.pipeline.deal_timeline import DealTimelineView

__all__ = [
    "OF_A_DEAL",
    "said_by_deal",
    "said_by_oracle",
    "said_by_row",
    "said_by_timeline",
    "said_of_row",
]

OF_A_DEAL = (
    "process", "process_version", "stage", "outcome", "merged_into", "owner", "customer",
    "amount", "expected_close", "forecast_category", "probability", "opened", "closed",
    "first_outcome", "first_closed", "first_won", "irregular",
)  # fmt: skip


MILLION = 1_000_000


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


def said_by_row(row: dict[str, Any]) -> dict[str, Any]:
    """Read a row of the table of deal states as the oracle would say it."""
    amount = row["amount"] is not None and (Decimal(row["amount"]) / MILLION, row["currency"])
    return {
        "process": row["process"],
        "process_version": row["process_version"],
        "stage": row["stage"],
        "standing": row["outcome"],
        "owner": row["owner"],
        "customer": row["customer_id"] and str(UUID(str(row["customer_id"]))),
        "amount": amount or None,
        "expected_close": row["expected_close"],
        "forecast_category": row["forecast_category"],
        "probability": Decimal(row["probability"]) / MILLION,
    }


def said_by_timeline(view: DealTimelineView) -> tuple[list[Any], list[Any]]:
    """Write a timeline as the oracle does."""
    spans = [
        (
            instant(span.start),
            span.end and instant(span.end),
            {
                "process": span.process,
                "process_version": span.process_version,
                "stage": span.stage,
                "standing": span.outcome,
                "owner": span.owner,
                "customer": _text(span.customer_id),
                "amount": None if span.amount is None else (span.amount, span.currency),
                "expected_close": span.expected_close,
                "forecast_category": span.forecast_category,
                "probability": span.probability,
            },
        )
        for span in view.spans
    ]
    facts = [
        (
            fact.position,
            fact.kind,
            instant(fact.occurred_at),
            instant(fact.effective_at),
            instant(fact.recorded_at),
            fact.irregular is not None,
        )
        for fact in view.facts
    ]
    return spans, facts


def said_of_row(state: State) -> dict[str, Any]:
    """Pick from the oracle's state what a row also says."""
    return {name: state[name] for name in SHOWN}


def _text(id: UUID | None) -> str | None:
    return None if id is None else str(id)
