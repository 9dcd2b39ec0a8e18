"""Which of some events moved a figure: those without which it would be another one.

An event is behind a figure when leaving it out changes it; where no one alone does (as when
each of two sales by itself fills a cap), several are that only together do. Whatever is not
named can be left out, all of it at once, and the figure stays. Halves are left out before
single events, so that many that changed nothing are told by few trials.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final
from uuid import UUID

__all__ = ["Trials"]

NOTHING: Final = Decimal(0)
WORKED_OUT: Final = 30_000
"""After so many steps in all, events are named together that may not all be needed."""


class Trials:
    """Figures as they are, and as they are without events; each is worked out once."""

    def __init__(
        self, without: Callable[[frozenset[UUID]], Mapping[UUID, Decimal]], steps: int
    ) -> None:
        """Take what gives all figures by their ids without some events, in so many steps."""
        self._without = without
        self._most = WORKED_OUT // (steps + 1)
        self._found: dict[frozenset[UUID], Mapping[UUID, Decimal]] = {}

    def figure(self, figure: UUID, left_out: Sequence[UUID] = ()) -> Decimal:
        """Return a figure without some events."""
        key = frozenset(left_out)
        if key not in self._found:
            self._found[key] = self._without(key)
        return self._found[key].get(figure, NOTHING)

    def behind(self, figure: UUID, events: Sequence[UUID]) -> list[UUID]:
        """Return which of some events moved a figure, in their order."""
        found = {*self._alone(figure, events)}
        rest = [event for event in events if event not in found]
        while not self._is_tired and self._changes(figure, rest):
            together = self._needed(figure, rest)
            found |= {*together}
            rest = [event for event in rest if event not in found]
        return [event for event in events if event in found]

    def _alone(self, figure: UUID, events: Sequence[UUID]) -> Iterator[UUID]:
        """Yield the events each of which changes it by itself."""
        if not self._changes(figure, events):
            return
        if len(events) == 1 or self._is_tired:
            yield from events
            return
        half = len(events) // 2
        for part in (events[:half], events[half:]):
            yield from self._alone(figure, part)

    def _needed(self, figure: UUID, events: Sequence[UUID]) -> list[UUID]:
        """Return few of some events that change it together, so that none can be spared."""
        kept = [*events]
        for event in events:
            fewer = [each for each in kept if each != event]
            if not self._is_tired and self._changes(figure, fewer):
                kept = fewer
        return kept

    def _changes(self, figure: UUID, left_out: Sequence[UUID]) -> bool:
        if not left_out:
            return False
        return self.figure(figure, left_out) != self.figure(figure)

    @property
    def _is_tired(self) -> bool:
        return len(self._found) > self._most
