"""The simulated calendar: a clock that is turned, working hours, and what is due next.

A *life* is a generator that does something, then yields the time at which it goes on. The
agenda resumes all lives in order of time and turns the clock before each, so everything is
recorded when it becomes known, as in a real office.
"""

import heapq
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from salesflow.demo.world import HOLIDAYS
from salesflow.errors import DealClosedError, NotFoundError, RuleError

__all__ = ["END", "START", "ZONE", "Agenda", "Life", "TurnedClock", "is_workday", "office_time"]


ZONE = ZoneInfo("Asia/Shanghai")
START = datetime(2024, 1, 1, 8, tzinfo=ZONE)
END = datetime(2026, 6, 30, 23, 59, tzinfo=ZONE)
SATURDAY = 5
DAY = timedelta(days=1)
OFF = frozenset(
    first + timedelta(days=n)
    for first, last in HOLIDAYS
    for n in range((last - first).days + 1)
)

Life = Iterator[datetime]
"""What somebody goes through: each value is when it goes on."""


class TurnedClock:
    """A clock that shows what it was turned to."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Show the time."""
        return self.now


class Agenda:
    """Everything that is still to come, in order of time."""

    def __init__(self, clock: TurnedClock) -> None:
        self._clock = clock
        self._due: list[tuple[datetime, int, Life]] = []
        self._begun = 0
        self.refused = 0
        """Lives that ended because a rule refused what they wanted to do."""

    def begin(self, life: Life, at: datetime) -> None:
        """Let a life begin at a time (now, when that has passed)."""
        self._begun += 1
        heapq.heappush(self._due, (max(at, self._clock.now), self._begun, life))

    def live(self, until: datetime, after_each: Callable[[datetime], None]) -> None:
        """Resume every life in order of time until nothing is due any more before the end."""
        while self._due and self._due[0][0] <= until:
            at, number, life = heapq.heappop(self._due)
            self._clock.now = at
            following = self._resume(life)
            if following is not None:
                heapq.heappush(self._due, (max(following, at), number, life))
            after_each(at)
        self._clock.now = until

    def _resume(self, life: Life) -> datetime | None:
        """Let a life go on to its next pause; None when it is over."""
        try:
            return next(life, None)
        except (DealClosedError, NotFoundError):
            return None  # somebody else closed, merged or withdrew the deal meanwhile
        except RuleError:
            self.refused += 1
            return None


def is_workday(day: date) -> bool:
    """Say whether people work that day."""
    return day.weekday() < SATURDAY and day not in OFF


def office_time(chance: Random, not_before: datetime) -> datetime:
    """Give a time in office hours, on the first working day that is not before another time."""
    local = not_before.astimezone(ZONE)
    day = local.date()
    opens = datetime.combine(day, time(9), ZONE)
    closes = datetime.combine(day, time(18, 30), ZONE)
    if is_workday(day) and local < closes:
        earliest = max(local, opens)
        return earliest + (closes - earliest) * chance.random() * 0.5
    day += DAY
    while not is_workday(day):
        day += DAY
    return datetime.combine(day, time(9), ZONE) + timedelta(
        seconds=chance.randrange(8 * 3600), microseconds=chance.randrange(1_000_000)
    )
