"""Reads times as tables write them: several formats, days, local times across DST changes.

A time with an offset is exact. One without is local in the zone of the mapping: where clocks
were put back it happened twice, where they were put forward it never was; either is settled
as the mapping says and reported. A day is the local day, known no finer (`precision="day"`).
Sub-second digits are kept to the microsecond.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from salesflow.adapters.importing.problems import RowProblem
from salesflow.domain.facts import Precision
from salesflow.domain.moments import Instant, start_of_day, to_instant
from salesflow.errors import InputError

__all__ = [
    "OUT_OF_RANGE",
    "Ambiguous",
    "MissingZoneError",
    "Nonexistent",
    "ReadTime",
    "TimeReader",
]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS: Final = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
ZONE_WORD = re.compile(r" ?(?:UTC|GMT|Z)$", re.IGNORECASE)
UTC_WORD = re.compile(r"(?<!%)(?:Z|UTC|GMT)$")
SPACED_OFFSET = re.compile(r" (?=[+-]\d\d(?::?\d\d)?$)")
TOO_FINE = re.compile(r"[.,]\d{6}(\d+)")
DAY_LENGTH_MAX = 10
OUT_OF_RANGE = "lies before 1900 or out of range"
TWICE = "happened twice, when clocks were put back"
CLOCK_PARTS = re.compile(r"%[HIMSfpcXT]")

Ambiguous = Literal["earlier", "later", "order", "refuse"]
Nonexistent = Literal["shift", "refuse"]
Parser = Callable[[str], datetime | date]


class MissingZoneError(InputError):
    """The table holds local times or days, and nobody said where."""


class ReadTime(NamedTuple):
    """A time as read; `day` is the local day when no more is known, `note` what was settled."""

    instant: Instant
    precision: Precision
    day: date | None = None
    note: str | None = None
    second: Instant | None = None
    """The other time it may have been, where the order of the rows is to decide."""

    def after(self, before: Instant | None) -> "ReadTime":
        """Choose the second time when the first would lie before the row above."""
        if self.second is None or before is None or not self.instant < before <= self.second:
            return self
        note = f"{TWICE}; took the later, in the order of the rows"
        return self._replace(instant=self.second, second=None, note=note)


class TimeReader:
    """Reads the times of one column."""

    def __init__(
        self,
        formats: Sequence[str],
        zone: ZoneInfo | None,
        *,
        ambiguous: Ambiguous = "earlier",
        nonexistent: Nonexistent = "shift",
        days: bool = False,
        day_zone: ZoneInfo | None = None,
    ) -> None:
        """`day_zone` is the zone of days, where it is another than that of times."""
        self.formats = tuple(formats)
        self.zone = zone
        self.day_zone = day_zone or zone
        self._ambiguous = ambiguous
        self._nonexistent = nonexistent
        self._days = days
        self._parsers = [_parser(pattern) for pattern in formats]

    def read(self, text: str) -> ReadTime:
        """Read a time or a day.

        Raises:
            RowProblem: when it fits no format, lies before 1900 or is refused by the rules.
            MissingZoneError: when it needs a zone and none is known.
        """
        found = self._parse(text)
        try:
            if not isinstance(found, datetime):
                return self._whole_day(found, text)
            if self._days:
                return self._whole_day(found.date(), text)
            at, note, second = (found, None, None) if found.tzinfo else self._local(found, text)
            other = None if second is None else to_instant(second)
            return ReadTime(to_instant(at), "microsecond", None, note or _too_fine(text), other)
        except MissingZoneError:
            raise
        except (InputError, OverflowError) as error:
            raise RowProblem(OUT_OF_RANGE) from error

    def day(self, text: str) -> date:
        """Read a day; of a time, its day as written."""
        found = self._parse(text)
        return found.date() if isinstance(found, datetime) else found

    def aware(self, text: str) -> tuple[datetime, str | None]:
        """Read a time as an aware datetime, a day as its local midnight."""
        read = self.read(text)
        return EPOCH + timedelta(microseconds=read.instant), read.note

    def _parse(self, text: str) -> datetime | date:
        for parse in self._parsers:
            try:
                return parse(text)
            except (ValueError, OverflowError):
                continue
        raise RowProblem(f"is not a time written as {' or '.join(self.formats)}")

    def _whole_day(self, day: date, text: str) -> ReadTime:
        return ReadTime(start_of_day(day, _named(self.day_zone, text)), "day", day)

    def _local(
        self, naive: datetime, text: str
    ) -> tuple[datetime, str | None, datetime | None]:
        zone = _named(self.zone, text)
        first = naive.replace(tzinfo=zone, fold=0)
        second = naive.replace(tzinfo=zone, fold=1)
        before, after = first.utcoffset(), second.utcoffset()
        if before == after or before is None or after is None:
            return first, None, None
        if before > after:
            if self._ambiguous == "refuse":
                raise RowProblem(TWICE)
            if self._ambiguous == "later":
                return second, f"{TWICE}; took the later", None
            by_order = second if self._ambiguous == "order" else None
            return first, f"{TWICE}; took the earlier", by_order
        if self._nonexistent == "refuse":
            raise RowProblem("never was, clocks were put forward")
        return first, "never was, clocks were put forward; took as much later", None


def _named(zone: ZoneInfo | None, text: str) -> ZoneInfo:
    if zone is None:
        raise MissingZoneError(
            f"{text!r} names no time zone; say where it was that time with --timezone, or with"
            ' timezone = "Europe/Berlin" at the top of the mapping'
        )
    return zone


def _parser(pattern: str) -> Parser:
    if pattern == "iso":
        return _iso
    if pattern in UNITS:
        unit = UNITS[pattern]
        return lambda text: _epoch(text, unit)
    if UTC_WORD.search(pattern):
        return lambda text: datetime.strptime(text, pattern).replace(tzinfo=UTC)
    if CLOCK_PARTS.search(pattern):
        return lambda text: datetime.strptime(text, pattern)  # noqa: DTZ007 - localised later
    return lambda text: datetime.strptime(text, pattern).date()  # noqa: DTZ007


def _iso(text: str) -> datetime | date:
    if len(text) <= DAY_LENGTH_MAX:
        return date.fromisoformat(text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        mended = SPACED_OFFSET.sub("", ZONE_WORD.sub("+00:00", text))
        return datetime.fromisoformat(mended)


def _epoch(text: str, unit: int) -> datetime:
    if not NUMBER.fullmatch(text):
        raise ValueError(text)
    return EPOCH + timedelta(microseconds=int(Decimal(text) * unit))


def _too_fine(text: str) -> str | None:
    found = TOO_FINE.search(text)
    if found and found[1].strip("0"):
        return "digits finer than a microsecond were cut off"
    return None
