"""Reactors: what acts on the world when something is recorded, and never when it is replayed.

    def tell_finance(event):
        post("https://finance.example.com/won", key=event.event_id, deal=event.stream_id)

    flow = SalesFlow(url, reactors=[Reactor("finance", {DealWon}, act=tell_finance)])
    flow.reactors.follow(stop=stop)     # in a worker; or flow.reactors.catch_up() in a job

A reactor has a position of its own, kept in the database: it is given every event after it, in
the order of the log, and no rebuild moves it back. `act` is called at least once for every
event, and once only unless a worker was killed, took longer than its lease or could not reach
the database afterwards; the event's id is the key by which a receiver knows one it has had.
`write` is given a connection and called exactly once: what it writes there and the new position
are one transaction. `write_page` is the same for all events of a page of the log at once, for
what would be slow one by one.

Leaves out time in the world: what happened long ago is given when it is recorded.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event as Flag
from time import monotonic
from typing import Final, NamedTuple
from uuid import uuid4

from sqlalchemy import Connection

from salesflow.adapters.event_store.log import EventLog, Head
from salesflow.adapters.logs import REACTOR
from salesflow.adapters.reactors import ReactorPositions
from salesflow.domain.arguments import ensure_callable, guarded_host
from salesflow.domain.event import (
    Event,
    Fact,
    FactRetracted,
    UnreadableFact,
    first_unreadable,
    unreadable_message,
)
from salesflow.domain.values import is_blank, shown
from salesflow.engine.worker import follow_until
from salesflow.errors import BusyError, HistoryError, InputError, ReactorError

__all__ = ["PAGE_EVENTS", "Reacted", "Reactor", "Reactors", "concerns", "reactors_by_name"]


PAGE_EVENTS = 500
RETRY_SECONDS = 5.0
NAME_LENGTH_MAX = 100
LEASE_SECONDS = 60.0
LEASE_SECONDS_MAX: Final = 31_622_400
"""A year."""
SECOND = 1_000_000


@guarded_host
@dataclass(frozen=True, kw_only=True)
class Reactor:
    """Something that acts on the world when one of these facts is recorded.

    A retraction of such a fact reaches it as well, without being named. It begins at the head
    of the log when it is first registered, or behind the position `after` (0: at the very
    beginning). Either `act`, `write` or `write_page` says what it does; see the module.
    """

    name: str = field(kw_only=False)
    facts: Collection[type[Fact]] = field(kw_only=False)
    act: Callable[[Event], object] | None = None
    write: Callable[[Event, Connection], object] | None = None
    write_page: Callable[[Sequence[Event], Connection], object] | None = None
    after: int | None = None
    lease_seconds: float = LEASE_SECONDS
    """How long `act` may take before another worker takes its place."""

    def __post_init__(self) -> None:
        """Refuse what could never react."""
        name: object = self.name
        if not isinstance(name, str) or is_blank(name) or len(name) > NAME_LENGTH_MAX:
            raise InputError(f"a reactor needs a name of 1 to {NAME_LENGTH_MAX} characters")
        self._ensure_one_action(name)
        self._ensure_valid_numbers()
        facts: object = self.facts
        if not isinstance(facts, Collection) or not all(map(_is_fact, facts)):
            raise InputError(
                f"reactor {name!r} reacts to {shown(facts)}; name classes of facts,"
                " as in [DealWon]"
            )

    def _ensure_one_action(self, name: str) -> None:
        actions = {
            "act": (self.act, ("an event",)),
            "write": (self.write, ("an event", "a connection")),
            "write_page": (self.write_page, ("events", "a connection")),
        }
        given = {key: each for key, each in actions.items() if each[0] is not None}
        if len(given) != 1:
            raise InputError(f"reactor {name!r} needs either `act`, `write` or `write_page`")
        [(key, (action, takes))] = given.items()
        ensure_callable(action, f"`{key}` of reactor {name!r}", *takes)

    def _ensure_valid_numbers(self) -> None:
        after, lease = self.after, self.lease_seconds
        if after is not None and (type(after) is not int or after < 0):
            raise InputError(
                f"reactor {self.name!r} begins after position {shown(after)}; write a whole"
                " number, 0 or more"
            )
        if not (type(lease) in (int, float) and 0 <= lease <= LEASE_SECONDS_MAX):
            raise InputError(
                f"reactor {self.name!r} has a lease of {shown(lease)} seconds; write a number,"
                f" 0 to {LEASE_SECONDS_MAX:,}"
            )


def _is_fact(cls: object) -> bool:
    return isinstance(cls, type) and issubclass(cls, Fact)


def reactors_by_name(reactors: Sequence[Reactor]) -> dict[str, Reactor]:
    """Return reactors by their names.

    Raises:
        InputError: when two have the same name.
    """
    found = {each.name: each for each in reactors}
    if len(found) < len(reactors):
        raise InputError("two reactors have the same name")
    return found


class Reacted(NamedTuple):
    """How the reactors stand beside the log after a look at it."""

    head: Head
    positions: dict[str, int]
    """Up to which position each has acted, by name."""
    failed: dict[str, str]
    """Those that stopped at an event, and what went wrong, by name."""
    busy: bool = False
    """Whether somebody else held the database for too long; it is tried again."""


class Failure(NamedTuple):
    """Why a reactor stopped, and when it is tried again."""

    again: float
    message: str


@guarded_host
class Reactors:
    """The reactors of one tenant, and where they stand."""

    def __init__(self, log: EventLog, reactors: Mapping[str, Reactor]) -> None:
        self._log = log
        self._reactors = reactors
        self._positions = ReactorPositions(log)
        if reactors:
            head = log.head().position
            self._positions.begin(
                {
                    name: head if each.after is None else each.after
                    for name, each in reactors.items()
                }
            )

    def positions(self) -> dict[str, int]:
        """Return up to which position of the log every reactor ever registered has acted."""
        return self._positions.all()

    def catch_up(self) -> None:
        """Act on all that was recorded until now.

        What another worker acts on at this time is left to it.

        Raises:
            ReactorError: when one stopped at an event; the others have gone on all the same.
        """
        with self._log.database.whole():
            tried = [self._try(reactor, Flag()) for reactor in self._reactors.values()]
        for error in filter(None, tried):
            raise error

    def advance(self, name: str) -> bool:
        """Let one reactor go on by a page of the log; say whether it has moved.

        It has not when it is level with the log, or when another worker was first.

        Raises:
            ReactorError: when it stopped at an event.
            HistoryError: when it stands before an event that cannot be read.
        """
        reactor = self._reactors[name]
        with self._log.database.whole():
            position = self._positions.all().get(name)
            if position is None:
                raise ReactorError(f"reactor {name!r} was forgotten; start its worker again")
            page = self._log.page(position, PAGE_EVENTS)
            return bool(page) and self._take_page(reactor, position, page, Flag()) is not None

    def follow(
        self,
        *,
        stop: Flag | None = None,
        on_reacted: Callable[[Reacted], object] = lambda _: None,
    ) -> None:
        """Act on whatever is recorded until `stop` is set, as a worker does.

        Any number of workers may do so at once. A reactor that failed is tried again a little
        later. `on_reacted` is called when one has moved on or has failed.
        """
        ensure_callable(on_reacted, "on_reacted", "how the reactors stand")
        stop = stop or Flag()
        react = partial(self._react, {}, stop)
        with self._log.database.whole():
            follow_until(stop, self._log.database, react, on_reacted)

    def _react(self, failed: dict[str, Failure], stop: Flag) -> Reacted:
        """Let each go on that did not just fail, and say how all stand."""
        busy = self._go_on_all(failed, stop)
        messages = {name: failure.message for name, failure in failed.items()}
        positions = self.positions()
        mine = {name: positions[name] for name in self._reactors}
        return Reacted(self._log.head(), mine, messages, busy)

    def _go_on_all(self, failed: dict[str, Failure], stop: Flag) -> bool:
        """Let each go on that did not just fail; say whether the database was busy."""
        for name, reactor in self._reactors.items():
            if name in failed and monotonic() < failed[name].again:
                continue
            try:
                error = self._try(reactor, stop)
            except BusyError:
                return True
            failed.pop(name, None)
            if error is not None:
                failed[name] = Failure(monotonic() + RETRY_SECONDS, str(error))
        return False

    def _try(self, reactor: Reactor, stop: Flag) -> ReactorError | HistoryError | None:
        """Let a reactor go as far as it can; give what stopped it."""
        try:
            self._go_on(reactor, stop)
        except (ReactorError, HistoryError) as error:
            return error
        return None

    def _go_on(self, reactor: Reactor, stop: Flag) -> None:
        goal = self._log.head().position
        position: int | None = self._positions.all()[reactor.name]
        while position is not None and position < goal and not stop.is_set():
            page = self._log.page(position, PAGE_EVENTS)
            position = self._take_page(reactor, position, page, stop)

    def _take_page(
        self, reactor: Reactor, position: int, page: Sequence[Event], stop: Flag
    ) -> int | None:
        """Let a reactor go on over a page; None when it was stopped, or another was first."""
        if reactor.write_page is not None:
            return self._write_page(reactor, position, page)
        for event in page:
            if stop.is_set():
                return None
            if concerns(self._log, reactor, event):
                if not self._deliver(reactor, position, event):
                    return None  # another worker acts on it, or has
                position = event.position
        return self._move_over(reactor, position, page[-1].position)

    def _write_page(self, reactor: Reactor, position: int, page: Sequence[Event]) -> int | None:
        """Hand a reactor what concerns it of a page, up to what cannot be read."""
        concerned: list[Event] = []
        last, wrong = position, None
        for event in page:
            try:
                if concerns(self._log, reactor, event):
                    concerned.append(event)
            except HistoryError as error:
                wrong = error
                break
            last = event.position
        moved = self._move_over(reactor, position, last, concerned)
        if wrong is not None and moved is not None:
            raise wrong
        return moved

    def _move_over(
        self, reactor: Reactor, position: int, last: int, concerned: Sequence[Event] = ()
    ) -> int | None:
        """Move a reactor on, and let it write what it was handed in the same transaction."""
        if position == last:
            return position
        with self._log.database.begin() as connection:
            if not self._positions.move(connection, reactor.name, position, last):
                return None
            if concerned:
                assert reactor.write_page is not None
                write = partial(reactor.write_page, concerned, connection)
                _call(write, reactor, concerned[0])
        return last

    def _deliver(self, reactor: Reactor, position: int, event: Event) -> bool:
        """Return one event to a reactor; False when another worker was first."""
        if reactor.act is not None:
            return self._act(reactor.act, reactor, position, event)
        assert reactor.write is not None
        with self._log.database.begin() as connection:
            moved = self._positions.move(connection, reactor.name, position, event.position)
            if moved:
                write = partial(reactor.write, event, connection)
                _call(write, reactor, event)
        return moved

    def _act(
        self, act: Callable[[Event], object], reactor: Reactor, position: int, event: Event
    ) -> bool:
        """Act outside any transaction, while no other worker may."""
        holder, after = uuid4().hex, position
        until = self._log.now() + int(reactor.lease_seconds * SECOND)
        if not self._positions.claim(reactor.name, position, holder, until):
            return False
        try:
            _call(partial(act, event), reactor, event)
            after = event.position
        finally:
            settled = self._positions.settle(reactor.name, position, holder, after)
        return settled


def concerns(log: EventLog, reactor: Reactor, event: Event) -> bool:
    """Return whether a reactor listens to a fact, or to the one it takes back.

    Raises:
        HistoryError: when it may listen to what cannot be read, until that is retracted.
    """
    fact = event.fact
    if isinstance(fact, UnreadableFact):
        return _may_concern(log, reactor, event, fact)
    while isinstance(fact, FactRetracted) and FactRetracted not in reactor.facts:
        named, stream = fact.event_id, log.stream(event.stream_id)
        fact = next(each.fact for each in stream if each.event_id == named)
    return type(fact) in reactor.facts


def _may_concern(log: EventLog, reactor: Reactor, event: Event, fact: UnreadableFact) -> bool:
    """Stop a reactor that may listen to what cannot be read, until it is retracted.

    Raises:
        HistoryError: with stream, version and position.
    """
    known = log.catalogue.class_of(fact.stored)
    if known is None or known in reactor.facts:
        wrong = first_unreadable(log.stream(event.stream_id))
        if wrong is not None and wrong.position <= event.position:
            raise HistoryError(unreadable_message(wrong))
    return False


def _call(action: Callable[[], object], reactor: Reactor, event: Event) -> None:
    """Do what a caller's code does; whatever it raises stops its reactor."""
    try:
        action()
    except Exception as error:
        kind = type(error).__name__
        REACTOR.warning("%s stopped before position %d: %s", reactor.name, event.position, kind)
        raise ReactorError(
            f"reactor {reactor.name!r} stopped before position {event.position}"
            f" ({event.fact.kind} of {event.stream_id}): {error!r}; it stays there and is"
            " given this event again"
        ) from error
