"""Makes any pure fold bitemporal: from appends, in the order of the log, to rows and postings.

A `TableUpdater` takes one append of one entity at a time. Nearly all appends are in order
(nothing happened before the entity's last believed fact and nothing is retracted): they extend
the entity's state. A late or retracting append folds the entity's history twice, as believed
before and after it, and writes the difference. Either way the rows are the same, which the
properties test against a rebuild. Ledgers are posted to in the second half.

From a fact on that cannot be read an entity says nothing (see `without_retracted` in
`domain.event`): its rows stand as they were, `left_out` says so, and only a retraction is
looked at. Rows written by who could read more or less are nothing to go on from; such entities
are `unlike`.

It knows no database: rows go to an `IntervalBatch`, which coalesces what opens and closes
within one batch, so that only final rows are written.
"""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

from salesflow.domain.event import (
    Event,
    FactRetracted,
    UnreadableFact,
    believed_history,
    first_unreadable,
    order_key,
)
from salesflow.domain.time import FOREVER, Instant
from salesflow.projections.table import (
    Cell,
    Change,
    FoldState,
    IntervalFold,
    Key,
    Ledger,
    Processes,
    Row,
)

__all__ = [
    "ENTITY_WEIGHT",
    "Address",
    "IntervalBatch",
    "IntervalUpdater",
    "LedgerBatch",
    "LedgerUpdater",
    "LeftOutChange",
    "Movement",
    "OrderKey",
    "PendingRow",
    "TableUpdater",
]


CACHED_MAX = 28_000
"""How much one fold holds of entities at most; 1 is about 350 bytes (`CachedEntity.weight`)."""

ENTITY_WEIGHT = 4
"""What an entity weighs without its open rows."""

Attributes = tuple[Cell, ...]
PendingRow = list[Any]
"""A row in the making: known_from, valid_to, collapsed, attributes."""
Address = tuple[UUID, Key, Instant]
"""Among the rows believed now, entity, key and `valid_from` tell one from another."""
OrderKey = tuple[Instant, Instant, int]
OUT_OF_ORDER = (FactRetracted, UnreadableFact)


class CachedEntity(Protocol):
    """What is held of an entity: its state to go on from, and where its last fact stands."""

    last: OrderKey | None
    """Where its last fact stands; None while no opening is believed."""
    first_unreadable: Event | None
    """The fact that cannot be read from which on nothing counts; None mostly."""
    weight: int
    """What it weighed when it was weighed last: 0 before that."""

    def current_weight(self) -> int:
        """Say about how much memory it takes, an open row taking 1."""


class LeftOutChange(NamedTuple):
    """With an append, an entity is left out from another event on, or none any more."""

    before: Event | None
    after: Event | None
    recorded: Instant


CachedT = TypeVar("CachedT", bound=CachedEntity)
BatchT = TypeVar("BatchT")


