"""The base of all aggregates: a believed history, the state that follows, commands that check.

A command may be said to have happened in the past. It is then checked against the history
believed up to that time (`self.at(occurred_at)`); what happened later is not checked again. A
command without a time happens when its session is recorded, after everything that names one:
as in the log, so here. Nothing here knows a database; the session appends what was recorded.
"""

from collections.abc import Iterable
from copy import copy
from datetime import UTC, date, datetime
from types import FunctionType
from typing import Any, ClassVar, NoReturn, Self
from uuid import UUID, uuid4

from salesflow.domain.arguments import ensure_id, ensure_time, guarded, internal, require_reason
from salesflow.domain.computed_once import computed_once
from salesflow.domain.event import (
    Event,
    Fact,
    FactRetracted,
    Precision,
    believed_history,
    comes_after,
    ensure_not_retracted,
    ensure_readable,
    ensure_retractable,
    in_effect,
)
from salesflow.domain.pending import (
    NO_EVENT,
    Detached,
    OccurredAt,
    PendingEvent,
    detached_error,
    ensure_seen,
    in_log_order,
    is_untimed,
    track_new,
)
from salesflow.domain.state import LoadedStream, ReplayContext, State, shown_of, values_of
from salesflow.domain.time import (
    FOREVER,
    SKEW,
    Instant,
    end_of_day,
    ensure_not_future,
    from_instant,
    start_of_day,
    to_instant,
)
from salesflow.domain.wording import shortened
from salesflow.errors import InputError, NotFoundError, RuleError

__all__ = ["NO_EVENT", "Aggregate", "OccurredAt", "PendingEvent", "is_untimed"]


UNASSIGNED = UUID(int=0)
"""Stands for the id of a new aggregate until somebody asks for one."""

MICROSECOND: Precision = "microsecond"

_new = tuple.__new__


