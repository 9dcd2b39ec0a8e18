"""The funnel as known at two instants, and what was recorded between them that made the change.

Every deal is replayed twice, as known then and as known now; what differs is listed.
"""

from decimal import Decimal
from typing import Any

from oracle.beliefs import Raw, effect_of, of_stream
from oracle.deals import State, deal_at, deals_of

__all__ = ["restated"]

MOVERS = (
    "deal.opened", "deal.stage_moved", "deal.won", "deal.lost", "deal.disqualified",
    "deal.reopened", "deal.migrated", "deal.merged", "deal.unmerged", "deal.owner_assigned",
    "deal.customer_changed", "deal.forecast_given", "deal.line_items_agreed",
    "deal.contract_amended",
)  # fmt: skip
"""Kinds of facts that can move a deal between the cells of the funnel, or change its worth."""

Side = dict[Any, tuple[int, dict[str, Decimal]]]


def restated(
    events: list[Raw], as_of: int, known_then: int, known_now: int, **only: str | None
) -> dict[str, Any]:
    """Give both sides cell by cell, the deals that differ, and the events that explain it."""
    then: list[tuple[Any, Any]] = []
    now: list[tuple[Any, Any]] = []
    differing = []
    for stream in deals_of(events):
        sides = [
            _standing(deal_at(events, stream, as_of, known_at), only)
            for known_at in (known_then, known_now)
        ]
        for side, standing in zip((then, now), sides, strict=True):
            if standing is not None:
                side.append(standing)
        if sides[0] != sides[1]:
            differing.append(stream)
    return {
        "then": _summed(then),
        "now": _summed(now),
        "differing": len(differing),
        "events": sorted(
            line
            for stream in differing
            for line in _explaining(of_stream(events, stream), as_of, known_then, known_now)
        ),
    }


def _standing(deal: State | None, only: dict[str, str | None]) -> tuple[Any, Any] | None:
    """Say in which cell a deal counts and with what amount; None when it does not count."""
    if deal is None or any(wish not in (None, deal[name]) for name, wish in only.items()):
        return None
    if deal["standing"] == "open":
        return ("open", deal["process"], deal["stage"]), deal["amount"]
    return (deal["standing"], None, None), deal["amount"]


def _summed(standings: list[tuple[Any, Any]]) -> Side:
    found: Side = {}
    for cell, amount in standings:
        count, sums = found.get(cell, (0, {}))
        if amount is not None:
            sums[amount[1]] = sums.get(amount[1], Decimal(0)) + amount[0]
        found[cell] = (count + 1, sums)
    return found


def _explaining(
    events: list[Raw], as_of: int, known_then: int, known_now: int
) -> list[tuple[int, str, str, int, int]]:
    lines = []
    for event in events:
        if not known_then < event["recorded"] <= known_now:
            continue
        about = _about(event, events)
        if about["kind"] not in MOVERS:
            continue
        uncovers = about["kind"] == "deal.opened" and about is not event
        if effect_of(about) <= as_of or uncovers:
            lines.append(
                (
                    event["position"], event["kind"], event["stream"], event["occurred"],
                    event["recorded"],
                )
            )  # fmt: skip
    return lines


def _about(event: Raw, events: list[Raw]) -> Raw:
    """Follow a retraction, however many between, to the fact that it is about."""
    if event["kind"] != "fact.retracted":
        return event
    for other in events:
        if other["event_id"] == event["payload"]["event_id"]:
            return _about(other, events)
    return event
