"""Makes any pure fold bitemporal: what one entity's facts come to as rows and postings.

A part of a table takes what its fold says of one event, or the difference between two beliefs
of an entity, and puts it into a batch. A batch holds rows in the making: what opens and closes
within one batch leaves only final rows. Both know no database.

An entity that is told in order opens and ends rows that are at hand. What corrections change is
looked for by its place among the entity's rows of the batch, or was stored before it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

from salesflow.domain.event import Event
from salesflow.domain.time import FOREVER, Instant
from salesflow.projections.table import (
    Cell,
    Change,
    Fold,
    IntervalFold,
    Key,
    Ledger,
    Row,
)

__all__ = [
    "Batch",
    "IntervalBatch",
    "LedgerBatch",
    "LedgerPart",
    "PendingRow",
    "TableHistory",
    "part_of",
]


Attributes = tuple[Cell, ...]
PendingRow = list[Any]
"""A row in the making: its address, known_from, valid_to, known_to, collapsed, attributes."""
ENTITY, KEY, VALID_FROM, KNOWN_FROM, VALID_TO, KNOWN_TO, COLLAPSED, ATTRIBUTES = range(8)
Address = tuple[Cell, Key, Instant]
"""Among the rows believed now, entity, key and `valid_from` tell one from another."""
BEFORE_ALL = -(2**62)
"""The `known_from` of a row that stands in the table since whenever."""


class IntervalBatch:
    """The changes of one fold's table over a batch, coalesced to final rows."""

    def __init__(self, since: Instant = BEFORE_ALL + 1) -> None:
        """Begin with nothing; rows known before `since` stand in the table."""
        self._since = since
        self.opened: defaultdict[Cell, list[PendingRow]] = defaultdict(list)
        """Rows opened here by their entity, also those given up again."""
        self._looked_at: list[PendingRow] = []
        """The rows of the entity that was corrected last."""
        self._places: dict[tuple[Key, Instant], PendingRow] = {}
        """Those of them that were looked at, by key and `valid_from`."""
        self._looked_to = 0
        self.collapsed: list[tuple[PendingRow, Instant]] = []
        """Stored rows that ended exactly with an append: their new valid_to."""
        self.closed: list[tuple[PendingRow, Instant]] = []
        """Stored rows no longer believed: their known_to."""

    def open(
        self,
        at: Address,
        attributes: Attributes,
        now: Instant,
        valid_to: Instant = FOREVER,
    ) -> PendingRow:
        """Believe a row from `now` on."""
        row = [*at, now, valid_to, FOREVER, 0, attributes]
        self.opened[at[0]].append(row)
        return row

    def end(self, row: PendingRow, valid_to: Instant, now: Instant) -> None:
        """Let an open row end at `valid_to`, in one row where that is enough."""
        if row[KNOWN_FROM] == now:
            row[VALID_TO] = valid_to
        elif valid_to != now:
            self.close(row, now)
            self.open((row[ENTITY], row[KEY], row[VALID_FROM]), row[ATTRIBUTES], now, valid_to)
        elif row[KNOWN_FROM] >= self._since:
            row[VALID_TO], row[COLLAPSED] = now, 1
        else:
            self.collapsed.append((row, now))

    def close(self, row: PendingRow, now: Instant) -> None:
        """Believe a row no more from `now` on."""
        if row[KNOWN_FROM] >= self._since:
            row[KNOWN_TO] = now
        else:
            self.closed.append((row, now))

    def find(self, at: Address, attributes: Attributes) -> PendingRow:
        """Return the row believed at an address: one of this batch, or else a stored one."""
        entity, key, valid_from = at
        rows = self.opened[entity]
        if rows is not self._looked_at:
            self._looked_at, self._places, self._looked_to = rows, {}, 0
        for row in rows[self._looked_to :]:
            self._places[row[KEY], row[VALID_FROM]] = row
        self._looked_to = len(rows)
        found = self._places.get((key, valid_from))
        if found is not None and found[KNOWN_TO] == FOREVER:
            return found
        return [*at, BEFORE_ALL, FOREVER, FOREVER, 0, attributes]


OpenRows = dict[Key, PendingRow]
Span = tuple[Instant, Attributes]
"""An open row: its `valid_from` and attributes."""
Spans = dict[tuple[Key, Instant], tuple[Instant, Attributes]]
"""What a belief says: rows by key and `valid_from`, with their `valid_to` and attributes."""


class SpanStep(NamedTuple):
    """What a fact of a history did to the row of a key."""

    at: Instant
    key: Key
    attributes: Attributes | None
    replaced: Span | None
    """The row that it ended."""


