"""A deal's timeline at one moment: its state asked for at every instant it may change at."""

from typing import Any

from oracle.beliefs import Raw, believed, effect_of, of_stream
from oracle.deals import deal_at, replay

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
    spans = _spans(events, stream, as_of, known_at)
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


def _spans(events: list[Raw], stream: str, as_of: int, known_at: int) -> list[Span]:
    """Let a span begin wherever a fact changed the state, also when another changed it back."""
    changes, before = set(), None
    for event, state in replay(events, stream, known_at):
        shown = {name: state[name] for name in SHOWN}
        if shown != before:
            changes.add(effect_of(event))
        before = shown
    starts = sorted(at for at in changes if at <= as_of)
    spans: list[Span] = []
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        state_then = deal_at(events, stream, start, known_at)
        assert state_then is not None
        spans.append((start, end, {name: state_then[name] for name in SHOWN}))
    return spans


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
