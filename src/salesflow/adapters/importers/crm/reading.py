"""Reads the values of a record: times, days, numbers, amounts, as systems write them.

A value that cannot be read refuses its record, with the column and what stands there.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from salesflow.adapters.importers.crm.stages import at_six_places
from salesflow.adapters.importers.crm.written_days import DayOrder
from salesflow.adapters.importers.errors import CURRENCY, Adjustment, RowError
from salesflow.adapters.importers.numbers import NumberReader
from salesflow.adapters.importers.times import ReadTime, TimeReader
from salesflow.domain.time import Instant
from salesflow.domain.values import Money
from salesflow.errors import InputError

__all__ = [
    "NOTHING",
    "NO_CURRENCY",
    "TRUE",
    "UNNAMED_CURRENCY",
    "ValueReader",
    "is_zero",
    "readers_of",
]


NOTHING: Final = frozenset({"-", "--", "n/a", "none", "null", "(none)", "—", "无", "#n/a"})
"""What exports write where there is nothing."""
TRUE: Final = frozenset({"true", "1", "yes"})
"""What exports write for yes, in small letters."""
NO_CURRENCY: Final = "X" * 3
"""What ISO 4217 calls no currency: of amounts of which the export does not say it."""
CODE: Final = re.compile("[A-Z]{3}")
TOO_LARGE: Final = "is larger or finer than an amount can be"
UNNAMED_CURRENCY: Final = (
    "amounts name no currency and are recorded in {code}, which stands for none; --currency"
    " says which it is"
)
"""What `assumed` says of an export whose amounts name none."""
TIMES: Final = ("iso", "%Y-%m-%d %H:%M:%S")
HUNDRED: Final = Decimal(100)


class ValueReader:
    """Reads the values of one export."""

    def __init__(  # noqa: PLR0913 - what an export leaves open
        self,
        formats: Sequence[str],
        day_formats: Sequence[str],
        zone: ZoneInfo | None,
        horizon: Instant,
        currency: str | None,
        numbers: NumberReader | None = None,
        *,
        times_in: ZoneInfo | None = None,
    ) -> None:
        """`formats` are those of times, `currency` that of amounts which name none.

        `zone` is that of days, and of times without one unless `times_in` names theirs.
        """
        times_in, day_zone = times_in or zone, zone or times_in
        self._times = TimeReader([*formats, *day_formats], times_in, day_zone=day_zone)
        self._days = TimeReader([*day_formats, *formats], times_in, day_zone=day_zone)
        self._numbers = numbers or NumberReader(".", ",")
        self._horizon = horizon
        self._currency = currency or NO_CURRENCY

    def text(self, record: Mapping[str, Any], *names: str) -> str | None:
        """Return the first of some columns that is not empty."""
        for name in names:
            value = record.get(name)
            text = str(value) if isinstance(value, str | int | Decimal) else None
            if text is not None and text.casefold() not in NOTHING:
                return text
        return None

    def time(
        self, record: Mapping[str, Any], *names: str, notes: list[Adjustment] | None = None
    ) -> ReadTime | None:
        """Return the time in the first of some columns that is not empty.

        Raises:
            RowError: when it cannot be read, or lies in the future.
        """
        for name in names:
            text = self.text(record, name)
            if text is None:
                continue
            try:
                at = self._times.read(text)
            except RowError as problem:
                raise RowError(problem.reason, name, text) from problem
            if at.instant > self._horizon:
                raise RowError("lies in the future", name, text, for_now=True)
            if at.note is not None and notes is not None:
                notes.append(Adjustment(at.note, name, text))
            return at
        return None

    def day(self, record: Mapping[str, Any], name: str) -> date | None:
        """Return the day in a column."""
        text = self.text(record, name)
        if text is None:
            return None
        try:
            return self._days.day(text)[0]
        except RowError as problem:
            raise RowError(problem.reason, name, text) from problem

    def number(self, record: Mapping[str, Any], name: str) -> Decimal | None:
        """Return the number in a column."""
        text = self.text(record, name)
        if text is None:
            return None
        try:
            return self._numbers.read(text)
        except RowError as problem:
            raise RowError(problem.reason, name, text) from problem

    def amount(
        self, record: Mapping[str, Any], name: str, currency: str | None = None
    ) -> Money | None:
        """Return the amount in a column, in the currency of its record."""
        number = self.number(record, name)
        return None if number is None else self._money(number, name, currency)

    def float_amount(self, value: object, name: str, currency: str | None) -> Money | None:
        """Return an amount of a system that calculates with floats, and writes 0 for none.

        The sixth place is the last that says anything.
        """
        number = None if is_zero(value) else self.number({name: value}, name)
        return None if number is None else self._money(at_six_places(number), name, currency)

    def _money(self, number: Decimal, name: str, currency: str | None) -> Money:
        code = currency or self._currency
        if not CODE.fullmatch(code):
            raise RowError(CURRENCY, name, code)
        try:
            return Money(number, code)
        except (ValueError, InputError) as error:
            raise RowError(TOO_LARGE, name, str(number)) from error

    def percent(self, record: Mapping[str, Any], name: str) -> Decimal | None:
        """Return a percentage as a part of one."""
        number = self.number(record, name)
        if number is None:
            return None
        if not 0 <= number <= HUNDRED:
            raise RowError("is no percentage from 0 to 100", name, str(number))
        return at_six_places(number / HUNDRED)


def is_zero(value: object) -> bool:
    """Return whether a value is a number that is 0, however it is written."""
    text = str(value)
    return bool(text) and not text.strip("0.,") and "0" in text


def readers_of(
    days: DayOrder, zone: ZoneInfo | None, horizon: Instant, currency: str | None
) -> tuple[ValueReader, ValueReader]:
    """Return what reads times without an offset as local ones, and what reads them as UTC.

    Pages of some systems write the first, their interfaces the second.
    """
    formats, others = [*TIMES, *days.times()[1:]], (zone, horizon, currency)
    return (
        ValueReader(formats, days.days(), *others),
        ValueReader(formats, days.days(), *others, times_in=ZoneInfo("UTC")),
    )
