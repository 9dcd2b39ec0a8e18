"""What speaks against open deals, and what a naive replay finds against them."""

from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.deal_health import health_at
from properties.asked.case import Case, by_currency
from properties.world import deal_id, instant
from salesflow.projections.health.deal_health import DealHealth, DealHealthLine, DealHealthView

__all__ = ["CASE"]

EVERYTHING = {"limit": 100, "no_reply_days": 0, "no_contact_days": 1, "pushes": 1}
ASKED = (
    DealHealth(),
    DealHealth.model_validate(EVERYTHING),
    DealHealth.model_validate({**EVERYTHING, "pushes": 2, "owner": "ann"}),
    DealHealth.model_validate({**EVERYTHING, "process": "standard", "reason": "no_reply"}),
    DealHealth.model_validate({**EVERYTHING, "stage": "negotiation"}),
    DealHealth.model_validate({**EVERYTHING, "team": "east"}),
    DealHealth.model_validate({**EVERYTHING, "reason": "amount_cut", "limit": 1}),
    DealHealth.model_validate({**EVERYTHING, "deal": deal_id(0)}),
)


def said(view: DealHealthView) -> dict[str, Any]:
    """Write the answer as the oracle does."""
    return {
        "open": view.open_deals,
        "with": view.deals_with_reasons,
        "worth": by_currency(view.amounts),
        "at_stake": by_currency(view.amounts_with_reasons),
        "counts": {
            each.reason: (each.deals, by_currency(each.amounts)) for each in view.counts
        },
        "unsaid": {each.reason for each in view.counts if not each.judged},
        "total": view.deals_total,
        "deals": [_line(line) for line in view.deals],
    }


def _line(line: DealHealthLine) -> dict[str, Any]:
    history = line.history
    won = 0 if history is None else round(history.value * history.count)
    assert line.reason_count == len(line.reasons)
    return {
        "deal": str(line.deal),
        "title": line.title,
        "standing": (line.process, line.stage, line.owner, line.expected_close),
        "money": None if line.amount is None else (line.amount, line.currency),
        "probability": line.probability,
        "history": (won, 0 if history is None else history.count),
        "reasons": {
            each.reason: (
                instant(each.since),
                _near(each.figure),
                None if each.limit is None else _near(each.limit),
                tuple(str(event) for event in each.event_ids),
            )
            for each in line.reasons
        },
    }


def _near(figure: Decimal | Fraction | float) -> object:
    """Let a figure differ in its last digits: days are divided, limits are estimates."""
    return pytest.approx(float(figure), rel=1e-9, abs=1e-6)


def wanted(
    raw: list[Raw], question: DealHealth, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Ask the oracle, and count and sort what it finds; None where it is refused."""
    only = {
        "process": question.process,
        "stage": question.stage,
        "owner": question.owner,
        "team": question.team,
        "deal": None if question.deal is None else str(question.deal),
    }
    limits = (question.no_reply_days, question.no_contact_days, question.pushes)
    found = health_at(raw, as_of, known_at, only, limits)
    if question.deal is not None and not found["deals"]:
        return None
    deals = found["deals"]
    ill = {stream: each for stream, each in deals.items() if each["reasons"]}
    listed = deals if question.deal is not None else ill
    if question.reason is not None:
        listed = {s: each for s, each in listed.items() if question.reason in each["reasons"]}
    return {
        "open": len(deals),
        "with": len(ill),
        "worth": _worth(deals),
        "at_stake": _worth(ill),
        "counts": {
            name: (len(with_it), _worth(with_it))
            for name in REASONS
            for with_it in [{s: e for s, e in ill.items() if name in e["reasons"]}]
        },
        "unsaid": found["unsaid"],
        "total": len(listed),
        "deals": [
            _wanted_line(stream, each) for stream, each in _in_order(listed, question.limit)
        ],
    }


REASONS = (
    *("stalled", "overdue", "pushed_repeatedly", "amount_cut", "no_reply", "no_contact"),
    *("single_contact", "no_next_step", "probability_above_history"),
)


def _worth(deals: dict[str, Any]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for each in deals.values():
        if each["deal"]["amount"] is not None:
            amount, currency = each["deal"]["amount"]
            sums[currency] = sums.get(currency, Decimal(0)) + amount
    return sums


def _in_order(deals: dict[str, Any], limit: int) -> list[tuple[str, Any]]:
    """Sort by currency, then by what is at stake, and take so many of each currency."""
    money = {
        stream: each["deal"]["amount"] or (Decimal(0), None) for stream, each in deals.items()
    }
    order = sorted(
        deals.items(),
        key=lambda pair: (
            money[pair[0]][1] is None,
            money[pair[0]][1] or "",
            -money[pair[0]][0],
            -len(pair[1]["reasons"]),
            UUID(pair[0]),
        ),
    )
    currencies = {currency for _, currency in money.values()}
    few = {
        stream
        for currency in currencies
        for stream in [s for s, _ in order if money[s][1] == currency][:limit]
    }
    return [(stream, each) for stream, each in order if stream in few]


def _wanted_line(stream: str, found: dict[str, Any]) -> dict[str, Any]:
    deal = found["deal"]
    return {
        "deal": stream,
        "title": found["title"],
        "standing": (deal["process"], deal["stage"], deal["owner"], deal["expected_close"]),
        "money": deal["amount"],
        "probability": deal["probability"],
        "history": found["history"],
        "reasons": {
            name: (since, float(figure), None if limit is None else float(limit), ids)
            for name, (since, figure, limit, ids) in found["reasons"].items()
        },
    }


CASE = Case(st.sampled_from(ASKED), said, wanted)
