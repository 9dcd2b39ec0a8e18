"""Tables on their way along the log: pages of whole appends folded into them.

A page is cut at an append's edge. Tables that stand at the same position are folded together.
What is held of entities between two pages is good only where the rows stand as it left them.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from operator import attrgetter
from typing import Final, NamedTuple
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
from salesflow.adapters.projector.entity_updates import EntityUpdater, LeftOutChange
from salesflow.adapters.projector.interval_tables import Batch
from salesflow.adapters.projector.read_tables import (
    NEVER_LEFT_OUT,
    ProjectionPosition,
    TableFold,
    forget_streams,
    note_left_out,
)
from salesflow.domain.catalogue import FactCatalogue
from salesflow.domain.computed_once import computed_once
from salesflow.domain.event import Event, Fact, UnreadableFact, first_unreadable
from salesflow.domain.time import Instant
from salesflow.errors import ProjectionError
from salesflow.projections.table import Cell, Fold, LedgerTable, OnState, Processes

__all__ = [
    "AppliedPage",
    "JointFold",
    "Page",
    "ProjectionTask",
    "TablesTogether",
    "folded_jointly",
]


# Folds the tables that stand alike together: what is relevant, and how it fails.
#
# Folds that begin on the same state are folded jointly, every other fold by itself. A stream of
# which a fact cannot be read is folded table by table, since not every table listens to it.

FACT = attrgetter("fact")
FOLD_FAILS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What is raised by a fold that is wrong."""


class JointFold:
    """Folds on one state, or one fold by itself, and what is held of their entities."""

    def __init__(
        self,
        tables: Sequence[TableFold],
        processes: Processes,
        stream: Callable[[UUID], Sequence[Event]],
        catalogue: FactCatalogue,
    ) -> None:
        """Begin with nothing; a stream is given whole, with all that is not relevant."""
        self.tables: Final = tables
        self._processes = processes
        self.wanted: Final = frozenset[type[Fact]]().union(*(each.wanted for each in tables))
        self._besides: Final = frozenset(catalogue.topics_besides(self.wanted))
        """What is stored of facts that no fold listens to, readable or not."""
        self._stream = stream
        self._catalogue = catalogue
        self.updater: Final = EntityUpdater(
            [each.fold for each in tables],
            processes,
            lambda id: self.relevant(stream(id)),
            tables[0].writer.kept_id,
        )
        self._each: Sequence[JointFold] = [self] if len(tables) == 1 else []
        """The folds one by one, once a stream came that is not taken for all together."""

    def _one_by_one(self) -> "Sequence[JointFold]":
        """Return the folds one by one, for the streams that are not taken for all together."""
        if not self._each:
            self._each = [
                JointFold([each], self._processes, self._stream, self._catalogue)
                for each in self.tables
            ]
        return self._each

    def _updaters(self) -> set[EntityUpdater]:
        return {self.updater, *(fold.updater for fold in self._each)}

    def relevant(self, events: Sequence[Event]) -> list[Event]:
        """Keep the events that a fold has to know of."""
        kinds = [*map(type, map(FACT, events))]
        found = wanted = [*compress(events, map(self.wanted.__contains__, kinds))]
        present = {*kinds}
        if not UNDER_A_PROCESS.isdisjoint(present):
            found = with_unpublished_unreadable(wanted, self._processes)
        if UnreadableFact in present or found is not wanted:
            return [event for event in found if not self._is_besides(event.fact)]
        return found

    def _is_besides(self, fact: Fact) -> bool:
        return isinstance(fact, UnreadableFact) and fact.stored in self._besides

    def forget(self, notes: Sequence[Mapping[UUID, int]] = ()) -> None:
        """Drop what is held of entities, and hear what the rows of each table leave out."""
        for updater in self._updaters():
            updater.forget()
        if any(notes):
            for fold, noted in zip(self._one_by_one(), notes, strict=True):
                self.updater.left_out_from |= noted
                fold.updater.left_out_from = dict(noted)

    def left_out_from(self) -> list[dict[UUID, int]]:
        """Return for each table from which position on it leaves streams out now."""
        found = [dict(fold.updater.left_out_from) for fold in self._each]
        return found or [{} for _ in self.tables]

    def to_refill(self) -> list[dict[UUID, Event | None]]:
        """Return for each table the streams that are read otherwise than its rows say."""
        found = [dict(fold.updater.to_refill) for fold in self._each]
        return found or [{} for _ in self.tables]

    def take_left_out(self) -> list[list[LeftOutChange]]:
        """Return for each table what changed with facts that cannot be read, and forget it."""
        found = [fold.updater.left_out for fold in self._each]
        for fold in self._each:
            fold.updater.left_out = []
        return found or [[] for _ in self.tables]

    def apply_whole(
        self, entity: UUID, events: Sequence[Event], batches: Sequence[Batch]
    ) -> None:
        """Take all that is relevant of one entity, from its beginning, and hold nothing of it.

        Raises:
            ProjectionError: when a fold failed; says at which fact.
        """
        try:
            if events:
                self.apply(entity, events, batches)
        finally:
            for updater in self._updaters():
                updater.forget()

    def apply_in_order(self, events: Sequence[Event], batches: Sequence[Batch]) -> bool:
        """Take what some appends say of one entity, if that needs nothing but what is held.

        Raises:
            ProjectionError: when a fold failed; says at which fact.
        """
        try:
            return self.updater.apply_in_order(events, batches)
        except FOLD_FAILS as error:
            raise self._failure(events, error) from error

    def apply(self, entity: UUID, events: Sequence[Event], batches: Sequence[Batch]) -> None:
        """Take what some appends say of one entity, in the order of the log.

        Raises:
            ProjectionError: when a fold failed; says at which fact.
        """
        try:
            left = self.updater.apply(entity, events, batches)
        except FOLD_FAILS as error:
            raise self._failure(events, error) from error
        if left:
            for one, batch in zip(self._one_by_one(), batches, strict=True):
                relevant = one.relevant(left)
                if relevant:
                    one.apply(entity, relevant, [batch])

    def _failure(self, events: Sequence[Event], error: Exception) -> ProjectionError:
        """Return what to say of a fold that failed at one of these events of an entity."""
        number, recorded = self.updater.at_work
        fold = self.tables[number].fold
        append = [event for event in events if event.recorded == recorded]
        label, first = fold.table.label, _first_of(append, fold.facts)
        return ProjectionError(
            f"projection {label} stopped before position {first.position}"
            f" ({first.fact.kind} of {first.stream_id}): {error!r}; its rows stand as they"
            f" were. Mend the fold, then run `salesflow rebuild {label}`"
        )

    def evict(self, entities: Collection[int]) -> None:
        """Hold no more than is to be held of entities, these among them."""
        for updater in self._updaters():
            updater.evict(entities)