class TableUpdater(ABC, Generic[CachedT, BatchT]):
    """Turns the appends of one fold's entities into row changes."""

    def __init__(self, stream: Callable[[UUID], Sequence[Event]]) -> None:
        self.left_out: list[LeftOutChange] = []
        """What changed with the facts of a batch that cannot be read."""
        self.left_out_from: dict[UUID, int] = {}
        """From which position on entities are left out of the rows as they stand."""
        self.to_refill: dict[UUID, Event | None] = {}
        """Entities whose rows are left out from elsewhere on than what can be read of them
        now, and the event that stops them now."""
        self._stream = stream
        self._cache: OrderedDict[UUID, CachedT] = OrderedDict()
        self._cached_weight = 0

    def forget(self) -> None:
        """Drop what is held of entities, after a batch that was not written."""
        self._cache.clear()
        self._cached_weight = 0
        self.left_out_from, self.to_refill = {}, {}

    def use_cached(self, entity: UUID) -> bool:
        """Return whether the entity's state is at hand; it is let go of after others then."""
        known = entity in self._cache
        if known:
            self._cache.move_to_end(entity)
        return known

    def apply_append(self, entity: UUID, append: Sequence[Event], batch: BatchT) -> None:
        """Take what one append says of one entity (in the order of the log)."""
        now = append[0].recorded
        held = self._cache.get(entity)
        if held is None:
            held = self._load(entity, append[0])
        else:
            self._cache.move_to_end(entity)
        if held.first_unreadable is not None:
            self._evict_if_full(held)
            if any(isinstance(event.fact, FactRetracted) for event in append):
                self._refold(entity, now, batch)
            return
        last = self._last_if_in_order(held, append)
        if last is None:
            self._refold(entity, now, batch)
        else:
            self._extend(entity, held, append, batch)
            held.last = last
            self._evict_if_full(held)

    def _load(self, entity: UUID, first: Event) -> CachedT:
        """Find the belief before this append; a stream that begins here has none to find."""
        if first.version > 1:
            earlier = [e for e in self._stream(entity) if e.recorded < first.recorded]
            held = self._fold_believed(earlier)
        else:
            held = self._begin()
        if self.left_out_from or held.first_unreadable is not None:
            self._compare(entity, held)
        self._cache[entity] = held  # weighed with what the append adds to it
        return held

    def _compare(self, entity: UUID, held: CachedT) -> None:
        """Note an entity whose rows are not those of the belief found of it."""
        stopped = None if held.first_unreadable is None else held.first_unreadable.position
        if stopped != self.left_out_from.get(entity):
            self.to_refill[entity] = held.first_unreadable

    def _keep(self, entity: UUID, held: CachedT) -> None:
        before = self._cache.get(entity)
        if before is not None:
            self._cached_weight -= before.weight
        self._cache[entity] = held
        self._evict_if_full(held)

    def _evict_if_full(self, held: CachedT) -> None:
        """Let go of entities that nothing has happened to for long, when too much is held."""
        weight, before = held.current_weight(), held.weight
        if weight == before:
            return
        held.weight = weight
        self._cached_weight += weight - before
        while self._cached_weight > CACHED_MAX:
            _, longest = self._cache.popitem(last=False)
            self._cached_weight -= longest.weight

    @staticmethod
    def _last_if_in_order(held: CachedEntity, append: Sequence[Event]) -> OrderKey | None:
        """Return where an append's last fact stands; None when the append is out of order."""
        last = held.last
        if last is None:
            if not append[0].fact.is_opening or append[0].version > 1:
                return None
            last = (append[0].occurred, append[0].occurred, -1)
        for event in append:
            occurred = event.occurred
            key = (occurred, occurred, event.position)
            if not event.fact.is_immediate:
                if isinstance(event.fact, OUT_OF_ORDER):
                    return None
                key = order_key(event)
            if key <= last:
                return None
            last = key
        return last

    @abstractmethod
    def _begin(self) -> CachedT:
        """Return what is believed of an entity before its first fact: nothing."""

    @abstractmethod
    def _extend(
        self, entity: UUID, held: CachedT, append: Sequence[Event], batch: BatchT
    ) -> None:
        """Go on from a belief with an append that is in order."""

    def _refold(self, entity: UUID, now: Instant, batch: BatchT) -> None:
        """Fold the entity as believed before an append and after it; write the difference."""
        events = self._stream(entity)
        before = self._fold_believed([e for e in events if e.recorded < now])
        self._compare(entity, before)
        after = self._fold_believed([e for e in events if e.recorded <= now])
        if before.first_unreadable != after.first_unreadable:
            self.left_out.append(
                LeftOutChange(before.first_unreadable, after.first_unreadable, now)
            )
            self.left_out_from.pop(entity, None)
            if after.first_unreadable is not None:
                self.left_out_from[entity] = after.first_unreadable.position
        self._write(entity, before, after, now, batch)
        self._keep(entity, after)

    @abstractmethod
    def _write(
        self, entity: UUID, before: CachedT, after: CachedT, now: Instant, batch: BatchT
    ) -> None:
        """Write the difference between two beliefs of an entity."""

    @abstractmethod
    def _fold_believed(self, events: Sequence[Event]) -> CachedT:
        """Fold an entity's believed history from its beginning."""


