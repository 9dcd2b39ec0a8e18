"""What was recorded and waits to be appended: when it happens, and in which order it is told.

A fact without a time happens when it is recorded, which is later than every time that is named
before the commit. Until then it is told at the time up to which its aggregate is believed, and
behind everything else of that time.
"""

from datetime import date, datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

from salesflow.domain.event import Event, Fact, Precision
from salesflow.domain.time import FOREVER, SKEW, Instant, from_instant
from salesflow.errors import InputError

__all__ = [
    "NO_EVENT",
    "Detached",
    "OccurredAt",
    "PendingEvent",
    "detached_error",
    "in_log_order",
    "is_unrecorded",
    "is_untimed",
]


OccurredAt = datetime | date | None
"""When it happened: an aware time, a day, or None for the time of recording."""

Detached = Literal["reading", "ended"]
"""Why an aggregate takes no commands: it is one of another time, or of no open session."""

NO_EVENT = UUID(int=0)
"""The id of an event that is not appended yet."""

NOT_KNOWN: Final = (None,) * 6
"""The rest of an envelope, until it is appended."""

UNTIMED: Final = 2 * FOREVER
"""Positions of pending events without a time lie behind this: they happen last of all."""

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
    if all(told.occurred is None for told in pending):
        return pending
    floor = now - 2 * SKEW

    def time(told: PendingEvent) -> Instant:
        return FOREVER if told.occurred is None else max(told.occurred, floor)

    return sorted(pending, key=time)


def detached_error(
    noun: str, name: str, id: UUID, detached: Detached, as_of: Instant
) -> InputError:
    """Say why an aggregate takes no commands, and what does."""
    if detached == "reading":
        return InputError(
            f"this is {noun} {id} as of {from_instant(as_of)}, for reading; give the"
            " command on the one you loaded, with `occurred_at`"
        )
    return InputError(
        f"{noun} {id} belongs to no open session; what it recorded now would be lost: load"
        f" it in a session, `s.get({name}, id)`, and give the command on that"
    )
