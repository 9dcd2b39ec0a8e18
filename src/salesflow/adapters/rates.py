"""The published exchange rates of one log, as known at an instant.

Rates have no time of validity of their own: what was published and not retracted by then
counts, whatever the question's `as_of`. The stream is read again only when something was added
to it, so that a question in one currency costs one short statement more.
"""

from typing import Final

import sqlalchemy as sa

from salesflow.adapters.eventlog import EventLog
from salesflow.domain.facts import Event
from salesflow.domain.history import refuse_unreadable
from salesflow.domain.moments import Instant
from salesflow.domain.rates import RATES_ID, RateTable

__all__ = ["PublishedRates"]

KEPT = 8
"""So many tables are remembered: questions are asked again and again at few instants."""


class PublishedRates:
    """Finds exchange rates in the log and remembers them."""

    def __init__(self, log: EventLog) -> None:
        self._log: Final = log
        self._events: list[Event] = []
        self._tables: dict[int, RateTable] = {}
        """By how many events of the stream were known."""

    def known(self, known_at: Instant, connection: sa.Connection) -> RateTable:
        """Give the rates known at an instant, to be read only.

        Raises:
            HistoryError: when some cannot be read.
        """
        events = self._stored(connection)
        known = [event for event in events if event.recorded <= known_at]
        refuse_unreadable(known)
        table = self._tables.get(len(known))
        if table is None:
            table = RateTable.load(RATES_ID, known)
            table.settle()
            kept = list(self._tables.items())[1 - KEPT :]
            self._tables = {**dict(kept), len(known): table}
        return table

    def _stored(self, connection: sa.Connection) -> list[Event]:
        stands = self._log.versions([RATES_ID], connection).get(RATES_ID, 0)
        events = self._events
        if stands > len(events):
            events = self._log.stream(RATES_ID, connection=connection)
            if len(events) > len(self._events):
                self._events = events
        return events
