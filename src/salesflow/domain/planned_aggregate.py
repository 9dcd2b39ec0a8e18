"""Planning ahead: a fact that is decided on one day and takes effect on a later one.

For aggregates that record `PlannedFact`s. A command of theirs is checked against what will
hold on the day from which it takes effect, not against what holds when it is given.
"""

from datetime import date, datetime
from typing import Self

from salesflow.domain.aggregate import Aggregate, OccurredAt, is_untimed
from salesflow.domain.time import (
    FOREVER,
    Instant,
    Time,
    from_instant,
    start_of_day,
    to_instant,
)

__all__ = ["PlannedAggregate"]


class PlannedAggregate(Aggregate):
    """An aggregate whose facts may take effect later than they were decided."""

    def _now(self) -> Instant | None:
        """Return the time it is believed at; None when nobody said (one not recorded yet)."""
        now = self._context.now if self._as_of == FOREVER else self._as_of
        return None if now == FOREVER else now

    def _effective(self, effective_from: datetime | date | None) -> Time | None:
        """Turn a day on which something takes effect into the start of that day."""
        if effective_from is None or isinstance(effective_from, datetime):
            return effective_from
        return from_instant(start_of_day(effective_from, self._context.timezone))

    def _planned(self, occurred_at: OccurredAt, effective_from: datetime | None) -> Self:
        """Return it as believed when a planned fact takes effect, to check the fact against."""
        if effective_from is None or not self._is_timed:
            return self._at(occurred_at)
        starts, now = to_instant(effective_from), self._now()
        if occurred_at is None:
            ahead = now is None or starts > now
            return self._until(starts, untimed=True) if ahead else self
        if starts <= self._instant(occurred_at)[0]:
            return self._at(occurred_at)
        return self._until(starts, untimed=now is not None and starts > now)

    @property
    def _is_timed(self) -> bool:
        """Whether it is known when it began; not for a new one without a time."""
        return bool(self._history) and not is_untimed(self._history[0])
