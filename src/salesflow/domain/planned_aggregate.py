"""Planning ahead: a fact that is decided on one day and takes effect on a later one.

For aggregates that record `PlannedFact`s. A command of theirs is checked against what will
hold on the day from which it takes effect, not against what holds when it is given.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Self, TypeVar

from salesflow.domain.aggregate import Aggregate, OccurredAt, is_untimed
from salesflow.domain.event import Event, Fact
from salesflow.domain.time import (
    DAY,
    FOREVER,
    Instant,
    Time,
    day_number,
    from_instant,
    start_of_day,
    to_instant,
)
from salesflow.errors import InputError

__all__ = ["PlannedAggregate"]


FactT = TypeVar("FactT", bound=Fact)


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

    def _of_that_day(self, kind: type[FactT], occurred_at: OccurredAt) -> Iterator[FactT]:
        """Yield the believed facts of a kind of the business day on which one is recorded.

        While nobody knows the day, those of the very same time.
        """
        at = self._now() if occurred_at is None else self._instant_said(occurred_at)
        for event in self._history:
            if isinstance(event.fact, kind) and self._is_of_day(event, at):
                yield event.fact

    def _is_of_day(self, event: Event, at: Instant | None) -> bool:
        """Return whether an event is of the day of an instant; None is that of recording."""
        if at is None or event.occurred == FOREVER:
            return at is None and is_untimed(event)
        if not self._context.knows_days:
            return event.occurred == at
        zone = self._context.timezone
        return day_number(event.occurred, zone) == day_number(at, zone)

    def _ensure_in_time(self, fact: Fact, at: Instant) -> None:
        """Refuse what is to take effect on a day before the one on which it was decided.

        It would take effect on that later day all the same.
        """
        starts = getattr(fact, "effective_from", None)
        if not isinstance(starts, datetime) or to_instant(starts) >= self._begin_of_day(at):
            return
        day, earlier = map(self._day_text, (at, to_instant(starts)))
        raise InputError(
            f"effective_from: {earlier} lies before {day}, the day on which it was decided, and"
            f" what is decided takes effect then or later; if it was decided on {earlier}, say"
            f" so in occurred_at=…, and leave effective_from out"
        )

    def _instant_said(self, when: datetime | date) -> Instant | None:
        """Return the time somebody said; None of a day while no time zone is known."""
        if isinstance(when, datetime):
            return to_instant(when)
        return self._instant(when)[0] if self._context.knows_days else None

    def _begin_of_day(self, at: Instant) -> Instant:
        """Return when the business day of an instant began, or a day before it."""
        if not self._context.knows_days:
            return at - DAY
        day = from_instant(at).astimezone(self._context.timezone).date()
        return start_of_day(day, self._context.timezone)

    def _day_text(self, at: Instant) -> str:
        zone = self._context.timezone if self._context.knows_days else None
        return from_instant(at).astimezone(zone or UTC).date().isoformat()

    @property
    def _is_timed(self) -> bool:
        """Whether it is known when it began; not for a new one without a time."""
        return bool(self._history) and not is_untimed(self._history[0])
