"""What was believed of one entity at an instant of the known axis, by looking at every event.

Written from the words of the specification: a fact counts when it was recorded by then and no
standing retraction names it; a retraction may itself be retracted. The history begins with
the standing opening fact that was recorded first; the rest follows in order of effect, then
of occurrence, then of position. Of a book, which none of its entries opens, all do.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["Raw", "believed", "effect_of", "instant", "moment", "of_stream", "retracted"]

Raw = dict[str, Any]
"""An event as it lies in the log: kind, stream, version, position, occurred, recorded,
event_id, precision, actor, source, and the payload as a dict of JSON values. Instants are
microseconds."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OPENINGS = (
    *("deal.opened", "customer.registered", "rep.joined"),
    *("goal.set", "figure.reported"),
    *("plan.published", "statement.issued", "contest.opened"),
    *("review.opened", "improvement.proposed", "case.published", "alert.defined"),
)
BOOKS = ("figure.reported", "rates.published")


def instant(text: str) -> int:
    """Read a time of a payload as microseconds since 1970 UTC."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def moment(at: int) -> datetime:
    """Give microseconds as the aware time a caller would ask with."""
    return EPOCH + timedelta(microseconds=at)


def of_stream(events: list[Raw], stream: str) -> list[Raw]:
    """Pick the events of one stream, in the order of the log."""
    return [event for event in events if event["stream"] == stream]


def effect_of(event: Raw) -> int:
    """Say from when a fact holds: when it happened, or later when it was planned ahead."""
    planned = event["payload"].get("effective_from")
    return max(event["occurred"], instant(planned)) if planned else int(event["occurred"])


def retracted(event: Raw, known: list[Raw]) -> bool:
    """Say whether a standing retraction among the known events names this one."""
    for other in known:
        names_it = (
            other["kind"] == "fact.retracted"
            and other["payload"]["event_id"] == event["event_id"]
        )
        if names_it and not retracted(other, known):
            return True
    return False


def believed(events: list[Raw], known_at: int) -> list[Raw]:
    """Give one entity's believed history, the opening first; empty when none is believed."""
    known = [event for event in events if event["recorded"] <= known_at]
    facts = [
        event
        for event in known
        if event["kind"] != "fact.retracted" and not retracted(event, known)
    ]
    openings = [event for event in facts if event["kind"] in OPENINGS]
    if not openings:
        return []
    in_order = sorted(
        facts, key=lambda event: (effect_of(event), event["occurred"], event["position"])
    )
    if openings[0]["kind"] in BOOKS:
        return in_order
    opening = openings[0]
    for other in openings:
        if other["position"] < opening["position"]:
            opening = other
    return [opening, *(event for event in in_order if event is not opening)]
