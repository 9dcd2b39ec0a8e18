"""The believed history, and the state that follows from it.

The history is what was known by some moment, less the retracted, in order. Aggregates, folds
and audit replay all read an entity's past through `believed_history` and evolve the one
`State` of its kind, so they cannot disagree about either.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from inspect import get_annotations
from types import FunctionType, MappingProxyType
from typing import Any, ClassVar, Final, NoReturn, Self, TypeVar, get_origin
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.arguments import guarded, internal
from salesflow.domain.event import Event, Fact, FactRetracted, UnreadableFact
from salesflow.domain.time import FOREVER, Instant
from salesflow.domain.wording import shortened
from salesflow.errors import HistoryError, InputError, NotFoundError, RuleError

__all__ = [
    "EMPTY",
    "EMPTY_CONTEXT",
    "ReadOnlyDict",
    "ReplayContext",
    "State",
    "appended",
    "believed_history",
    "comes_after",
    "ensure_not_retracted",
    "ensure_readable",
    "ensure_retractable",
    "first_unreadable",
    "in_effect",
    "order_key",
    "retracted_ids",
    "unreadable_message",
    "values_of",
    "with_item",
    "with_member",
    "without",
    "without_member",
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

    The opening is the standing opening fact of the lowest position. Without one nothing is
    believed and the list is empty. Facts that happened before the opening stay in the list
    (behind it, in order); whether they count is for the domain to say.
    """
    known = [*events]
    if known_at < FOREVER:
        known = [event for event in known if event.recorded <= known_at]
    return known if _is_in_order(known) else _believed(known)


def _is_in_order(events: list[Event]) -> bool:
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
    opening = min(openings, key=lambda event: event.position)
    rest = sorted((event for event in facts if event is not opening), key=order_key)
    return [opening, *rest]


def in_effect(history: list[Event], until: Instant) -> list[Event]:
    """Return what of a believed history holds by then: all of it, or what was not planned."""
    for event in (history[0], history[-1]) if history else ():
        if event.effect > until:
            return [event for event in history if event.effect <= until]
    return history


def comes_after(event: Event, last: Event) -> bool:
    """Return whether an event comes behind what was the last of a history."""
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


# State: what follows from a believed history, one event after the other.
#
# One class for each kind of thing says what its facts change. Aggregates, read tables,
# timelines and cases all evolve that one, so they cannot disagree about it.

KeyT = TypeVar("KeyT")
ItemT = TypeVar("ItemT")

EMPTY: Final[Mapping[Any, Any]] = MappingProxyType({})


class ReplayContext:
    """What may be read beside a history: handed in by the session, or by whoever replays it.

    `processes` are the published process versions by (key, version); `timezone` is the
    tenant's business time zone (or a callable that finds it when it is needed; None before a
    session has said it); `now` is when the session began and `clock` says how late it is by
    then (without one, times ahead of `now` are left for the log to judge). `end` says when the
    log was last written, which another clock may have put ahead of this one.
    """

    __slots__ = ("_clock", "_end", "_timezone", "now", "processes")

    def __init__(
        self,
        processes: Mapping[tuple[str, int], Any] | None = None,
        timezone: ZoneInfo | Callable[[], ZoneInfo] | None = None,
        now: Instant = FOREVER,
        clock: Callable[[], Instant] | None = None,
        end: Callable[[], Instant] | None = None,
    ) -> None:
        self.processes = {} if processes is None else processes
        self.now = now
        self._timezone = timezone
        self._clock = clock
        self._end = end

    @property
    def latest(self) -> Instant:
        """The latest time a command may name; later than everything where nobody knows it."""
        return FOREVER if self._clock is None else max(self.now, self._clock())

    def latest_known(self, wanted: Instant) -> Instant:
        """Return the last time a command may name: the log's last where the clock is behind."""
        latest = self.latest
        return latest if wanted <= latest or self._end is None else max(latest, self._end())

    @property
    def knows_days(self) -> bool:
        """Whether the business time zone is known, in which days are cut."""
        return self._timezone is not None

    @property
    def timezone(self) -> ZoneInfo:
        """The business time zone.

        Raises:
            InputError: before a session has said it.
        """
        if self._timezone is None:
            raise InputError(
                "a day is cut in the business time zone, which the session knows: add it to"
                " the session first, or name an aware time"
            )
        if not isinstance(self._timezone, ZoneInfo):
            self._timezone = self._timezone()
        return self._timezone


