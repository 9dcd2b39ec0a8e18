"""Things that are opened upon figures of a moment, such as reviews and cases.

Whoever opens one may name a day for a moment: it means the end of that day in the business
time zone, as wherever a question is asked. A new thing learns the zone when it is added to a
session; until then the day is kept, and cut as if it were of UTC. A day that is not over means
all there is when the thing is opened, what is recorded together with it included.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from salesflow.domain.aggregate import Aggregate
from salesflow.domain.pending import PendingEvent
from salesflow.domain.state import EMPTY
from salesflow.domain.time import Instant, end_of_day, from_instant, start_of_day

__all__ = ["FixedFigures", "SaidMoment", "moment_of"]


SaidMoment = datetime | date | None
"""A moment of figures: an aware time, a day for its end, or None."""
IN_UTC: Final = ZoneInfo("UTC")


class FiguresAt(NamedTuple):
    """The moment of figures as the fact that opens a thing has it."""

    as_of: datetime | None
    known_at: datetime | None


class FixedFigures(Aggregate):
    """An aggregate whose opening says at which moment its figures stand."""

    _days: Mapping[str, date] = EMPTY
    """Which of the two times were said as days."""

    def _figures_at(self, as_of: SaidMoment, known_at: SaidMoment) -> FiguresAt:
        """Return a moment as times, and remember what was said as a day."""
        said = {"as_of": as_of, "known_at": known_at}
        self._days = {
            name: when
            for name, when in said.items()
            if isinstance(when, date) and not isinstance(when, datetime)
        }
        return FiguresAt(*(moment_of(when, IN_UTC) for when in said.values()))

    def _cut_days(self) -> None:
        """Cut the days of its figures too, once the business time zone is known."""
        super()._cut_days()
        if self._days and self._context.knows_days and self._pending:
            noted, zone = self._pending[0], self._context.timezone
            latest = self._context.latest
            ends = {
                name: _end_of(day, _seen_until(name, noted, zone), latest, zone)
                for name, day in self._days.items()
            }
            self._pending[0] = noted._replace(fact=noted.fact.model_copy(update=ends))


def moment_of(when: SaidMoment, timezone: ZoneInfo) -> datetime | None:
    """Return a moment that was said as a time; a day is its end."""
    if when is None or isinstance(when, datetime):
        return when
    return from_instant(end_of_day(when, timezone))


def _seen_until(name: str, noted: PendingEvent, zone: ZoneInfo) -> Instant | None:
    """Return up to when anything can have been seen; None for when it is recorded."""
    if name == "known_at" or noted.occurred is None:
        return None
    if noted.precision != "day":
        return noted.occurred
    day = from_instant(noted.occurred).astimezone(zone).date()
    return end_of_day(day, zone)


def _end_of(
    day: date, until: Instant | None, latest: Instant, zone: ZoneInfo
) -> datetime | None:
    """Return the end of a day; of one that is not over by then, what there is of it.

    None where that is all there is when it is recorded.
    """
    end, last = end_of_day(day, zone), latest if until is None else until
    if end <= last or start_of_day(day, zone) > last:
        return from_instant(end)
    return None if until is None else from_instant(last)
