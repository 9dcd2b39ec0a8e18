"""What a source has of one deal: its facts, and the rows that were refused or adjusted."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple, Self
from uuid import UUID

from salesflow.adapters.importers.errors import Adjustment, RowError
from salesflow.adapters.importers.times import ReadTime, occurred_at
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealWon
from salesflow.domain.deal.stages import DealOpened, StageMoved
from salesflow.domain.event import Fact, Precision
from salesflow.domain.process import OUTCOME_OF_CATEGORY, ProcessVersion
from salesflow.domain.time import Instant

__all__ = ["NO_DATE", "ExtractedDeal", "ExtractedFact", "FactOrder", "closes", "in_order"]


NO_DATE = "no date in the row; recorded at the time of import"
"""Why a fact is inferred to have happened now."""


class FactOrder(NamedTuple):
    """The place of a fact among those of its deal: the order of the file, then of the rules."""

    place: int
    rule: int = 0
    """The number of the rule of the source by which it was extracted."""


class ExtractedFact(NamedTuple):
    """A fact as the source has it; `occurred` None is the time of import."""

    stream_id: UUID
    source_id: str
    fact: Fact
    occurred: Instant | None
    precision: Precision
    day: date | None
    actor: str | None
    line: int
    order: FactOrder
    undated: bool = False

    @classmethod
    def of(
        cls, stream_id: UUID, source_id: str, fact: Fact, at: ReadTime | None, line: int
    ) -> Self:
        """Return a fact of a line by nobody, its place among those of its deal left open."""
        when = occurred_at(at)
        return cls(stream_id, source_id, fact, *when, None, line, FactOrder(0), at is None)


@dataclass
class ExtractedDeal:
    """What the rows of one deal came to."""

    object: str
    stream_id: UUID
    lines: list[int]
    facts: list[ExtractedFact] = field(default_factory=list)
    customers: list[ExtractedFact] = field(default_factory=list)
    refused: dict[int, RowError] = field(default_factory=dict)
    adjusted: dict[int, list[Adjustment]] = field(default_factory=dict)
    left_out: dict[int, str] = field(default_factory=dict)
    ids: dict[tuple[tuple[str, ...], str], list[int]] = field(default_factory=dict)
    """From the columns of a history row's id, and the id, to the lines that bear it."""
    tied: set[int] = field(default_factory=set)
    """Lines that share their time with another line of the deal."""
    named: dict[UUID, str] = field(default_factory=dict)
    """What its rows call the deals it was merged with."""
    told_with: dict[int, int] = field(default_factory=dict)
    """Lines that tell a fact together with another line, which is the fact's."""
    process: ProcessVersion | None = None
    """The process version it is in, where deals of its source are in several."""
    rules: Counter[int] = field(default_factory=Counter)
    """How many rows each rule took."""

    def copy(self) -> "ExtractedDeal":
        """Return a copy to order and compare, so that this one can be compared anew."""
        return replace(
            self,
            facts=list(self.facts),
            customers=list(self.customers),
            refused=dict(self.refused),
            adjusted={line: list(notes) for line, notes in self.adjusted.items()},
        )

    def adjust(self, line: int, adjustment: Adjustment) -> None:
        """Note that something of a row was taken differently from how it is written."""
        notes = self.adjusted.setdefault(line, [])
        if adjustment not in notes:
            notes.append(adjustment)

    def refuse(self, line: int, problem: RowError) -> None:
        """Refuse a row with all its facts."""
        self.refused.setdefault(line, problem)
        self.facts = [extracted for extracted in self.facts if extracted.line != line]
        self.customers = [extracted for extracted in self.customers if extracted.line != line]


def closes(fact: Fact, version: ProcessVersion) -> bool:
    """Return whether a fact closes its deal under this process, also by entering a stage."""
    match fact:
        case StageMoved(target=stage) | DealOpened(stage=stage):
            return version.categories[stage] in OUTCOME_OF_CATEGORY
        case _:
            return isinstance(fact, DealWon | DealLost | DealDisqualified)


def in_order(extracted: ExtractedFact) -> tuple[bool, Instant, bool, bool, FactOrder]:
    """Sort by time, the opening first, a day behind what is timed, then as in the file."""
    late = extracted.occurred is None
    opens = extracted.fact.is_opening
    return (
        late,
        extracted.occurred or 0,
        not opens,
        extracted.day is not None,
        extracted.order,
    )
