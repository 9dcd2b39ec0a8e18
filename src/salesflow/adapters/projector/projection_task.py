"""Tables on their way along the log: pages of whole appends folded into them.

A page is cut at an append's edge. Tables that stand at the same position are folded together.
What is held of entities between two pages is good only where the rows stand as it left them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.logs import tell_begun_anew
from salesflow.adapters.projector.balances import Balancer
from salesflow.adapters.projector.entity_updates import EntityUpdater, LeftOutChange
from salesflow.adapters.projector.interval_tables import Batch
from salesflow.adapters.projector.joint_folding import JointFold, TableFold, folded_jointly
from salesflow.adapters.projector.read_tables import (
    ProjectionPosition,
    forget_streams,
    note_left_out,
)
from salesflow.domain.computed_once import computed_once
from salesflow.domain.event import Event, first_unreadable
from salesflow.errors import ProjectionError
from salesflow.projections.table import Cell, Fold, LedgerTable, Processes

__all__ = [
    "AppliedPage",
    "Page",
    "ProjectionTask",
    "TablesTogether",
]


# Begins the rows of streams anew that were read otherwise when they were folded.
#
# An event may have been readable when its stream was folded and not be so now, or the other way
# round: its bytes were damaged or mended, or one of two programs alone knows its kind. Then the
# rows are nothing to go on from. They are folded anew from what can be read now, as a rebuild
# folds them, and take the place of the old ones in one transaction.

STREAMS_AT_ONCE = 500
"""So many streams are begun anew in one transaction."""


class Refold(NamedTuple):
    """What streams come to as they are read now."""

    rows: Sequence[list[Cell]]
    left_out: Sequence[LeftOutChange]


class StreamRefill:
    """Folds streams of one table anew."""

    def __init__(
        self, fold: Fold, processes: Processes, values: tuple[str, str, str], log: EventLog
    ) -> None:
        """Begin with nothing; the table is named with its tenant and its database's dialect."""
        self._log: Final = log
        self._name: Final = values[0]
        self._table: Final = fold.table.named(values[0])
        self._stream: Sequence[Event] = ()
        self._table_fold: Final = TableFold(fold, values)
        self._folding: Final = JointFold(
            [self._table_fold], processes, lambda _: self._stream, log.catalogue
        )

    @staticmethod
    def chunks(streams: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
        """Cut streams into as many as are begun anew at once."""
        for first in range(0, len(streams), STREAMS_AT_ONCE):
            yield streams[first : first + STREAMS_AT_ONCE]

    def stops(self, streams: Sequence[UUID], through: int) -> Mapping[UUID, int]:
        """Return from which positions on streams cannot be read now, of those that cannot."""
        found: dict[UUID, int] = {}
        for some in self.chunks(streams):
            for id, events in self._log.streams(some, through=through).items():
                stopped = first_unreadable(self._folding.relevant(events))
                if stopped is not None:
                    found[id] = stopped.position
        return found

    def fold(self, streams: Sequence[UUID], through: int) -> Refold:
        """Fold streams up to a position, as they are read now.

        Raises:
            ProjectionError: when the fold failed.
        """
        folding, batch = self._folding, self._table_fold.new_batch()
        folding.take_left_out()
        for id, events in self._log.streams(streams, through=through).items():
            self._stream = folding.relevant(events)
            folding.apply_whole(id, self._stream, [batch])
        self._stream = ()
        [left_out] = folding.take_left_out()
        return Refold(self._table_fold.rows(batch), left_out)

    def write(self, connection: sa.Connection, streams: Sequence[UUID], refold: Refold) -> None:
        """Put fresh rows in the place of those of these streams."""
        c, tenant = self._table.c, self._log.tenant
        old = sa.delete(self._table).where(c.tenant == tenant, c.entity_id.in_(streams))
        connection.execute(old)
        forget_streams(connection, tenant, self._name, streams)
        self._table_fold.add(connection, refold.rows)
        note_left_out(connection, tenant, self._name, refold.left_out)
        tell_begun_anew(self._name, len(streams))


STREAM_EVENTS_MAX = 20_000
"""So many events of streams are held at once, or those of one stream."""


@dataclass(eq=False)
class Streams:
    """Streams of entities that are not at hand, read once for all folds of a page."""

    log: EventLog
    through: int
    """The position with which the page ends."""
    found: dict[UUID, list[Event]] = field(default_factory=dict)
    events: int = 0

    def fetch(self, ids: Iterable[UUID]) -> None:
        """Read streams in few queries, and let go of others when there are many."""
        wanted = [id for id in ids if id not in self.found]
        if wanted:
            if self.events > STREAM_EVENTS_MAX:
                self.found, self.events = {}, 0
            found = self.log.streams(wanted, through=self.through)
            self.found |= found
            self.events += sum(map(len, found.values()))

    def of(self, id: UUID) -> list[Event]:
        """Return the events of a stream up to the end of the page."""
        if id not in self.found:
            self.fetch([id])
        return self.found.get(id, [])


class Page(NamedTuple):
    """Whole appends from the log, and where the log stands behind them."""

    events: list[Event]
    position: int
    recorded: int
    streams: Streams


BALANCES_EVERY = 512
"""How many events are folded between two looks at what balances do not hold yet."""


class AppliedPage(NamedTuple):
    """What a page comes to in one table."""

    batch: Batch
    left_out: Sequence[LeftOutChange]
    """What changed with the facts of the page that cannot be read."""
    left_out_from: dict[UUID, int]
    """From which position on the table leaves streams out then."""


class ProjectionTask:
    """One fold, its table of that name, and where that stands."""

    def __init__(self, fold: Fold, log: EventLog, processes: Processes, name: str) -> None:
        self.fold: Final = fold
        self.name: Final = name
        self.begun: Final = ProjectionPosition(fold.table.revision)
        self.notes: dict[UUID, int] = {}
        """From which position on the rows leave streams out, as the database said last."""
        self.followed: tuple[int, int] | None = None
        """The position up to which what is held of entities has followed, and when its event
        was recorded; None when nothing is held."""
        self.together: TablesTogether | None = None
        """The tables it was folded with last, and what is held of their entities."""
        self.to_refill: dict[UUID, Event | None] = {}
        """The streams of the page applied last whose rows are not what is read of them, and
        the event that stops them now."""
        self._log: Final = log
        self._processes: Final = processes
        self._table: Final = (name, log.tenant, log.database.dialect)
        table, self._balancer = fold.table, None
        if isinstance(table, LedgerTable) and table.cells:
            self._balancer = Balancer(table, name, log)
        self._looked_at: set[tuple[UUID, int]] = set()
        """Which notes were found to be as the streams are read here."""
        self._unbalanced = BALANCES_EVERY
        """How many events were folded since balances were looked at."""

    @computed_once
    def table_fold(self) -> TableFold:
        """What writes; made when there is something to write for the first time."""
        return TableFold(self.fold, self._table)

    @computed_once
    def _refilling(self) -> StreamRefill:
        """What begins streams anew, which hardly ever happens."""
        return StreamRefill(self.fold, self._processes, self._table, self._log)

    def write(self, connection: sa.Connection, applied: AppliedPage, events: int) -> None:
        """Write what so many events came to, and what of them is left out.

        The position has been moved (`hold`), so that nobody else changes these rows meanwhile.

        Raises:
            ProjectionError: when rows are not there that were to be ended, or the table cannot
                hold what its fold gives.
        """
        missing = self.table_fold.write(connection, applied.batch)
        if missing:
            label = self.fold.table.label
            raise ProjectionError(
                f"read table {label} lacks {missing:,} rows that were to be ended: its rows"
                f" were changed, and do not agree with the log. Run `salesflow rebuild {label}`"
            )
        if applied.left_out:
            note_left_out(connection, self._log.tenant, self.name, applied.left_out)
        self._unbalanced += events
        if self._balancer is not None and self._unbalanced > BALANCES_EVERY:
            self._unbalanced = 0
            self._balancer.keep(connection)

    def written(self, page: Page, applied: AppliedPage) -> None:
        """Hear that what a page came to was written."""
        self.followed = page.position, page.recorded
        self.notes = applied.left_out_from

    def readable_again(self, through: int) -> list[UUID]:
        """Find streams that the rows leave out, and that are read otherwise here."""
        new = [each for each in self.notes.items() if each not in self._looked_at]
        if not new:
            return []
        found = self._refilling.stops([stream for stream, _ in new], through)
        wrong = [each for each in new if found.get(each[0]) != each[1]]
        self._looked_at.update(each for each in new if each not in wrong)
        return [stream for stream, _ in wrong]

    def fold_anew(
        self, streams: Sequence[UUID], through: int
    ) -> Iterator[tuple[Sequence[UUID], Refold]]:
        """Fold streams from their beginning up to a position, as they are read now.

        Raises:
            ProjectionError: when the fold failed.
        """
        for some in self._refilling.chunks(streams):
            yield some, self._refilling.fold(some, through)

    def write_anew(
        self, connection: sa.Connection, streams: Sequence[UUID], refold: Refold
    ) -> None:
        """Put what streams were folded to in the place of their rows."""
        self._refilling.write(connection, streams, refold)
        if self._balancer is not None:
            self._balancer.begin_anew(connection)
            self._balancer.keep(connection)
            self._unbalanced = BALANCES_EVERY

    def ensure_alike(self) -> None:
        """Refuse to go on over rows that are not what is read of their streams.

        Raises:
            ProjectionError: naming the first stream, its event, and the way out.
        """
        for stream, stopped in self.to_refill.items():
            label = self.fold.table.label
            text = "can be read now"
            if stopped is not None:
                at = f"version {stopped.version}, position {stopped.position}"
                text = f"cannot be read from {at} on"
            raise ProjectionError(
                f"read table {label} was filled when stream {stream} was read otherwise: it"
                f" {text}. Run `salesflow rebuild {label}`"
            )

    def settle_all(self, database: Database) -> None:
        """Keep balances level with a table just filled, in transactions that are short."""
        while self._balancer is not None:
            with database.begin() as connection:
                if not self._balancer.keep(connection):
                    return


class TablesTogether:
    """Tables that stand at the same position, and what is held of their entities."""

    def __init__(
        self, tasks: Sequence[ProjectionTask], log: EventLog, processes: Processes
    ) -> None:
        self.tasks: Final = list(tasks)
        self._streams: Streams | None = None
        self._tables: Final = [task.table_fold for task in tasks]
        self._foldings: Final[list[tuple[list[int], JointFold]]] = [
            (
                numbers,
                JointFold(
                    [self._tables[n] for n in numbers], processes, self._stream, log.catalogue
                ),
            )
            for numbers in folded_jointly([task.fold for task in tasks])
        ]

    def apply_page(
        self, page: Page, after: ProjectionPosition
    ) -> dict[ProjectionTask, AppliedPage]:
        """Fold the page behind where the tables stand into row changes.

        What is held of entities is good only where the rows stand as it left them; when
        somebody else has moved them, or another log stands at that position by now, it is
        dropped and recalled from the log.

        Raises:
            ProjectionError: when a fold failed; says at which fact.
        """
        if any(
            task.together is not self or task.followed != (after.position, after.recorded)
            for task in self.tasks
        ):
            for numbers, folding in self._foldings:
                folding.forget([self.tasks[number].notes for number in numbers])
        for task in self.tasks:
            task.together, task.followed = self, None
        self._streams = page.streams
        found: dict[int, AppliedPage] = {}
        for numbers, folding in self._foldings:
            batches = [self._tables[n].new_batch(page.events[0].recorded) for n in numbers]
            self._apply(folding, page.events, batches)
            changes = zip(
                batches, folding.take_left_out(), folding.left_out_from(), strict=True
            )
            found.update(zip(numbers, map(AppliedPage._make, changes), strict=True))
            for number, streams in zip(numbers, folding.to_refill(), strict=True):
                self.tasks[number].to_refill = streams
        self._streams = None
        return {task: found[number] for number, task in enumerate(self.tasks)}

    def _apply(
        self, folding: JointFold, events: Sequence[Event], batches: Sequence[Batch]
    ) -> None:
        folding.take_left_out()
        for part in self._parts(folding.updater, _by_entity(folding.relevant(events))):
            for entity, told in part.items():
                folding.apply(entity, told, batches)
            folding.evict(part)

    def _parts(
        self, updater: EntityUpdater, entities: Iterable[list[Event]]
    ) -> Iterator[dict[UUID, list[Event]]]:
        """Cut a page so that the streams of all entities of a part that are needed fit.

        They are fetched together, in few queries, just before the part is given. Nearly
        always that is the whole page.
        """
        part: dict[UUID, list[Event]] = {}
        cold, length = list[UUID](), 0
        for events in entities:
            first = events[0]
            if updater.needs_stream(first.stream_id, events):
                if length > STREAM_EVENTS_MAX:
                    self._fetch(cold)
                    yield part
                    part, cold, length = {}, [], 0
                cold.append(first.stream_id)
                length += first.version
            part[first.stream_id] = events
        self._fetch(cold)
        yield part

    def _fetch(self, cold: Iterable[UUID]) -> None:
        assert self._streams is not None
        self._streams.fetch(cold)

    def _stream(self, entity: UUID) -> Sequence[Event]:
        assert self._streams is not None
        return self._streams.of(entity)


def _by_entity(events: Iterable[Event]) -> Iterable[list[Event]]:
    found: defaultdict[int, list[Event]] = defaultdict(list)
    for event in events:
        found[event.stream_id.int].append(event)
    return found.values()
