"""One snapshot read at an earlier moment than the question's own.

A question that sets figures of one moment beside those of another (what was known when a review
was opened, when a case was published) answers another question at each of them. Both answers
stand at the position of the one snapshot.
"""

from collections.abc import Iterable, Sequence, Set
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from salesflow.domain.calendar import FiscalCalendar
from salesflow.domain.event import Event, Fact
from salesflow.domain.exchange_rates import RATES_ID, RateTable
from salesflow.domain.time import Instant, Time, end_of_day, from_instant, to_instant
from salesflow.errors import InputError
from salesflow.projections.core.question import Reader
from salesflow.projections.table import LedgerTable, Processes, ReadPoint, ReadTable

if TYPE_CHECKING:
    from salesflow.projections.core.columns import HeldRows
    from salesflow.projections.core.ledger_columns import LedgerBalances

__all__ = ["EarlierReader", "seen_by"]


class EarlierReader:
    """A reader of the same snapshot, cut at an earlier moment.

    Days are cut in the time zone and the calendar of the question's own moment, so that both
    answers are of the same days.
    """

    def __init__(
        self, reader: Reader, *, as_of: Instant | None = None, known_at: Instant | None = None
    ) -> None:
        """Cut it at instants, none of them later than the reader's own; its own if left out."""
        here = reader.read_point
        self.read_point: Final[ReadPoint] = here._replace(
            as_of=here.as_of if as_of is None else min(as_of, here.as_of),
            known_at=here.known_at if known_at is None else min(known_at, here.known_at),
        )
        self.timezone: ZoneInfo = reader.timezone
        self.calendar: FiscalCalendar = reader.calendar
        self.report_currency: Final[str | None] = reader.report_currency
        self.processes: Final[Processes] = reader.processes
        self._reader = reader

    @classmethod
    def fixed_by(
        cls, reader: Reader, opening: Event, *, as_of: Time | None, known_at: Time | None
    ) -> Self:
        """Cut it where an event fixed a moment: its own, unless it names another one.

        By itself it sees what had happened when it happened (by the end of the day, where
        that was said as a day), and all that was known when it was recorded; never what came
        later.
        """
        then = seen_by(opening, reader.timezone) if as_of is None else to_instant(as_of)
        known = opening.recorded if known_at is None else to_instant(known_at)
        latest = opening.recorded
        return cls(reader, as_of=min(then, latest), known_at=min(known, latest))

    def published(self) -> list[str]:
        """Return the keys of all processes."""
        return self._reader.published()

    def columns(
        self,
        table: ReadTable,
        *,
        of: UUID | None = None,
        as_of: Instant | None = None,
        known_at: Instant | None = None,
        ended: bool = False,
    ) -> "HeldRows":
        """Return the rows of a table that hold at this moment, or at instants before it."""
        return self._reader.columns(
            table,
            of=of,
            as_of=self.read_point.as_of if as_of is None else as_of,
            known_at=self.read_point.known_at if known_at is None else known_at,
            ended=ended,
        )

    def balances(
        self, ledger: LedgerTable, instants: Sequence[Instant], known_at: Instant | None = None
    ) -> "LedgerBalances":
        """Return what stood in each cell of a ledger at some instants, as known here."""
        known = self.read_point.known_at if known_at is None else known_at
        return self._reader.balances(ledger, instants, known)

    def rows(self, select: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """Run a select in the snapshot; whoever makes it cuts it at `read_point`."""
        return self._reader.rows(select)

    def events(self, stream_id: UUID) -> list[Event]:
        """Return a stream's events known by this moment, in the order of the log."""
        return self._known(self._reader.events(stream_id))

    def streams(self, ids: Iterable[UUID], *kinds: type[Fact]) -> dict[UUID, list[Event]]:
        """Return the same of many streams in few queries; those without events are left out."""
        found = self._reader.streams(ids, *kinds)
        known = {id: self._known(events) for id, events in found.items()}
        return {id: events for id, events in known.items() if events}

    def tally(
        self,
        ids: Iterable[UUID],
        kinds: Iterable[type[Fact]],
        apart: Iterable[type[Fact]],
        *,
        recorded_after: Instant,
    ) -> tuple[dict[UUID, tuple[int, int]], list[UUID]]:
        """Refuse to count facts: that is done at the moment of the question alone.

        Raises:
            InputError: always.
        """
        del ids, kinds, apart, recorded_after
        raise InputError("facts are counted at the moment of the question alone")

    def left_out(self) -> Set[UUID]:
        """Return the streams that the question's tables leave out from some event on."""
        return self._reader.left_out()

    def rates(self) -> RateTable:
        """Return the exchange rates known by this moment, whenever they were published."""
        return RateTable.load(RATES_ID, self.events(RATES_ID))

    def _known(self, events: list[Event]) -> list[Event]:
        return [event for event in events if event.recorded <= self.read_point.known_at]


def seen_by(event: Event, timezone: ZoneInfo) -> Instant:
    """Return by when what was seen had happened, where an event fixes that by its own time.

    It happened on a day, where no hour was said, and whoever names a day means its end.
    """
    if event.precision != "day":
        return event.effective
    return end_of_day(from_instant(event.effective).astimezone(timezone).date(), timezone)
