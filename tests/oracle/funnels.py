"""The funnel at one moment: replay every deal, then count and add up with loops."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from oracle.beliefs import Raw
from oracle.deals import State, deal_at, deals_of
from oracle.rates import Exchange

__all__ = ["funnel_at"]


def funnel_at(
    events: list[Raw],
    as_of: int,
    known_at: int,
    *,
    keep: Callable[[State], bool] = lambda _: True,
    exchange: Exchange | None = None,
) -> dict[str, Any]:
    """Give open deals by (process, stage) and closed ones by outcome, with their money.

    An entry is (deals, deals without an amount, amounts by currency, weighted by currency).
    `keep` says which deals count. Beside them the newest version of each process that any
    of these deals stands on, by key.
    """
    deals = []
    for stream in deals_of(events):
        deal = deal_at(events, stream, as_of, known_at)
        if deal is None:
            continue
        deal["stream"] = stream
        if not keep(deal):
            continue
        if exchange is not None:
            deal["amount"] = exchange.convert(
                deal["amount"], end=as_of, event=None, closing=None, of=(stream, as_of)
            )
        deals.append(deal)
    stages: dict[tuple[str, str], list[State]] = {}
    outcomes: dict[str, list[State]] = {
        outcome: [] for outcome in ("won", "lost", "disqualified", "merged")
    }
    for deal in deals:
        if deal["standing"] == "open":
            stages.setdefault((deal["process"], deal["stage"]), []).append(deal)
        else:
            outcomes[deal["standing"]].append(deal)
    return {
        "stages": {key: _entry(found) for key, found in stages.items()},
        "closed": {key: _entry(found)[:3:2] for key, found in outcomes.items()},
        "open_deals": sum(len(found) for found in stages.values()),
        "processes": _newest_in_use(deals),
    }


def _entry(deals: list[State]) -> tuple[int, int, dict[str, Decimal], dict[str, Decimal]]:
    amounts: dict[str, Decimal] = {}
    weighted: dict[str, Decimal] = {}
    without = 0
    for deal in deals:
        if deal["amount"] is None:
            without += 1
            continue
        amount, currency = deal["amount"]
        amounts[currency] = amounts.get(currency, Decimal(0)) + amount
        share = amount * deal["probability"]
        weighted[currency] = weighted.get(currency, Decimal(0)) + share
    return len(deals), without, amounts, weighted


def _newest_in_use(deals: list[State]) -> dict[str, int]:
    newest: dict[str, int] = {}
    for key in sorted({deal["process"] for deal in deals}):
        newest[key] = max(d["process_version"] for d in deals if d["process"] == key)
    return newest