def folded_jointly(folds: Sequence[Fold]) -> list[list[int]]:
    """Return the numbers of the folds that are folded together, those on one state.

    They listen to the same openings. One that listens to none sees a history of its own.
    """
    groups: dict[object, list[int]] = {}
    for number, fold in enumerate(folds):
        openings = frozenset(fact for fact in fold.facts if fact.is_opening)
        start, group = fold.start, object()
        if isinstance(start, OnState) and openings:
            group = start.state, openings
        groups.setdefault(group, []).append(number)
    return list(groups.values())


def _first_of(append: Sequence[Event], facts: frozenset[type[Fact]]) -> Event:
    wanted = facts | NEVER_LEFT_OUT
    return next((event for event in append if type(event.fact) in wanted), append[0])


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

    values: Sequence[Cell]
    left_out: Sequence[LeftOutChange]


class StreamRefill:
    """Folds streams of one table anew."""

    def __init__(
        self, fold: Fold, processes: Processes, table: tuple[str, str, str], log: EventLog
    ) -> None:
        """Begin with nothing; the table is named with its tenant and its database's dialect."""
        self._log: Final = log
        self._name: Final = table[0]
        self._table: Final = fold.table.named(table[0])
        self._stream: Sequence[Event] = ()
        self._table_fold: Final = TableFold(fold, table)
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
        return Refold(self._table_fold.values(batch), left_out)

    def write(self, connection: sa.Connection, streams: Sequence[UUID], refold: Refold) -> None:
        """Put fresh rows in the place of those of these streams."""
        c, tenant = self._table.c, self._log.tenant
        old = sa.delete(self._table).where(c.tenant == tenant, c.entity_id.in_(streams))
        connection.execute(old)
        forget_streams(connection, tenant, self._name, streams)
        self._table_fold.add(connection, refold.values)
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

    def follow(self, applied: AppliedPage, position: int, recorded: Instant) -> None:
        """Note that a page was written, and that what is held of entities has followed."""
        self.followed, self.notes = (position, recorded), applied.left_out_from

    def forget(self) -> None:
        """Forget what is held of entities; it is recalled from the log the next time."""
        self.followed = None

    def take_notes(self, notes: dict[UUID, int]) -> None:
        """Note what the rows leave out; where that is new, forget what is held of entities."""
        if notes != self.notes:
            self.notes = notes
            self.forget()

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
            with database.derive() as connection:
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
        """Fold what a page says of each entity; last of those whose streams may be needed."""
        folding.take_left_out()
        entities = _by_entity(folding.relevant(events))
        waiting = [
            told for told in entities.values() if not folding.apply_in_order(told, batches)
        ]
        for part in self._parts(folding.updater, waiting):
            for told in part:
                folding.apply(told[0].stream_id, told, batches)
            folding.evict(entities)

    def _parts(
        self, updater: EntityUpdater, entities: Iterable[list[Event]]
    ) -> Iterator[list[list[Event]]]:
        """Cut a page so that the streams of all entities of a part that are needed fit.

        They are fetched together, in few queries, just before the part is given. Nearly
        always that is the whole page.
        """
        part: list[list[Event]] = []
        cold, length = list[UUID](), 0
        for told in entities:
            first = told[0]
            if updater.needs_stream(first.stream_id, told):
                if length > STREAM_EVENTS_MAX:
                    self._fetch(cold)
                    yield part
                    part, cold, length = [], [], 0
                cold.append(first.stream_id)
                length += first.version
            part.append(told)
        self._fetch(cold)
        yield part

    def _fetch(self, cold: Iterable[UUID]) -> None:
        assert self._streams is not None
        self._streams.fetch(cold)

    def _stream(self, entity: UUID) -> Sequence[Event]:
        assert self._streams is not None
        return self._streams.of(entity)


def _by_entity(events: Iterable[Event]) -> dict[int, list[Event]]:
    """Return what is told of each entity, by the number that its id is."""
    found: defaultdict[int, list[Event]] = defaultdict(list)
    for event in events:
        found[event.stream_id.int].append(event)
    return found