@dataclass(slots=True)
class EntityState:
    """What is believed of an entity: its rows, and the state to go on from."""

    state: FoldState[Change]
    last: OrderKey | None
    rows: dict[tuple[Key, Instant], tuple[Instant, Attributes]]
    open: dict[Key, tuple[Instant, Attributes]]
    first_unreadable: Event | None
    weight: int = 0

    def current_weight(self) -> int:
        """Say about how much memory it takes."""
        return ENTITY_WEIGHT + len(self.open)


class IntervalBatch:
    """The changes of one fold's table over a batch, coalesced to final rows."""

    def __init__(self) -> None:
        self.opened_rows: dict[Address, PendingRow] = {}
        """Rows opened here and still believed: known_from, valid_to, collapsed, attributes."""
        self.ended: list[tuple[Address, PendingRow, Instant]] = []
        """Rows opened and given up within the batch, with their known_to."""
        self.collapsed: dict[Address, Instant] = {}
        """Stored rows that ended exactly with an append: their new valid_to."""
        self.closed: dict[Address, Instant] = {}
        """Stored rows no longer believed: their known_to."""

    def open(
        self, at: Address, valid_to: Instant, attributes: Attributes, now: Instant
    ) -> None:
        """Believe a row from `now` on."""
        self.opened_rows[at] = [now, valid_to, 0, attributes]

    def end(self, at: Address, valid_to: Instant, attributes: Attributes, now: Instant) -> None:
        """Let an open row end at `valid_to`, in one row where that is enough."""
        row = self.opened_rows.get(at)
        if row is not None and row[0] == now:
            row[1] = valid_to
        elif valid_to == now:
            self._collapse(at, row, now)
        else:
            self.close(at, now)
            self.open(at, valid_to, attributes, now)

    def close(self, at: Address, now: Instant) -> None:
        """Believe a row no more from `now` on."""
        row = self.opened_rows.pop(at, None)
        if row is None:
            self.closed[at] = now
        elif row[0] != now:
            self.ended.append((at, row, now))

    def _collapse(self, at: Address, row: PendingRow | None, now: Instant) -> None:
        if row is None:
            self.collapsed[at] = now
        else:
            row[1], row[2] = now, 1


class IntervalUpdater(TableUpdater[EntityState, IntervalBatch]):
    """Keeps the rows of a fold of intervals."""

    def __init__(
        self,
        fold: IntervalFold,
        processes: Processes,
        stream: Callable[[UUID], Sequence[Event]],
    ) -> None:
        super().__init__(stream)
        self._fold = fold
        self._processes = processes

    def _extend(
        self, entity: UUID, held: EntityState, append: Sequence[Event], batch: IntervalBatch
    ) -> None:
        now, keeps_zero_length = append[0].recorded, self._fold.table.keeps_zero_length
        state, open_rows, held.rows = held.state, held.open, {}
        for event in append:
            at = event.effective
            for key, attributes in state.apply(event):
                before = open_rows.get(key)
                if before is not None:
                    valid_from, old = before
                    if old == attributes:
                        continue
                    if valid_from == at and not keeps_zero_length:
                        batch.close((entity, key, valid_from), now)
                    else:
                        batch.end((entity, key, valid_from), at, old, now)
                if attributes is None:
                    open_rows.pop(key, None)
                else:
                    batch.open((entity, key, at), FOREVER, attributes, now)
                    open_rows[key] = (at, attributes)

    def _write(
        self,
        entity: UUID,
        old: EntityState,
        new: EntityState,
        now: Instant,
        batch: IntervalBatch,
    ) -> None:
        before, after = old.rows, new.rows
        for (key, valid_from), (valid_to, attributes) in before.items():
            order = (entity, key, valid_from)
            then = after.get((key, valid_from))
            if then == (valid_to, attributes):
                continue
            if then == (now, attributes) and valid_to == FOREVER:
                batch.end(order, now, attributes, now)
                continue
            batch.close(order, now)
            if then is not None:
                batch.open(order, *then, now)
        for (key, valid_from), (valid_to, attributes) in after.items():
            if (key, valid_from) not in before:
                batch.open((entity, key, valid_from), valid_to, attributes, now)
        new.rows = {}

    def _begin(self) -> EntityState:
        return EntityState(self._fold.start(self._processes), None, {}, {}, None)

    def _fold_believed(self, events: Sequence[Event]) -> EntityState:
        state = self._fold.start(self._processes)
        rows: dict[tuple[Key, Instant], tuple[Instant, Attributes]] = {}
        open_rows: dict[Key, tuple[Instant, Attributes]] = {}
        history, keeps_zero_length = (
            believed_history(events),
            self._fold.table.keeps_zero_length,
        )
        for event in history:
            at = event.effective
            for key, attributes in state.apply(event):
                before = open_rows.pop(key, None)
                if before is not None:
                    valid_from, old = before
                    if old == attributes:
                        open_rows[key] = before
                        continue
                    if valid_from < at or keeps_zero_length:
                        rows[key, valid_from] = (at, old)
                if attributes is not None:
                    open_rows[key] = (at, attributes)
        for key, (valid_from, attributes) in open_rows.items():
            rows[key, valid_from] = (FOREVER, attributes)
        last = max(map(order_key, history), default=None)
        return EntityState(state, last, rows, open_rows, first_unreadable(events))


