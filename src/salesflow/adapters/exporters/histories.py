"""Believed histories at a moment, stream by stream, for formats of process mining.

Each is what was known by then of one deal, customer or rep: in order of effect, without what
was retracted, up to the moment. Streams are read some hundred at a time, in order of their ids,
so that a log of any length takes little memory. A stream with an event that cannot be read ends
before it, and is counted.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.database.schema import read_uuid, stored_uuid
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.published import with_unpublished_unreadable
from salesflow.adapters.logs import Progress
from salesflow.domain.event import Event, UnreadableFact, believed_history, first_unreadable
from salesflow.domain.process import ProcessVersion
from salesflow.projections.table import ReadPoint

__all__ = ["BelievedStream", "Histories"]


PAGE: Final = 500
NEXT_STREAMS: Final = (
    "SELECT stream_id, count(*) FROM salesflow_events WHERE tenant = ? AND stream_id > ?"
    " GROUP BY stream_id ORDER BY stream_id LIMIT ?"
)
FIRST_STREAM: Final = UUID(int=0)


class BelievedStream(NamedTuple):
    """What is believed of one thing at a moment."""

    home: str
    """What it is: deal, customer, rep."""
    id: UUID
    history: list[Event]


class Histories:
    """The believed histories of a log at a moment, in one snapshot."""

    def __init__(
        self,
        log: EventLog,
        connection: sa.Connection,
        processes: Mapping[tuple[str, int], ProcessVersion],
        at: ReadPoint,
        through: int,
    ) -> None:
        self.processes: Final = processes
        self.at: Final = at
        self.left_out = 0
        """How many streams were cut off before an event that cannot be read."""
        self._log, self._connection, self._through = log, connection, through

    def of(
        self, homes: Collection[str], progress: Progress | None = None
    ) -> Iterator[BelievedStream]:
        """Yield what is believed of everything of some kinds; nothing of what is not there."""
        self.left_out = read = 0
        for counts in self._pages():
            streams = self._log.streams(
                counts, through=self._through, connection=self._connection
            )
            for id, stored in streams.items():
                home = self._home(stored)
                history = self._believed(stored) if home in homes else []
                if home is not None and history:
                    yield BelievedStream(home, id, history)
            read += sum(counts.values())
            if progress is not None:
                progress(min(read, self._through), self._through)

    def _pages(self) -> Iterator[dict[UUID, int]]:
        """Yield the ids of some streams, and how many events each has."""
        database, after = self._log.database, FIRST_STREAM
        while True:
            given = (self._log.tenant, stored_uuid(after, database.dialect), PAGE)
            rows = database.rows(NEXT_STREAMS, given, self._connection)
            if not rows:
                return
            yield {read_uuid(id): count for id, count in rows}
            after = read_uuid(rows[-1][0])

    def _home(self, stored: list[Event]) -> str | None:
        """Return what a stream is about; None, and counted, where nothing of it can be read."""
        topics = (event.fact.stored_as for event in stored)
        home = next(filter(None, map(self._log.catalogue.home, topics)), None)
        if home is None and isinstance(stored[0].fact, UnreadableFact):
            self.left_out += 1
        return home

    def _believed(self, stored: list[Event]) -> list[Event]:
        events = with_unpublished_unreadable(stored, self.processes)
        _, as_of, known_at = self.at
        if first_unreadable(events, known_at) is not None:
            self.left_out += 1
        history = believed_history(events, known_at)
        if not history or history[0].effective > as_of:
            return []
        return [event for event in history if event.effective <= as_of]
