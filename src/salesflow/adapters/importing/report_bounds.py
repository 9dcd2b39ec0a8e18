"""The bounds of an import report: millions of refused rows cost no more than some thousand.

Of each list the first entries are kept; what comes behind is counted by its reason, and of
very many reasons the first. So every count is exact and memory does not grow with a file.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from salesflow.adapters.importing.report_entries import Unlisted
from salesflow.adapters.importing.report_words import OTHER_REASONS

__all__ = ["LISTED_MAX", "REASONS_MAX", "Lines", "Rest"]

LISTED_MAX: Final = 5_000
"""So many entries each list of a report holds."""
REASONS_MAX: Final = 1_000
"""So many reasons what is not listed is counted by, for each list."""


@dataclass
class Rest:
    """What a report does not list: how many of each reason."""

    _of: dict[str, dict[str, Unlisted]] = field(default_factory=dict)

    def count(self, more: Unlisted) -> None:
        """Take in entries that are not listed."""
        reasons = self._of.setdefault(more.list, {})
        full = len(reasons) >= REASONS_MAX and more.reason not in reasons
        reason = OTHER_REASONS if full else more.reason
        known = reasons.get(reason)
        if known is None:
            reasons[reason] = more.model_copy(update={"reason": reason})
        else:
            known.count += more.count
            known.first_line = min(known.first_line, more.first_line)

    def all(self) -> list[Unlisted]:
        """Give it list by list."""
        return [each for reasons in self._of.values() for each in reasons.values()]


@dataclass
class Lines:
    """Which lines of a file something is said of, a bit for each."""

    count: int = 0
    _bits: bytearray = field(default_factory=bytearray)

    def add(self, lines: Iterable[int]) -> None:
        """Mark lines; one that is marked already counts once."""
        for line in lines:
            place, bit = line >> 3, 1 << (line & 7)
            if place >= len(self._bits):
                self._bits.extend(bytes(place + 1 - len(self._bits)))
            if not self._bits[place] & bit:
                self._bits[place] |= bit
                self.count += 1
