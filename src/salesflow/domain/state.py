"""State: what follows from a believed history, one event after the other.

One class for each kind of thing says what its facts change. Aggregates, read tables, timelines
and cases all evolve that one, so they cannot disagree about it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from salesflow.domain.arguments import guarded, inner
from salesflow.domain.event import Event
from salesflow.domain.time import FOREVER, Instant
from salesflow.errors import InputError

__all__ = [
    "EMPTY",
    "EMPTY_CONTEXT",
    "ReplayContext",
    "State",
    "values_of",
    "with_item",
    "without",
]

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

    No value is changed in place: a tuple that grows becomes another tuple. So a copy of a
    state keeps what it held, and a new one costs nothing.
    """

    _context: ReplayContext
    _opening: Event | None
    """The first of the believed history; the first one taken in where it is left out."""

    def __init_subclass__(cls) -> None:
        """Let its methods name an argument that is wrong, as those of aggregates do."""
        if "evolve" in vars(cls):
            inner(cls.evolve)
        guarded(cls)

    def __init__(
        self, context: ReplayContext = EMPTY_CONTEXT, opening: Event | None = None
    ) -> None:
        self._context = context
        self._opening = opening

    def evolve(self, event: Event) -> str | None:
        """Take in the next believed fact; return why it is irregular, None when it counts.

        An irregular fact is one that later knowledge left without what it builds on, such as
        a refund on a deal whose win was retracted. It changes nothing.
        """
        raise NotImplementedError


def values_of(cls: type) -> set[str]:
    """Return the names of what a class itself declares as a value: annotated, or a property."""
    own = vars(cls)
    properties = [name for name, value in own.items() if isinstance(value, property)]
    return {*own.get("__annotations__", ()), *properties}


def with_item(items: Mapping[KeyT, ItemT], key: KeyT, item: ItemT) -> Mapping[KeyT, ItemT]:
    """Return items with one more, or with another one under its key."""
    return MappingProxyType({**items, key: item})


def without(items: Mapping[KeyT, ItemT], key: KeyT) -> Mapping[KeyT, ItemT]:
    """Return items without one; all of them where it is not among them."""
    return MappingProxyType({k: item for k, item in items.items() if k != key})
