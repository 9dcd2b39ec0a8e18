"""The state of a thing: what follows from its believed history, one event after the other.

One class for each kind of thing says what its facts change. Aggregates, read tables, timelines
and cases all evolve that one, so they cannot disagree about it. A stream that was loaded keeps
the state that follows from it for all who load it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from inspect import get_annotations
from operator import attrgetter
from types import FunctionType, MappingProxyType
from typing import (
    Any,
    ClassVar,
    Final,
    NamedTuple,
    NoReturn,
    Protocol,
    Self,
    TypeVar,
    get_args,
    get_origin,
)
from zoneinfo import ZoneInfo

from salesflow.domain.arguments import guarded, internal
from salesflow.domain.event import (
    Event,
    UnreadableFact,
    believed_history,
    comes_after,
    is_in_order,
)
from salesflow.domain.time import FOREVER, Instant
from salesflow.errors import InputError

__all__ = [
    "EMPTY",
    "EMPTY_CONTEXT",
    "KeptStream",
    "KeptStreams",
    "LoadedStream",
    "OpenedState",
    "ReadOnlyDict",
    "ReplayContext",
    "State",
    "appended",
    "shown_of",
    "values_of",
    "with_item",
    "with_member",
    "without",
    "without_member",
]


KeyT = TypeVar("KeyT")
ItemT = TypeVar("ItemT")

EMPTY: Final[Mapping[Any, Any]] = MappingProxyType({})


@dataclass(slots=True, eq=False)
class ReplayContext:
    """What may be read beside a history: handed in by the session, or by whoever replays it.

    `processes` are the published process versions by (key, version); `zone` is the
    tenant's business time zone (or a callable that finds it when it is needed; None before a
    session has said it); `now` is when the session began and `clock` says how late it is by
    then (without one, times ahead of `now` are left for the log to judge). `end` says when the
    log was last written, which another clock may have put ahead of this one.
    """

    processes: Mapping[tuple[str, int], Any] = field(default_factory=dict)
    zone: ZoneInfo | Callable[[], ZoneInfo] | None = None
    now: Instant = FOREVER
    clock: Callable[[], Instant] | None = None
    end: Callable[[], Instant] | None = None

    @property
    def latest(self) -> Instant:
        """The latest time a command may name; later than everything where nobody knows it."""
        return FOREVER if self.clock is None else max(self.now, self.clock())

    def latest_known(self, wanted: Instant) -> Instant:
        """Return the last time a command may name: the log's last where the clock is behind."""
        latest = self.latest
        return latest if wanted <= latest or self.end is None else max(latest, self.end())

    @property
    def knows_days(self) -> bool:
        """Whether the business time zone is known, in which days are cut."""
        return self.zone is not None

    @property
    def timezone(self) -> ZoneInfo:
        """The business time zone.

        Raises:
            InputError: before a session has said it.
        """
        if self.zone is None:
            raise InputError(
                "a day is cut in the business time zone, which the session knows: add it to"
                " the session first, or name an aware time"
            )
        if not isinstance(self.zone, ZoneInfo):
            self.zone = self.zone()
        return self.zone


EMPTY_CONTEXT: Final = ReplayContext()


class State:
    """What is so by now; every value is as its class says until a fact changes it.

    A new state costs nothing: lists, dicts and sets are made when something is put into them.
    They are a state's own, and a copy of it has others. What an aggregate shows of them cannot
    be changed.
    """

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
        self._opening = opening

    @internal
    def belong_to(self, context: ReplayContext) -> None:
        """Read from another context what is read beside the history."""
        self._context = context

    def __copy__(self) -> Self:
        """Return a state that keeps what this one holds now."""
        return self.copied_for(self._context)

    @internal
    def copied_for(self, context: ReplayContext) -> Self:
        """Return a state that keeps what this one holds now, and reads from a context."""
        other = object.__new__(type(self))
        own = vars(other)
        for name, value in vars(self).items():
            own[name] = value.copy() if type(value) in OWN else value
        own["_context"] = context
        return other

    @internal
    def holds_the_same(self, other: object) -> bool:
        """Return whether both hold the same, whatever they read beside the history."""
        if type(self) is not type(other):
            return False
        return vars(self) | {"_context": None} == vars(other) | {"_context": None}

    def evolve(self, event: Event) -> str | None:
        """Take in the next believed event; return why it is irregular, None when it counts.

        An irregular fact is one that later knowledge left without what it builds on, such as
        a refund on a deal whose win was retracted. It changes nothing.
        """
        raise NotImplementedError


