"""A review at a moment, by replaying its stream and writing down what was found and agreed."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from oracle.beliefs import Raw, believed, effect_of, instant, of_stream
from oracle.deals import deals_of
from oracle.groups import groups_of
from oracle.sales import closing_at

__all__ = ["closings_changed", "review_at", "reviews_at", "stream_of"]

REVIEWS = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a31")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ENDS = {
    "review.action_completed": ("done", "result"),
    "review.action_dropped": ("dropped", "because"),
    "review.action_carried_over": ("carried_over", "because"),
}
Closed = tuple[Any, ...]


def stream_of(key: str) -> str:
    """Name the stream of a review; keys here are plain ASCII."""
    return str(uuid5(REVIEWS, key))


def review_at(events: list[Raw], key: str, as_of: int, known_at: int) -> dict[str, Any] | None:
    """Say all that is believed of a review; None where there is none."""
    found = _replayed(events, key, as_of, known_at)
    if found is None:
        return None
    before = found["follows"] and _replayed(events, found["follows"], as_of, known_at)
    return {
        **found,
        "actions": _said(found["actions"], key, as_of),
        "actions_open": len([a for a in found["actions"].values() if a["state"] == "open"]),
        "actions_before": _before(found, before, as_of) if before else [],
        "followed_by": sorted(
            other
            for other, review in reviews_at(events, as_of, known_at).items()
            if review["follows"] == key
        ),
    }


def reviews_at(events: list[Raw], as_of: int, known_at: int) -> dict[str, dict[str, Any]]:
    """Give every review that is believed to have been opened, by its key."""
    opened = {e["payload"]["review"] for e in events if e["kind"] == "review.opened"}
    found = {key: _replayed(events, key, as_of, known_at) for key in sorted(opened)}
    return {key: review for key, review in found.items() if review is not None}


def _replayed(events: list[Raw], key: str, as_of: int, known_at: int) -> dict[str, Any] | None:
    history = believed(of_stream(events, stream_of(key)), known_at)
    if not history or history[0]["payload"]["review"] != key:
        return None
    opening = history[0]
    if opening["occurred"] > as_of:
        return None
    fact = opening["payload"]
    review: dict[str, Any] = {
        "from": fact["from_"],
        "to": fact["to"],
        "owner": fact.get("owner"),
        "team": fact.get("team"),
        "process": fact.get("process"),
        "follows": fact.get("follows"),
        "opened": opening["occurred"],
        "closed": None,
        "fixed": _fixed(opening, as_of, known_at),
        "findings": [],
        "actions": {
            each["action"]: _agreed(each, each["agreed_in"], opening)
            for each in fact.get("carried", [])
        },
    }
    for event in history[1:]:
        if opening["occurred"] <= event["occurred"] <= as_of:
            _apply(event, review, key)
    return review


def _fixed(opening: Raw, as_of: int, known_at: int) -> tuple[int, int]:
    """Say at which moment the figures are fixed: never later than when it was told."""
    fact, told = opening["payload"], opening["recorded"]
    happened = instant(fact["as_of"]) if fact.get("as_of") else opening["occurred"]
    known = instant(fact["known_at"]) if fact.get("known_at") else told
    return min(happened, told, as_of), min(known, told, known_at)


def _apply(event: Raw, review: dict[str, Any], key: str) -> None:
    kind, fact, actions = event["kind"], event["payload"], review["actions"]
    if kind == "review.finding_recorded":
        said = (event["position"], event["occurred"], fact.get("figure"), fact.get("deal"))
        review["findings"].append((*said, fact["text"]))
    elif kind == "review.action_agreed" and fact["action"] not in actions:
        actions[fact["action"]] = _agreed(fact, key, event)
    elif kind in ENDS:
        action = actions.get(fact["action"])
        if action is not None and action["state"] == "open":
            state, why = ENDS[kind]
            action |= {"state": state, "ended": event["occurred"], "outcome": fact.get(why)}
            action["due"] = fact.get("due") or action["due"]
    elif kind == "review.closed" and review["closed"] is None:
        review["closed"] = event["occurred"]


def _agreed(fact: dict[str, Any], where: str, event: Raw) -> dict[str, Any]:
    return {
        **{name: fact[name] for name in ("action", "text", "owner", "due")},
        "agreed_in": where,
        "agreed": effect_of(event),
        "state": "open",
        "ended": None,
        "outcome": None,
    }


def _said(actions: dict[str, Any], review: str, as_of: int) -> list[tuple[Any, ...]]:
    return sorted((_line(each, review, as_of) for each in actions.values()), key=_due)


def _due(line: tuple[Any, ...]) -> tuple[Any, ...]:
    return line[4], line[1]


def _line(action: dict[str, Any], review: str, as_of: int) -> tuple[Any, ...]:
    until = action["ended"] if action["state"] == "done" else as_of
    day = (EPOCH + timedelta(microseconds=until)).date().isoformat()
    late = action["state"] in ("open", "done") and day > action["due"]
    return (
        *(review, action["action"], action["text"], action["owner"], action["due"]),
        *(action["state"], late, action["agreed_in"], action["agreed"], action["ended"]),
        action["outcome"],
    )


def _before(here: dict[str, Any], before: dict[str, Any], as_of: int) -> list[tuple[Any, ...]]:
    """Say what has become of the actions of the review before; those taken over, here."""
    lines = []
    for key, action in before["actions"].items():
        taken = here["actions"].get(key) if action["state"] == "carried_over" else None
        line = _line(taken or action, here["follows"], as_of)
        lines.append((_due(_line(action, here["follows"], as_of)), line))
    return [line for _, line in sorted(lines)]


def closings_changed(
    events: list[Raw],
    span: tuple[int, int],
    fixed: tuple[int, int],
    known_at: int,
    only: dict[str, str | None],
) -> dict[str, tuple[Closed, Closed]]:
    """Say which deals closed otherwise in a span than was known when figures were fixed."""
    found = {}
    for stream in deals_of(events):
        then = _closed(events, stream, span, fixed, only)
        now = _closed(events, stream, span, (fixed[0], known_at), only)
        if then != now:
            found[stream] = (then, now)
    return found


def _closed(
    events: list[Raw],
    stream: str,
    span: tuple[int, int],
    moment: tuple[int, int],
    only: dict[str, str | None],
) -> Closed:
    closing = closing_at(events, stream, *moment)
    nothing = (None, None, None, None)
    if closing is None or closing["outcome"] not in ("won", "lost", "disqualified"):
        return nothing
    at = closing["closed"][0]
    if not span[0] <= at < span[1]:
        return nothing
    if only["process"] not in (None, closing["process"]):
        return nothing
    if only["owner"] not in (None, closing["owner"]):
        return nothing
    if only["team"] is not None:
        whose = {"rep": closing["owner"], "at": at}
        if groups_of(events, "team", *moment)(whose) != only["team"]:
            return nothing
    amount, currency = closing["amount"] or (None, None)
    return closing["outcome"], at, amount, currency
