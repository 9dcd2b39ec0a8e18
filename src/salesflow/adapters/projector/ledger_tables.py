"""Posts the movements of a ledger, and takes back those that later knowledge has undone.

An append in order posts what its facts say. A late or retracting append folds the entity's
history twice, as believed before and after it: movements that no longer hold are taken back
by themselves with the sign turned, new ones are posted, both recorded with that append. What
was posted once is never touched again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from salesflow.adapters.projector.interval_tables import ENTITY_WEIGHT, Order, TableUpdater
from salesflow.domain.event import Event
from salesflow.domain.history import believed_history, first_unreadable, order_key
from salesflow.domain.time import Instant
from salesflow.projections.table import FoldState, Ledger, Processes, Row

__all__ = ["LedgerBatch", "LedgerUpdater", "Movement"]


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
    last: Order | None
    movements: frozenset[Movement]
    first_unreadable: Event | None
    weight: int = 0

    def weigh(self) -> int:
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
        self, entity: UUID, belief: LedgerState, append: Sequence[Event], batch: LedgerBatch
    ) -> None:
        now, belief.movements = append[0].recorded, frozenset()
        for event in append:
            for each in _posted(belief.state, event):
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

    def _believe(self, events: Sequence[Event]) -> LedgerState:
        state = self._fold.start(self._processes)
        history = believed_history(events)
        movements = [each for event in history for each in _posted(state, event)]
        last = max(map(order_key, history), default=None)
        return LedgerState(state, last, frozenset(movements), first_unreadable(events))


def _posted(state: FoldState[Row], event: Event) -> list[Movement]:
    at, position, event_id = event.effect, event.position, event.event_id
    return [
        Movement(position, number, at, event_id, attributes)
        for number, attributes in enumerate(state.apply(event))
    ]


def _name(movement: Movement) -> tuple[int, int]:
    return movement.position, movement.number
