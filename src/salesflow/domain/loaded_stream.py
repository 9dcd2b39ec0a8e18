"""A stream as it was loaded, and the state that follows, for all who load it while it is kept.

Commands on one thing come close to one another. What was recorded of it never changes, so that
its history is put in order once, its state is computed once, and each new event is added to
both. Nothing that waits to be appended is ever in here.

It is a module of its own, since the log keeps such streams and aggregates are made of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from salesflow.domain.event import (
    Event,
    UnreadableFact,
    believed_history,
    comes_after,
    is_in_order,
)
from salesflow.domain.state import EMPTY_CONTEXT, ReplayContext, State

__all__ = ["LoadedStream"]


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
