"""How days are written in an export: month or day first, told by all of them together.

02/03/24 is the second of March or the third of February; which one, a single date never says,
but an export of many does. Where none of them tells, the month is taken to come first, as the
systems write it, and the report says so.
"""

import re
from typing import Final

from salesflow.domain.wording import Message

__all__ = ["DayOrder"]


SLASHED: Final = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{2}|\d{4})(?!\d)(.*)", re.DOTALL)
CLOCKS: Final = ("%I:%M %p", "%I:%M:%S %p", "%H:%M", "%H:%M:%S")
MONTH_FIRST: Final = Message(
    "days such as 02/03/24 are read with the month first; no day of the export says otherwise"
)
LAST_MONTH: Final = 12


class DayOrder:
    """Whether days are written with the month or the day first."""

    def __init__(self) -> None:
        self._day_first = self._month_first = 0
        self._marks: set[str] = set()

    def see(self, text: str) -> None:
        """Note how a day, or a time, is written."""
        match = SLASHED.match(text)
        if match is None:
            return
        first, mark, second, _, _ = match.groups()
        self._marks.add(mark)
        self._day_first += int(first) > LAST_MONTH
        self._month_first += int(second) > LAST_MONTH

    @property
    def is_day_first(self) -> bool:
        """Whether the day comes first."""
        return self._day_first > self._month_first or self._marks == {"."}

    def days(self) -> list[str]:
        """Return the formats in which days are read."""
        order = "%d{0}%m{0}" if self.is_day_first else "%m{0}%d{0}"
        written = [order.format(mark) for mark in sorted(self._marks)]
        return [f"{day}{year}" for day in written for year in ("%y", "%Y")]

    def times(self) -> list[str]:
        """Return the formats in which times are read."""
        written = [
            f"{day}{between}{clock}"
            for day in self.days()
            for clock in CLOCKS
            for between in (" ", ", ")
        ]
        return ["iso", *written]

    def assumed(self) -> list[Message]:
        """Return what was taken to be so, where nothing says it."""
        undecided = self._marks - {"."} and not (self._day_first or self._month_first)
        return [MONTH_FIRST] if undecided else []
