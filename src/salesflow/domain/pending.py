"""What was recorded and waits to be appended: when it happens, and in which order it is told.

A fact without a time happens when it is recorded, which is later than every time that is named
before the commit. Until then it is told at the time up to which its aggregate is believed, and
behind everything else of that time.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.event import Event, Fact, Precision
from salesflow.domain.time import FOREVER, SKEW, Instant, from_instant
from salesflow.errors import InputError

__all__ = [
    "NO_EVENT",
    "Closed",
    "OccurredAt",
    "PendingEvent",
    "ReplayContext",
    "closed_error",
    "in_log_order",
    "is_untimed",
]


OccurredAt = datetime | date | None
"""When it happened: an aware time, a day, or None for the time of recording."""

Closed = Literal["reading", "ended"]
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
        """Give the event it is until it is appended, the n-th after a version."""
        fact, occurred, precision, _ = self
        last, when = (UNTIMED, now) if occurred is None else (FOREVER, occurred)
        told = (fact, stream_id, version + number, last + number, when)
        return _new(Event, (*told, FOREVER, NO_EVENT, precision, *NOT_KNOWN))


def is_untimed(event: Event) -> bool:
    """Say whether it waits to be appended and happens when it is, after all that has a time."""
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


def closed_error(noun: str, name: str, id: UUID, closed: Closed, as_of: Instant) -> InputError:
    """Say why an aggregate takes no commands, and what does."""
    if closed == "reading":
        return InputError(
            f"this is {noun} {id} as of {from_instant(as_of)}, for reading; give the"
            " command on the one you loaded, with `occurred_at`"
        )
    return InputError(
        f"{noun} {id} belongs to no open session; what it recorded now would be lost: load"
        f" it in a session, `s.get({name}, id)`, and give the command on that"
    )


# What an aggregate may read beside its own history, handed in by the session.


class ReplayContext:
    """What an aggregate may read beside its own history, handed in by the session.

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
        """Give the latest time a command may name; the log's last where the clock is behind."""
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
