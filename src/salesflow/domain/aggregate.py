"""The base of all aggregates: a believed history, commands that check, `apply` that assigns.

A command may be said to have happened in the past. It is then checked against the history
believed up to that time (`self.at(occurred_at)`); what happened later is not checked again.
Nothing here knows a database: the session hands in the events and collects what was recorded.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from salesflow.domain.facts import Event, Fact, FactRetracted, Precision
from salesflow.domain.history import believed, order, refuse_retraction
from salesflow.domain.moments import (
    FOREVER,
    Instant,
    end_of_day,
    from_instant,
    start_of_day,
    to_instant,
)
from salesflow.errors import InputError, NotFoundError

__all__ = ["NO_EVENT", "Aggregate", "OccurredAt", "Recorded", "World"]

OccurredAt = datetime | date | None
"""When it happened: an aware time, a day, or None for the time of recording."""

NO_EVENT = UUID(int=0)
"""The id of an event that is not appended yet."""

UNNAMED = UUID(int=0)
"""Stands for the id of a new aggregate until somebody asks for one."""

MICROSECOND: Precision = "microsecond"


class World:
    """What an aggregate may read beside its own history, handed in by the session.

    `processes` are the published process versions by (key, version); `timezone` is the
    tenant's business time zone (or a callable that finds it when it is needed; None before a
    session has said it); `now` is the session's clock.
    """

    __slots__ = ("_timezone", "now", "processes")

    def __init__(
        self,
        processes: Mapping[tuple[str, int], Any] | None = None,
        timezone: ZoneInfo | Callable[[], ZoneInfo] | None = None,
        now: Instant = FOREVER,
    ) -> None:
        self.processes = {} if processes is None else processes
        self.now = now
        self._timezone = timezone

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


class Recorded(NamedTuple):
    """A fact recorded by a command, waiting for the session to append it.

    `occurred` is None when the caller gave no time: then it is the time of recording. `day`
    is a day that waits to be cut in the session's time zone.
    """

    fact: Fact
    occurred: Instant | None
    precision: Precision
    day: date | None = None


class Aggregate:
    """A thing with a stream of its own and the rules that guard it.

    Subclasses give `noun` (as in "deal 4f… is lost"), `facts` (all they record), commands
    that end in `self._record(fact, occurred_at)`, and `_apply(event)`, which only assigns.
    """

    noun: ClassVar[str]
    facts: ClassVar[tuple[type[Fact], ...]] = ()
    _known: ClassVar[frozenset[type[Fact]]] = frozenset()

    def __init_subclass__(cls) -> None:
        """Remember which facts it applies; others in its stream are left alone."""
        cls._known = frozenset(cls.facts)

    def __init__(self, id: UUID, world: World | None = None) -> None:
        self._id = id
        self.version = 0
        """Version of the last stored event of the stream; 0 for a new one."""
        self.id_given = True
        """False for a new aggregate whose caller named no id: its session gives it one."""
        self.pending: list[Recorded] = []
        self._world = world or World()
        self._log: list[Event] = []
        self._history: list[Event] = []
        self._horizon: Instant = FOREVER
        self._recording = True
        self._settled = False
        """Whether the state has been computed; it is when it is first asked for."""

    if not TYPE_CHECKING:  # a type checker has to see which parts there are

        def __getattr__(self, name: str) -> object:
            """Settle the state, which is what is missing until then; give the part asked for.

            Most commands of a busy day (a contact logged, a task done) ask for none of it.
            """
            if self.__dict__.get("_settled", True):
                if not name.startswith("_") and not self.__dict__.get("_history", True):
                    self.refuse_absence()
                raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
            self.settle()
            return getattr(self, name)

    @property
    def id(self) -> UUID:
        """Which one it is: the id of its stream; a random one when asked before a session."""
        if self._id is UNNAMED:
            self.take_id(uuid4())
        return self._id

    @property
    def is_named(self) -> bool:
        """Whether it has an id already; a new one gets it from the session it is added to."""
        return self._id is not UNNAMED

    def take_id(self, id: UUID) -> None:
        """Be known by this id from now on; for sessions, and for aggregates without one.

        Raises:
            InputError: when it has an id, which somebody may have been told.
        """
        if self.is_named:
            raise InputError(
                f"under a command id the id of a new {self.noun} derives from that; add it to"
                " the session before you name it elsewhere"
            )
        self._id = id
        self._log = [event._replace(stream_id=id) for event in self._log]
        self._believe()

    @property
    def world(self) -> World:
        """What it may read beside its history; another world is another belief."""
        return self._world

    @world.setter
    def world(self, world: World) -> None:
        self._world = world
        self._cut_days()
        timed = [r.occurred for r in self.pending if r.occurred is not None]
        if self._horizon == FOREVER and len(timed) == len(self.pending):
            self._horizon = max([world.now, *timed])
        if self._settled:
            self.settle()

    @classmethod
    def load(
        cls,
        id: UUID,
        events: list[Event],
        *,
        world: World | None = None,
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
    def replay(
        cls,
        id: UUID,
        events: list[Event],
        *,
        world: World | None = None,
        as_of: Instant = FOREVER,
    ) -> Self:
        """Rebuild an aggregate that is believed to exist.

        Raises:
            NotFoundError: when no opening is believed, or it happened after `as_of`.
        """
        self = cls.load(id, events, world=world, as_of=as_of)
        self.refuse_absence()
        return self

    def refuse_absence(self) -> None:
        """Insist that it is believed to exist.

        Raises:
            NotFoundError: when no opening of its kind is believed by now.
        """
        opening = self._history[0] if self._history else None
        if (
            opening is None
            or opening.effect > self._horizon
            or type(opening.fact) not in self._known
        ):
            raise NotFoundError(f"no {self.noun} {self.id} is believed to exist at that moment")

    def at(self, occurred_at: OccurredAt) -> Self:
        """Give this aggregate as believed up to a time, for reading; itself when that is now.

        Raises:
            InputError: when that lies before it was opened.
        """
        if occurred_at is None or not self._history:
            return self
        until = self._instant(occurred_at)[0]
        self._refuse_before_opening(until)
        stands = self._last_effect() <= min(until, self._horizon)
        then = type(self)(self.id, self.world)
        if stands:
            vars(then).update(vars(self))
        then._recording = False
        then._log = self._log
        then._horizon = until
        if not stands:
            then._history = self._history
        return then

    @classmethod
    def new(cls, id: UUID | None, world: World | None = None) -> Self:
        """Begin an aggregate that nothing has been recorded of; without an id for now."""
        self = cls(id or UNNAMED, world)
        self.id_given = id is not None
        return self

    def holds(self, event_id: UUID) -> bool:
        """Say whether an event of this id was loaded with this aggregate."""
        return any(event.event_id == event_id for event in self._log)

    def retract(self, event_id: UUID, *, because: str) -> None:
        """Say that an earlier fact of this stream (or a retraction) was wrong.

        Raises:
            NotFoundError: when this stream has no such event.
            RuleError: when the fact cannot be retracted by itself.
        """
        refuse_retraction(event_id, self._log)
        self._record(FactRetracted(event_id=event_id, because=because), None)

    @property
    def history(self) -> tuple[Event, ...]:
        """The believed history, the opening first, then in order of effect."""
        return tuple(self._history)

    def _record(self, fact: Fact, occurred_at: OccurredAt) -> None:
        if not self._recording:
            raise InputError(
                f"this is {self.noun} {self.id} as of {from_instant(self._horizon)}, for"
                " reading; give the command on the one you loaded, with `occurred_at`"
            )
        if not (self._history or fact.opens or isinstance(fact, FactRetracted)):
            self.refuse_absence()
        occurred, precision, day = self._said(occurred_at)
        if occurred is not None:
            self._refuse_before_opening(occurred)
            self._horizon = max(self._horizon, occurred)
        self.pending.append(Recorded(fact, occurred, precision, day))
        number = len(self.pending)
        event = Event(
            fact,
            self._id,
            self.version + number,
            FOREVER + number,
            self._horizon if occurred is None else occurred,
            FOREVER,
            NO_EVENT,
            precision,
        )
        self._log = [*self._log, event]
        plain = not isinstance(fact, FactRetracted) and event.effect <= self._horizon
        last = self._history[-1] if self._history else None
        if plain and (order(event) > order(last) if last else len(self._log) == 1):
            self._history = [*self._history, event]
            if self._settled:
                self._apply(event)
        else:
            self._believe()

    def _last_effect(self) -> Instant:
        """Give the latest effect of the believed history, planned ones included."""
        return max(self._history[0].effect, self._history[-1].effect)

    def _said(self, when: OccurredAt) -> tuple[Instant | None, Precision, date | None]:
        """Cut what a caller said; a day waits where the business time zone is not known."""
        if when is None:
            return None, MICROSECOND, None
        if isinstance(when, datetime) or self._world.knows_days:
            return *self._instant(when), None
        return None, "day", when

    def _cut_days(self) -> None:
        """Cut the days that were said before the business time zone was known."""
        waiting = [number for number, told in enumerate(self.pending) if told.day is not None]
        for number in waiting:
            fact, _, _, day = self.pending[number]
            assert day is not None
            occurred, precision = self._instant(day)
            self.pending[number] = Recorded(fact, occurred, precision)
            log, at = list(self._log), number - len(self.pending)
            log[at] = log[at]._replace(occurred=occurred)
            self._log = log
            self._believe()

    def _refuse_before_opening(self, occurred: Instant) -> None:
        if not self._history or occurred >= self._history[0].occurred:
            return
        opened = self._history[0].occurred
        when = "just now" if opened == FOREVER else f"at {from_instant(opened).isoformat()}"
        raise InputError(
            f"{self.noun} {self.id} was opened {when}; nothing can be recorded of it before,"
            f" at {from_instant(occurred).isoformat()}"
        )

    def _believe(self) -> None:
        """Order the history anew, and settle the state anew if anybody has seen it."""
        self._history = believed(self._log)
        if self._settled:
            self.settle()

    def settle(self) -> None:
        """Compute the state now, from the believed history up to the time it is believed at."""
        self._settled = True
        self._start()
        horizon, known, apply = self._horizon, self._known, self._apply
        for event in self._history:
            if event.effect <= horizon and type(event.fact) in known:
                apply(event)

    def _instant(self, when: datetime | date) -> tuple[Instant, Precision]:
        """Cut a time; a bare day is its midnight, but not before what is timed on that day."""
        if isinstance(when, datetime):
            return to_instant(when), MICROSECOND
        midnight = start_of_day(when, self.world.timezone)
        last = end_of_day(when, self.world.timezone)
        timed = [e.occurred for e in self._history if midnight < e.occurred <= last]
        return max([midnight, *timed]), "day"

    def _start(self) -> None:
        """Set the state before anything happened."""
        raise NotImplementedError

    def _apply(self, event: Event) -> None:
        """Assign what the event says; never refuse."""
        raise NotImplementedError
