"""One fold on its way along the log: pages of whole appends absorbed into its table.

A page is cut at an append's edge. What is held of entities between two pages is good only where
the rows stand as it left them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress, groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.published import (
    UNDER_A_PROCESS,
    with_unpublished_unreadable,
)
from salesflow.adapters.logs import tell_begun_anew
from salesflow.adapters.projector.balances import Balancer
from salesflow.adapters.projector.interval_tables import (
    IntervalBatch,
    IntervalUpdater,
    LedgerBatch,
    LedgerUpdater,
    LeftOutChange,
    TableUpdater,
)
from salesflow.adapters.projector.read_tables import (
    IntervalWriter,
    LedgerWriter,
    ProjectionPosition,
    forget_streams,
    note_left_out,
)
from salesflow.domain.catalogue import FactCatalogue
from salesflow.domain.event import Event, Fact, FactRetracted, UnreadableFact, first_unreadable
from salesflow.domain.wording import shortened
from salesflow.errors import ProjectionError
from salesflow.projections.table import Cell, Fold, Ledger, LedgerTable, Processes

__all__ = [
    "Page",
    "ProjectionTask",
    "StreamRefill",
    "TableFold",
]


# A fold on its way into a table: what absorbs facts, what writes rows, and how it fails.

DoneT = TypeVar("DoneT")
FACT, RECORDED = attrgetter("fact"), attrgetter("recorded")
NEVER_LEFT_OUT: Final[frozenset[type[Fact]]] = frozenset({FactRetracted, UnreadableFact})
"""What every fold has to know of, whatever it listens to."""


class TableFold:
    """One fold, what is held of its entities, and the table its rows go to."""

    def __init__(
        self,
        fold: Fold,
        processes: Processes,
        stream: Callable[[UUID], Sequence[Event]],
        table: tuple[str, str, str],
        catalogue: FactCatalogue,
    ) -> None:
        """Begin with nothing; the table is named with its tenant and its database's dialect."""
        self.fold: Final = fold
        self._processes = processes
        self.wanted: Final[frozenset[type[Fact]]] = fold.facts | NEVER_LEFT_OUT
        self._catalogue = catalogue
        self.updater: TableUpdater[Any, Any]
        self.writer: IntervalWriter | LedgerWriter
        self.new_batch: Callable[[], Any]
        if isinstance(fold, Ledger):
            self.updater = LedgerUpdater(fold, processes, stream)
            self.writer, self.new_batch = LedgerWriter(fold.table, *table), list
        else:
            self.updater = IntervalUpdater(fold, processes, stream)
            self.writer, self.new_batch = IntervalWriter(fold.table, *table), IntervalBatch

    @cached_property
    def _besides(self) -> frozenset[str]:
        """What is stored of facts it does not listen to, readable or not."""
        return frozenset(self._catalogue.topics_besides(self.wanted))

    def take_left_out(self) -> list[LeftOutChange]:
        """Return what changed with facts that cannot be read, and forget it."""
        found, self.updater.left_out = self.updater.left_out, []
        return found

    def relevant(self, events: Sequence[Event]) -> list[Event]:
        """Keep the events that the fold has to know of."""
        kinds = map(type, map(FACT, events))
        found = list(compress(events, map(self.wanted.__contains__, kinds)))
        if not UNDER_A_PROCESS.isdisjoint(map(type, map(FACT, found))):
            found = with_unpublished_unreadable(found, self._processes)
        if UnreadableFact in set(map(type, map(FACT, found))):
            return [event for event in found if not self._is_besides(event.fact)]
        return found

    def _is_besides(self, fact: Fact) -> bool:
        return isinstance(fact, UnreadableFact) and fact.stored in self._besides

    def apply_stream(self, entity: UUID, events: Iterable[Event], batch: object) -> None:
        """Take all that is relevant of one entity, from its beginning, and hold nothing of it.

        Raises:
            ProjectionError: when the fold failed; says at which fact.
        """
        try:
            for _, append in groupby(events, key=RECORDED):
                self.apply_append(entity, list(append), batch)
        finally:
            self.updater.forget()

    def apply_append(self, entity: UUID, append: Sequence[Event], batch: object) -> None:
        """Take what one append says of one entity.

        Raises:
            ProjectionError: when the fold failed; says at which fact.
        """
        try:
            self.updater.apply_append(entity, append, batch)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            label = self.fold.table.label
            raise ProjectionError(
                f"projection {label} stopped before position {append[0].position}"
                f" ({append[0].fact.kind} of {entity}): {error!r}; its rows stand as they were."
                f" Mend the fold, then run `salesflow rebuild {label}`"
            ) from error

    def write(self, connection: sa.Connection, batch: Any) -> int:  # noqa: ANN401 - of its kind
        """Write a batch, and return how many rows were to be ended and are not there.

        Raises:
            ProjectionError: when the table cannot hold what the fold gives.
        """
        return self._held(connection, self.writer.write, batch)

    def add(self, connection: sa.Connection, rows: Sequence[tuple[Cell, ...]]) -> None:
        """Write rows that are final.

        Raises:
            ProjectionError: when the table cannot hold what the fold gives.
        """
        self._held(connection, self.writer.add, rows)

    def _held(
        self,
        connection: sa.Connection,
        write: Callable[[sa.Connection, Any], DoneT],
        rows: object,
    ) -> DoneT:
        try:
            return write(connection, rows)
        except (sa.exc.DBAPIError, OverflowError) as error:
            wrong = _wrong_cell(error, connection)
            if wrong is None:
                raise
            label = self.fold.table.label
            raise ProjectionError(
                f"read table {label} cannot hold what its fold gives: {wrong}; its rows stand"
                f" as they were. Mend the fold, then run `salesflow rebuild {label}`"
            ) from error


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

    rows: Sequence[tuple[Cell, ...]]
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
        self._table_fold: Final = TableFold(
            fold, processes, lambda _: self._stream, values, log.catalogue
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
                stopped = first_unreadable(self._table_fold.relevant(events))
                if stopped is not None:
                    found[id] = stopped.position
        return found

    def fold(self, streams: Sequence[UUID], through: int) -> Refold:
        """Fold streams up to a position, as they are read now.

        Raises:
            ProjectionError: when the fold failed.
        """
        folding = self._table_fold
        batch: Any = folding.new_batch()
        folding.take_left_out()
        for id, events in self._log.streams(streams, through=through).items():
            self._stream = folding.relevant(events)
            folding.apply_stream(id, self._stream, batch)
        self._stream = ()
        return Refold(folding.writer.rows(batch), folding.take_left_out())

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


class ProjectionTask:
    """One fold, its table of that name, and the entities it has at hand."""

    def __init__(self, fold: Fold, log: EventLog, processes: Processes, name: str) -> None:
        self.fold: Final = fold
        self.name: Final = name
        self.begun: Final = ProjectionPosition(fold.table.revision)
        self.notes: dict[UUID, int] = {}
        """From which position on the rows leave streams out, as the database said last."""
        self.position: int | None = None
        """The position up to which the absorber has followed; None when it holds nothing."""
        self.to_refill: list[UUID] = []
        """The streams of the page applied last whose rows are not what is read of them."""
        self._log: Final = log
        self._processes: Final = processes
        self._table: Final = (name, log.tenant, log.database.dialect)
        self._made: TableFold | None = None
        table, self._balancer = fold.table, None
        if isinstance(table, LedgerTable) and table.cells:
            self._balancer = Balancer(table, name, log)
        self._streams: Streams | None = None
        self._looked_at: set[tuple[UUID, int]] = set()
        """Which notes were found to be as the streams are read here."""
        self._unbalanced = BALANCES_EVERY
        """How many events were folded since balances were looked at."""

    @property
    def _table_fold(self) -> TableFold:
        """What folds and writes; made when there is something to fold for the first time."""
        if self._made is None:
            fold, catalogue = self.fold, self._log.catalogue
            self._made = TableFold(fold, self._processes, self._stream, self._table, catalogue)
        return self._made

    @cached_property
    def _refilling(self) -> StreamRefill:
        """What begins streams anew, which hardly ever happens."""
        return StreamRefill(self.fold, self._processes, self._table, self._log)

    def apply_page(self, page: Page, after: int) -> IntervalBatch | LedgerBatch:
        """Fold the page after a position into row changes.

        What is held of entities is good only where the rows stand as it left them; when
        somebody else has moved them, it is dropped and recalled from the log.
        """
        if self.position != after:
            self._table_fold.updater.forget()
            self._table_fold.updater.left_out_from = dict(self.notes)
        self.position = None
        self._streams = page.streams
        self._table_fold.take_left_out()
        batch: IntervalBatch | LedgerBatch = self._table_fold.new_batch()
        for part in self._parts(self._table_fold.relevant(page.events)):
            for _, append in groupby(part, key=RECORDED):
                for entity, events in _by_entity(append).items():
                    self._table_fold.apply_append(entity, events, batch)
        self._streams = None
        self.to_refill = list(self._table_fold.updater.to_refill)
        return batch

    def write(self, connection: sa.Connection, batch: Any, events: int) -> None:  # noqa: ANN401 - as the task gave it
        """Write what so many events came to, and what of them is left out.

        The position has been moved (`hold`), so that nobody else changes these rows meanwhile.

        Raises:
            ProjectionError: when rows are not there that were to be ended, or the table cannot
                hold what its fold gives.
        """
        missing = self._table_fold.write(connection, batch)
        if missing:
            label = self.fold.table.label
            raise ProjectionError(
                f"read table {label} lacks {missing:,} rows that were to be ended: its rows"
                f" were changed, and do not agree with the log. Run `salesflow rebuild {label}`"
            )
        left_out = self._table_fold.take_left_out()
        if left_out:
            note_left_out(connection, self._log.tenant, self.name, left_out)
        self._unbalanced += events
        if self._balancer is not None and self._unbalanced > BALANCES_EVERY:
            self._unbalanced = 0
            self._balancer.keep(connection)

    def written(self, position: int) -> None:
        """Hear that a batch was written up to a position."""
        self.position, self.notes = position, dict(self._table_fold.updater.left_out_from)

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
        for stream, stopped in self._table_fold.updater.to_refill.items():
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

    def _parts(self, events: list[Event]) -> Iterator[list[Event]]:
        """Cut a page so that the streams of all entities of a part that are not at hand fit.

        They are fetched together, in few queries, just before the part is given. Nearly
        always that is the whole page.
        """
        absorber, begun, cold, length = self._table_fold.updater, 0, list[UUID](), 0
        seen: set[UUID] = set()
        last: UUID | None = None
        for number, event in enumerate(events):
            entity = event.stream_id
            if entity is last or entity in seen:
                continue
            last = entity
            seen.add(entity)
            if absorber.use_cached(entity) or event.version == 1:
                continue
            if length > STREAM_EVENTS_MAX and events[number - 1].recorded != event.recorded:
                self._fetch(cold)
                yield events[begun:number]
                begun, cold, length, seen = number, [], 0, {entity}
            cold.append(entity)
            length += event.version
        self._fetch(cold)
        yield events[begun:]

    def _fetch(self, cold: Iterable[UUID]) -> None:
        assert self._streams is not None
        self._streams.fetch(cold)

    def _stream(self, entity: UUID) -> Sequence[Event]:
        assert self._streams is not None
        return self._table_fold.relevant(self._streams.of(entity))


def _by_entity(append: Iterable[Event]) -> dict[UUID, list[Event]]:
    found: dict[UUID, list[Event]] = {}
    last: UUID | None = None
    events: list[Event] = []
    for event in append:
        if event.stream_id is not last:  # mostly events in a row are of one entity
            last = event.stream_id
            events = found.setdefault(last, [])
        events.append(event)
    return found


def _wrong_cell(error: Exception, connection: sa.Connection) -> str | None:
    """Return what is wrong with a cell that no row can hold; None when it is something else."""
    values: object = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    driver = connection.dialect.loaded_dbapi
    wrong = isinstance(values, (OverflowError, driver.IntegrityError, driver.DataError))
    if isinstance(values, driver.ProgrammingError):  # of a type that it does not take
        wrong = (
            wrong or "Error binding" in str(values) or getattr(values, "sqlstate", "") is None
        )
    return shortened(str(values).partition("\n")[0]) if wrong else None
