"""Folds whole streams into rows of read tables that are final at once; no database is in it.

A rebuild need not go through the log in its order: streams are independent of one another.
Whoever has all that was recorded of some streams up to a position, each in order of version,
gets all rows of these streams as they stand there, by the same code as live. Where events come
from and rows go to is for others to say: `rebuild` has both in a database, `lake` in Arrow.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from salesflow.adapters.projector.entity_updates import LeftOutChange, noted
from salesflow.adapters.projector.projection_task import JointFold, folded_jointly
from salesflow.adapters.projector.read_tables import TableFold
from salesflow.domain.catalogue import FactCatalogue
from salesflow.domain.event import Event, Fact
from salesflow.domain.time import FOREVER
from salesflow.projections.table import Cell, Fold, Processes

__all__ = ["StreamFolding", "TableSlice", "left_out_rows"]


class TableSlice(NamedTuple):
    """What one table gets of some streams, and what of it is left out."""

    name: str
    folding: TableFold
    values: Sequence[Cell]
    """The values of its rows, row after row, each without its tenant."""
    left_out: Sequence[LeftOutChange]


_stream_of = attrgetter("stream_id")


class StreamFolding:
    """Tables by their names, and the folds that say what streams come to in them."""

    def __init__(
        self,
        folds: Mapping[str, Fold],
        processes: Processes,
        catalogue: FactCatalogue,
        tenant: str,
        dialect: str,
    ) -> None:
        """Name the dialect of the database that is to keep the rows."""
        self._stream: Sequence[Event] = ()
        self._names = list(folds)
        self._tables = [
            TableFold(fold, (name, tenant, dialect)) for name, fold in folds.items()
        ]
        self._foldings = [
            (
                numbers,
                JointFold(
                    [self._tables[n] for n in numbers], processes, self._at_hand, catalogue
                ),
            )
            for numbers in folded_jointly(list(folds.values()))
        ]
        wanted = frozenset[type[Fact]]().union(*(each.wanted for each in self._tables))
        self.without: Final[Sequence[str]] = catalogue.topics_besides(wanted)
        """The topics of facts that no fold listens to, which need not be read."""

    def fold(self, events: Sequence[Event]) -> list[TableSlice]:
        """Fold streams from their beginning, those of one stream one behind the other.

        Raises:
            ProjectionError: when a fold failed, or its table cannot hold what it gives.
        """
        return [
            each
            for numbers, folding in self._foldings
            for each in self._fold(numbers, folding, events)
        ]

    def _fold(
        self, numbers: Sequence[int], folding: JointFold, events: Sequence[Event]
    ) -> Iterator[TableSlice]:
        """Fold streams for the tables of these numbers."""
        tables = [self._tables[number] for number in numbers]
        batches = [table.new_batch() for table in tables]
        for entity, stream in groupby(folding.relevant(events), key=_stream_of):
            self._stream = list(stream)
            folding.apply_whole(entity, self._stream, batches)
        left_out = folding.take_left_out()
        for number, table, batch, changes in zip(
            numbers, tables, batches, left_out, strict=True
        ):
            yield TableSlice(self._names[number], table, table.values(batch), changes)

    def _at_hand(self, _: UUID) -> Sequence[Event]:
        return self._stream


def left_out_rows(changes: Iterable[LeftOutChange]) -> list[dict[str, Any]]:
    """Return what is noted in the end where nothing was before."""
    rows: list[dict[str, Any]] = []
    for before, after, now in changes:
        if before is not None:
            open_note = {"position": before.position, "known_to": FOREVER}
            for row in rows:
                if open_note.items() <= row.items():
                    row["known_to"] = now
        if after is not None:
            rows.append(noted(after, now))
    return rows
