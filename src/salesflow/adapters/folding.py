"""A fold on its way into a table: what absorbs facts, what writes rows, and how it fails."""

from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

from salesflow.adapters.posting import LedgerAbsorber
from salesflow.adapters.readtables import IntervalWriter, LedgerWriter
from salesflow.adapters.refolding import Absorber, IntervalAbsorber, IntervalBatch
from salesflow.domain.facts import Event, FactRetracted
from salesflow.errors import ProjectionError
from salesflow.projections.tables import Ledger, Processes, ReadFold

__all__ = ["Folding"]


class Folding:
    """One fold, what is held of its entities, and the table its rows go to."""

    def __init__(
        self,
        fold: ReadFold,
        processes: Processes,
        stream: Callable[[UUID], Sequence[Event]],
        table: tuple[str, str, str],
    ) -> None:
        """Begin with nothing; the table is named with its tenant and its database's dialect."""
        self.fold: Final = fold
        self.wanted: Final = fold.facts | {FactRetracted}
        self.absorber: Absorber[Any, Any]
        self.writer: IntervalWriter | LedgerWriter
        self.new_batch: Callable[[], Any]
        if isinstance(fold, Ledger):
            self.absorber = LedgerAbsorber(fold, processes, stream)
            self.writer, self.new_batch = LedgerWriter(fold.table, *table), list
        else:
            self.absorber = IntervalAbsorber(fold, processes, stream)
            self.writer, self.new_batch = IntervalWriter(fold.table, *table), IntervalBatch

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
