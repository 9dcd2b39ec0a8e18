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
        in_time = bool(asked) and min(when for when, _ in asked) - at <= days * DAY
        timely += in_time
        due += in_time or as_of - at > days * DAY
        buyer = {reason for _, named in asked for reason in named}
        seller = closing["because"] if closing["outcome"] == "lost" else None
        for reason in buyer:
            _count(reasons, reason, "won" if closing["outcome"] == "won" else "lost")
        if seller and buyer:
            compared += 1
            agree += seller in buyer
            _count(reasons, seller, "too" if seller in buyer else "alone")
    return {
        "counts": (closed, held, timely, due, compared, agree),
        "reasons": {
            reason: tuple(its.get(name, 0) for name in ("lost", "too", "alone", "won"))
            for reason, its in reasons.items()
        },
    }


def _count(reasons: dict[str, dict[str, int]], reason: str, what: str) -> None:
    its = reasons.setdefault(reason, {})
    its[what] = its.get(what, 0) + 1


def _asked(
    events: list[Raw], stream: str, closed: int, as_of: int, known_at: int
) -> list[tuple[int, list[str]]]:
    return [
        (event["occurred"], event["payload"].get("reasons", []))
        for event, state in replay(events, stream, known_at)
        if event["kind"] == "deal.interview_held"
        and event["event_id"] not in state["irregular"]
        and closed <= event["occurred"] <= as_of
    ]
