"""A fold on its way into a table: what absorbs facts, what writes rows, and how it fails."""

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import compress
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from salesflow.adapters.posting import LedgerAbsorber
from salesflow.adapters.processes import grounded
from salesflow.adapters.readtables import IntervalWriter, LedgerWriter
from salesflow.adapters.refolding import (
    Absorber,
    IntervalAbsorber,
    IntervalBatch,
    LeftOutChange,
)
from salesflow.domain.facts import Event, Fact, FactCatalogue, FactRetracted, UnreadableFact
from salesflow.errors import ProjectionError
from salesflow.projections.tables import Ledger, Processes, ReadFold

__all__ = ["Folding"]


FACT = attrgetter("fact")
NEVER_LEFT_OUT: Final[frozenset[type[Fact]]] = frozenset({FactRetracted, UnreadableFact})
"""What every fold has to know of, whatever it listens to."""


class Folding:
    """One fold, what is held of its entities, and the table its rows go to."""

    def __init__(
        self,
        fold: ReadFold,
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
        self.absorber: Absorber[Any, Any]
        self.writer: IntervalWriter | LedgerWriter
        self.new_batch: Callable[[], Any]
        if isinstance(fold, Ledger):
            self.absorber = LedgerAbsorber(fold, processes, stream)
            self.writer, self.new_batch = LedgerWriter(fold.table, *table), list
        else:
            self.absorber = IntervalAbsorber(fold, processes, stream)
            self.writer, self.new_batch = IntervalWriter(fold.table, *table), IntervalBatch

    @cached_property
    def _besides(self) -> frozenset[str]:
        """What is stored of facts it does not listen to, readable or not."""
        return frozenset(self._catalogue.topics_besides(self.wanted))

    def take_left_out(self) -> list[LeftOutChange]:
        """Give what changed with facts that cannot be read, and forget it."""
        found, self.absorber.left_out = self.absorber.left_out, []
        return found

    def relevant(self, events: Sequence[Event]) -> list[Event]:
        """Keep the events that the fold has to know of."""
        kinds = map(type, map(FACT, events))
        found = list(compress(events, map(self.wanted.__contains__, kinds)))
        found = grounded(found, self._processes)
        if UnreadableFact in set(map(type, map(FACT, found))):
            return [event for event in found if not self._is_besides(event.fact)]
        return found

    def _is_besides(self, fact: Fact) -> bool:
        return isinstance(fact, UnreadableFact) and fact.stored in self._besides

    def absorb(self, entity: UUID, append: Sequence[Event], batch: object) -> None:
        """Take what one append says of one entity.

        Raises:
            ProjectionError: when the fold failed; says at which fact.
        """
        try:
            self.absorber.absorb(entity, append, batch)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            label = self.fold.table.label
            raise ProjectionError(
                f"projection {label} stopped before position {append[0].position}"
                f" ({append[0].fact.kind} of {entity}): {error!r}; its rows stand as they were."
                f" Mend the fold, then run `salesflow rebuild {label}`"
            ) from error
