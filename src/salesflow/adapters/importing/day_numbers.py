"""Times written as bare numbers: since 1970, or as spreadsheets count days.

Excel numbers days from 1900 (1 is 1 January), where it counts a 29 February 1900 that never
was, or from 1904 (0 is 1 January) in workbooks from old Macs; the fraction is the time of day.
A number read in the wrong unit gives a time that is plainly none of a sales process: seconds
taken for milliseconds lie in January 1970. Such a number is refused, with the unit it fits.
"""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Final

from salesflow.adapters.importing.problems import RowProblem

__all__ = ["UNITS", "WORKBOOKS", "likely_unit", "read_day_number", "read_epoch"]

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


def read_epoch(text: str, name: str) -> datetime:
    """Read seconds, milliseconds or microseconds since 1970.

    Raises:
        ValueError: when it is no number.
        RowProblem: when it is plainly counted in another unit.
    """
    number = _number(text)
    at = _since_1970(number, UNITS[name])
    if at is None or EARLY[0] <= at < EARLY[1] or not at.year < LIKELY[1].year:
        other = likely_unit(text)
        if other is not None and other[0] != name:
            where = "out of range" if at is None else f"in {at.year}"
            raise RowProblem(f"lies {where} when read as {name}; {_told(*other)}")
    if at is None:
        raise OverflowError(text)
    return at


def read_day_number(text: str, name: str) -> datetime | date:
    """Read a day number of a spreadsheet, whole or with a time of day.

    Raises:
        ValueError: when it is no number.
        RowProblem: when spreadsheets have no such day.
    """
    number = _number(text)
    day = int(number)
    first = 0 if name == "excel_1904" else 1
    if number < first or day > LAST:
        other = likely_unit(text)
        hint = f"; {_told(*other)}" if other else ""
        raise RowProblem(f"is no day number of a spreadsheet{hint}")
    if name == "excel" and day == NEVER:
        raise RowProblem("is 29 February 1900 in Excel, a day that never was")
    if name == "excel" and day < NEVER:
        day += 1
    found = WORKBOOKS[name] + timedelta(days=day)
    rest = number - int(number)
    if not rest:
        return found
    with localcontext(prec=60):
        milliseconds = int((rest * PLACES_MAX).to_integral_value())
    midnight = datetime.combine(found, datetime.min.time())
    return midnight + timedelta(milliseconds=milliseconds)


def likely_unit(text: str) -> tuple[str, str] | None:
    """Give the format in which a bare number is a likely time, and that time."""
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


def _told(name: str, day: str) -> str:
    what = "a day number of Excel" if name == "excel" else name
    return f'as {what} it is {day}: formats = ["{name}"]'


def _number(text: str) -> Decimal:
    if not NUMBER.fullmatch(text):
        raise ValueError(text)
    return Decimal(text.replace(",", "."))


def _since_1970(number: Decimal, unit: int) -> datetime | None:
    try:
        return EPOCH + timedelta(microseconds=int(number * unit))
    except OverflowError:
        return None