class OpenedState(State):
    """The state of a thing that its first fact opens, with the facts that count for nothing."""

    irregular: Sequence[tuple[Event, str]] = ()
    """Facts that later knowledge left without what they build on, each with the reason; they
    count for nothing."""

    def evolve(self, event: Event) -> str | None:
        """Take in the next believed fact; return why it is irregular, None when it counts."""
        if self._opening is None:
            self._opening = event
        irregular = self._change(event, self._opening)
        if irregular is not None:
            self.irregular = appended(self.irregular, (event, irregular))
        return irregular

    def _change(self, event: Event, opening: Event) -> str | None:
        """Change by the next believed fact; return why it is irregular, None when it counts."""
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


VIEWS: Final[Mapping[type, Callable[[Any], object]]] = {
    list: tuple,
    set: frozenset,
    dict: ReadOnlyDict,
    MappingProxyType: ReadOnlyDict,
}
"""What grows in a state is shown as something that cannot be changed."""


def _is_collection(kind: object) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Collection)


def shown_of(base: type[State], name: str) -> property:
    """Let a value of the state be read on the aggregate; what is shown cannot be changed."""
    read = attrgetter(f"_state.{name}")
    doc = getattr(vars(base).get(name), "__doc__", None)
    kind = get_annotations(base).get(name)
    if kind is not None and not any(map(_is_collection, (kind, *get_args(kind)))):
        return property(read, doc=doc)

    def shown(aggregate: object) -> object:
        value = read(aggregate)
        view = VIEWS.get(type(value))
        return value if view is None else view(value)

    return property(shown, doc=doc)


def appended(items: Sequence[ItemT], item: ItemT) -> Sequence[ItemT]:
    """Append to a state's list: in place, or to a new one where the state has none yet."""
    if type(items) is not list:
        return [*items, item]
    items.append(item)
    return items


def with_item(items: Mapping[KeyT, ItemT], key: KeyT, item: ItemT) -> Mapping[KeyT, ItemT]:
    """Put an item into a state's dict: in place, or into a new one where it has none yet."""
    if type(items) is not dict:
        return {**items, key: item}
    items[key] = item
    return items


def without(items: Mapping[KeyT, ItemT], key: KeyT) -> Mapping[KeyT, ItemT]:
    """Drop an item from a state's dict, in place; all stay where it is not among them."""
    if type(items) is dict:
        items.pop(key, None)
    return items


def with_member(items: Set[KeyT], item: KeyT) -> Set[KeyT]:
    """Add to a state's set: in place, or to a new one where it has none yet."""
    if type(items) is not set:
        return {*items, item}
    items.add(item)
    return items


def without_member(items: Set[KeyT], item: KeyT) -> Set[KeyT]:
    """Drop an item from a state's set, in place."""
    if type(items) is set:
        items.discard(item)
    return items


# Streams as they were loaded, and the state that follows, for all who load them while kept.
#
# Commands on one thing come close to one another. What was recorded of it never changes, so its
# history is put in order once, its state is computed once, and each new event is added to both.
# Nothing that waits to be appended is ever in here. Whoever reads rows again does so from the
# last one on, which is one row while nothing is new; an append checks versions all the same.


class Kind(Protocol):
    """A class of aggregates, as far as it says what becomes of a state."""

    @property
    def state_class(self) -> type[State]:
        """What its facts change."""

    def evolve_all(self, state: State, events: Iterable[Event]) -> None:
        """Let a state take in events, those that this kind of thing knows."""


class LoadedStream:
    """The events of a stream, in the order of the log, and what is believed by them.

    It is shared: none of what it holds is ever changed.
    """

    __slots__ = ("_kept", "events", "history", "is_immediate", "is_readable")

    def __init__(self, events: list[Event], before: "LoadedStream | None" = None) -> None:
        """Take in all events; where one is given `before`, they go on with its history."""
        self.events: Final = events
        if before is None:
            ordered = is_in_order(events)
            history = events if ordered else believed_history(events)
            immediate = ordered or all(event.fact.is_immediate for event in events)
            kinds = () if immediate else {type(event.fact) for event in events}
            readable, kept = UnreadableFact not in kinds, None
        else:
            history = [*before.history, *events[len(before.events) :]]
            immediate, readable = before.is_immediate, before.is_readable
            kept = before._kept
        self.history: Final[list[Event]] = history
        """The believed history; the very events where the log tells them in order."""
        self.is_immediate: Final[bool] = immediate
        """Whether nothing in it is planned or taken back."""
        self.is_readable: Final[bool] = readable
        self._kept: KeptState | None = kept

    def followed_by(self, new: Sequence[Event]) -> "LoadedStream":
        """Return it with the events that were recorded since."""
        return LoadedStream([*self.events, *new], self if self._goes_on(new) else None)

    def _goes_on(self, new: Sequence[Event]) -> bool:
        """Return whether what is new comes behind all that is believed, and changes nothing."""
        if not self.history:
            return False
        last = self.history[-1]
        for event in new:
            if not (event.fact.is_immediate and comes_after(event, last)):
                return False
            last = event
        return True

    def state_at_begin(
        self, history: Sequence[Event], kind: Kind, context: ReplayContext
    ) -> State | None:
        """Return the state after all it believes, for one aggregate to change.

        None where that does not stand unchanged at the begin of a longer history, which has to
        be one of its events and later ones, none of which takes any back.
        """
        own, kept = self.history, self._kept
        if not 0 < len(own) <= len(history) or history[len(own) - 1] is not own[-1]:
            return None
        if kept is not None and not kept.holds(kind, context):
            kept = None
        if kept is None or kept.reached < len(own):
            kept = self._evolved(kept, kind, context)
        return kept.state.copied_for(context)

    def _evolved(
        self, kept: "KeptState | None", kind: Kind, context: ReplayContext
    ) -> "KeptState":
        """Return a state brought up to the end; kept unless it follows from what may change."""
        asked, history = _Asked(context), self.history
        if kept is None:
            state = kind.state_class(asked.context, history[0])
            kept = KeptState(kind, state, 0, None)
        else:
            state = kept.state.copied_for(asked.context)
        kind.evolve_all(state, history[kept.reached :])
        state.belong_to(EMPTY_CONTEXT)
        zone = asked.zone or kept.zone
        evolved = kept._replace(state=state, reached=len(history), zone=zone)
        if not asked.missed:
            self._kept = evolved
        return evolved