class SpanHistory:
    """What a history comes to in a table of intervals; the last steps can be taken back."""

    __slots__ = ("open", "steps")

    def __init__(self) -> None:
        self.steps: list[SpanStep] = []
        self.open: dict[Key, Span] = {}
        """The rows that hold until further notice."""

    def add(self, event: Event, changes: Iterable[Change]) -> None:
        """Go on with what the next fact changes."""
        at, held = event.effective, self.open
        for key, attributes in changes:
            replaced = held.get(key)
            if attributes is None:
                if replaced is None:
                    continue
                del held[key]
            elif replaced is not None and replaced[1] == attributes:
                continue
            else:
                held[key] = (at, attributes)
            self.steps.append(SpanStep(at, key, attributes, replaced))

    def redo(self, steps: Sequence[SpanStep]) -> None:
        """Go on with steps that were taken back."""
        self.steps += steps
        for at, key, attributes, _ in steps:
            self._let_hold(key, None if attributes is None else (at, attributes))

    def take_back(self, length: int) -> Sequence[SpanStep]:
        """Take back all steps but so many, and return them."""
        taken = self.steps[length:]
        del self.steps[length:]
        for step in reversed(taken):
            self._let_hold(step.key, step.replaced)
        return taken

    def _let_hold(self, key: Key, span: Span | None) -> None:
        if span is None:
            del self.open[key]
        else:
            self.open[key] = span


class IntervalPart:
    """How the rows of a fold of intervals are kept."""

    def __init__(self, fold: IntervalFold) -> None:
        self.fold = fold
        self._keeps_zero_length = fold.table.keeps_zero_length

    def take(
        self,
        entity: Cell,
        event: Event,
        at: Instant,
        changes: Iterable[Change],
        open_rows: OpenRows,
        batch: IntervalBatch,
    ) -> None:
        """Go on with what a fact in order changes as of `at`, given its entity's open rows."""
        now, rows = event.recorded, batch.opened[entity]
        for key, attributes in changes:
            row = open_rows.get(key)
            if row is not None:
                if row[ATTRIBUTES] == attributes:
                    continue
                if row[VALID_FROM] == at and not self._keeps_zero_length:
                    batch.close(row, now)
                else:
                    batch.end(row, at, now)
            if attributes is None:
                open_rows.pop(key, None)
            else:
                row = open_rows[key] = [entity, key, at, now, FOREVER, FOREVER, 0, attributes]
                rows.append(row)

    def new_history(self) -> SpanHistory:
        """Begin what a history comes to."""
        return SpanHistory()

    def beliefs(
        self, before: Sequence[SpanStep], after: Sequence[SpanStep]
    ) -> tuple[Spans, Spans]:
        """Return the rows of two beliefs of an entity that parted with these steps.

        Rows that no step has to do with are in neither.
        """
        replaced: dict[Key, Span | None] = {}
        for step in chain(before, after):
            replaced.setdefault(step.key, step.replaced)
        shared: Spans = {
            (key, span[0]): (FOREVER, span[1])
            for key, span in replaced.items()
            if span is not None
        }
        return self._spans(shared, before), self._spans(shared, after)

    def _spans(self, shared: Spans, steps: Iterable[SpanStep]) -> Spans:
        rows = dict(shared)
        for at, key, attributes, replaced in steps:
            if replaced is not None:
                valid_from, old = replaced
                if valid_from < at or self._keeps_zero_length:
                    rows[key, valid_from] = (at, old)
                else:
                    rows.pop((key, valid_from), None)
            if attributes is not None:
                rows[key, at] = (FOREVER, attributes)
        return rows

    def end_alike(self, before: Spans, after: Spans) -> bool:
        """Return whether the same rows hold until further notice."""
        return _open_of(before) == _open_of(after)

    def correct(
        self, entity: Cell, before: Spans, after: Spans, now: Instant, batch: IntervalBatch
    ) -> None:
        """Write the difference between two beliefs of an entity."""
        for (key, valid_from), (valid_to, attributes) in before.items():
            at = (entity, key, valid_from)
            then = after.get((key, valid_from))
            if then == (valid_to, attributes):
                continue
            row = batch.find(at, attributes)
            if then == (now, attributes) and valid_to == FOREVER:
                batch.end(row, now, now)
                continue
            batch.close(row, now)
            if then is not None:
                batch.open(at, then[1], now, then[0])
        for (key, valid_from), (valid_to, attributes) in after.items():
            if (key, valid_from) not in before:
                batch.open((entity, key, valid_from), attributes, now, valid_to)

    def new_batch(self, *since: Instant) -> IntervalBatch:
        """Begin what a batch comes to; rows known before `since` stand in the table."""
        return IntervalBatch(*since)

    def found(self, entity: Cell, open_rows: OpenRows, batch: IntervalBatch) -> OpenRows:
        """Return open rows that were folded anew as the batch has them, or the table."""
        return {
            key: batch.find((entity, key, row[VALID_FROM]), row[ATTRIBUTES])
            for key, row in open_rows.items()
        }

    def open_rows(self, entity: Cell, history: SpanHistory, batch: IntervalBatch) -> OpenRows:
        """Return the rows that a history leaves open, to go on from."""
        return {
            key: batch.find((entity, key, valid_from), attributes)
            for key, (valid_from, attributes) in history.open.items()
        }

    def reopen(
        self,
        entity: Cell,
        open_rows: OpenRows,
        beliefs: tuple[Spans, Spans],
        batch: IntervalBatch,
    ) -> None:
        """Put the open rows of the second belief in the place of those of the first."""
        before, after = beliefs
        for key, _ in before.keys() | after.keys():
            open_rows.pop(key, None)
        for (key, valid_from), (_, attributes) in _open_of(after).items():
            open_rows[key] = batch.find((entity, key, valid_from), attributes)


