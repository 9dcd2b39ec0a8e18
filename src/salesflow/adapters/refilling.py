"""Begins the rows of streams anew that were read otherwise when they were folded.

An event may have been readable when its stream was folded and not be so now, or the other way
round: its bytes were damaged or mended, or one of two programs alone knows its kind. Then the
rows are no ground to go on from. They are folded anew from what can be read now, as a rebuild
folds them, and take the place of the old ones in one transaction.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.eventlog import EventLog
from salesflow.adapters.folding import Folding
from salesflow.adapters.leaving_out import forget_streams, note_left_out
from salesflow.adapters.logs import tell_begun_anew
from salesflow.adapters.refolding import LeftOutChange
from salesflow.domain.facts import Event
from salesflow.domain.history import unreadable
from salesflow.projections.tables import Cell, Processes, ReadFold

__all__ = ["Refilling"]

STREAMS_AT_ONCE = 500
"""So many streams are begun anew in one transaction."""


class Fresh(NamedTuple):
    """What streams come to as they are read now."""

    rows: Sequence[tuple[Cell, ...]]
    left_out: Sequence[LeftOutChange]


class Refilling:
    """Folds streams of one table anew."""

    def __init__(
        self, fold: ReadFold, processes: Processes, told: tuple[str, str, str], log: EventLog
    ) -> None:
        """Begin with nothing; the table is named with its tenant and its database's dialect."""
        self._log: Final = log
        self._name: Final = told[0]
        self._table: Final = fold.table.named(told[0])
        self._stream: Sequence[Event] = ()
        self._folding: Final = Folding(
            fold, processes, lambda _: self._stream, told, log.catalogue
        )

    @staticmethod
    def chunks(streams: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
        """Cut streams into as many as are begun anew at once."""
        for first in range(0, len(streams), STREAMS_AT_ONCE):
            yield streams[first : first + STREAMS_AT_ONCE]

    def stops(self, streams: Sequence[UUID], upto: int) -> Mapping[UUID, int]:
        """Give the positions from which on streams cannot be read now, of those that cannot."""
        found: dict[UUID, int] = {}
        for some in self.chunks(streams):
            for id, events in self._log.streams(some, upto=upto).items():
                stopped = unreadable(self._folding.relevant(events))
                if stopped is not None:
                    found[id] = stopped.position
        return found

    def fold(self, streams: Sequence[UUID], upto: int) -> Fresh:
        """Fold streams up to a position, as they are read now.

        Raises:
            ProjectionError: when the fold failed.
        """
        folding = self._folding
        batch: Any = folding.new_batch()
        folding.take_left_out()
        for id, events in self._log.streams(streams, upto=upto).items():
            folding.absorber.forget()
            self._stream = folding.relevant(events)
            for _, append in groupby(self._stream, key=lambda event: event.recorded):
                folding.absorb(id, list(append), batch)
        folding.absorber.forget()
        self._stream = ()
        return Fresh(folding.writer.rows(batch), folding.take_left_out())

    def write(self, connection: sa.Connection, streams: Sequence[UUID], fresh: Fresh) -> None:
        """Put fresh rows in the place of those of these streams."""
        c, tenant = self._table.c, self._log.tenant
        old = sa.delete(self._table).where(c.tenant == tenant, c.entity_id.in_(streams))
        connection.execute(old)
        forget_streams(connection, tenant, self._name, streams)
        self._folding.writer.add(connection, fresh.rows)
        note_left_out(connection, tenant, self._name, fresh.left_out)
        tell_begun_anew(self._name, len(streams))
