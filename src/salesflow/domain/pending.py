"""What waits to be appended: when it happens, in which order, and what nobody ever added.

A fact without a time happens when it is recorded, which is later than every time that is named
before the commit. Until then it is told at the time up to which its aggregate is believed, and
behind everything else of that time.
"""

import atexit
import os
import sys
import warnings
from datetime import date, datetime
from inspect import CO_OPTIMIZED
from itertools import islice
from operator import attrgetter
from traceback import walk_tb
from types import FrameType
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID
from weakref import ref

from salesflow.domain.event import Event, Fact, Precision
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import (
    FOREVER,
    SKEW,
    Instant,
    end_of_day,
    from_instant,
    to_instant,
)
from salesflow.errors import InputError, NeverAddedWarning

__all__ = [
    "NO_EVENT",
    "Detached",
    "OccurredAt",
    "PendingEvent",
    "detached_error",
    "ensure_seen",
    "give_up",
    "in_log_order",
    "is_unrecorded",
    "is_untimed",
    "track_new",
    "untrack",
    "warn_never_added",
]


OccurredAt = datetime | date | None
"""When it happened: an aware time, a day, or None for the time of recording."""

Detached = Literal["reading", "ended", "recorded"]
"""Why an aggregate takes no commands: it was read as of another time, or its session has ended,
without recording it or having recorded it."""

NO_EVENT = UUID(int=0)
"""The id of an event that is not appended yet."""

NOT_KNOWN: Final = (None,) * 6
"""The rest of an envelope, until it is appended."""

UNTIMED: Final = 2 * FOREVER
"""Positions of pending events without a time lie behind this: they happen last of all."""

OCCURRED: Final = attrgetter("occurred")

_new = tuple.__new__


class PendingEvent(NamedTuple):
    """A fact recorded by a command, waiting for the session to append it.

    `occurred` is None when the caller gave no time: then it is the time of recording. `day`
    is a day that waits to be cut in the session's time zone.
    """

    fact: Fact
    occurred: Instant | None
    precision: Precision
    day: date | None = None

    def event(self, stream_id: UUID, version: int, number: int, *, now: Instant) -> Event:
        """Return the event it is until it is appended, the n-th after a version."""
        fact, occurred, precision, _ = self
        last, when = (UNTIMED, now) if occurred is None else (FOREVER, occurred)
        known = (fact, stream_id, version + number, last + number, when)
        return _new(Event, (*known, FOREVER, NO_EVENT, precision, *NOT_KNOWN))


def is_unrecorded(event: Event) -> bool:
    """Return whether it waits to be appended."""
    return event.position > FOREVER


def is_untimed(event: Event) -> bool:
    """Return whether it waits to be appended and happens then, after all that has a time."""
    return event.position > UNTIMED


def in_log_order(pending: list[PendingEvent], now: Instant) -> list[PendingEvent]:
    """Put facts into the order in which they are to stand in the log.

    As they were said, but what happened close to now by its time, and what has none last: the
    log may cut several times to that of recording, and then its order decides.
    """
    if [*map(OCCURRED, pending)].count(None) == len(pending):
        return pending
    floor = now - 2 * SKEW

    def time(event: PendingEvent) -> Instant:
        return FOREVER if event.occurred is None else max(event.occurred, floor)

    return sorted(pending, key=time)


def ensure_seen(noted: PendingEvent, context: ReplayContext, noun: str) -> None:
    """Refuse what rests on figures that nobody can have seen when it happens.

    Raises:
        InputError: saying of when the figures are.
    """
    (as_of, known_at), latest = noted.fact.figures_seen, context.latest
    if (as_of is None and known_at is None) or latest == FOREVER:
        return
    said = until = latest if noted.occurred is None else noted.occurred
    if noted.precision == "day":
        day = from_instant(said).astimezone(context.timezone).date()
        until = end_of_day(day, context.timezone)
    if as_of is not None and to_instant(as_of) > until + SKEW:
        raise InputError(
            f"the figures of this {noun} are as of {as_of.isoformat()}, later than"
            f" {from_instant(said).isoformat()}, when it happens; take those of then"
        )
    if known_at is not None and to_instant(known_at) > latest + SKEW:
        raise InputError(
            f"the figures of this {noun} cannot be those known at {known_at.isoformat()},"
            f" which lies in the future: it is {from_instant(latest).isoformat()}"
        )


