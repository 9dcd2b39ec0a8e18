"""A month looked at as a whole, naively: each part counted by itself from raw events."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from oracle.beliefs import Raw, believed, effect_of, moment, of_stream
from oracle.case_library import cases_at
from oracle.feedback import feedback_in
from oracle.funnels import funnel_at
from oracle.improvements import stream_of_improvement
from oracle.reviews import reviews_at

__all__ = ["strategy_in"]

Span = tuple[int, int]
ALL_CASES = {
    **dict.fromkeys(
        (
            *("case", "words", "outcome", "process", "stage", "reason", "segment", "product"),
            *("competitor", "audience", "training"),
        )
    ),
    "withdrawn": False,
}


def strategy_in(
    events: list[Raw], periods: tuple[Span, Span], as_of: int, known_at: int
) -> dict[str, Any]:
    """Say what a strategy review of a span has to say."""
    span = periods[0]
    said = [feedback_in(events, its, as_of, known_at) for its in periods]
    cases = cases_at(events, ALL_CASES, as_of, known_at) or []
    today = moment(as_of).date().isoformat()
    return {
        "feedback": [its["total"] for its in said],
        "follow_up": [its["follow_up"] for its in said],
        "themes": said[0]["themes"],
        "funnel": funnel_at(events, min(span[1] - 1, as_of), known_at)["stages"],
        "cases": [
            (case["case"], case["lessons"])
            for case in cases
            if span[0] <= case["published"] < span[1]
        ],
        "market": _market(events, span, as_of, known_at),
        "improvements": _improvements(events, span, as_of, known_at),
        "actions": sorted(
            (action["due"], key, name, action["owner"], today > action["due"])
            for key, review in reviews_at(events, as_of, known_at).items()
            for name, action in review["actions"].items()
            if action["state"] == "open"
        ),
    }


def _market(
    events: list[Raw], span: Span, as_of: int, known_at: int
) -> dict[tuple[str, str, str], Decimal]:
    streams = {event["stream"] for event in events if event["kind"] == "figure.reported"}
    reports: dict[tuple[str, str, str], Decimal] = {}
    for stream in streams:
        history = believed(of_stream(events, stream), known_at)
        history.sort(key=lambda event: (event["occurred"], event["position"]))
        for event in (event for event in history if event["occurred"] <= as_of):
            fact = event["payload"]
            key = (fact["figure"], fact["first_day"], fact["last_day"])
            reports[key] = Decimal(fact["value"])
    first, last = moment(span[0]).date(), moment(span[1]).date() - timedelta(days=1)
    return {
        key: value
        for key, value in reports.items()
        if date.fromisoformat(key[2]) >= first and date.fromisoformat(key[1]) <= last
    }


def _improvements(events: list[Raw], span: Span, as_of: int, known_at: int) -> dict[str, str]:
    """Say which improvements ran, or were concluded, in a span."""
    keys = {e["payload"]["improvement"] for e in events if e["kind"] == "improvement.proposed"}
    found = {}
    for key in keys:
        history = believed(of_stream(events, stream_of_improvement(key)), known_at)
        if not history or history[0]["payload"]["improvement"] != key:
            continue
        state = _state(history, as_of)
        if state is None:
            continue
        began, ended = state
        ran = began is not None and began < span[1] and (ended is None or ended >= span[0])
        if ran or (ended is not None and span[0] <= ended < span[1]):
            found[key] = "running" if ended is None else "concluded"
    return found


def _state(history: list[Raw], as_of: int) -> tuple[int | None, int | None] | None:
    """Say when it first ran and when it was concluded; None before any of both."""
    if history[0]["occurred"] > as_of:
        return None
    began: int | None = None
    for event in sorted(history[1:], key=lambda each: effect_of(each)):
        if event["occurred"] < history[0]["occurred"] or effect_of(event) > as_of:
            continue
        if event["kind"] == "improvement.started":
            began = effect_of(event) if began is None else began
        elif event["kind"] == "improvement.concluded":
            return began, effect_of(event)
    return None if began is None else (began, None)
