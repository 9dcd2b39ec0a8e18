"""Facts and events, and the believed history that they make.

A *fact* says what happened (`StageMoved`); an *event* is a fact with its envelope: when it
happened, when it became known, who said so, where it stands in the log. What is stored of a
class is its `kind` and `version`, never its Python path, so classes may be renamed freely; how
facts are written and read back is said in `catalogue.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final, Literal, NamedTuple, NoReturn
from uuid import UUID

from salesflow.domain.time import FOREVER, LATEST, Instant, Time, from_instant, to_instant
from salesflow.domain.values import Reason, SafeText, Value
from salesflow.domain.wording import shortened, unchangeable
from salesflow.errors import HistoryError, NotFoundError, RuleError

__all__ = [
    "Event",
    "Fact",
    "FactRetracted",
    "PlannedFact",
    "Precision",
    "UnreadableFact",
    "Upcast",
    "believed_history",
    "comes_after",
    "ensure_not_retracted",
    "ensure_readable",
    "ensure_retractable",
    "first_unreadable",
    "in_effect",
    "is_in_order",
    "order_key",
    "retracted_ids",
    "unreadable_message",
    "without_retracted",
]


Precision = Literal["microsecond", "day"]
Upcast = Callable[[dict[str, Any]], dict[str, Any]]
RETRACT: Final = (
    "retract what is wrong, by `s.retract(event_id, because=…)` in a session, and record what"
    " is right"
)


class Fact(Value):
    """Something that happened, named with the past participle of a business act.

    `kind` is the stored name and outlives renames; `name_zh` is what the glossary calls it.
    `upcasts` maps an old version to the function that lifts its raw dict to the next one.
    """

    kind: ClassVar[str]
    name_zh: ClassVar[str]
    version: ClassVar[int] = 1
    is_opening: ClassVar[bool] = False
    """Whether this fact opens its stream (DealOpened, CustomerRegistered …)."""
    is_entry: ClassVar[bool] = False
    """Whether it is an entry of a book (RatesPublished, FigureReported): each of them opens the
    stream as well as any other, so that one of an earlier time may be recorded later."""
    upcasts: ClassVar[Mapping[int, Upcast]] = {}
    retraction_error: ClassVar[str | None] = None
    """Why a fact of this kind cannot be retracted by itself; None when it can."""
    is_immediate: ClassVar[bool] = True
    """Whether it holds from when it happened and takes nothing back: nearly all facts."""

    changes_summary: ClassVar[bool] = False
    """Whether it may change what every read table of its thing shows: of a deal its stage,
    outcome, worth, owner or customer."""
    is_cached: ClassVar[bool] = False
    """Whether facts of this kind are kept once they were read, since many streams refer to
    them."""

    stored_as: ClassVar[str]
    """Kind and version, as in `deal.stage_moved:1`."""
    _instead: ClassVar[str] = f"make another one, or {RETRACT}"

    inferred: SafeText | None = None
    """How an importer deduced this fact from an end state; None for what was told."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        """Name what is stored of the class, once for all its facts."""
        cls.stored_as = f"{getattr(cls, 'kind', cls.__name__)}:{cls.version}"

    def to_json(self) -> bytes:
        """Return the bytes that are stored: UTF-8 JSON, fields without a value left out."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)

    def effective(self, occurred: Instant) -> Instant:
        """Return from when the fact holds; the same instant unless it was planned ahead."""
        return occurred

    @property
    def figures_seen(self) -> "tuple[datetime | None, datetime | None]":
        """The moment of the figures that it rests on, as of and known at; mostly of none."""
        return None, None


class PlannedFact(Fact):
    """A fact that may take effect later than it was decided."""

    is_immediate: ClassVar[bool] = False
    effective_from: Time | None = None

    def effective(self, occurred: Instant) -> Instant:
        """Return the later of the decision and the time it takes effect."""
        if self.effective_from is None:
            return occurred
        return max(occurred, to_instant(self.effective_from))


class FactRetracted(Fact):
    """An earlier fact of this stream was wrong; from now on it counts for nothing.

    Lives on the known axis only. The fact named may itself be a retraction.
    """

    kind: ClassVar[str] = "fact.retracted"
    name_zh: ClassVar[str] = "更正 / 撤销"
    is_immediate: ClassVar[bool] = False
    event_id: UUID
    because: Reason


class UnreadableFact(Fact):
    """Stands where a stored fact cannot be read; never recorded itself.

    From it on its stream says nothing (see `without_retracted`), until it is retracted by its
    id or can be read. `stored` is the kind and version it was stored as.
    """

    kind: ClassVar[str] = "fact.unreadable"
    name_zh: ClassVar[str] = "无法读取的事实"
    is_immediate: ClassVar[bool] = False
    stored: str
    reason: str


