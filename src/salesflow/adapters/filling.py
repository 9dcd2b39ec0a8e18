"""Fills new tables from the whole log, stream by stream, on all cores.

A rebuild need not go through the log in its order: streams are independent of one another. So
it takes slices of the ids of streams, folds all that was recorded of a stream up to a goal in
one go, by the same code as live, and writes rows that are final at once. What lies behind the
goal is for the runner to catch up. At hand are the events and rows of one slice a process,
however long the log is.

Where the log is long, processes of their own help (`rebuild_helper`): whoever is free takes
the next slice. This process takes its share too. A helper that fails or dies fails the whole.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from threading import Lock
from typing import Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.collector import collector_off
from salesflow.adapters.eventlog import EventLog
from salesflow.adapters.folding import Folding
from salesflow.adapters.leaving_out import note_left_out
from salesflow.adapters.readtables import TableWriter
from salesflow.adapters.refolding import LeftOutChange
from salesflow.domain.facts import Event, Fact
from salesflow.errors import BusyError
from salesflow.projections.tables import Cell, Processes, ReadFold

__all__ = ["Slice", "Slices", "Tables", "slices_of"]

SLICE_EVENTS = 20_000
"""About so many events of the log lie in a slice, those no fold asks for included."""

SAMPLES = 8
"""So many events a slice are looked at to find slices of like size."""

WAITS_MAX = 12
"""How often a slice waits for the database, each time as long as any writer does."""

LAST_ID = 2**128 - 1


class Written(NamedTuple):
    """What one table gets of a slice, and what of it is left out."""

    name: str
    writer: TableWriter
    rows: Sequence[tuple[Cell, ...]]
    left_out: Sequence[LeftOutChange]


_stream_of = attrgetter("stream_id")
_recorded_of = attrgetter("recorded")


class Slice(NamedTuple):
    """Streams by their ids, the first and the last that may be in it."""

    first: UUID
    last: UUID


class Tables:
    """The tables that are filled, by the names of the tables beside the live ones."""

    def __init__(
        self, log: EventLog, folds: Mapping[str, ReadFold], processes: Processes, upto: int
    ) -> None:
        self._log = log
        self._upto = upto
        self._stream: Sequence[Event] = ()
        self._foldings = [
            Folding(
                fold,
                processes,
                self._at_hand,
                (name, log.tenant, log.database.dialect),
                log.catalogue,
            )
            for name, fold in folds.items()
        ]
        self._names = list(folds)
        wanted: frozenset[type[Fact]] = frozenset()
        for each in self._foldings:
            wanted |= each.wanted
        self._without = log.catalogue.topics_besides(wanted)

    def fill(self, slice: Slice) -> None:
        """Fold the streams of a slice, and write their rows in one transaction.

        Raises:
            ProjectionError: when a fold failed.
        """
        with collector_off():
            events = self._log.slice(*slice, upto=self._upto, without=self._without)
            streams = [list(stream) for _, stream in groupby(events, key=_stream_of)]
            written = [
                Written(name, each.writer, self._rows(each, streams), each.take_left_out())
                for name, each in zip(self._names, self._foldings, strict=True)
            ]
            for _ in range(WAITS_MAX - 1):  # for whoever else writes, the other helpers too
                with suppress(BusyError):
                    return self._write(written)
            return self._write(written)

    def _write(self, written: Sequence[Written]) -> None:
        with self._log.database.begin() as connection:
            for name, writer, rows, left_out in written:
                writer.add(connection, rows)
                note_left_out(connection, self._log.tenant, name, left_out)

    def _rows(
        self, folding: Folding, streams: Iterable[Sequence[Event]]
    ) -> list[tuple[Cell, ...]]:
        batch: Any = folding.new_batch()
        for stream in streams:
            self._stream = folding.relevant(stream)
            for _, append in groupby(self._stream, key=_recorded_of):
                events = list(append)
                folding.absorb(stream[0].stream_id, events, batch)
            folding.absorber.forget()
        return folding.writer.rows(batch)

    def _at_hand(self, _: UUID) -> Sequence[Event]:
        return self._stream


class Slices:
    """Slices handed out one by one, to whoever is free."""

    def __init__(self, slices: Sequence[Slice]) -> None:
        self._waiting = iter(slices)
        self._lock = Lock()
        self.number: Final = len(slices)
        self.done = 0

    def __iter__(self) -> Iterator[Slice]:
        """Give slices until none is left; count one as done when the next is asked for."""
        while True:
            with self._lock:
                slice = next(self._waiting, None)
            if slice is None:
                return
            yield slice
            with self._lock:
                self.done += 1


def slices_of(log: EventLog, upto: int, connection: sa.Connection | None = None) -> list[Slice]:
    """Cut the ids of all streams into slices of about the same number of events."""
    step = max(1, SLICE_EVENTS // SAMPLES)
    found = sorted(log.streams_at(range(step, upto + 1, step), connection))
    firsts = [UUID(int=0), *dict.fromkeys(found[SAMPLES::SAMPLES])]
    lasts = [UUID(int=first.int - 1) for first in firsts[1:]]
    return [Slice(*ends) for ends in zip(firsts, [*lasts, UUID(int=LAST_ID)], strict=True)]