class KeptState(NamedTuple):
    """The state after so many events of a history."""

    kind: Kind
    state: State
    reached: int
    zone: ZoneInfo | None
    """The business time zone that it follows from; None when it is the same in every one."""

    def holds(self, kind: Kind, context: ReplayContext) -> bool:
        """Return whether it is what another context gives too."""
        return self.kind is kind and (self.zone is None or self.zone == context.timezone)


EVENTS_MAX: Final = 20_000
"""So many events are kept, of all streams together; when there are more, three quarters are."""


class KeptStream(NamedTuple):
    """A stream, and what its last event was read from, which shows whether that is still so."""

    stream: LoadedStream
    last: tuple[Any, ...]


class KeptStreams:
    """The streams loaded last, by their ids; safe to share between threads."""

    def __init__(self, *, of_others: bool) -> None:
        """Keep none that have facts of other people, whose values may change."""
        self._of_others = of_others
        self._streams: dict[int, KeptStream] = {}
        self._count = 0
        """How many events they hold, as nearly as threads that keep at once let it be known."""

    def get(self, id: int) -> KeptStream | None:
        """Return a stream, which from now on is the last one to be given up."""
        found = self._streams.pop(id, None)
        if found is not None:
            self._streams[id] = found
        return found

    def load(
        self,
        id: int,
        events: list[Event],
        last: tuple[Any, ...],
        before: LoadedStream | None = None,
    ) -> LoadedStream:
        """Return a stream of its events, or with those recorded since it was loaded before.

        It is kept, unless it may be read otherwise next time.
        """
        stream = LoadedStream(events) if before is None else before.followed_by(events)
        if stream.is_readable and not self._of_others:
            self.keep(id, KeptStream(stream, last))
        return stream

    def keep(self, id: int, kept: KeptStream) -> None:
        """Keep a stream, and give up those that were asked for longest ago."""
        before = self._streams.pop(id, None)
        self._streams[id] = kept
        self._count += len(kept.stream.events) - (len(before.stream.events) if before else 0)
        if self._count > EVENTS_MAX:
            self._give_up()

    def _give_up(self) -> None:
        """Count anew, since threads may have miscounted, and give up a part."""
        self._count = sum([len(each.stream.events) for each in [*self._streams.values()]])
        while self._count > EVENTS_MAX * 3 // 4 and self._streams:
            try:
                oldest = self._streams.pop(next(iter(self._streams)))
            except (KeyError, RuntimeError, StopIteration):  # another thread was there first
                continue
            self._count -= len(oldest.stream.events)

    def forget(self, id: int) -> None:
        """Give up a stream that is not as it was."""
        found = self._streams.pop(id, None)
        if found is not None:
            self._count -= len(found.stream.events)


class _Asked(Mapping[tuple[str, int], Any]):
    """A context for evolving a state, which notes what of it the state follows from."""

    def __init__(self, context: ReplayContext) -> None:
        self._processes = context.processes
        self.missed = False
        """Whether a process version was asked for that is not there, or not yet."""
        self.context = ReplayContext(self, lambda: context.timezone, context.now)

    @property
    def zone(self) -> ZoneInfo | None:
        """The time zone, if it was asked for."""
        zone = self.context.zone
        return zone if isinstance(zone, ZoneInfo) else None

    def __getitem__(self, key: tuple[str, int]) -> Any:  # noqa: ANN401 - a process version
        try:
            return self._processes[key]
        except KeyError:
            self.missed = True
            raise

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self._processes)

    def __len__(self) -> int:
        return len(self._processes)