def detached_error(
    noun: str, name: str, id: UUID, detached: Detached, as_of: Instant
) -> InputError:
    """Return why an aggregate takes no commands, and what does."""
    if detached == "reading":
        return InputError(
            f"this is {noun} {id} as of {from_instant(as_of)}, for reading; give the"
            " command on the one you loaded, with `occurred_at`"
        )
    return InputError(
        f"{noun} {id} belongs to no open session; what it recorded now would be lost: load"
        f" it in a session, `s.get({name}, id)`, and give the command on that"
    )


# What was made and never added to a session: a warning, at the line that made it.
#
# Things that are let go are found when the next session ends, when more is made, and when the
# program ends. Nothing runs at the moment itself, as a destructor would: Python loses the
# exception of an interrupt that arrives in one.
#
# A warning is for what went well all the same. What a function had made before it raised was
# undone with its session, so nothing of it is missed.

PACKAGE: Final = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")
NEVER_ADDED: Final = (
    "a {} was made and was never added to a session: nothing of it is recorded; add it, as in"
    " `s.add({}.…)`"
)


class NewAggregate(NamedTuple):
    """A thing that no session has taken in yet, and where it was made."""

    thing: ref[object]
    noun: str
    kind: str
    filename: str
    line: int
    names: dict[str, Any]
    """The globals of the module that made it."""


_new_aggregates: Final[dict[int, NewAggregate]] = {}
"""By the identity of each thing, which another one may get once it is gone."""
_gone: Final[list[NewAggregate]] = []


def track_new(thing: object, noun: str, kind: str) -> None:
    """Remember a new thing of which something was recorded, until it is added."""
    frame: FrameType = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    made = NewAggregate(
        ref(thing), noun, kind, frame.f_code.co_filename, frame.f_lineno, frame.f_globals
    )
    before = _new_aggregates.pop(id(thing), None)
    if before is not None:
        _gone.append(before)
    _new_aggregates[id(thing)] = made
    count = len(_new_aggregates)
    if not count & (count - 1):  # each time there are twice as many
        warn_never_added()


def untrack(thing: object) -> None:
    """Forget a thing that was added, or that need not be."""
    _new_aggregates.pop(id(thing), None)


def warn_never_added(newest: int | None = None) -> None:
    """Warn of what nobody holds any more, and nobody has added; look at so many (None: all)."""
    if not (_new_aggregates or _gone):
        return
    for key, made in list(islice(reversed(_new_aggregates.items()), newest)):
        if made.thing() is None and _new_aggregates.pop(key, None) is made:
            _gone.append(made)
    while _gone:
        made = _gone.pop()
        warnings.warn_explicit(
            NEVER_ADDED.format(made.noun, made.kind),
            NeverAddedWarning,
            made.filename,
            made.line,
            module=made.names.get("__name__"),
            registry=made.names.setdefault("__warningregistry__", {}),
        )


def give_up(error: BaseException) -> None:
    """Forget what was made by functions that an error came through, and what is gone by now.

    Nothing was recorded in their session, and the error says so.
    """
    for thing in _held(error):
        untrack(thing)
    for key, made in list(_new_aggregates.items()):
        if made.thing() is None:
            _new_aggregates.pop(key, None)


def _held(error: BaseException) -> list[object]:
    """Return what the functions that an error came through had in hand."""
    found: list[object] = []
    for frame, _ in walk_tb(error.__traceback__):
        held = frame.f_locals
        found += held.values()
        if type(held) is dict and frame.f_code.co_flags & CO_OPTIMIZED:
            held.clear()  # a copy, which would keep alive what the function lets go
    return found


atexit.register(warn_never_added)