class Event(NamedTuple):
    """A fact with its envelope. `occurred` and `recorded` are microseconds since 1970 UTC."""

    fact: Fact
    stream_id: UUID
    version: int
    position: int
    occurred: Instant
    recorded: Instant
    event_id: UUID
    precision: Precision = "microsecond"
    actor: str | None = None
    command_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    source: str | None = None
    source_id: str | None = None

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Refuse to change.

        Raises:
            InputError: always.
        """
        raise unchangeable(self, name, "assigned", self._fields, RETRACT)

    def __delattr__(self, name: str) -> NoReturn:
        """Refuse to change.

        Raises:
            InputError: always.
        """
        raise unchangeable(self, name, "deleted", self._fields, RETRACT)

    @property
    def occurred_at(self) -> datetime:
        """When it happened in the world; `LATEST` while it waits and nobody knows the time."""
        return LATEST if self.occurred == FOREVER else from_instant(self.occurred)

    @property
    def recorded_at(self) -> datetime:
        """When the log learned of it."""
        return from_instant(self.recorded)

    @property
    def effective(self) -> Instant:
        """From when it holds: `occurred`, or later when it was planned ahead."""
        fact = self.fact
        return self.occurred if fact.is_immediate else fact.effective(self.occurred)

    @property
    def effective_at(self) -> datetime:
        """From when it holds; `LATEST` while it waits and nobody knows the time."""
        effective = self.effective
        return LATEST if effective == FOREVER else from_instant(effective)


# The believed history: what was known by some moment, less the retracted, in order.
#
# Aggregates, folds and audit replay all read an entity's past through `believed_history`, so
# they cannot disagree about it.


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
    """Return the first event that cannot be read and was not retracted by then; None mostly."""
    if False not in [event.fact.is_immediate for event in events]:
        return None
    wrong = [event for event in events if isinstance(event.fact, UnreadableFact)]
    if not wrong:
        return None
    out = retracted_ids([event for event in events if event.recorded <= known_at])
    standing = (e for e in wrong if e.recorded <= known_at and e.event_id not in out)
    return next(standing, None)


def ensure_readable(events: Sequence[Event], known_at: Instant = FOREVER) -> None:
    """Refuse a history of which a part cannot be read.

    Raises:
        HistoryError: with stream, version, position and id of the event, and the way out.
    """
    wrong = first_unreadable(events, known_at)
    if wrong is not None:
        raise HistoryError(unreadable_message(wrong))


def unreadable_message(event: Event) -> str:
    """Return which event cannot be read, why, and the way out."""
    assert isinstance(event.fact, UnreadableFact)
    return (
        f"{event.fact.stored} at stream {event.stream_id}, version {event.version}, position"
        f" {event.position} cannot be read: {event.fact.reason}. From there on this stream"
        f" counts for nothing, until that event is retracted (id {event.event_id}) or can be"
        " read"
    )


def retracted_ids(known: Iterable[Event]) -> set[UUID]:
    """Return the ids of the events that a standing retraction among these takes back."""
    out: set[UUID] = set()
    for event in sorted(known, key=lambda event: -event.position):
        if isinstance(event.fact, FactRetracted) and event.event_id not in out:
            out.add(event.fact.event_id)
    return out


def believed_history(events: Iterable[Event], known_at: Instant = FOREVER) -> list[Event]:
    """Return the believed history of one entity: the opening first, then in order of effect.

    The opening is the standing opening fact of the lowest position; of a book of entries the
    first of them in order of effect. Without one nothing is believed and the list is empty.
    Facts that happened before the opening stay in the list (behind it, in order); whether they
    count is for the domain to say.
    """
    known = [*events]
    if known_at < FOREVER:
        known = [event for event in known if event.recorded <= known_at]
    return known if is_in_order(known) else _believed(known)


def is_in_order(events: list[Event]) -> bool:
    """Return whether the log tells it in order: opened first, nothing late or taken back."""
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
    if openings[0].fact.is_entry:
        return sorted(facts, key=order_key)
    opening = min(openings, key=lambda event: event.position)
    rest = sorted((event for event in facts if event is not opening), key=order_key)
    return [opening, *rest]


def in_effect(history: list[Event], until: Instant) -> list[Event]:
    """Return what of a believed history holds by then: all of it, or what was not planned."""
    for event in (history[0], history[-1]) if history else ():
        if event.effective > until:
            return [event for event in history if event.effective <= until]
    return history


def comes_after(event: Event, last: Event) -> bool:
    """Return whether an event comes behind what was the last of a history."""
    if event.fact.is_immediate and last.fact.is_immediate and event.occurred > last.occurred:
        return True
    return order_key(event) > order_key(last)


def order_key(event: Event) -> tuple[Instant, Instant, int]:
    """Sort by effect, then occurrence, then position."""
    return (event.effective, event.occurred, event.position)


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