@guarded
class Aggregate:
    """A thing with a stream of its own and the rules that guard it.

    Subclasses give `noun` (as in "deal 4f… is lost"), `facts` (all they record), commands
    that end in `self._record(fact, occurred_at)`, and beside this class the `State` that their
    facts change. What the state says is read on the aggregate itself, as in `deal.stage`. It is
    never assigned.
    """

    noun: ClassVar[str]
    facts: ClassVar[tuple[type[Fact], ...]] = ()
    exists_without_events: ClassVar[bool] = False
    """Whether its state means something also where nothing is believed of it."""
    _known: ClassVar[frozenset[type[Fact]]] = frozenset()
    state_class: ClassVar[type[State]] = State
    """What its facts change."""
    _id: UUID
    _pending: list[PendingEvent]
    _version = 0
    _log: list[Event] = []  # noqa: RUF012 - never changed in place, as none of these
    _history: list[Event] = []  # noqa: RUF012
    _loaded: LoadedStream | None = None
    """What it was loaded from; None for a new one."""
    _as_of: Instant = FOREVER
    """The time up to which it is believed."""
    _context: ReplayContext
    _id_given = True
    _detached: Detached | None = None
    """Why it takes no commands; None while it does."""

    def __init_subclass__(cls) -> None:
        """Find its state, and let what that says be read on the aggregate.

        Facts that it does not name are left alone in its stream.
        """
        cls._known = frozenset(cls.facts)
        states = [
            base
            for base in cls.__mro__
            if issubclass(base, State) and not issubclass(base, Aggregate)
        ]
        cls.state_class = next(iter(states), State)
        own = [base for base in cls.__mro__ if issubclass(base, Aggregate)]
        taken = set().union(*(vars(base) for base in own), *map(values_of, own))
        for base in states:
            for name in values_of(base) - vars(cls).keys():
                if name not in taken:
                    setattr(cls, name, shown_of(base, name))
                elif isinstance(getattr(cls, name, None), FunctionType):
                    raise InputError(
                        f"{name} is a command of {cls.__name__}; call the value of"
                        f" {base.__name__} otherwise"
                    )
        guarded(cls)

    @internal
    def evolve(self, _: Event) -> NoReturn:
        """Refuse an event: facts reach an aggregate by its commands alone.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"a {self.noun} takes no events, only commands; to know what follows from an event,"
            f" evolve a {self.state_class.__name__}"
        )

    def __init__(self, id: UUID, context: ReplayContext | None = None) -> None:
        own = vars(self)
        own["_id"], own["_pending"], own["_context"] = id, [], context or ReplayContext()

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse what a caller assigns, of which nothing would be recorded.

        Raises:
            InputError: always, for what is public.
        """
        if name[0] != "_":
            raise self._unassignable(name, "assigned")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> NoReturn:
        """Refuse what a caller deletes.

        Raises:
            InputError: always.
        """
        raise self._unassignable(name, "deleted")

    def __copy__(self) -> NoReturn:
        """Refuse to be copied, as `__reduce_ex__` does.

        Raises:
            InputError: always.
        """
        self.__reduce_ex__(None)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled or copied: a copy would record what is recorded already.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"a {self.noun} cannot be pickled or copied; pass its id on, and load it by that"
        )

    @property
    def id(self) -> UUID:
        """Which one it is: the id of its stream; a random one when asked before a session."""
        if self._id is UNASSIGNED:
            self._id = uuid4()
            self._rebuild()
        return self._id

    @property
    def has_id(self) -> bool:
        """Whether it has an id already; a new one gets it from the session it is added to."""
        return self._id is not UNASSIGNED

    @property
    def version(self) -> int:
        """Version of the last stored event of the stream; 0 for a new one."""
        return self._version

    @property
    def pending(self) -> list[PendingEvent]:
        """What was recorded and waits to be appended."""
        return self._pending

    @property
    def id_given(self) -> bool:
        """Whether its caller named its id; else the session gives it one."""
        return self._id_given

    @property
    def context(self) -> ReplayContext:
        """What it may read beside its history; in another context it may be something else."""
        return self._context

    @internal
    def current_state(self) -> State:
        """Return what follows from its believed history up to the time it is believed at.

        Raises:
            NotFoundError: when nothing is believed of it, as where its opening was retracted.
        """
        state: State = self._state
        return state

    @internal
    def attach(self, context: ReplayContext, id: UUID | None = None) -> None:
        """Belong to a session: read its context, and be known by the id that it may give.

        Raises:
            InputError: for a time that lies in the future, or before it was opened; for a day
                on which it had passed to take effect; and for an id when it has one, which
                somebody may have been told.
        """
        if id is not None:
            self._ensure_no_id()
            self._id = id
        if self._detached is not None:
            self._detached = None
        self._context = context
        self._cut_days()
        times = [each.occurred for each in self._pending if each.occurred is not None]
        if times and max(times) > context.latest:
            times = self._cut_ahead()
        if context.now < FOREVER:
            self._as_of = max(context.now, *times) if times else context.now
        self._rebuild()
        for each in self._pending:
            self._ensure_timely(each)

    def _ensure_timely(self, noted: PendingEvent) -> None:
        """Refuse what rests on a time that cannot be, as far as anybody knows the time."""
        ensure_seen(noted, self._context, self.noun)
        at = noted.occurred
        if at is None and noted.day is None:
            at = self._context.now if self._as_of == FOREVER else self._as_of
        if at is not None and at < FOREVER:
            self._ensure_in_time(noted.fact, at)

    def _ensure_in_time(self, fact: Fact, at: Instant) -> None:
        """Refuse a fact that names a day which had passed by then."""

    @property
    def is_loaded(self) -> bool:
        """Whether the log has it, so that a session loads it and does not take it in."""
        return bool(self._version) or self._detached in ("reading", "recorded")

    @classmethod
    @internal
    def load(
        cls,
        id: UUID,
        events: list[Event] | LoadedStream,
        *,
        context: ReplayContext | None = None,
        as_of: Instant = FOREVER,
    ) -> Self:
        """Take in a stream's events (those known by `known_at`), as believed at `as_of`."""
        self = cls(id, context)
        loaded = events if isinstance(events, LoadedStream) else LoadedStream(events)
        log, own = loaded.events, vars(self)
        own["_loaded"], own["_log"], own["_history"] = loaded, log, loaded.history
        own["_version"] = log[-1].version if log else 0
        own["_as_of"] = as_of
        return self

    @classmethod
    @internal
    def replay(
        cls,
        id: UUID,
        events: list[Event] | LoadedStream,
        *,
        context: ReplayContext | None = None,
        as_of: Instant = FOREVER,
    ) -> Self:
        """Rebuild an aggregate that is believed to exist.

        Raises:
            NotFoundError: when no opening is believed, or it happened after `as_of`.
        """
        self = cls.load(id, events, context=context, as_of=as_of)
        self.ensure_exists()
        return self

    @internal
    def ensure_exists(self) -> None:
        """Raise NotFoundError when no opening of its kind is believed by now.

        HistoryError when a part of its history cannot be read, and was not retracted.
        """
        history, log = self._history, self._log
        if history is not log and len(history) < len(log):  # else all of it could be read
            ensure_readable(log)
        if (
            not history
            or history[0].effective > self._as_of
            or type(history[0].fact) not in self._known
        ):
            raise NotFoundError(f"no {self.noun} {self.id} is believed to exist at that moment")

    def at(self, occurred_at: OccurredAt) -> Self:
        """Return this aggregate as believed up to a time, for reading; itself when that is now.

        What was recorded without a time happens later than every time that has passed.

        Raises:
            InputError: when that lies before it was opened.
        """
        return self._at(occurred_at)

    def _at(self, occurred_at: OccurredAt) -> Self:
        if occurred_at is None or not self._history:
            return self
        until, latest = self._instant(occurred_at)[0], self._context.latest
        ahead = until > max(self._as_of, latest + SKEW if latest < FOREVER else 0)
        if not ahead:
            self._ensure_after_opening(until)
        return self._until(until if ahead else min(until, latest), untimed=ahead)

    def _until(self, until: Instant, *, untimed: bool) -> Self:
        """Return it as believed up to an instant, with what happens last of all or without."""
        log, pending = self._log, self._pending
        if not untimed and any(is_untimed(event) for event in log[len(log) - len(pending) :]):
            log = [e for e in log if not is_untimed(e) or isinstance(e.fact, FactRetracted)]
        unchanged = log is self._log
        then = type(self)(self._id, self._context)
        then._version, then._log, then._as_of, then._detached = (
            *(self._version, log, until),
            "reading",
        )
        then._pending = [*pending] if unchanged else []
        then._history = self._history if unchanged else believed_history(log)
        then._loaded = self._loaded if unchanged else None
        if unchanged and "_state" in vars(self):
            history, until = self._history, min(until, self._as_of)
            if in_effect(history, until) is history:
                then._state = copy(self._state)
        return then

    @internal
    def close(self, recorded: bool = False) -> None:
        """Take no more commands; for its session, which ends, and may have appended it."""
        vars(self)["_detached"] = "recorded" if recorded else "ended"

    @internal
    def ensure_open(self) -> None:
        """Raise unless it takes commands.

        Raises:
            InputError: when it is of an earlier time, or of no session that is open.
        """
        if self._detached is not None:
            name = type(self).__name__
            raise detached_error(self.noun, name, self._id, self._detached, self._as_of)

    @classmethod
    @internal
    def new(cls, id: UUID | None, context: ReplayContext | None = None) -> Self:
        """Begin an aggregate that nothing has been recorded of; without an id for now."""
        ensure_id(id)
        self = cls(id or UNASSIGNED, context)
        if id is None:
            self._id_given = False
        return self

    def holds(self, event_id: UUID) -> bool:
        """Return whether an event of this id was loaded with this aggregate."""
        return any(event.event_id == event_id for event in self._stored)

    def retract(self, event_id: UUID, *, because: str) -> None:
        """Say that an earlier fact of this stream (or a retraction) was wrong.

        Raises:
            InputError: when the reason is blank.
            NotFoundError: when the stream has no such event.
            RuleError: when it is retracted already, or cannot be retracted by itself.
        """
        require_reason(because, "a retraction")
        ensure_retractable(event_id, self._stored)
        ensure_not_retracted(event_id, self._stored)
        taken_back = (e.fact for e in self._pending if isinstance(e.fact, FactRetracted))
        if any(fact.event_id == event_id for fact in taken_back):
            raise RuleError(f"event {event_id} is retracted in this session already")
        self._record(FactRetracted(event_id=event_id, because=because), None)

    @property
    def _stored(self) -> list[Event]:
        """The events it was loaded with; those it records get their ids when appended."""
        return self._log[: len(self._log) - len(self._pending)]

    @property
    def history(self) -> tuple[Event, ...]:
        """The believed history, the opening first, then in order of effect."""
        return tuple(self._history)

    @internal
    def plan_now_due(self) -> Event | None:
        """Return a plan that has taken effect since it was looked at; None nearly always.

        What was recorded meanwhile was checked against what held before.
        """
        history, until = self._history, self._as_of
        if not self._pending or in_effect(history, until) is history:
            return None
        latest = self._context.latest
        if latest == FOREVER:
            return None
        return next((event for event in history if until < event.effective <= latest), None)

    @internal
    def to_append(self) -> tuple[int, list[PendingEvent]]:
        """Return the version it was loaded at, and what it recorded in the order of the log."""
        pending = self._pending
        if len(pending) > 1:
            pending = in_log_order(pending, self._context.now)
        return self._version, pending

    def _record(self, fact: Fact, occurred_at: OccurredAt) -> None:
        """Note a fact for the session to append, and believe it from now on."""
        if self._detached is not None:
            self.ensure_open()
        history, pending = self._history, self._pending
        if not (history or fact.is_opening or isinstance(fact, FactRetracted)):
            self.ensure_exists()
        before = self._as_of
        if occurred_at is None:
            noted = _new(PendingEvent, (fact, None, MICROSECOND, None))
        else:
            noted = PendingEvent(fact, *self._time_of(occurred_at))
            if noted.occurred is not None:
                self._ensure_after_opening(noted.occurred)
                self._as_of = max(before, noted.occurred)
        self._ensure_timely(noted)
        pending.append(noted)
        if not self._version and len(pending) == 1 and self._loaded is None:
            track_new(self, self.noun, type(self).__name__)
        until = self._as_of
        event, own = noted.event(self._id, self._version, len(pending), now=until), vars(self)
        own["_log"] = log = [*self._log, event]
        if before < until and history:
            self._rebuild()
            return
        holds = fact.is_immediate or (
            not isinstance(fact, FactRetracted) and event.effective <= until
        )
        if holds and (comes_after(event, history[-1]) if history else len(log) == 1):
            own["_history"] = [*history, event]
            if "_state" in own:
                self.evolve_all(self._state, [event])
        else:
            self._reorder_history()

    def _rebuild(self) -> None:
        """Tell anew when all that waits to be appended happened, and what follows from it."""
        waiting = [
            each.event(self._id, self._version, number, now=self._as_of)
            for number, each in enumerate(self._pending, 1)
        ]
        self._log = [*self._stored, *waiting]
        self._reorder_history()

    def _reorder_history(self) -> None:
        """Order the history anew; the state is computed from it when it is asked for."""
        self._history = believed_history(self._log)
        vars(self).pop("_state", None)

    @computed_once
    def _state(self) -> Any:  # noqa: ANN401 - of the `state_class` of each kind of aggregate
        """Return the state after the believed history up to the time it is believed at.

        It is forgotten whenever it has to be computed anew.
        """
        history, until = self._history, self._as_of
        opening = history[0] if history else None
        is_there = opening is not None and opening.occurred <= until
        if self._log and not is_there and not self.exists_without_events:
            self.ensure_exists()
        believed, loaded, context = in_effect(history, until), self._loaded, self._context
        begun, state = 0, None
        if (
            loaded is not None
            and context.zone is not None
            and not any(isinstance(each.fact, FactRetracted) for each in self._pending)
        ):
            begun = len(loaded.history)
            state = loaded.state_at_begin(believed, type(self), context)
        if state is None:
            begun, state = 0, self.state_class(context, opening)
        if begun < len(believed):
            self.evolve_all(state, believed[begun:])
        return state

    @classmethod
    @internal
    def evolve_all(cls, state: State, events: Iterable[Event]) -> None:
        """Let a state take in events, those that this kind of thing knows."""
        known, evolve = cls._known, state.evolve
        for event in events:
            if type(event.fact) in known:
                evolve(event)

    def _time_of(self, when: datetime | date) -> tuple[Instant | None, Precision, date | None]:
        """Cut what a caller said; a day waits where the business time zone is not known."""
        ensure_time(when)
        if isinstance(when, datetime) or self._context.knows_days:
            occurred, precision = self._instant(when)
            return self._not_ahead(occurred), precision, None
        return None, "day", when

    def _not_ahead(self, occurred: Instant) -> Instant:
        """Cut what lies ahead by no more than clocks may differ; refuse what lies further."""
        latest = self._context.latest_known(occurred)
        if occurred > latest:
            ensure_not_future(occurred, latest)
        return min(occurred, latest)

    def _ensure_no_id(self) -> None:
        if self.has_id:
            raise InputError(
                f"under a command id the id of a new {self.noun} derives from that; add it to"
                " the session before you name it elsewhere"
            )

    def _cut_days(self) -> None:
        """Cut the days that were said before the business time zone was known."""
        for number, (fact, _, _, day) in enumerate(self._pending):
            if day is not None and self._context.knows_days:
                occurred, precision = self._instant(day)
                if not fact.is_opening:
                    self._ensure_after_opening(occurred)
                self._pending[number] = PendingEvent(fact, occurred, precision)
                self._rebuild()

    def _cut_ahead(self) -> list[Instant]:
        """Cut times ahead that were said before a session was known, and keep their order."""
        cut = self._not_ahead
        self._pending = [
            each._replace(occurred=each.occurred and cut(each.occurred))
            for each in self.to_append()[1]
        ]
        return [each.occurred for each in self._pending if each.occurred is not None]

    def _ensure_after_opening(self, occurred: Instant) -> None:
        opening = self._history[0] if self._history else None
        if opening is None or opening.fact.is_entry:
            return
        if not (is_untimed(opening) or occurred < opening.occurred):
            return
        untimed = is_untimed(opening)
        *opened, asked = self._texts_of(*([] if untimed else [opening.occurred]), occurred)
        when = "just now" if untimed else f"at {opened[0]}"
        raise InputError(
            f"{self.noun} {self.id} was opened {when}; nothing can be recorded of it before,"
            f" at {asked}"
        )

    def _texts_of(self, *instants: Instant) -> list[str]:
        """Write times by the clocks of the business, as exactly as tells them apart."""
        zone = self._context.timezone if self._context.knows_days else UTC
        times = [from_instant(each).astimezone(zone) for each in instants]
        for exact in ("minutes", "seconds"):
            texts = [each.isoformat(" ", exact) for each in times]
            if len({*texts}) == len({*times}):
                return texts
        return [each.isoformat(" ") for each in times]

    def _instant(self, when: datetime | date) -> tuple[Instant, Precision]:
        """Cut a time; a bare day is its midnight, but not before what is timed on that day."""
        if isinstance(when, datetime) or not isinstance(when, date):
            return to_instant(when), MICROSECOND
        midnight = start_of_day(when, self._context.timezone)
        last = end_of_day(when, self._context.timezone)
        timed = [
            event.occurred
            for event in self._history
            if midnight < event.occurred <= last and not is_untimed(event)
        ]
        return max([midnight, *timed]), "day"

    def _unassignable(self, name: str, done: str) -> InputError:
        kind = type(self).__name__
        load = f"load it in a session, `s.get({kind}, id)`, and " if self._detached else ""
        return InputError(
            f"{kind}.{shortened(name)} cannot be {done}, nothing of it would be recorded;"
            f" {load}give it one of the commands that `help({kind})` lists"
        )
