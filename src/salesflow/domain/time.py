"""Time: instants, periods and the moment a question is asked at.

Inside the log and the read tables an instant is an `int`: microseconds since 1970-01-01 UTC,
exact and the same on every database. At the public surface it is an aware `datetime`. A bare
date is cut into instants here and nowhere else: as a moment it means the *end* of that day in
the business time zone (the next local midnight less one microsecond).
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Final, Protocol, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator

from salesflow.domain.values import GivenTime, Value
from salesflow.domain.wording import quoted
from salesflow.errors import InputError

__all__ = [
    "DAY",
    "FIRST_DAY",
    "FOREVER",
    "LAST_DAY",
    "LATEST",
    "MICROSECOND",
    "ONE_DAY",
    "SKEW",
    "Instant",
    "Moment",
    "Period",
    "Time",
    "When",
    "by_clocks",
    "day_after",
    "day_number",
    "end_of_day",
    "ensure_days",
    "ensure_not_future",
    "ensure_period",
    "from_instant",
    "instant_from",
    "instant_of",
    "is_end_of_day",
    "microseconds_between",
    "read_day",
    "same_rules",
    "start_and_end",
    "start_of_day",
    "start_of_next_day",
    "to_instant",
    "zone",
]


Instant = int
"""Microseconds since 1970-01-01 UTC."""

When = datetime | date | str
"""What callers may say for a time: an aware datetime, a date, or either in ISO 8601 (where a
time without a zone is one of the business time zone)."""


class EventTime(Protocol):
    """A fact about to be recorded; None stands for the time of recording."""

    @property
    def occurred(self) -> Instant | None:
        """When it happened, where somebody said so."""


FOREVER: Instant = 2**62
"""Later than everything: the end of a row that has not ended."""

SKEW: Final[Instant] = 5_000_000
"""How far the clocks of hosts may differ: five seconds."""

DAY: Final = 86_400_000_000
"""Microseconds of a day of 24 hours."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
ONE_DAY: Final = timedelta(days=1)
IS_DAY = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}").fullmatch
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""No time can be said from here on: it would have no local time in every zone. It stands for
when something happens that waits to be recorded, while nobody knows what time it is."""


def _in_utc(at: datetime) -> datetime:
    to_instant(at)
    return at.astimezone(UTC)


Time = Annotated[GivenTime, AfterValidator(_in_utc)]
"""A time inside a fact: aware when given, stored in UTC."""


class Moment(Value):
    """Where on both time axes an answer stands, and at which position of the log.

    `as_of` cuts what happened, `known_at` what was known; `position` and `revision` (of the
    projection) make the answer repeatable for ever.
    """

    as_of: datetime
    known_at: datetime
    position: int
    revision: int

    @classmethod
    def at(cls, as_of: Instant, known_at: Instant, *, position: int, revision: int) -> Self:
        """Return the moment of two instants."""
        return cls(
            as_of=from_instant(as_of),
            known_at=from_instant(known_at),
            position=position,
            revision=revision,
        )

    @classmethod
    def asked(cls, as_of: Instant, known_at: Instant, position: int) -> Self:
        """Return a moment to ask at; its answer says of which revision it is."""
        return cls.at(as_of, known_at, position=position, revision=1)


class Period(Value):
    """A half-open span of time `[start, end)`."""

    start: datetime
    end: datetime

    @classmethod
    def of_days(cls, first: date, last: date, timezone: ZoneInfo) -> Self:
        """Return the period of whole business days, the first and the last included."""
        return cls.between(*start_and_end(first, last, timezone))

    @classmethod
    def between(cls, start: Instant, end: Instant) -> Self:
        """Return the period from one instant to another, which is not of it any more."""
        return cls(start=from_instant(start), end=from_instant(end))


FIRST_DAY: Final = date(1900, 1, 2)
LAST_DAY: Final = date(9999, 12, 29)
"""The first and the last day that are whole days in every time zone."""


def to_instant(at: datetime) -> Instant:
    """Turn an aware datetime into microseconds since 1970 UTC.

    Raises:
        InputError: for no datetime, a naive one, or a time before 1900 or after 9999-12-30 UTC.
    """
    if not isinstance(at, datetime):
        raise InputError(f"{quoted(at)} is no time; pass an aware datetime")
    if at.tzinfo is None:
        raise InputError(f"{at.isoformat()} has no time zone; pass an aware datetime")
    if at < EARLIEST:
        raise InputError(f"{at.isoformat()} lies before 1900 UTC, the first time there is")
    if at >= LATEST:
        raise InputError(f"{at.isoformat()} lies after 9999-12-30 UTC, the last time there is")
    return (at - EPOCH) // MICROSECOND


def from_instant(at: Instant) -> datetime:
    """Turn microseconds into an aware datetime in UTC.

    Raises:
        InputError: when it lies outside the years 1 to 9999.
    """
    try:
        return EPOCH + timedelta(microseconds=at)
    except OverflowError as error:
        raise InputError(f"{at} microseconds from 1970 lie outside the calendar") from error


def ensure_not_future(occurred: Instant, now: Instant) -> None:
    """Refuse what is said to have happened later than the clocks of hosts may differ.

    Raises:
        InputError: saying what time it is.
    """
    if occurred > now + SKEW:
        raise InputError(
            f"{from_instant(occurred).isoformat()} lies in the future:"
            f" it is {from_instant(now).isoformat()}"
        )


def start_of_day(day: date, timezone: ZoneInfo) -> Instant:
    """Return the first instant of a day in the business time zone.

    Raises:
        InputError: for no day, or one before 1900 or after 9999-12-30.
    """
    _ensure_day(day)
    _ensure_known(day, day)
    return to_instant(datetime.combine(day, time(), timezone))


def day_after(day: date) -> date:
    """Return the day after a day.

    Raises:
        InputError: for 9999-12-31, after which no day is known.
    """
    if day == date.max:
        raise InputError(f"{day} is the last day there is; name one before it")
    return day + ONE_DAY


def ensure_days(first: date, last: date) -> None:
    """Refuse days of which the last lies before the first.

    Raises:
        InputError: naming both.
    """
    if last < first:
        raise InputError(f"a period cannot end ({last}) before it starts ({first})")


def ensure_period(first: date, last: date) -> None:
    """Refuse days, both of them included, that are no period, or that nobody can ask about.

    Raises:
        InputError: saying which days there are.
    """
    ensure_days(first, last)
    if first < FIRST_DAY or last > LAST_DAY:
        raise InputError(
            f"a period lies between {FIRST_DAY} and {LAST_DAY}; {first} … {last} does not"
        )


def start_of_next_day(day: date, timezone: ZoneInfo) -> Instant:
    """Return the first instant that is not of this day any more.

    Raises:
        InputError: for 9999-12-31, after which no day is known.
    """
    _ensure_day(day)
    following = day_after(day)
    _ensure_known(following, day)
    return start_of_day(following, timezone)


def _ensure_known(day: date, named: date) -> None:
    """Refuse a day before all that are known, naming the one that was asked for."""
    if day.year < EARLIEST.year:
        raise InputError(f"{named} lies before 1900; name a day from 1900-01-02 on")


def start_of_last_days(days: int, at: Instant, timezone: ZoneInfo) -> Instant:
    """Return when so many days begin that end with the day of an instant."""
    last = from_instant(at).astimezone(timezone).date()
    return start_of_day(last - timedelta(days=days - 1), timezone)


def start_and_end(first: date, last: date, timezone: ZoneInfo) -> tuple[Instant, Instant]:
    """Return the first instant of some days and the first that is not of them any more.

    Raises:
        InputError: when the last day lies before the first, or no such day is known.
    """
    ensure_days(first, last)
    return start_of_day(first, timezone), start_of_next_day(last, timezone)


def instant_from(event: EventTime) -> Instant:
    """Return when a fact that is not recorded yet happened; without a time, last of all."""
    return FOREVER if event.occurred is None else event.occurred


def end_of_day(day: date, timezone: ZoneInfo) -> Instant:
    """Return the last microsecond of a day: the next local midnight less one."""
    return start_of_next_day(day, timezone) - 1


def is_end_of_day(at: datetime, timezone: ZoneInfo) -> bool:
    """Whether a time is the last microsecond of its day in the business time zone."""
    day = at.astimezone(timezone).date()
    return day < date.max and to_instant(at) == end_of_day(day, timezone)


def instant_of(when: When, timezone: ZoneInfo) -> Instant:
    """Cut what a caller said into an instant; a bare date means the end of that day.

    A text without a zone is a time by the clocks of the business time zone.
    """
    if isinstance(when, str):
        said, when = when, _parsed(when)
        if isinstance(when, datetime) and when.tzinfo is None:
            when = by_clocks(when, said, timezone)
    if isinstance(when, datetime):
        return to_instant(when)
    if not isinstance(when, date):
        raise InputError(
            f"{quoted(when)} is no time; pass an aware datetime, a date, or either as text"
        )
    return end_of_day(when, timezone)


def by_clocks(naive: datetime, said: str, timezone: ZoneInfo) -> datetime:
    """Return a time by the clocks of a zone.

    Raises:
        InputError: when they were put forward over it, or showed it twice; and for a time
            before 1900 or after 9999-12-30 UTC, which may have none in UTC.
    """
    at = naive.replace(tzinfo=timezone)
    to_instant(at)
    if at.astimezone(UTC).astimezone(timezone).replace(tzinfo=None) != naive:
        raise InputError(f"{quoted(said)} was skipped by the clocks of {timezone.key}")
    if at.utcoffset() != at.replace(fold=1).utcoffset():
        raise InputError(
            f"{quoted(said)} was shown twice by the clocks of {timezone.key}; write its zone"
            f" behind it, such as {at.isoformat()}"
        )
    return at


def microseconds_between(
    start: Instant, end: Instant, timezone: ZoneInfo, *, days_only: bool
) -> int:
    """Return the microseconds between two instants; calendar days where both are only days.

    A calendar day counts 24 hours, whatever the clocks did.
    """
    if not days_only:
        return end - start
    return (day_number(end, timezone) - day_number(start, timezone)) * DAY


def zone(name: str) -> ZoneInfo:
    """Find a time zone by its IANA name such as Asia/Shanghai."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise InputError(
            f"{quoted(name)} is not a time zone; write one like Asia/Shanghai"
        ) from error