def _open_of(belief: Spans) -> Spans:
    return {at: row for at, row in belief.items() if row[0] == FOREVER}


# Posts the movements of a ledger, and takes back those that later knowledge has undone.
#
# An append in order posts what its facts say. With a late or retracting append, movements that
# no longer hold are taken back by themselves with the sign turned, new ones are posted, both
# recorded with that append. What was posted once is never touched again.


class Movement(NamedTuple):
    """A movement as it is posted; the fact behind it and its number there name it."""

    position: int
    number: int
    occurred: Instant
    event_id: UUID
    attributes: Row


class Posting(NamedTuple):
    """A movement on its way into the table."""

    entity: Cell
    recorded: Instant
    sign: int
    position: int
    number: int
    occurred: Instant
    event_id: UUID
    attributes: Row


LedgerBatch = list[Posting]

_new = tuple.__new__


class MovementHistory:
    """What a history comes to in a ledger; the last movements can be taken back."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps: list[Movement] = []

    def add(self, event: Event, rows: Iterable[Row]) -> None:
        """Go on with what the next fact posts."""
        at = event.effective
        self.steps += [
            Movement(event.position, number, at, event.event_id, attributes)
            for number, attributes in enumerate(rows)
        ]

    def redo(self, steps: Sequence[Movement]) -> None:
        """Go on with movements that were taken back."""
        self.steps += steps

    def take_back(self, length: int) -> Sequence[Movement]:
        """Take back all movements but so many, and return them."""
        taken = self.steps[length:]
        del self.steps[length:]
        return taken


class LedgerPart:
    """How the movements of a ledger are kept."""

    def __init__(self, fold: Ledger) -> None:
        self.fold = fold

    def take(
        self,
        entity: Cell,
        event: Event,
        at: Instant,
        rows: Iterable[Row],
        _: OpenRows,
        batch: LedgerBatch,
    ) -> None:
        """Post what a fact in order says, as of `at`."""
        now, position, id = event.recorded, event.position, event.event_id
        for number, attributes in enumerate(rows):
            posting = (entity, now, 1, position, number, at, id, attributes)
            batch.append(_new(Posting, posting))

    def new_history(self) -> MovementHistory:
        """Begin what a history comes to."""
        return MovementHistory()

    def beliefs(
        self, before: Sequence[Movement], after: Sequence[Movement]
    ) -> tuple[frozenset[Movement], frozenset[Movement]]:
        """Return the movements in which two beliefs of an entity may differ."""
        return frozenset(before), frozenset(after)

    def end_alike(self, _before: frozenset[Movement], _after: frozenset[Movement]) -> bool:
        """Return true: no movement goes on."""
        return True

    def correct(
        self,
        entity: Cell,
        before: frozenset[Movement],
        after: frozenset[Movement],
        now: Instant,
        batch: LedgerBatch,
    ) -> None:
        """Post the difference between two beliefs of an entity."""
        batch += [Posting(entity, now, -1, *each) for each in sorted(before - after, key=_name)]
        batch += [Posting(entity, now, 1, *each) for each in sorted(after - before, key=_name)]

    def new_batch(self, *_: Instant) -> LedgerBatch:
        """Begin what a batch comes to."""
        return []

    def found(self, _entity: Cell, open_rows: OpenRows, _batch: LedgerBatch) -> OpenRows:
        """Return nothing: a movement that was posted is not gone on with."""
        return open_rows

    def open_rows(
        self, _entity: Cell, _history: MovementHistory, _batch: LedgerBatch
    ) -> OpenRows:
        """Return nothing, for the same reason."""
        return {}

    def reopen(self, *_: object) -> None:
        """Do nothing, for the same reason."""


Batch = IntervalBatch | LedgerBatch
TablePart = IntervalPart | LedgerPart
TableHistory = SpanHistory | MovementHistory


def part_of(fold: Fold) -> TablePart:
    """Return how the table of a fold is kept."""
    return LedgerPart(fold) if isinstance(fold, Ledger) else IntervalPart(fold)


def _name(movement: Movement) -> tuple[int, int]:
    return movement.position, movement.number
