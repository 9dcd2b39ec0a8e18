"""Takes appends, entity by entity, to the rows of tables that stand at the same position.

An `EntityUpdater` takes what some appends say of one entity. The state that its tables' folds
read is evolved once, and each fold that listens to a fact is handed that state. Nearly all
appends are in order (nothing happened before the entity's last believed fact and nothing is
retracted): they extend what is held of the entity. With a late or retracting append the history
is folded anew from the last checkpoint before where it is another one (see `folded_history`),
until the entity is what it was there before; the difference is written. Either way the rows
are the same, which the properties test against a rebuild.

From a fact on that cannot be read an entity says nothing (see `without_retracted` in
`domain.event`): its rows stand as they were, `left_out` says so, and only a retraction is
looked at. Not every table listens to such a fact, so an entity that has one is not taken for
several tables together. Rows written by who could read more or less are nothing to go on from;
such entities are in `to_refill`.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence, Set
from itertools import takewhile
from typing import Any, Final, NamedTuple
from uuid import UUID

from salesflow.adapters.projector.folded_history import (
    Entity,
    FoldedHistory,
    HistoryRewrite,
    changed_history,
    chunks,
    with_late,
)
from salesflow.adapters.projector.interval_tables import Batch, part_of
from salesflow.domain.event import (
    Event,
    Fact,
    FactRetracted,
    UnreadableFact,
    believed_history,
    first_unreadable,
)
from salesflow.domain.state import ReplayContext, State
from salesflow.domain.time import FOREVER, Instant
from salesflow.projections.table import Fold, OnState, Processes, StateRows

__all__ = [
    "ENTITY_WEIGHT",
    "EntityUpdater",
    "HeldEntity",
    "LeftOutChange",
    "OrderKey",
    "noted",
]


CACHED_MAX = 28_000
"""How much is held of entities for one table at most; 1 is about 350 bytes."""

ENTITY_WEIGHT = 4
"""What an entity weighs for one table without its open rows."""

OrderKey = tuple[Instant, Instant]
"""From when a fact holds, and when it happened: what is told later comes behind its like."""
OUT_OF_ORDER = (FactRetracted, UnreadableFact)


class LeftOutChange(NamedTuple):
    """With an append, an entity is left out from another event on, or none any more."""

    before: Event | None
    after: Event | None
    recorded: Instant


def noted(event: Event, since: Instant) -> dict[str, Any]:
    """Return what is noted of an event that cannot be read, from when on it is believed."""
    assert isinstance(event.fact, UnreadableFact)
    return {
        "position": event.position,
        "known_from": since,
        "known_to": FOREVER,
        "stream_id": event.stream_id,
        "version": event.version,
        "event_id": event.event_id,
        "stored": event.fact.stored,
        "reason": event.fact.reason,
    }


class _NoState(State):
    """What is handed to folds that keep a state of their own."""

    def evolve(self, _: Event) -> str | None:
        """Take in anything."""
        return None


class _OwnRows:
    """The rows of a fold that keeps a state of its own."""

    __slots__ = ("_state",)

    def __init__(self, fold: Fold, processes: Processes) -> None:
        self._state = fold.start(processes)

    def apply(self, event: Event, _: State) -> Iterable[Any]:
        """Take the next believed fact, say what it changed."""
        return self._state.apply(event)


class HeldEntity:
    """What is held of an entity: the state to go on from, and its rows in every table."""

    __slots__ = (
        *("first_unreadable", "folded", "id", "last", "open_rows", "rows", "state"),
        "weight",
    )

    def __init__(self, id: object, state: State, rows: list[StateRows[Any, Any]]) -> None:
        self.id: Any = id
        """As the database keeps it."""
        self.state = state
        self.rows = rows
        """By the number of the table; empty for one that is not taken for all together."""
        self.open_rows: list[dict[Any, Any]] = [{} for _ in rows]
        self.folded: FoldedHistory | None = None
        """How it came to this, of an entity that was told of late before."""
        self.last: OrderKey | None = None
        """Where its last fact stands; None while no opening is believed."""
        self.first_unreadable: Event | None = None
        """The fact that cannot be read from which on nothing counts; None mostly."""
        self.weight = 0
        """What it weighed when it was weighed last: 0 before that."""

    def takes(self, append: Sequence[Event]) -> bool:
        """Return whether facts that are late only have to be put into its history."""
        believed = self.folded is not None and self.folded.facts and not self.first_unreadable
        return bool(believed) and not any(isinstance(e.fact, OUT_OF_ORDER) for e in append)

    def current_weight(self) -> int:
        """Say about how much memory it takes, an open row taking 1."""
        rows, held = sum(map(len, self.open_rows)), max(1, len(self.rows)) * ENTITY_WEIGHT
        return held + rows + (0 if self.folded is None else self.folded.weight(held))


class EntityUpdater:
    """Turns the appends of entities into changes of the rows of some tables."""

    def __init__(
        self,
        folds: Sequence[Fold],
        processes: Processes,
        stream: Callable[[UUID], Sequence[Event]],
        kept_id: Callable[[UUID], object],
    ) -> None:
        """Begin with nothing; the folds begin on the same state, or it is one alone."""
        self.left_out: list[LeftOutChange] = []
        """What changed with the facts of a batch that cannot be read."""
        self.left_out_from: dict[UUID, int] = {}
        """From which position on entities are left out of the rows as they stand."""
        self.to_refill: dict[UUID, Event | None] = {}
        """Entities whose rows are left out from elsewhere on than what can be read of them
        now, and the event that stops them now."""
        self.at_work: tuple[int, Instant] = (0, 0)
        """The number of the fold that failed, and when what it failed at was recorded."""
        self._folds: Final = folds
        self._parts: Final[list[Any]] = [part_of(fold) for fold in folds]
        self._takes: Final[list[Any]] = [part.take for part in self._parts]
        starts = (fold.start for fold in folds)
        self._starts: Final = [start for start in starts if isinstance(start, OnState)]
        self._together: Final = len(folds) > 1
        self._processes: Final = processes
        self._context: Final = ReplayContext(processes)
        self._stream = stream
        self._kept_id = kept_id
        self._listening: Final[dict[type[Fact], list[int]]] = {
            fact: [] for fact in OUT_OF_ORDER
        }
        """By the kind of a fact, the numbers of the tables that listen to it."""
        for number, fold in enumerate(folds):
            for fact in fold.facts:
                self._listening.setdefault(fact, []).append(number)
        self._all: Final = frozenset(range(len(folds)))
        self._cache: OrderedDict[int, HeldEntity] = OrderedDict()
        """By the numbers that their ids are."""
        self._cached_weight = 0

    def forget(self) -> None:
        """Drop what is held of entities, after a batch that was not written."""
        self._cache.clear()
        self._cached_weight = 0
        self.left_out_from, self.to_refill = {}, {}

    def needs_stream(self, entity: UUID, events: Sequence[Event]) -> bool:
        """Return whether an entity has to be read from its beginning to take these events.

        They are not in order, or nothing is held of it.
        """
        held = self._cache.get(entity.int)
        return held is None or not held.takes(events)

    def apply_in_order(self, events: Sequence[Event], batches: Sequence[Batch]) -> bool:
        """Take what whole appends say of one entity that is at hand, or begins with them.

        Returns false, and takes nothing, where that is not in order.
        """
        first = events[0]
        self.at_work = (0, first.recorded)
        held = self._cache.get(first.stream_id.int)
        if held is not None:
            self._cache.move_to_end(first.stream_id.int)
        elif first.version > 1:
            return False
        else:
            held = self._load(first.stream_id, first, batches)
        if held.first_unreadable is not None or not held.rows:
            return False
        is_in_order = self._in_order(held.last, events) == len(events)
        if is_in_order:
            self._go_on(held, events, batches)
        return is_in_order

    def apply(
        self, entity: UUID, events: Sequence[Event], batches: Sequence[Batch]
    ) -> Sequence[Event]:
        """Take what whole appends say of one entity (in the order of the log).

        Returns what is to be taken table by table, since one of its facts cannot be read.
        """
        self.at_work = (0, events[0].recorded)
        held = self._cache.get(entity.int)
        if held is None:
            held = self._load(entity, events[0], batches)
        while events and held.rows:
            number = 0 if held.first_unreadable else self._in_order(held.last, events)
            if number:
                if held.last is None and number < len(events):  # late facts follow
                    held.folded = held.folded or self._new_history()
                self._go_on(held, events[:number], batches)
            else:
                append = _first_append(events)
                number = len(append)
                if held.first_unreadable is None or _has(FactRetracted, append):
                    held = self._refold(entity, append, batches)
                    if not held.rows:
                        break
            events = events[number:]
        return events

    def evict(self, entities: Iterable[int]) -> None:
        """Weigh entities anew; let go of those that nothing has happened to for long."""
        cache = self._cache
        for entity in entities if cache else ():
            held = cache.get(entity)
            if held is not None:
                weight = held.current_weight()
                self._cached_weight += weight - held.weight
                held.weight = weight
        while self._cached_weight > CACHED_MAX * len(self._folds):
            _, longest = cache.popitem(last=False)
            self._cached_weight -= longest.weight

    def _load(self, entity: UUID, first: Event, batches: Sequence[Batch]) -> HeldEntity:
        """Find the belief before this append; a stream that begins here has none to find."""
        events: list[Event] = []
        if first.version > 1:
            events = [e for e in self._stream(entity) if e.recorded < first.recorded]
        if self._together and (entity in self.left_out_from or _has(UnreadableFact, events)):
            return self._set_apart(entity)
        held = HeldEntity(self._kept_id(entity), *self._begin())
        if events and self._in_order(None, events) == len(events):
            self._extend(held, events, [part.new_batch() for part in self._parts])
            for number, (part, batch) in enumerate(zip(self._parts, batches, strict=True)):
                held.open_rows[number] = part.found(held.id, held.open_rows[number], batch)
        elif events:
            self._recall(held, events, batches)
        if not self._together and (self.left_out_from or held.first_unreadable is not None):
            self._compare(entity, held)
        self._cache[entity.int] = held
        return held

    def _begin(self) -> Entity:
        """Return what an entity is that nothing has happened to."""
        if not self._starts:
            return NO_STATE, [_OwnRows(self._folds[0], self._processes)]
        state: State = self._starts[0].state(self._context)
        return state, [start.rows() for start in self._starts]

    def _new_history(self) -> FoldedHistory:
        """Begin to note what a history comes to, so that late facts go on from checkpoints."""
        return FoldedHistory([part.new_history() for part in self._parts])

    def _set_apart(self, entity: UUID) -> HeldEntity:
        """Note an entity that is not to be taken for all tables together."""
        before = self._cache.get(entity.int)
        held = self._cache[entity.int] = HeldEntity(None, NO_STATE, [])
        held.weight = 0 if before is None else before.weight
        return held

    def _compare(self, entity: UUID, held: HeldEntity) -> None:
        """Note an entity whose rows are not those of the belief found of it."""
        stopped = None if held.first_unreadable is None else held.first_unreadable.position
        if stopped != self.left_out_from.get(entity):
            self.to_refill[entity] = held.first_unreadable

    @staticmethod
    def _in_order(last: OrderKey | None, events: Sequence[Event]) -> int:
        """Return how many events come behind what is believed last, in whole appends."""
        if last is None:
            if not events[0].fact.is_opening or events[0].version > 1:
                return 0
            last = (events[0].occurred, events[0].occurred)
        effective, occurred = last
        for number, event in enumerate(events):
            fact, at = event.fact, event.occurred
            if fact.is_immediate:
                is_late = at < effective
                effective = occurred = at
            else:
                before, key = (effective, occurred), (fact.effective(at), at)
                is_late = key < before or isinstance(fact, OUT_OF_ORDER)
                effective, occurred = key
            if is_late:
                while number and events[number - 1].recorded == event.recorded:
                    number -= 1
                return number
        return len(events)

    def _go_on(
        self, held: HeldEntity, events: Sequence[Event], batches: Sequence[Batch]
    ) -> None:
        """Go on from a belief with events that are in order, keeping what is to be kept."""
        folded = held.folded
        if folded is None:
            return self._extend(held, events, batches)
        for some in chunks(events):
            self._extend(held, some, batches)
            folded.keep(held.state, held.rows)
        return None

    def _extend(
        self, held: HeldEntity, events: Sequence[Event], batches: Sequence[Batch]
    ) -> None:
        """Go on from a belief with events that are in order."""
        entity, state, open_rows, folded = held.id, held.state, held.open_rows, held.folded
        evolve, listening, takes = state.evolve, self._listening, self._takes
        applies = [rows.apply for rows in held.rows]
        number, event, at = 0, events[0], 0
        try:
            for event in events:
                at = event.effective
                if evolve(event) is None:
                    for number in listening[type(event.fact)]:
                        changes = applies[number](event, state)
                        if changes:
                            if folded is not None:
                                changes = list(changes)
                                folded.tables[number].add(event, changes)
                            takes[number](
                                entity, event, at, changes, open_rows[number], batches[number]
                            )
        except BaseException:
            self.at_work = (number, max(event.recorded, self.at_work[1]))
            raise
        held.last = at, event.occurred  # its `_place`, of which one part is at hand
        if folded is not None:
            folded.facts += events

    def _refold(
        self, entity: UUID, append: Sequence[Event], batches: Sequence[Batch]
    ) -> HeldEntity:
        """Fold the entity as believed after an append that is not in order.

        Nothing is held of it where that is to be done table by table.
        """
        now, held = append[0].recorded, self._cache[entity.int]
        self.at_work = (0, now)
        events = () if held.takes(append) else self._stream(entity)
        if self._together and _has(UnreadableFact, events):
            return self._set_apart(entity)
        folded = held.folded
        if folded is None:
            folded = self._recall(held, [e for e in events if e.recorded < now], batches)
        if held.takes(append):
            changed, concerned = with_late(folded.facts, append), self._listeners(append)
        else:
            known = [e for e in events if e.recorded <= now]
            if not self._together:
                self._note_left_out(entity, held, first_unreadable(known), now)
            changed, concerned = (
                changed_history(folded.facts, believed_history(known)),
                self._all,
            )
        rewrite = HistoryRewrite(folded, changed, concerned, self._begin)
        self._change(held, rewrite, now, batches)
        return held

    def _listeners(self, append: Sequence[Event]) -> frozenset[int]:
        """Return the numbers of the tables that listen to facts of an append."""
        kinds = {type(event.fact) for event in append}
        return frozenset(n for kind in kinds for n in self._listening.get(kind, ()))

    def _note_left_out(
        self, entity: UUID, held: HeldEntity, stopped: Event | None, now: Instant
    ) -> None:
        """Note from which fact on an entity is left out now."""
        self._compare(entity, held)
        if held.first_unreadable != stopped:
            self.left_out.append(LeftOutChange(held.first_unreadable, stopped, now))
            self.left_out_from.pop(entity, None)
            if stopped is not None:
                self.left_out_from[entity] = stopped.position
        held.first_unreadable = stopped

    def _recall(
        self, held: HeldEntity, events: Sequence[Event], batches: Sequence[Batch]
    ) -> FoldedHistory:
        """Fold an entity from its beginning, whose rows are what is believed then."""
        history = believed_history(events)
        folded = held.folded = self._new_history()
        held.state, held.rows = self._begin()
        self._fold(folded, (held.state, held.rows), history, self._all)
        held.last, held.first_unreadable = _last_of(history), first_unreadable(events)
        for number, (part, batch) in enumerate(zip(self._parts, batches, strict=True)):
            held.open_rows[number] = part.open_rows(held.id, folded.tables[number], batch)
        return folded

    def _fold(
        self,
        folded: FoldedHistory,
        entity: Entity,
        facts: Sequence[Event],
        numbers: Set[int],
    ) -> None:
        """Go on with the next facts of a believed history, for the tables of these numbers."""
        listening, tables, now = self._listening, folded.tables, self.at_work[1]
        state, rows = entity
        for some in chunks(facts):
            for event in some:
                if state.evolve(event) is None:
                    for number in listening[type(event.fact)]:
                        if number in numbers:
                            self.at_work = (number, now)
                            changes = rows[number].apply(event, state)
                            if changes:
                                tables[number].add(event, changes)
            folded.facts += some
            if numbers == self._all:
                folded.keep(state, rows)

    def _change(
        self,
        held: HeldEntity,
        rewrite: HistoryRewrite,
        now: Instant,
        batches: Sequence[Batch],
    ) -> None:
        """Fold a history from where it is another one; write what that changes.

        Where a table is what it was, and the facts that come are the same, so is what comes.
        """
        folded, going = rewrite.folded, rewrite.going
        entity = rewrite.state, rewrite.rows
        for then in rewrite.later:
            self._fold(folded, entity, rewrite.next(then), going)
            if then.state.holds_the_same(rewrite.state):
                for number in [n for n in going if rewrite.is_like(then, n)]:
                    part, steps = self._parts[number], rewrite.steps(number, then)
                    beliefs = part.beliefs(*steps)
                    if part.end_alike(*beliefs):
                        part.correct(held.id, *beliefs, now, batches[number])
                        rewrite.leave(number, then)
            if not going:
                return rewrite.finish(then)
            rewrite.keep(then)
        self._fold(folded, entity, rewrite.next(None), going)
        held.state, held.last = rewrite.state, _last_of(folded.facts)
        for number in going:
            part, batch = self._parts[number], batches[number]
            beliefs = part.beliefs(*rewrite.steps(number, None))
            part.correct(held.id, *beliefs, now, batch)
            part.reopen(held.id, held.open_rows[number], beliefs, batch)
            held.rows[number] = rewrite.rows[number]
        return None


NO_STATE: Final = _NoState()


def _last_of(history: Sequence[Event]) -> OrderKey | None:
    """Return where the last fact of a believed history stands, which may be its opening."""
    return max(_place(history[0]), _place(history[-1])) if history else None


def _place(event: Event) -> OrderKey:
    return event.effective, event.occurred


def _first_append(events: Sequence[Event]) -> Sequence[Event]:
    """Return what was recorded together with the first of these events."""
    now = events[0].recorded
    return list(takewhile(lambda event: event.recorded == now, events))


def _has(kind: type[Fact], events: Iterable[Event]) -> bool:
    return any(isinstance(event.fact, kind) for event in events)