EMPTY_CONTEXT: Final = ReplayContext()


class State:
    """What is so by now; every value is as its class says until a fact changes it.

    A new state costs nothing: lists, dicts and sets are made when something is put into them.
    They are a state's own, and a copy of it has others. What an aggregate shows of them cannot
    be changed.
    """

    openings: ClassVar[tuple[type[Fact], ...]] = (Fact,)
    """The facts that open such a thing; all, where none but its own are among its history."""
    _context: ReplayContext
    _opening: Event | None
    """The first of the believed history; the first one taken in where it is left out."""

    def __init_subclass__(cls) -> None:
        """Let its methods name an argument that is wrong, as those of aggregates do."""
        if "evolve" in vars(cls):
            internal(cls.evolve)
        guarded(cls)

    def __init__(
        self, context: ReplayContext = EMPTY_CONTEXT, opening: Event | None = None
    ) -> None:
        self._context = context
        is_ours = opening is not None and isinstance(opening.fact, self.openings)
        self._opening = opening if is_ours else None

    def __copy__(self) -> Self:
        """Return a state that keeps what this one holds now."""
        other = object.__new__(type(self))
        for name, value in vars(self).items():
            vars(other)[name] = value.copy() if type(value) in OWN else value
        return other

    def evolve(self, event: Event) -> str | None:
        """Take in the next believed event; return why it is irregular, None when it counts.

        An irregular fact is one that later knowledge left without what it builds on, such as
        a refund on a deal whose win was retracted. It changes nothing.
        """
        raise NotImplementedError


OWN: Final = frozenset({list, dict, set})
"""What grows in place, within one state."""


class ReadOnlyDict(dict[KeyT, ItemT]):
    """Items as an aggregate shows them."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise InputError(
            "what is read of an aggregate cannot be changed, nothing of it would be recorded;"
            " give one of its commands"
        )

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[dict[KeyT, ItemT]], tuple[dict[KeyT, ItemT]]]:
        """Be copied and pickled as a dict."""
        return dict, (dict(self),)


def values_of(cls: type) -> set[str]:
    """Return the names of the values that a class itself declares, properties among them."""
    kinds: dict[str, object] = get_annotations(cls)
    of_class = {name for name, kind in kinds.items() if get_origin(kind) == ClassVar}
    plain = {
        name
        for name, value in vars(cls).items()
        if name[:2] != "__" and not isinstance(value, FunctionType | classmethod | staticmethod)
    }
    return (kinds.keys() | plain) - of_class


def appended(items: Sequence[ItemT], item: ItemT) -> Sequence[ItemT]:
    """Return a state's items with one more behind them."""
    if type(items) is not list:
        return [*items, item]
    items.append(item)
    return items


def with_item(items: Mapping[KeyT, ItemT], key: KeyT, item: ItemT) -> Mapping[KeyT, ItemT]:
    """Return a state's items with one more, or with another one under its key."""
    if type(items) is not dict:
        return {**items, key: item}
    items[key] = item
    return items


def without(items: Mapping[KeyT, ItemT], key: KeyT) -> Mapping[KeyT, ItemT]:
    """Return a state's items without one; all of them where it is not among them."""
    if type(items) is dict:
        items.pop(key, None)
    return items


def with_member(items: Set[KeyT], item: KeyT) -> Set[KeyT]:
    """Return a state's set with one more in it."""
    if type(items) is not set:
        return {*items, item}
    items.add(item)
    return items


def without_member(items: Set[KeyT], item: KeyT) -> Set[KeyT]:
    """Return a state's set without one."""
    if type(items) is set:
        items.discard(item)
    return items
