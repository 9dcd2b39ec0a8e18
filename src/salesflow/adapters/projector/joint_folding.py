"""Folds the tables that stand alike together: what is relevant, what is written, how it fails.

Folds that begin on the same state are folded jointly, every other fold by itself. A stream of
which a fact cannot be read is folded table by table, since not every table listens to it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from operator import attrgetter
from typing import Any, Final, TypeVar
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.event_store.published import (
    UNDER_A_PROCESS,
    with_unpublished_unreadable,
)
from salesflow.adapters.projector.entity_updates import EntityUpdater, LeftOutChange
from salesflow.adapters.projector.interval_tables import Batch, IntervalBatch
from salesflow.adapters.projector.read_tables import IntervalWriter, LedgerWriter
from salesflow.domain.catalogue import FactCatalogue
from salesflow.domain.event import Event, Fact, FactRetracted, UnreadableFact
from salesflow.domain.time import Instant
from salesflow.domain.wording import shortened
from salesflow.errors import ProjectionError
from salesflow.projections.table import Cell, Fold, Ledger, OnState, Processes

__all__ = ["JointFold", "TableFold", "folded_jointly"]


DoneT = TypeVar("DoneT")
FACT = attrgetter("fact")
NEVER_LEFT_OUT: Final[frozenset[type[Fact]]] = frozenset({FactRetracted, UnreadableFact})
"""What every fold has to know of, whatever it listens to."""


class TableFold:
    """One fold, and the table its rows go to."""

    def __init__(self, fold: Fold, table: tuple[str, str, str]) -> None:
        """Name the table with its tenant and its database's dialect."""
        self.fold: Final = fold
        self.wanted: Final[frozenset[type[Fact]]] = fold.facts | NEVER_LEFT_OUT
        self.writer: IntervalWriter | LedgerWriter
        if isinstance(fold, Ledger):
            self.writer = LedgerWriter(fold.table, *table)
        else:
            self.writer = IntervalWriter(fold.table, *table)

    def new_batch(self, *since: Instant) -> Batch:
        """Begin what a batch comes to; rows known before `since` stand in the table."""
        return [] if isinstance(self.fold, Ledger) else IntervalBatch(*since)

    def rows(self, batch: Any) -> list[list[Cell]]:  # noqa: ANN401 - of its kind
        """Return the rows that are new with a batch."""
        return self.writer.rows(batch)

    def write(self, connection: sa.Connection, batch: Any) -> int:  # noqa: ANN401 - of its kind
        """Write a batch, and return how many rows were to be ended and are not there.

        Raises:
            ProjectionError: when the table cannot hold what the fold gives.
        """
        return self._held(connection, self.writer.write, batch)

    def add(self, connection: sa.Connection, rows: Sequence[list[Cell]]) -> None:
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
        self.updater: Final = EntityUpdater(
            [each.fold for each in tables],
            processes,
            lambda id: self.relevant(stream(id)),
            tables[0].writer.kept_id,
        )
        self._each: Final[Sequence[JointFold]] = (
            [JointFold([each], processes, stream, catalogue) for each in tables]
            if len(tables) > 1
            else [self]
        )
        """The folds one by one, for the streams that are not taken for all together."""
        self._updaters: Final = {self.updater, *(fold.updater for fold in self._each)}

    def relevant(self, events: Sequence[Event]) -> list[Event]:
        """Keep the events that a fold has to know of."""
        kinds = map(type, map(FACT, events))
        found = list(compress(events, map(self.wanted.__contains__, kinds)))
        if not UNDER_A_PROCESS.isdisjoint(map(type, map(FACT, found))):
            found = with_unpublished_unreadable(found, self._processes)
        if UnreadableFact in set(map(type, map(FACT, found))):
            return [event for event in found if not self._is_besides(event.fact)]
        return found

    def _is_besides(self, fact: Fact) -> bool:
        return isinstance(fact, UnreadableFact) and fact.stored in self._besides

    def forget(self, notes: Sequence[Mapping[UUID, int]] = ()) -> None:
        """Drop what is held of entities, and hear what the rows of each table leave out."""
        for updater in self._updaters:
            updater.forget()
        for fold, noted in zip(self._each, notes, strict=False):
            self.updater.left_out_from |= noted
            fold.updater.left_out_from = dict(noted)

    def left_out_from(self) -> list[dict[UUID, int]]:
        """Return for each table from which position on it leaves streams out now."""
        return [dict(fold.updater.left_out_from) for fold in self._each]

    def to_refill(self) -> list[dict[UUID, Event | None]]:
        """Return for each table the streams that are read otherwise than its rows say."""
        return [dict(fold.updater.to_refill) for fold in self._each]

    def take_left_out(self) -> list[list[LeftOutChange]]:
        """Return for each table what changed with facts that cannot be read, and forget it."""
        found = [fold.updater.left_out for fold in self._each]
        for fold in self._each:
            fold.updater.left_out = []
        return found

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
            for updater in self._updaters:
                updater.forget()

    def apply(self, entity: UUID, events: Sequence[Event], batches: Sequence[Batch]) -> None:
        """Take what some appends say of one entity, in the order of the log.

        Raises:
            ProjectionError: when a fold failed; says at which fact.
        """
        try:
            left = self.updater.apply(entity, events, batches)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            number, recorded = self.updater.at_work
            fold = self.tables[number].fold
            append = [event for event in events if event.recorded == recorded]
            label, first = fold.table.label, _first_of(append, fold.facts)
            raise ProjectionError(
                f"projection {label} stopped before position {first.position}"
                f" ({first.fact.kind} of {entity}): {error!r}; its rows stand as they were."
                f" Mend the fold, then run `salesflow rebuild {label}`"
            ) from error
        if left:
            for one, batch in zip(self._each, batches, strict=True):
                relevant = one.relevant(left)
                if relevant:
                    one.apply(entity, relevant, [batch])

    def evict(self, entities: Iterable[UUID]) -> None:
        """Hold no more than is to be held of entities, these among them."""
        for updater in self._updaters:
            updater.evict(entities)


def folded_jointly(folds: Sequence[Fold]) -> list[list[int]]:
    """Return the numbers of the folds that are folded together, those on one state.

    A fold that does not listen to the opening of its entities sees another history.
    """
    groups: dict[object, list[int]] = {}
    for number, fold in enumerate(folds):
        start, group = fold.start, object()
        if isinstance(start, OnState) and fold.facts.issuperset(start.state.openings):
            group = start.state
        groups.setdefault(group, []).append(number)
    return list(groups.values())


def _first_of(append: Sequence[Event], facts: frozenset[type[Fact]]) -> Event:
    wanted = facts | NEVER_LEFT_OUT
    return next((event for event in append if type(event.fact) in wanted), append[0])


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