# Posts the movements of a ledger, and takes back those that later knowledge has undone.
#
# An append in order posts what its facts say. A late or retracting append folds the entity's
# history twice, as believed before and after it: movements that no longer hold are taken back
# by themselves with the sign turned, new ones are posted, both recorded with that append. What
# was posted once is never touched again.


class Movement(NamedTuple):
    """A movement as it is posted; the fact behind it and its number there name it."""

    position: int
    number: int
    occurred: Instant
    event_id: UUID
    attributes: Row


class Posting(NamedTuple):
    """A movement on its way into the table."""

    entity: UUID
    recorded: Instant
    sign: int
    movement: Movement


@dataclass(slots=True)
class LedgerState:
    """What is believed of an entity: its movements, and the state to go on from."""

    state: FoldState[Row]
    last: OrderKey | None
    movements: frozenset[Movement]
    first_unreadable: Event | None
    weight: int = 0

    def current_weight(self) -> int:
        """Say about how much memory it takes."""
        return ENTITY_WEIGHT


LedgerBatch = list[Posting]


class LedgerUpdater(TableUpdater[LedgerState, LedgerBatch]):
    """Keeps the movements of a ledger."""

    def __init__(
        self, fold: Ledger, processes: Processes, stream: Callable[[UUID], Sequence[Event]]
    ) -> None:
        super().__init__(stream)
        self._fold = fold
        self._processes = processes

    def _extend(
        self, entity: UUID, held: LedgerState, append: Sequence[Event], batch: LedgerBatch
    ) -> None:
        now, held.movements = append[0].recorded, frozenset()
        for event in append:
            for each in _posted(held.state, event):
                batch.append(Posting(entity, now, 1, each))

    def _write(
        self, entity: UUID, old: LedgerState, new: LedgerState, now: Instant, batch: LedgerBatch
    ) -> None:
        before, after = old.movements, new.movements
        batch += [Posting(entity, now, -1, each) for each in sorted(before - after, key=_name)]
        batch += [Posting(entity, now, 1, each) for each in sorted(after - before, key=_name)]
        new.movements = frozenset()

    def _begin(self) -> LedgerState:
        return LedgerState(self._fold.start(self._processes), None, frozenset(), None)

    def _fold_believed(self, events: Sequence[Event]) -> LedgerState:
        state = self._fold.start(self._processes)
        history = believed_history(events)
        movements = [each for event in history for each in _posted(state, event)]
        last = max(map(order_key, history), default=None)
        return LedgerState(state, last, frozenset(movements), first_unreadable(events))


def _posted(state: FoldState[Row], event: Event) -> list[Movement]:
    at, position, event_id = event.effective, event.position, event.event_id
    return [
        Movement(position, number, at, event_id, attributes)
        for number, attributes in enumerate(state.apply(event))
    ]


def _name(movement: Movement) -> tuple[int, int]:
    return movement.position, movement.number
