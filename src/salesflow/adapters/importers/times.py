"""Reads times as tables write them: several formats, days, local times across DST changes.

A time with an offset is exact. One without is local in the zone of the mapping: where clocks
were put back it happened twice, where they were put forward it never was; either is settled
as the mapping says and reported. A day is the local day, known no finer (`precision="day"`).
Sub-second digits are kept to the microsecond.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from salesflow.adapters.importers.errors import RowError
from salesflow.domain.event import Precision
from salesflow.domain.time import Instant, start_of_day, to_instant
from salesflow.domain.wording import Message
from salesflow.errors import InputError

__all__ = [
    "OUT_OF_RANGE",
    "UNITS",
    "WORKBOOKS",
    "Ambiguous",
    "MissingZoneError",
    "Nonexistent",
    "ReadTime",
    "Rules",
    "TimeReader",
    "likely_unit",
    "occurred_at",
    "read_day_number",
    "read_epoch",
]


# Times written as bare numbers: since 1970, or as spreadsheets count days.
#
# Excel numbers days from 1900 (1 is 1 January), where it counts a 29 February 1900 that never
# was, or from 1904 (0 is 1 January) in workbooks from old Macs; the fraction is the time of
# day. A number read in the wrong unit gives a time that is plainly none of a sales process:
# seconds taken for milliseconds lie in January 1970. Such a number is refused, with the unit it
# fits.

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS: Final = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
WORKBOOKS: Final = {"excel": date(1899, 12, 30), "excel_1904": date(1904, 1, 1)}
NUMBER = re.compile(r"-?\d{1,20}([.,]\d{1,30})?", re.ASCII)
NEVER = 60
"""Excel's 29 February 1900; the days before it are one less in its count."""
LAST = 2_958_465
LIKELY = (datetime(1980, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
EARLY = (datetime(1969, 12, 1, tzinfo=UTC), datetime(1971, 1, 1, tzinfo=UTC))
LIKELY_DAYS = (29_221, 73_051)
"""From 1980 to 2100, as Excel numbers days."""
PLACES_MAX = Decimal(86400000)
OTHER_UNIT = "lies in {year} when read as {format}; {hint}"
OUT_OF_UNIT = "lies out of range when read as {format}; {hint}"


def read_epoch(text: str, name: str) -> datetime:
    """Read seconds, milliseconds or microseconds since 1970.

    Raises:
        ValueError: when it is no number.
        RowError: when it is plainly counted in another unit.
    """
    number = _number(text)
    at = _since_1970(number, UNITS[name])
    if at is None or EARLY[0] <= at < EARLY[1] or not at.year < LIKELY[1].year:
        other = likely_unit(text)
        if other is not None and other[0] != name:
            hint = _unit_hint(*other)
            if at is None:
                raise RowError(OUT_OF_UNIT, format=name, hint=hint)
            raise RowError(OTHER_UNIT, year=at.year, format=name, hint=hint)
    if at is None:
        raise OverflowError(text)
    return at


def read_day_number(text: str, name: str) -> datetime | date:
    """Read a day number of a spreadsheet, whole or with a time of day.

    Raises:
        ValueError: when it is no number.
        RowError: when spreadsheets have no such day.
    """
    number = _number(text)
    day = int(number)
    first = 0 if name == "excel_1904" else 1
    if number < first or day > LAST:
        other = likely_unit(text)
        if other is None:
            raise RowError("is no day number of a spreadsheet")
        raise RowError("is no day number of a spreadsheet; {hint}", hint=_unit_hint(*other))
    if name == "excel" and day == NEVER:
        raise RowError("is 29 February 1900 in Excel, a day that never was")
    if name == "excel" and day < NEVER:
        day += 1
    date_read = WORKBOOKS[name] + timedelta(days=day)
    rest = number - int(number)
    if not rest:
        return date_read
    with localcontext(prec=60):
        milliseconds = int((rest * PLACES_MAX).to_integral_value())
    midnight = datetime.combine(date_read, datetime.min.time())
    return midnight + timedelta(milliseconds=milliseconds)


def likely_unit(text: str) -> tuple[str, str] | None:
    """Return the format in which a bare number is a likely time, and that time."""
    if not NUMBER.fullmatch(text):
        return None
    number = _number(text)
    if LIKELY_DAYS[0] <= number < LIKELY_DAYS[1]:
        return "excel", (WORKBOOKS["excel"] + timedelta(days=int(number))).isoformat()
    for name, unit in UNITS.items():
        at = _since_1970(number, unit)
        if at is not None and LIKELY[0] <= at < LIKELY[1]:
            return name, at.date().isoformat()
    return None


def usual_formats(text: str) -> list[str]:
    """Return the formats that read a day as people write it: 2026/01/08, 8.1.2026, 1/8/2026."""
    shape = WRITTEN_DAY.fullmatch(text)
    if shape is None:
        return []
    first, last = shape["first"], shape["last"]
    orders = ("%Y{0}%m{1}%d",) if len(first) == 4 else ("%d{0}%m{1}%Y", "%m{0}%d{1}%Y")
    clock = ("", " %H:%M", " %H:%M:%S")[shape["clock"].count(":")]
    formats = [
        f"{each.format(shape['one'], shape['two'])}{shape['end']}{clock}" for each in orders
    ]
    if (len(first) == 4) == (len(last) == 4) or (len(first) == 4 and shape["one"] == "-"):
        return []  # without a year of four digits, or as ISO 8601 has it
    return [each for each in formats if _reads(each, text)]


def _reads(format: str, text: str) -> bool:
    try:
        datetime.strptime(text, format)  # noqa: DTZ007 - only whether it fits
    except ValueError:
        return False
    return True


WRITTEN_DAY: Final = re.compile(
    r"(?P<first>\d{4}|\d{1,2})(?P<one>[/.年-])\d{1,2}(?P<two>[/.月-])(?P<last>\d{1,4})"
    r"(?P<end>日?)(?P<clock>(?: \d{1,2}:\d{2}(?::\d{2})?)?)"
)
"""A day as people write it, perhaps with a time of day."""


def _unit_hint(name: str, day: str) -> Message:
    """Return in which unit a number would be a likely time, and how to say so."""
    if name == "excel":
        return Message('as a day number of Excel it is {day}: formats = ["excel"]', day=day)
    return Message('as {format} it is {day}: formats = ["{format}"]', format=name, day=day)


def _number(text: str) -> Decimal:
    if not NUMBER.fullmatch(text):
        raise ValueError(text)
    return Decimal(text.replace(",", "."))


def _since_1970(number: Decimal, unit: int) -> datetime | None:
    try:
        return EPOCH + timedelta(microseconds=int(number * unit))
    except OverflowError:
        return None


MIDNIGHT = time()
TEXT_MAX = 200
ZONE_WORD = re.compile(r" ?(?:UTC|GMT|Z)$", re.IGNORECASE)
UTC_WORD = re.compile(r"(?<!%)(?:Z|UTC|GMT)$")
SPACED_OFFSET = re.compile(r" (?=[+-]\d\d(?::?\d\d)?$)")
TOO_FINE = re.compile(r"[.,]\d{6}(\d+)")
DAY_LENGTH_MAX = 10
OUT_OF_RANGE = "lies before 1900 or out of range"
TWICE = "happened twice, when clocks were put back"
EARLIER = "happened twice, when clocks were put back; took the earlier"
LATER = "happened twice, when clocks were put back; took the later"
LATER_BY_ORDER = (
    "happened twice, when clocks were put back; took the later, in the order of the rows"
)
NEVER_WAS = "never was, clocks were put forward"
SHIFTED = "never was, clocks were put forward; took as much later"
TWO_READINGS = 'can be read as {two}; list one of the two, or say [times] disagreeing = "first"'
NO_TIME = "is not a time written as {formats}"
MIDNIGHT_ELSEWHERE = (
    "is midnight of {written}, and {day} in {zone}; where it stands for a day, say"
    ' timezone = "UTC" for this column'
)
CLOCK_PARTS = re.compile(r"%[HIMSfpcXT]")

Ambiguous = Literal["earlier", "later", "order", "refuse"]
Nonexistent = Literal["shift", "refuse"]
Disagreeing = Literal["refuse", "first"]
Parser = Callable[[str], datetime | date]


class MissingZoneError(InputError):
    """The table holds local times or days, and no time zone is given."""


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
        return self._replace(instant=self.second, second=None, note=LATER_BY_ORDER)


def occurred_at(at: ReadTime | None) -> tuple[Instant | None, Precision, date | None]:
    """Return when a fact happened, how exactly that is known, and its day, as facts have it."""
    return (None, "microsecond", None) if at is None else (at.instant, at.precision, at.day)


class Rules(NamedTuple):
    """What to do with times that could be two, or that never were."""

    ambiguous: Ambiguous = "earlier"
    nonexistent: Nonexistent = "shift"
    disagreeing: Disagreeing = "refuse"


class TimeReader:
    """Reads the times of one column."""

    def __init__(
        self,
        formats: Sequence[str],
        zone: ZoneInfo | None,
        *,
        rules: Rules | None = None,
        days: bool = False,
        day_zone: ZoneInfo | None = None,
        cut_zone: ZoneInfo | None = None,
    ) -> None:
        """`zone` is that of times that name none, `day_zone` that of days.

        `cut_zone` is where the day of an instant is taken; left out, that of days.
        """
        self.formats = tuple(formats)
        self.zone = zone
        self.day_zone = day_zone or zone
        self.cut_zone = cut_zone or self.day_zone
        self._rules = rules or Rules()
        self._days = days
        self._parsers = [_parser(pattern) for pattern in formats]

    def read(self, text: str) -> ReadTime:
        """Read a time or a day.

        Raises:
            RowError: when it fits no format, lies before 1900 or is refused by the rules.
            MissingZoneError: when it needs a zone and none is known.
        """
        try:
            parsed, disagreed = self._parse(text)
            if not isinstance(parsed, datetime):
                return self._whole_day(parsed, text, disagreed)
            if self._days:
                day, note = self._cut(parsed, text)
                return self._whole_day(day, text, disagreed or note)
            at, note, second = (
                (parsed, None, None) if parsed.tzinfo else self._local(parsed, text)
            )
            other = None if second is None else to_instant(second)
            note = disagreed or note or _too_fine(text)
            return ReadTime(to_instant(at), "microsecond", None, note, other)
        except MissingZoneError:
            raise
        except (InputError, OverflowError) as error:
            raise RowError(OUT_OF_RANGE) from error

    def day(self, text: str) -> tuple[date, str | None]:
        """Read a day; of a time, the day it was where days are cut, and a note."""
        parsed, note = self._parse(text)
        if not isinstance(parsed, datetime):
            return parsed, note
        try:
            day, cut = self._cut(parsed, text)
        except MissingZoneError:
            raise
        except (InputError, OverflowError) as error:
            raise RowError(OUT_OF_RANGE) from error
        return day, note or cut

    def aware(self, text: str) -> tuple[datetime, str | None]:
        """Read a time as an aware datetime, a day as its local midnight."""
        read = self.read(text)
        return EPOCH + timedelta(microseconds=read.instant), read.note

    def _parse(self, text: str) -> tuple[datetime | date, str | None]:
        """Read it by the first format that fits; note, or refuse, what another reads in it."""
        if len(text) > TEXT_MAX:
            raise RowError("is too long for a time")
        readings: list[tuple[str, datetime | date]] = []
        unlikely: RowError | None = None
        for name, parse in zip(self.formats, self._parsers, strict=True):
            try:
                readings.append((name, parse(text)))
            except RowError as problem:
                unlikely = unlikely or problem
            except (ValueError, OverflowError):
                continue
        if not readings:
            raise unlikely or RowError(self._no_time(text))
        first, taken = readings[0]
        other = next(((n, t) for n, t in readings if t != taken), None)
        if other is None:
            return taken, None
        two = Message(
            "{one} by {format} and {other} by {other_format}",
            one=taken,
            format=first,
            other=other[1],
            other_format=other[0],
        )
        if self._rules.disagreeing == "refuse":
            raise RowError(TWO_READINGS, two=two)
        return taken, Message("can be read as {two}; took the first", two=two)

    def _no_time(self, text: str) -> Message:
        reason = Message(NO_TIME, formats=" or ".join(self.formats))
        unit = likely_unit(text)
        if unit is None:
            return self._written_so(text, reason)
        name, day = unit
        if name == "excel":
            return Message(
                '{reason}; {day} when read as a day number of Excel: formats = ["excel"]',
                reason=reason,
                day=day,
            )
        return Message(
            '{reason}; {day} when read as {format}: formats = ["{format}"]',
            reason=reason,
            day=day,
            format=name,
        )

    def _written_so(self, text: str, reason: Message) -> Message:
        """Name the formats that would read a day as people write it, if there are such."""
        found = [each for each in usual_formats(text) if each not in self.formats]
        if not found:
            return reason
        return Message(
            "{reason}; formats = [{formats}] below [times] would read it",
            reason=reason,
            formats="] or [".join(f'"{each}"' for each in found),
        )

    def _whole_day(self, day: date, text: str, note: str | None) -> ReadTime:
        return ReadTime(start_of_day(day, _named(self.day_zone, text)), "day", day, note)

    def _cut(self, at: datetime, text: str) -> tuple[date, str | None]:
        """Return the day of a time: of an instant the day it was in the zone of days.

        A time without an offset keeps its day, unless it is in another zone than days are; a
        midnight without one means its day.
        """
        written = at.date()
        if at.tzinfo is None:
            if self.zone is None or self.zone == self.cut_zone or at.time() == MIDNIGHT:
                return written, None
            at = self._local(at, text)[0]
        zone = _named(self.cut_zone, text)
        to_instant(at)
        day = at.astimezone(zone).date()
        if day != written and at.time() == MIDNIGHT:
            return day, Message(MIDNIGHT_ELSEWHERE, written=written, day=day, zone=zone.key)
        return day, None

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
            if self._rules.ambiguous == "refuse":
                raise RowError(TWICE)
            if self._rules.ambiguous == "later":
                return second, LATER, None
            by_order = second if self._rules.ambiguous == "order" else None
            return first, EARLIER, by_order
        if self._rules.nonexistent == "refuse":
            raise RowError(NEVER_WAS)
        return first, SHIFTED, None


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
        return lambda text: read_epoch(text, pattern)
    if pattern in WORKBOOKS:
        return lambda text: read_day_number(text, pattern)
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


def _too_fine(text: str) -> str | None:
    digits = TOO_FINE.search(text)
    if digits and digits[1].strip("0"):
        return "digits finer than a microsecond were cut off"
    return None
