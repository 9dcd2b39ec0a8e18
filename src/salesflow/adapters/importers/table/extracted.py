"""What is told of one deal: its facts, their keys, and the rows that were refused."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple
from uuid import UUID

from salesflow.adapters.importers.errors import Adjustment, RowError
from salesflow.adapters.importers.table.plan import OPENED, RulePlan
from salesflow.domain.deal.billing import ForecastGiven
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealWon
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.deal.stages import DealOpened, StageMoved
from salesflow.domain.event import Fact, Precision
from salesflow.domain.process import CLOSING, ProcessVersion
from salesflow.domain.time import Instant

__all__ = ["ExtractedDeal", "ExtractedFact", "Keys", "Twins", "closes", "in_order"]


RETURNING = (StageMoved, OwnerAssigned, ForecastGiven)
"""Facts that say what is from now on, which may be what was before."""


class ExtractedFact(NamedTuple):
    """A fact as the table tells it; `occurred` None is the time of import."""

    stream_id: UUID
    source_id: str
    fact: Fact
    occurred: Instant | None
    precision: Precision
    day: date | None
    actor: str | None
    line: int
    order: int
    """Its place among the facts told of the deal: file order, then order of the rules."""
    undated: bool = False


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
    """Lines that tell of a time of which another line of the deal tells too."""
    named: dict[UUID, str] = field(default_factory=dict)
    """What its rows call the deals it was merged with."""
    rules: Counter[int] = field(default_factory=Counter)
    """How many rows each rule took."""

    def copy(self) -> "ExtractedDeal":
        """Give another to settle, so that this one can be settled anew."""
        return replace(
            self,
            facts=list(self.facts),
            customers=list(self.customers),
            refused=dict(self.refused),
            adjusted={line: list(notes) for line, notes in self.adjusted.items()},
        )

    def adjust(self, line: int, adjustment: Adjustment) -> None:
        """Say that something of a row was taken differently from how it stands."""
        notes = self.adjusted.setdefault(line, [])
        if adjustment not in notes:
            notes.append(adjustment)

    def refuse(self, line: int, problem: RowError) -> None:
        """Refuse a row with all it tells."""
        self.refused.setdefault(line, problem)
        self.facts = [extracted for extracted in self.facts if extracted.line != line]
        self.customers = [extracted for extracted in self.customers if extracted.line != line]


def closes(fact: Fact, version: ProcessVersion) -> bool:
    """Return whether a fact closes its deal under this process, also by entering a stage."""
    match fact:
        case StageMoved(target=stage) | DealOpened(stage=stage):
            return version.category(stage) in CLOSING
        case _:
            return isinstance(fact, DealWon | DealLost | DealDisqualified)


def in_order(extracted: ExtractedFact) -> tuple[bool, Instant, bool, bool, int]:
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


class Keys:
    """Gives each fact of a deal the key it is known by ever after."""

    def __init__(self, object: str, *, repeated: bool) -> None:
        self._object = object
        self._repeated = repeated
        self._counts: Counter[str] = Counter()
        self._lines: dict[str, int] = {}
        self._given: list[str] = []

    def begin(self) -> None:
        """Begin a row."""
        self._given.clear()

    def undo(self) -> None:
        """Take back the keys of a row that is refused."""
        for key in self._given:
            self._counts[key] -= 1
            if not self._counts[key]:
                self._lines.pop(key, None)

    def of(
        self, rule: RulePlan, cells: Sequence[str], told_at: str, fact: Fact, line: int
    ) -> str:
        """Give the key of a fact: its history row or column, and what tells it apart.

        Raises:
            RowProblem: when an earlier row, or another rule, has told it already.
        """
        label = rule.label
        sub = getattr(fact, rule.sub) if rule.sub else None
        if label == OPENED:
            return self._once(label, line, "opens the deal as an earlier row")
        event = rule.key(cells) if rule.key else ""
        tail = f"{label}/{sub}" if sub else label
        if event:
            return self._once(f"{event}/{tail}", line, "is the same event as an earlier row")
        if not self._repeated:
            return self._once(tail, line, "tells the same of the deal as an earlier row")
        key = f"{told_at}/{tail}"
        self._count(key)
        return key if self._counts[key] == 1 else f"{key}/{self._counts[key]}"

    def _once(self, key: str, line: int, twice: str) -> str:
        first = self._lines.setdefault(key, line)
        if first != line:
            raise RowError(twice, value=f"line {first}")
        if self._counts[key]:
            raise RowError(
                "two rules tell {key} of this row; give one of them a name of its own",
                key=repr(key),
            )
        self._count(key)
        return key

    def _count(self, key: str) -> None:
        self._counts[key] += 1
        self._given.append(key)


class Twins:
    """Finds rows that tell the same of a deal, at the same time, and have no id of their own.

    A join that fans out doubles rows; nothing in them says so. A stage, an owner and a
    forecast may come back at one time (A, B, A): they are compared with what came just before.
    """

    def __init__(self) -> None:
        self._told: dict[tuple[object, ...], list[ExtractedFact]] = {}

    def refuse(self, row: Sequence[tuple[str, ExtractedFact]]) -> None:
        """Take in what a row tells, by rule.

        Raises:
            RowProblem: when an earlier row has told all of it.
        """
        places = [(label, extracted.occurred, extracted.day) for label, extracted in row]
        twins = [
            self._twin(place, extracted)
            for place, (_, extracted) in zip(places, row, strict=True)
        ]
        first = twins[0]
        if first is not None and all(twin is not None for twin in twins):
            raise RowError(
                "tells the same, at the same time, as an earlier row, and has no id; if both"
                ' happened, name event_id, or say twins = "keep"',
                value=f"line {first.line}",
            )
        for place, (_, extracted) in zip(places, row, strict=True):
            self._told.setdefault(place, []).append(extracted)

    def _twin(
        self, place: tuple[object, ...], extracted: ExtractedFact
    ) -> ExtractedFact | None:
        before = self._told.get(place, [])
        if isinstance(extracted.fact, RETURNING):
            before = before[-1:]
        same = (b for b in before if b.fact == extracted.fact and b.actor == extracted.actor)
        return next(same, None)
