"""What the steps of an import have to know of a source, whatever it is: a table or a system.

A table's mapping is compiled to it (`table.plan`); an importer of one system says it itself.
Ordering, comparing and recording facts know no table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple
from zoneinfo import ZoneInfo

from salesflow.domain.computed_once import computed_once
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Event
from salesflow.domain.process import ProcessVersion

if TYPE_CHECKING:  # which knows what a source is
    from salesflow.adapters.importers.extracted import ExtractedDeal

__all__ = ["ImportSource", "SourceRule"]


class SourceRule(NamedTuple):
    """A rule by which facts are extracted; see `FactOrder`."""

    title: str
    """How the report names the rule."""
    label: str
    """Its part of the key of its facts."""
    row_id: tuple[str, ...]
    """The columns of the history row's id; none where rows have no id."""
    merged: str | None
    """The columns that name the other deal of a merge."""


@dataclass(frozen=True)
class ImportSource:
    """Where facts come from, and what to do with what it leaves open."""

    name: str
    process: ProcessVersion
    published: Mapping[tuple[str, int], ProcessVersion]
    """Every process version a deal may stand on."""
    day_zone: ZoneInfo | None
    rules: tuple[SourceRule, ...]
    row_id: tuple[str, ...]
    """The columns of the history row's id, for rules there are no more."""
    one_row: bool
    """Whether a deal is one row, so that all its facts come from this row."""
    object_columns: str
    """The columns of the deal's id."""
    opened_columns: str | None
    """The columns of the time of opening."""
    opening: Literal["infer", "refuse"]
    """What to do with a deal that nothing opens."""
    closed_before_opened: Literal["open_earlier", "keep", "refuse"]
    open_deal: Callable[[str, str], DealOpened]
    """Builds the opening of a deal, by its id, that nothing opens, and why it is inferred.

    Raises RowError when that cannot be."""
    complete: Callable[["ExtractedDeal", Sequence[Event], "ImportSource"], None] | None = None
    """Adds what follows from how a deal is now, in the light of what is recorded of it."""

    def process_of(self, deal: "ExtractedDeal") -> ProcessVersion:
        """Return the process version that a deal is in."""
        return deal.process or self.process

    @computed_once
    def labels(self) -> frozenset[str]:
        """The labels of all rules."""
        return frozenset(rule.label for rule in self.rules)

    @computed_once
    def _row_ids(self) -> dict[str, tuple[str, ...]]:
        return {rule.label: rule.row_id for rule in self.rules if rule.row_id}

    def row_id_of(self, label: str) -> tuple[str, ...]:
        """Return the columns of the history row's id for the facts of a rule."""
        return self._row_ids.get(label, self.row_id)
