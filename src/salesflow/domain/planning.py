"""Planning ahead: a fact that is decided on one day and takes effect on a later one.

For aggregates that record `PlannedFact`s. A command of theirs is checked against what will
hold on the day from which it takes effect, not against what holds when it is given.
"""

from datetime import date, datetime

from salesflow.domain.aggregate import Aggregate, OccurredAt
from salesflow.domain.moments import (
    FOREVER,
    Instant,
    Time,
    from_instant,
    start_of_day,
    to_instant,
)

__all__ = ["Planner"]


class Planner(Aggregate):
    """An aggregate whose facts may take effect later than they were decided."""

    def _now(self) -> Instant | None:
        """Give the time it is believed at; None when nobody said (one not recorded yet)."""
        now = min(self._horizon, self.world.now)
        return None if now == FOREVER else now

    def _effective(self, effective_from: datetime | date | None) -> Time | None:
        """Turn a day on which something takes effect into the start of that day."""
        if effective_from is None or isinstance(effective_from, datetime):
            return effective_from
        return from_instant(start_of_day(effective_from, self.world.timezone))

    def _when(self, occurred_at: OccurredAt, effective_from: datetime | None) -> OccurredAt:
        """Give the time from which a planned fact holds, to check it against that belief."""
        if effective_from is None or not self._is_timed:
            return occurred_at
        if occurred_at is None:
            now = self._now()
            return effective_from if now is None or to_instant(effective_from) > now else None
        ahead = to_instant(effective_from) > self._instant(occurred_at)[0]
        return effective_from if ahead else occurred_at

    @property
    def _is_timed(self) -> bool:
        """Whether it is known when it began; not for a new one without a time."""
        return bool(self._history) and self._history[0].occurred != FOREVER
