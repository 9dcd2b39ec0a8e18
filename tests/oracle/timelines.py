"""A deal's timeline at one moment: its state asked for at every instant it may change at."""

from typing import Any

from oracle.beliefs import Raw, believed, effect_of, of_stream
from oracle.deals import State, deal_at

__all__ = ["FOR_EVER", "SHOWN", "timeline_at"]

FOR_EVER = 2**61
SHOWN = (
    "process", "process_version", "stage", "standing", "owner", "customer", "amount",
    "expected_close", "forecast_category", "probability",
)  # fmt: skip
"""What of a deal's state a span shows; a new one begins when any of it changes."""

Span = tuple[int, int | None, dict[str, Any]]
Line = tuple[int, str, int, int, int, bool]


def timeline_at(
    events: list[Raw], stream: str, as_of: int, known_at: int
) -> tuple[list[Span], list[Line]] | None:
    """Give spans (start, end, state) and facts (…, irregular); None where there is no deal.

    A fact is (position, kind, occurred, effect, recorded, whether it is irregular). It is
    shown once it has happened, also when its effect lies ahead.
    """
    history = believed(of_stream(events, stream), known_at)
    if not history or history[0]["occurred"] > as_of:
        return None
    spans: list[Span] = []
    for at in sorted({effect_of(event) for event in history}):
        if at > as_of:
            break
        state = _shown(deal_at(events, stream, at, known_at))
        if state is None or (spans and spans[-1][2] == state):
            continue
        if spans:
            spans[-1] = (spans[-1][0], at, spans[-1][2])
        spans.append((at, None, state))
    happened = [event for event in history if event["occurred"] <= as_of]
    irregular = _irregular(events, stream, as_of, known_at)
    lines = [
        (
            event["position"],
            event["kind"],
            event["occurred"],
            effect_of(event),
            event["recorded"],
            event["event_id"] in irregular,
        )
        for event in happened
    ]
    return spans, lines


def _shown(state: State | None) -> dict[str, Any] | None:
    return None if state is None else {name: state[name] for name in SHOWN}


def _irregular(events: list[Raw], stream: str, as_of: int, known_at: int) -> list[str]:
    """Replay all that had happened by the moment, planned effects included."""
    happened = [
        event
        for event in events
        if event["occurred"] <= as_of
        or event["kind"] in ("fact.retracted", "process.published")
    ]
    state = deal_at(happened, stream, FOR_EVER, known_at)
    return [] if state is None else list(state["irregular"])