def same_rules(one: ZoneInfo, other: ZoneInfo) -> bool:
    """Return whether two names are of one zone, as Asia/Calcutta and Asia/Kolkata are."""
    return one.key == other.key or _rules(one.key) == _rules(other.key) is not None


def _rules(key: str) -> bytes | None:
    """Read the rules of a zone as the package `tzdata` has them; None where it has none."""
    try:
        return files("tzdata").joinpath("zoneinfo", *key.split("/")).read_bytes()
    except OSError:
        return None


def _ensure_day(day: object) -> None:
    if not isinstance(day, date):
        raise InputError(f"{quoted(day)} is no day; pass a date such as date(2026, 3, 31)")


def read_day(text: str) -> date:
    """Read a day as ISO 8601 writes it.

    Raises:
        InputError: when it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{quoted(text)} is not a day; write one like 2026-03-31") from error


def _parsed(text: str) -> datetime | date:
    try:
        return date.fromisoformat(text) if IS_DAY(text) else datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{quoted(text)} is not a time; write 2026-03-31, 2026-03-31 17:00 in the business"
            " time zone, or 2026-03-31T17:00:00+08:00"
        ) from error


@lru_cache(maxsize=65_536)
def day_number(at: Instant, timezone: ZoneInfo) -> int:
    """Number the day an instant lies in; imported instants are few days over and over."""
    return from_instant(at).astimezone(timezone).toordinal()
