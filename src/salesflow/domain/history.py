"""The believed history: what was known by some moment, less the retracted, in order.

Aggregates, folds and audit replay all read an entity's past through `believed`, so they
cannot disagree about it.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from salesflow.domain.facts import Event, FactRetracted, UnreadableFact
from salesflow.domain.moments import FOREVER, Instant
from salesflow.domain.wording import shortened
from salesflow.errors import HistoryError, NotFoundError, RuleError

__all__ = [
    "believed",
    "follows",
    "order",
    "refuse_repeated",
    "refuse_retraction",
    "refuse_unreadable",
    "retracted",
    "said_of_unreadable",
    "standing",
    "unreadable",
]


def standing(events: Iterable[Event], known_at: Instant = FOREVER) -> list[Event]:
    """Keep the facts known by then that no standing retraction names; in log order.

    A retraction may itself be retracted; it names an earlier event, so reading them from the
    last to the first settles each before it is asked about. From a standing fact on that
    cannot be read, nothing is kept: what follows would be believed on wrong grounds.
    """
    known = [event for event in events if event.recorded <= known_at]
    if False not in [event.fact.plain for event in known]:
        return known
    out = retracted(known)
    kept = [event for event in known if event.event_id not in out]
    for number, event in enumerate(kept):
        if isinstance(event.fact, UnreadableFact):
            return kept[:number]
    return kept


def unreadable(events: Sequence[Event], known_at: Instant = FOREVER) -> Event | None:
    """Give the first event that cannot be read and was not retracted by then; None mostly."""
    if False not in [event.fact.plain for event in events]:
        return None
    wrong = [event for event in events if isinstance(event.fact, UnreadableFact)]
    if not wrong:
        return None
    out = retracted([event for event in events if event.recorded <= known_at])
    stands = (e for e in wrong if e.recorded <= known_at and e.event_id not in out)
    return next(stands, None)


def refuse_unreadable(events: Sequence[Event], known_at: Instant = FOREVER) -> None:
    """Refuse a history of which a part cannot be read.

    Raises:
        HistoryError: with stream, version, position and id of the event, and the way out.
    """
    wrong = unreadable(events, known_at)
    if wrong is not None:
        raise HistoryError(said_of_unreadable(wrong))


def said_of_unreadable(event: Event) -> str:
    """Say which event cannot be read, why, and the way out."""
    assert isinstance(event.fact, UnreadableFact)
    return (
        f"{event.fact.stored} at stream {event.stream_id}, version {event.version}, position"
        f" {event.position} cannot be read: {event.fact.reason}. From there on this stream"
        f" counts for nothing, until that event is retracted (id {event.event_id}) or can be"
        " read"
    )


def retracted(known: Iterable[Event]) -> set[UUID]:
    """Give the ids of the events that a standing retraction among these takes back."""
    out: set[UUID] = set()
    for event in sorted(known, key=lambda event: -event.position):
        if isinstance(event.fact, FactRetracted) and event.event_id not in out:
            out.add(event.fact.event_id)
    return out


def believed(events: Iterable[Event], known_at: Instant = FOREVER) -> list[Event]:
    """Give the believed history of one entity: the opening fact first, then in order of effect.

    The opening is the standing opening fact of the lowest position. Without one nothing is
    believed and the list is empty. Facts that happened before the opening stay in the list
    (behind it, in order); whether they have ground is for the domain to say.
    """
    known = [*events]
    if known_at < FOREVER:
        known = [event for event in known if event.recorded <= known_at]
    return known if _as_lived(known) else _believed(known)


def _as_lived(events: list[Event]) -> bool:
    """Say whether the log tells it in order: opened first, nothing late or taken back."""
    if not events or not events[0].fact.opens:
        return False
    occurred = position = -FOREVER
    for event in events:
        if event.occurred < occurred or event.position < position or not event.fact.plain:
            return False
        occurred, position = event.occurred, event.position
    return True


def _believed(events: list[Event]) -> list[Event]:
    facts = [e for e in standing(events) if not isinstance(e.fact, FactRetracted)]
    openings = [event for event in facts if event.fact.opens]
    if not openings:
        return []
    opening = min(openings, key=lambda event: event.position)
    rest = sorted((event for event in facts if event is not opening), key=order)
    return [opening, *rest]


def follows(event: Event, last: Event) -> bool:
    """Say whether an event comes behind what was the last of a history."""
    if event.fact.plain and last.fact.plain and event.occurred > last.occurred:
        return True
    return order(event) > order(last)


def order(event: Event) -> tuple[Instant, Instant, int]:
    """Sort by effect, then occurrence, then position."""
    return (event.effect, event.occurred, event.position)


def refuse_repeated(event_id: UUID, stream: Iterable[Event]) -> None:
    """Refuse to retract what a standing retraction takes back already.

    Raises:
        RuleError: naming that retraction, and the way out.
    """
    known = list(stream)
    out = retracted(known)
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


def refuse_retraction(event_id: UUID, stream: Sequence[Event]) -> None:
    """Refuse to retract an event of a stream where that cannot be; see `Fact.stands_because`.

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
        elif event.fact.stands_because is None:
            return
        else:
            raise RuleError(f"{event.fact.kind} {event_id}: {event.fact.stands_because}")
    raise NotFoundError(f"there is no event {event_id} in that stream to retract")
