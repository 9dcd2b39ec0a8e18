"""One snapshot for one question: the read tables, the log and where they stand.

The known axis is cut at K = min(known_at, recorded_at of the last event folded), both read in
the same snapshot as the rows. Since recorded_at only grows, asking again at the view's moment
gives the same answer for ever, whatever is appended meanwhile.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.eventlog import EventLog
from salesflow.adapters.processes import grounded, published_keys
from salesflow.adapters.rates import PublishedRates
from salesflow.domain.facts import Event
from salesflow.domain.history import refuse_unreadable
from salesflow.domain.moments import FOREVER
from salesflow.domain.rates import RateTable
from salesflow.domain.settings import Settings
from salesflow.projections.tables import Cut, Processes

__all__ = ["SnapshotReader"]


class SnapshotReader:
    """Reads rows and streams for one question in one snapshot."""

    def __init__(
        self,
        connection: sa.Connection,
        log: EventLog,
        cut: Cut,
        settings: Settings,
        processes: Processes,
        rates: PublishedRates,
    ) -> None:
        self.cut: Final = cut
        self.timezone: Final = settings.timezone
        self.calendar: Final = settings.fiscal_calendar
        self.report_currency: Final = settings.report_currency
        self.processes: Final = processes
        self._rates = rates
        self._connection = connection
        self._log = log

    def rows(self, select: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """Run a select in the snapshot."""
        return self._connection.execute(select).all()

    def events(self, stream_id: UUID) -> list[Event]:
        """Give a stream's events known by the moment, in the order of the log.

        Raises:
            HistoryError: when one cannot be read, and was not retracted by then.
        """
        stored = self._log.stream(stream_id, connection=self._connection)
        events = grounded(stored, self.processes)
        refuse_unreadable(events, self.cut.known_at)
        return self._known(events)

    def streams(self, ids: Iterable[UUID]) -> dict[UUID, list[Event]]:
        """Give the same of many streams in few queries; those without events are left out."""
        found = self._log.streams(ids, upto=FOREVER, connection=self._connection)
        known = {id: self._known(grounded(e, self.processes)) for id, e in found.items()}
        return {id: events for id, events in known.items() if events}

    def published(self) -> list[str]:
        """Give the keys of all processes; looks through the whole log."""
        return published_keys(self._log, self._connection)

    def rates(self) -> RateTable:
        """Give the exchange rates known by the moment."""
        return self._rates.known(self.cut.known_at, self._connection)

    def _known(self, events: list[Event]) -> list[Event]:
        return [event for event in events if event.recorded <= self.cut.known_at]
