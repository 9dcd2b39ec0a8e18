"""Interviews after the decision, naively: what the buyer of every closed deal said."""

from typing import Any

from oracle.beliefs import Raw
from oracle.deals import deals_of, replay
from oracle.sales import closing_at

__all__ = ["interviews_in"]

DAY = 86_400_000_000


def interviews_in(
    events: list[Raw],
    span: tuple[int, int],
    as_of: int,
    known_at: int,
    only: dict[str, str | None],
    days: int,
) -> dict[str, Any]:
    """Count who was asked in time, and what buyers named beside what sellers said."""
    held = timely = due = closed = compared = agree = 0
    reasons: dict[str, dict[str, int]] = {}
    rivals: dict[str, dict[str, int]] = {}
    for stream in deals_of(events):
        closing = closing_at(events, stream, as_of, known_at)
        if closing is None or closing["outcome"] not in ("won", "lost"):
            continue
        at = closing["closed"][0]
        if not span[0] <= at < span[1]:
            continue
        if any(wish not in (None, closing[name]) for name, wish in only.items()):
            continue
        closed += 1
        asked = _asked(events, stream, at, as_of, known_at)
        held += bool(asked)
        in_time = bool(asked) and min(when for when, *_ in asked) - at <= days * DAY
        timely += in_time
        due += in_time or as_of - at > days * DAY
        lost = closing["outcome"] == "lost"
        buyer = {reason for _, named, _ in asked for reason in named}
        seller = closing["because"] if lost else None
        _count(reasons, buyer, seller, lost=lost)
        if seller and buyer:
            compared += 1
            agree += seller in buyer
        looked_at = {rival for _, _, rival in asked if rival}
        _count(rivals, looked_at, closing["competitor"] if lost else None, lost=lost)
    return {
        "counts": (closed, held, timely, due, compared, agree),
        "reasons": _counted(reasons),
        "competitors": _counted(rivals),
    }


def _counted(named: dict[str, dict[str, int]]) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(its.get(who, 0) for who in ("lost", "too", "alone", "won"))
        for name, its in named.items()
    }


def _count(
    counts: dict[str, dict[str, int]], buyer: set[str], seller: str | None, *, lost: bool
) -> None:
    found = [(name, "lost" if lost else "won") for name in buyer]
    if seller and buyer:
        found.append((seller, "too" if seller in buyer else "alone"))
    for name, what in found:
        its = counts.setdefault(name, {})
        its[what] = its.get(what, 0) + 1


def _asked(
    events: list[Raw], stream: str, closed: int, as_of: int, known_at: int
) -> list[tuple[int, list[str], str | None]]:
    return [
        (
            event["occurred"],
            event["payload"].get("reasons", []),
            event["payload"].get("competitor"),
        )
        for event, state in replay(events, stream, known_at)
        if event["kind"] == "deal.interview_held"
        and event["event_id"] not in state["irregular"]
        and closed <= event["occurred"] <= as_of
    ]
