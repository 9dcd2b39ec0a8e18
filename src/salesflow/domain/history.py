"""The believed history: what was known by some moment, less the retracted, in order.

Aggregates, folds and audit replay all read an entity's past through `believed_history`, so they
cannot disagree about it.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from salesflow.domain.event import Event, FactRetracted, UnreadableFact
from salesflow.domain.time import FOREVER, Instant
from salesflow.domain.wording import shortened
from salesflow.errors import HistoryError, NotFoundError, RuleError

__all__ = [
    "believed_history",
    "comes_after",
    "effective",
    "ensure_not_retracted",
    "ensure_readable",
    "ensure_retractable",
    "first_unreadable",
    "order_key",
    "retracted_ids",
    "unreadable_message",
    "without_retracted",
]


def without_retracted(events: Iterable[Event], known_at: Instant = FOREVER) -> list[Event]:
    """Keep the facts known by then that no standing retraction names; in log order.

    A retraction may itself be retracted; it names an earlier event, so reading them from the
    last to the first settles each before it is asked about. From a standing fact on that
    cannot be read, nothing is kept: what follows would be believed by mistake.
    """
    known = [event for event in events if event.recorded <= known_at]
    if False not in [event.fact.is_immediate for event in known]:
        return known
    out = retracted_ids(known)
    kept = [event for event in known if event.event_id not in out]
    for number, event in enumerate(kept):
        if isinstance(event.fact, UnreadableFact):
            return kept[:number]
    return kept


def first_unreadable(events: Sequence[Event], known_at: Instant = FOREVER) -> Event | None:
    """Give the first event that cannot be read and was not retracted by then; None mostly."""
    if False not in [event.fact.is_immediate for event in events]:
        return None
    wrong = [event for event in events if isinstance(event.fact, UnreadableFact)]
    if not wrong:
        return None
    out = retracted_ids([event for event in events if event.recorded <= known_at])
    stands = (e for e in wrong if e.recorded <= known_at and e.event_id not in out)
    return next(stands, None)


def ensure_readable(events: Sequence[Event], known_at: Instant = FOREVER) -> None:
    """Refuse a history of which a part cannot be read.

    Raises:
        HistoryError: with stream, version, position and id of the event, and the way out.
    """
    wrong = first_unreadable(events, known_at)
    if wrong is not None:
        raise HistoryError(unreadable_message(wrong))


def unreadable_message(event: Event) -> str:
    """Say which event cannot be read, why, and the way out."""
    assert isinstance(event.fact, UnreadableFact)
    return (
        f"{event.fact.stored} at stream {event.stream_id}, version {event.version}, position"
        f" {event.position} cannot be read: {event.fact.reason}. From there on this stream"
        f" counts for nothing, until that event is retracted (id {event.event_id}) or can be"
        " read"
    )


def retracted_ids(known: Iterable[Event]) -> set[UUID]:
    """Give the ids of the events that a standing retraction among these takes back."""
    out: set[UUID] = set()
    for event in sorted(known, key=lambda event: -event.position):
        if isinstance(event.fact, FactRetracted) and event.event_id not in out:
            out.add(event.fact.event_id)
    return out


def believed_history(events: Iterable[Event], known_at: Instant = FOREVER) -> list[Event]:
    """Give the believed history of one entity: the opening fact first, then in order of effect.

    The opening is the standing opening fact of the lowest position. Without one nothing is
    believed and the list is empty. Facts that happened before the opening stay in the list
    (behind it, in order); whether they count is for the domain to say.
    """
    known = [*events]
    if known_at < FOREVER:
        known = [event for event in known if event.recorded <= known_at]
    return known if _as_lived(known) else _believed(known)


def _as_lived(events: list[Event]) -> bool:
    """Say whether the log tells it in order: opened first, nothing late or taken back."""
    if not events or not events[0].fact.is_opening:
        return False
    occurred = position = -FOREVER
    for event in events:
        if (
            event.occurred < occurred
            or event.position < position
            or not event.fact.is_immediate
        ):
            return False
        occurred, position = event.occurred, event.position
    return True


def _believed(events: list[Event]) -> list[Event]:
    facts = [e for e in without_retracted(events) if not isinstance(e.fact, FactRetracted)]
    openings = [event for event in facts if event.fact.is_opening]
    if not openings:
        return []
    opening = min(openings, key=lambda event: event.position)
    rest = sorted((event for event in facts if event is not opening), key=order_key)
    return [opening, *rest]


def effective(history: list[Event], until: Instant) -> list[Event]:
    """Return what of a believed history holds by then: all of it, or what was not planned."""
    for event in (history[0], history[-1]) if history else ():
        if (event.occurred if event.fact.is_immediate else event.effect) > until:
            return [event for event in history if event.effect <= until]
    return history


def comes_after(event: Event, last: Event) -> bool:
    """Say whether an event comes behind what was the last of a history."""
    if event.fact.is_immediate and last.fact.is_immediate and event.occurred > last.occurred:
        return True
    return order_key(event) > order_key(last)


def order_key(event: Event) -> tuple[Instant, Instant, int]:
    """Sort by effect, then occurrence, then position."""
    return (event.effect, event.occurred, event.position)


def ensure_not_retracted(event_id: UUID, stream: Iterable[Event]) -> None:
    """Refuse to retract what a standing retraction takes back already.

    Raises:
        RuleError: naming that retraction, and the way out.
    """
    known = list(stream)
    out = retracted_ids(known)
    if event_id not in out:
        return
    for event in reversed(known):
        fact = event.fact
        if event.event_id in out or not isinstance(fact, FactRetracted):
            continue
        if fact.event_id == event_id:
            by = f" by {event.actor}" if event.actor else ""
            raise RuleError(
                f"event {event_id} is retracted already{by}, at position {event.position:,}"
                f" ({shortened(fact.because)}); if it was right after all, retract that"
                f" retraction: {event.event_id}"
            )


def ensure_retractable(event_id: UUID, stream: Sequence[Event]) -> None:
    """Refuse to retract an event of a stream where that cannot be; see `Fact.retraction_error`.

    A retraction is followed to the fact it is about, however many retractions between.

    Raises:
        NotFoundError: when the stream has no such event.
        RuleError: when the fact cannot be retracted by itself.
    """
    for event in reversed(stream):
        if event.event_id != event_id:
            continue
        if isinstance(event.fact, FactRetracted):
            event_id = event.fact.event_id
        elif event.fact.retraction_error is None:
            return
        else:
            raise RuleError(f"{event.fact.kind} {event_id}: {event.fact.retraction_error}")
    raise NotFoundError(f"there is no event {event_id} in that stream to retract")
