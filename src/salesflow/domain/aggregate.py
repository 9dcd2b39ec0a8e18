"""The base of all aggregates: a believed history, commands that check, `apply` that assigns.

A command may be said to have happened in the past. It is then checked against the history
believed up to that time (`self.at(occurred_at)`); what happened later is not checked again. A
command without a time happens when its session is recorded, after everything that names one:
as in the log, so here. Nothing here knows a database; the session appends what was recorded.
"""

from datetime import date, datetime
from typing import TYPE_CHECKING, ClassVar, NoReturn, Self
from uuid import UUID, uuid4

from salesflow.domain.arguments import ensure_id, ensure_time, guarded, inner
from salesflow.domain.assigned import Seen, State
from salesflow.domain.event import Event, Fact, FactRetracted, Precision
from salesflow.domain.history import (
    believed_history,
    comes_after,
    ensure_not_retracted,
    ensure_readable,
    ensure_retractable,
)
from salesflow.domain.never_added import note_made
from salesflow.domain.pending import (
    NO_EVENT,
    Closed,
    OccurredAt,
    PendingEvent,
    ReplayContext,
    closed_error,
    in_log_order,
    is_untimed,
)
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
from salesflow.domain.wording import require_reason
from salesflow.errors import InputError, NotFoundError, RuleError

__all__ = [
    "NO_EVENT",
    "Aggregate",
    "OccurredAt",
    "PendingEvent",
    "ReplayContext",
    "is_untimed",
]


UNNAMED = UUID(int=0)
"""Stands for the id of a new aggregate until somebody asks for one."""

MICROSECOND: Precision = "microsecond"

UNSETTLED = State(
    ("_id", "_world", "_log", "_history", "_horizon", "_settled", "_closed", "_seen")
)
"""What an aggregate has before its state is computed."""


