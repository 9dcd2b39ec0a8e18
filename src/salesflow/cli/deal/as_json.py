"""A deal, its events and its replay as JSON: keys and values are the same in every language.

Says all that `deal show` shows, in machine words: keys of stages and tasks instead of their
names, ids instead of short ones. What is not known is null or empty, never left out.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from salesflow.cli.deal.view import ReplayStep
from salesflow.cli.ids import Called
from salesflow.domain.deal import Deal
from salesflow.domain.event import Event
from salesflow.domain.time import from_instant
from salesflow.domain.values import Money
from salesflow.presentation.fields import Json, plain

__all__ = ["event_json", "standing_json", "steps_json"]


QUOTE = ("state", "total", "valid_until", "expires_at", "revisions", "lines")


def standing_json(deal: Deal, called: Called) -> dict[str, Json]:
    """Say how a deal stands."""
    standing: dict[str, Any] = {
        **_stands(deal, called),
        **_people(deal, called),
        **_talks(deal),
        **_offers(deal),
        **_after(deal),
        "irregular": len(deal.irregular),
    }
    return {name: plain(value) for name, value in standing.items()}


def event_json(event: Event, called: Called, mark: str, why: str) -> Json:
    """Say an event with its envelope, and whether it counts."""
    return {
        "position": event.position,
        "deal": str(event.stream_id),
        "version": event.version,
        **_said(event),
        "effective_from": plain(from_instant(event.effect)),
        "precision": event.precision,
        "actor": event.actor,
        "actor_name": called.rep_name(event.actor),
        "command_id": event.command_id,
        "correlation_id": event.correlation_id,
        "causation_id": event.causation_id,
        "source": event.source,
        "source_id": event.source_id,
        "retracted": mark == "retracted",
        "irregular": why or None,
    }


def steps_json(steps: Iterable[ReplayStep], called: Called) -> list[Json]:
    """Say each step of a replay, and what it changed in how the deal stands."""
    told: list[Json] = []
    before: dict[str, Json] = {}
    for step in steps:
        after = standing_json(step.deal, called)
        told.append(
            {
                "step": step.number,
                **_said(step.event),
                "changes": [
                    {"attribute": name, "before": before.get(name), "after": after[name]}
                    for name in after
                    if before.get(name) != after[name] and (before or after[name])
                ],
                "irregular": step.irregular,
            }
        )
        before = after
    return told


def _said(event: Event) -> dict[str, Json]:
    said = event.fact.model_dump(exclude_none=True)
    return {
        "event_id": str(event.event_id),
        "kind": event.fact.kind,
        "fact": plain(said),
        "occurred_at": plain(event.occurred_at),
        "recorded_at": plain(event.recorded_at),
    }


def _stands(deal: Deal, called: Called) -> dict[str, Any]:
    return {
        "id": deal.id,
        "title": deal.title,
        "customer": deal.customer_id,
        "customer_name": called.customer(deal) or None,
        "process": deal.process,
        "process_version": deal.process_version,
        "stage": deal.stage,
        "outcome": "merged" if deal.merged_into else deal.outcome,
        "lost_because": deal.lost_because,
        "lost_to": deal.lost_to,
        "disqualified_because": deal.disqualified_because,
        "merged_into": deal.merged_into,
        "absorbed": deal.absorbed,
        "amount": deal.amount,
        "probability": deal.probability,
        "forecast_category": deal.forecast_category,
        "expected_close": deal.expected_close,
        "lead_source": deal.lead_source,
        "opened_at": deal.opened_at,
        "closed_at": deal.closed_at,
        "first_won_at": deal.first_won_at,
    }


def _people(deal: Deal, called: Called) -> dict[str, Any]:
    return {
        "owner": deal.owner,
        "owner_name": called.rep_name(deal.owner),
        "collaborators": [*deal.collaborators.values()],
        "credits": deal.credits,
        "messages": len(deal.messages),
        "help": [*deal.help_requests.values()],
    }


def _talks(deal: Deal) -> dict[str, Any]:
    return {
        "contacts": len(deal.contacts),
        "last_contact": deal.contacts[-1] if deal.contacts else None,
        "intent": deal.intent,
        "needs": deal.needs,
        "budget": deal.budget,
        "decision_process": deal.decision,
        "solutions": deal.solutions,
        "tasks_done": deal.tasks_done,
        "objections": [*deal.objections.values()],
        "competitors": deal.competitors,
    }


def _offers(deal: Deal) -> dict[str, Any]:
    return {
        "quotes": [
            {"quote": quote.key, **{name: getattr(quote, name) for name in QUOTE}}
            for quote in deal.quotes.values()
        ],
        "line_items": deal.line_items,
        "terms": deal.terms,
    }


def _after(deal: Deal) -> dict[str, Any]:
    return {
        "invoiced": _sums(invoice.amount for invoice in deal.invoices),
        "paid": _sums(payment.amount for payment in deal.payments),
        "refunded": _sums(refund.amount for refund in deal.refunds),
        "services": deal.services,
        "repeat_orders": deal.repeat_orders,
        "surveys": deal.surveys,
        "feedback": deal.feedback,
    }


def _sums(amounts: Iterable[Money]) -> list[dict[str, Any]]:
    """Add amounts up per currency; unlike currencies are never added."""
    sums: dict[str, Decimal] = {}
    for money in amounts:
        sums[money.currency] = sums.get(money.currency, Decimal(0)) + money.amount
    return [{"amount": sums[currency], "currency": currency} for currency in sorted(sums)]