@guarded
class Aggregate:
    """A thing with a stream of its own and the rules that guard it.

    Subclasses give `noun` (as in "deal 4f… is lost"), `facts` (all they record), commands
    that end in `self._record(fact, occurred_at)`, and `_apply(event)`, which only assigns.
    """

    noun: ClassVar[str]
    facts: ClassVar[tuple[type[Fact], ...]] = ()
    _known: ClassVar[frozenset[type[Fact]]] = frozenset()
    _state: ClassVar[State] = State()
    """What its state is made of, as far as one has been seen."""
    _seen: tuple[State, Seen] = UNSETTLED, ()
    """What the state held when this last assigned it."""

    is_recorded = False
    """Whether a session has appended it."""
    id_given = True
    """False for a new aggregate whose caller named no id: its session gives it one."""
    _closed: Closed | None = None
    """Why it takes no commands; None while it does."""

    def __init_subclass__(cls) -> None:
        """Remember which facts it applies; others in its stream are left alone."""
        cls._known, cls._state = frozenset(cls.facts), State()
        guarded(cls)

    def __init__(self, id: UUID, world: ReplayContext | None = None) -> None:
        self._id = id
        self.version = 0
        """Version of the last stored event of the stream; 0 for a new one."""
        self.pending: list[PendingEvent] = []
        self._world = world or ReplayContext()
        self._log: list[Event] = []
        self._history: list[Event] = []
        self._horizon: Instant = FOREVER
        self._settled = False
        """Whether the state has been computed; it is when it is first asked for."""

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled or copied: a copy would record what is recorded already.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"a {self.noun} cannot be pickled or copied; pass its id on, and load it by that"
        )

    if not TYPE_CHECKING:  # a type checker has to see which parts there are

        def __getattr__(self, name: str) -> object:
            """Settle the state, which is what is missing until then; give the part asked for.

            Most commands of a busy day (a contact logged, a task done) ask for none of it.
            """
            if self.__dict__.get("_settled", True):
                if not name.startswith("_") and not self.__dict__.get("_history", True):
                    self.ensure_exists()
                raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
            self.settle()
            return getattr(self, name)

    @property
    def id(self) -> UUID:
        """Which one it is: the id of its stream; a random one when asked before a session."""
        if self._id is UNNAMED:
            self._id = uuid4()
            self._tell_pending()
        return self._id

    @property
    def is_named(self) -> bool:
        """Whether it has an id already; a new one gets it from the session it is added to."""
        return self._id is not UNNAMED

    @property
    def world(self) -> ReplayContext:
        """What it may read beside its history; another world is another belief."""
        return self._world

    @world.setter
    def world(self, world: ReplayContext) -> None:
        """Belong to a session, whose world it reads; days and times ahead are cut there.

        Raises:
            InputError: for a time that lies in the future, or before it was opened.
        """
        self.belong(world)

    @inner
    def belong(self, world: ReplayContext, id: UUID | None = None) -> None:
        """Belong to a session: read its world, and be known by the id that it may give.

        Raises:
            InputError: for a time that lies in the future, or before it was opened; and for
                an id when it has one, which somebody may have been told.
        """
        if id is not None:
            self._ensure_unnamed()
            self._id = id
        self._closed = None
        self._world = world
        self._cut_days()
        times = [told.occurred for told in self.pending if told.occurred is not None]
        if times and max(times) > world.latest:
            times = self._cut_ahead()
        if world.now < FOREVER:
            self._horizon = max(world.now, *times) if times else world.now
        self._tell_pending()

    @property
    def is_loaded(self) -> bool:
        """Whether the log has it, so that a session loads it and does not take it in."""
        return bool(self.version) or self.is_recorded or self._closed == "reading"

    @classmethod
    @inner
    def load(
        cls,
        id: UUID,
        events: list[Event],
        *,
        world: ReplayContext | None = None,
        as_of: Instant = FOREVER,
    ) -> Self:
        """Take in a stream's events (those known by `known_at`), as believed at `as_of`."""
        self = cls(id, world)
        self.version = events[-1].version if events else 0
        self._log = events
        self._horizon = as_of
        self._believe()
        return self

    @classmethod
    @inner
    def replay(
        cls,
        id: UUID,
        events: list[Event],
        *,
        world: ReplayContext | None = None,
        as_of: Instant = FOREVER,
    ) -> Self:
        """Rebuild an aggregate that is believed to exist.

        Raises:
            NotFoundError: when no opening is believed, or it happened after `as_of`.
        """
        self = cls.load(id, events, world=world, as_of=as_of)
        self.ensure_exists()
        return self

    @inner
    def ensure_exists(self) -> None:
        """Raise NotFoundError when no opening of its kind is believed by now.

        HistoryError when a part of its history cannot be read, and was not retracted.
        """
        history = self._history
        if len(history) < len(self._log):  # else all of it could be read
            ensure_readable(self._log)
        opening = history[0] if history else None
        if (
            opening is None
            or opening.effect > self._horizon
            or type(opening.fact) not in self._known
        ):
            raise NotFoundError(f"no {self.noun} {self.id} is believed to exist at that moment")

    def at(self, occurred_at: OccurredAt) -> Self:
        """Give this aggregate as believed up to a time, for reading; itself when that is now.

        What was recorded without a time happens later than every time that has passed.

        Raises:
            InputError: when that lies before it was opened.
        """
        if occurred_at is None or not self._history:
            return self
        until, latest = self._instant(occurred_at)[0], self.world.latest
        ahead = until > max(self._horizon, latest + SKEW if latest < FOREVER else 0)
        if not ahead:
            self._ensure_after_opening(until)
        return self._until(until if ahead else min(until, latest), untimed=ahead)

    def _until(self, until: Instant, *, untimed: bool) -> Self:
        """Give it as believed up to an instant, with what happens last of all or without."""
        log = self._log
        if not untimed and any(is_untimed(event) for event in log[-len(self.pending) :]):
            log = [e for e in log if not is_untimed(e) or isinstance(e.fact, FactRetracted)]
        stands = log is self._log and self._last_effect() <= min(until, self._horizon)
        then = type(self)(self._id, self.world)
        if stands:
            vars(then).update(vars(self))
        then._log, then._horizon, then._closed = log, until, "reading"
        if not stands:
            then._history = self._history if log is self._log else believed_history(log)
        return then

    @inner
    def close(self, recorded: bool = False) -> None:
        """Take no more commands; for its session, which ends, and may have appended it."""
        self._closed = "ended"
        if recorded:
            self.is_recorded = True

    @inner
    def ensure_open(self) -> None:
        """Insist that it takes commands.

        Raises:
            InputError: when it is of an earlier time, or of no session that is open.
        """
        if self._closed is not None:
            name = type(self).__name__
            raise closed_error(self.noun, name, self._id, self._closed, self._horizon)

    @inner
    def ensure_unassigned(self) -> None:
        """Insist that nobody assigned what only commands change; for the end of a session.

        What is changed within a value, such as a list, is not noticed.

        Raises:
            InputError: naming what was assigned or deleted.
        """
        (state, seen), held = self._seen, vars(self)
        if state.attributes.issuperset(held) and (not seen or state.read(held) == seen):
            return
        name = state.changed(seen, held)
        if name is not None:
            kind = type(self).__name__
            raise InputError(
                f"{kind}.{name} was assigned, of which nothing would be recorded; begin anew,"
                f" and give one of the commands that `help({kind})` lists"
            )

    @classmethod
    @inner
    def new(cls, id: UUID | None, world: ReplayContext | None = None) -> Self:
        """Begin an aggregate that nothing has been recorded of; without an id for now."""
        ensure_id(id)
        self = cls(id or UNNAMED, world)
        self.id_given = id is not None
        return self

    def holds(self, event_id: UUID) -> bool:
        """Say whether an event of this id was loaded with this aggregate."""
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
        taken_back = (t.fact for t in self.pending if isinstance(t.fact, FactRetracted))
        if any(fact.event_id == event_id for fact in taken_back):
            raise RuleError(f"event {event_id} is retracted in this session already")
        self._record(FactRetracted(event_id=event_id, because=because), None)

    @property
    def _stored(self) -> list[Event]:
        """The events it was loaded with; those it records get their ids when appended."""
        return self._log[: len(self._log) - len(self.pending)]

    @property
    def history(self) -> tuple[Event, ...]:
        """The believed history, the opening first, then in order of effect."""
        return tuple(self._history)

    @inner
    def plan_in_force(self) -> Event | None:
        """Give a plan that has taken effect since it was looked at; None nearly always.

        What was recorded meanwhile was checked against what held before.
        """
        history, horizon = self._history, self._horizon
        if not (self.pending and history):
            return None
        if history[-1].effect <= horizon and history[0].effect <= horizon:
            return None
        latest = self._world.latest
        if latest == FOREVER:
            return None
        return next((event for event in history if horizon < event.effect <= latest), None)

    @inner
    def to_append(self) -> list[PendingEvent]:
        """Give what was recorded in the order in which it is to stand in the log."""
        pending = self.pending
        return pending if len(pending) == 1 else in_log_order(pending, self._world.now)

    def _record(self, fact: Fact, occurred_at: OccurredAt) -> None:
        if self._closed is not None:
            self.ensure_open()
        history, pending = self._history, self.pending
        if not (history or fact.is_opening or isinstance(fact, FactRetracted)):
            self.ensure_exists()
        if self._settled:
            self.ensure_unassigned()
        before = self._horizon
        if occurred_at is None:
            told = PendingEvent(fact, None, MICROSECOND)
        else:
            told = PendingEvent(fact, *self._said(occurred_at))
            if told.occurred is not None:
                self._ensure_after_opening(told.occurred)
                self._horizon = max(before, told.occurred)
        pending.append(told)
        if not self.version and len(pending) == 1:
            note_made(self, self.noun, type(self).__name__)
        horizon = self._horizon
        event = told.event(self._id, self.version, len(pending), now=horizon)
        self._log = log = [*self._log, event]
        if before < horizon and history:
            self._tell_pending()
            return
        holds = fact.is_immediate or (
            not isinstance(fact, FactRetracted) and event.effect <= horizon
        )
        if holds and (comes_after(event, history[-1]) if history else len(log) == 1):
            self._history = [*history, event]
            if self._settled:
                self._apply(event)
                self._see()
        else:
            self._believe()

    def _tell_pending(self) -> None:
        """Tell anew when all that waits to be appended happened, and what follows from it."""
        told = [
            each.event(self._id, self.version, number, now=self._horizon)
            for number, each in enumerate(self.pending, 1)
        ]
        self._log = [*self._stored, *told]
        self._believe()

    def _last_effect(self) -> Instant:
        """Give the latest effect of the believed history, planned ones included."""
        return max(self._history[0].effect, self._history[-1].effect)

    def _said(self, when: datetime | date) -> tuple[Instant | None, Precision, date | None]:
        """Cut what a caller said; a day waits where the business time zone is not known."""
        ensure_time(when)
        if isinstance(when, datetime) or self._world.knows_days:
            occurred, precision = self._instant(when)
            return self._not_ahead(occurred), precision, None
        return None, "day", when

    def _not_ahead(self, occurred: Instant) -> Instant:
        """Cut what lies ahead by no more than clocks may differ; refuse what lies further."""
        latest = self._world.latest_known(occurred)
        if occurred > latest:
            ensure_not_future(occurred, latest)
        return min(occurred, latest)

    def _ensure_unnamed(self) -> None:
        if self.is_named:
            raise InputError(
                f"under a command id the id of a new {self.noun} derives from that; add it to"
                " the session before you name it elsewhere"
            )

    def _cut_days(self) -> None:
        """Cut the days that were said before the business time zone was known."""
        for number, (fact, _, _, day) in enumerate(self.pending):
            if day is not None and self._world.knows_days:
                occurred, precision = self._instant(day)
                if not fact.is_opening:
                    self._ensure_after_opening(occurred)
                self.pending[number] = PendingEvent(fact, occurred, precision)
                self._tell_pending()

    def _cut_ahead(self) -> list[Instant]:
        """Cut times ahead that were said before a session was known, and keep their order."""
        cut = self._not_ahead
        self.pending = [
            told._replace(occurred=told.occurred and cut(told.occurred))
            for told in self.to_append()
        ]
        return [told.occurred for told in self.pending if told.occurred is not None]

    def _ensure_after_opening(self, occurred: Instant) -> None:
        opening = self._history[0] if self._history else None
        if opening is None or not (is_untimed(opening) or occurred < opening.occurred):
            return
        untimed = is_untimed(opening)
        when = "just now" if untimed else f"at {opening.occurred_at.isoformat()}"
        raise InputError(
            f"{self.noun} {self.id} was opened {when}; nothing can be recorded of it before,"
            f" at {from_instant(occurred).isoformat()}"
        )

    def _believe(self) -> None:
        """Order the history anew, and settle the state anew if anybody has seen it."""
        self._history = believed_history(self._log)
        if self._settled:
            self.settle()

    @inner
    def settle(self) -> None:
        """Compute the state now, from the believed history up to the time it is believed at."""
        self.ensure_unassigned()
        self._settled = True
        self._start()
        events, horizon = self._history, self._horizon
        if events and self._last_effect() > horizon:
            events = [event for event in events if event.effect <= horizon]
        known, apply = self._known, self._apply
        for event in events:
            if type(event.fact) in known:
                apply(event)
        self._see()

    def _see(self) -> None:
        """Remember what the state holds, to know what others assign."""
        held, state = vars(self), self._state
        if not held.keys() <= state.attributes:
            state = type(self)._state = state.grown(held)
        self._seen = state, state.read(held)

    def _instant(self, when: datetime | date) -> tuple[Instant, Precision]:
        """Cut a time; a bare day is its midnight, but not before what is timed on that day."""
        if isinstance(when, datetime) or not isinstance(when, date):
            return to_instant(when), MICROSECOND
        midnight = start_of_day(when, self.world.timezone)
        last = end_of_day(when, self.world.timezone)
        timed = [
            event.occurred
            for event in self._history
            if midnight < event.occurred <= last and not is_untimed(event)
        ]
        return max([midnight, *timed]), "day"

    def _start(self) -> None:
        """Set the state before anything happened."""
        raise NotImplementedError

    def _apply(self, event: Event) -> None:
        """Assign what the event says; never refuse."""
        raise NotImplementedError
