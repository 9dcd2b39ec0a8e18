"""Rows of read tables as columns: whole sets that questions compute with at once.

A column is an array with a value for each row. Numbers stand in it as they are, words and ids
as codes: small whole numbers that mean the same in every column; ids of events as their bytes.
`HeldRows` count at a moment; a column of them is cut when it is asked for. Rows of an interval
table stand with those of the same entity, in order of their beginning. Movements of a ledger
stand in no order that holds for all of them.

It knows no database: how columns are filled and kept level is said in
`adapters/projector/columns.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from salesflow.domain.time import FOREVER, Instant
from salesflow.projections.table import ReadPoint

__all__ = [
    "EVENT_ID",
    "NOTHING",
    "Column",
    "Flags",
    "HeldRows",
    "LedgerColumns",
    "Part",
    "TableColumns",
    "Words",
    "runs_of",
]

Column = NDArray[Any]
"""Whole numbers of any size: codes, instants, amounts in millionths, counts."""
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
"""Which rows of a part."""

EVENT_ID: Final = np.dtype("V16")
"""How an id of an event is held."""
UNKNOWN: Final = -2
NOTHING: Final = -1
"""The code of no word. Of numbers the least of their type is none."""


def runs_of(column: Column) -> tuple[Column, Column]:
    """Return the first and the last place of each run of values that are the same."""
    first = np.flatnonzero(np.append(len(column) > 0, column[1:] != column[:-1]))
    return first, np.append(first[1:], len(column))[: len(first)] - 1


class Words:
    """Words or ids that columns hold, each by its code, which it keeps."""

    def __init__(self) -> None:
        self._codes: dict[object, int] = {None: NOTHING}
        self._words: list[Any] = []

    def __len__(self) -> int:
        return len(self._words)

    def __getitem__(self, code: int) -> Any:  # noqa: ANN401 - as it was put in
        """Return the word of a code; None for `NOTHING`."""
        return None if code == NOTHING else self._words[code]

    def code(self, word: object) -> int | None:
        """Return the code of a word; None for one that no column holds."""
        return self._codes.get(word)

    def codes(self, words: Sequence[object]) -> NDArray[np.int32]:
        """Return the codes of words; those that are new get one."""
        known = self._codes
        for word in dict.fromkeys(words):
            if word not in known:
                self._words.append(word)
                known[word] = len(self._words) - 1
        return np.fromiter(map(known.__getitem__, words), np.int32, len(words))


class Part(NamedTuple):
    """Rows of one table, in an order of their own.

    Of an interval table those of an entity stand next to one another, in order of their
    beginning; movements stand in order of their occurrence.
    """

    columns: Mapping[str, Column]
    rows: int

    def matching(self, read_point: ReadPoint, *, ended: bool) -> Flags:
        """Return which rows hold at a moment, with `ended` also those that held before."""
        c, as_of, known_at = self.columns, read_point.as_of, read_point.known_at
        begun: Flags = (c["known_from"] <= known_at) & (c["known_to"] > known_at)
        begun &= c["valid_from"] <= as_of
        if ended:
            return begun
        held: Flags = c["valid_to"] > as_of
        if as_of > known_at:  # else what was open then ends behind the moment anyway
            held |= (c["collapsed"] == 1) & (c["valid_to"] > known_at)
        return begun & held

    def posted_by(self, read_point: ReadPoint) -> Places:
        """Return which movements had happened and were recorded at a moment."""
        happened = np.searchsorted(self.columns["occurred"], read_point.as_of, "right")
        return np.flatnonzero(self.columns["recorded"][:happened] <= read_point.known_at)


class TableColumns(NamedTuple):
    """A table as columns: its rows, and in the tail those of entities that changed since."""

    base: Part
    replaced: Flags | None
    """Which rows of the base are of entities that stand in the tail; None for none."""
    tail: Part
    words: Mapping[str, Words]
    """By the name of each column of words or ids, what its codes stand for."""

    def at(self, read_point: ReadPoint, *, ended: bool = False) -> "HeldRows":
        """Return the rows that hold at a moment, with `ended` also those that held before."""
        found = self.base.matching(read_point, ended=ended)
        if self.replaced is not None:
            found &= ~self.replaced
        chosen = [(self.base, np.flatnonzero(found))]
        if self.tail.rows:
            tail = self.tail.matching(read_point, ended=ended)
            chosen.append((self.tail, np.flatnonzero(tail)))
        return HeldRows(chosen, self.words)


class LedgerColumns(NamedTuple):
    """A ledger as columns: its movements, and in the tail those that were recorded since."""

    base: Part
    tail: Part
    words: Mapping[str, Words]
    """By the name of each column of words or ids, what its codes stand for."""

    def at(self, read_point: ReadPoint, *, ended: bool = False) -> "HeldRows":
        """Return the movements posted by a moment; none ever ends, so `ended` says nothing."""
        del ended
        parts = (self.base, self.tail) if self.tail.rows else (self.base,)
        return HeldRows([(part, part.posted_by(read_point)) for part in parts], self.words)


class HeldRows:
    """Rows of a table that count at a moment."""

    def __init__(
        self, chosen: Sequence[tuple[Part, Places]], words: Mapping[str, Words]
    ) -> None:
        self.words: Final = words
        self._chosen = chosen
        self._cut: dict[str, Column] = {}

    def __len__(self) -> int:
        return sum(len(places) for _, places in self._chosen)

    def __getitem__(self, name: str) -> Column:
        """Return a column of these rows."""
        found = self._cut.get(name)
        if found is None:
            cut = [part.columns[name][places] for part, places in self._chosen]
            found = self._cut[name] = cut[0] if len(cut) == 1 else np.concatenate(cut)
        return found

    def code(self, name: str, word: str | UUID | None) -> int:
        """Return the code of a word or an id in a column; one that no row has if it is new."""
        code = self.words[name].code(word)
        return UNKNOWN if code is None else code

    def has(self, name: str, *words: str | UUID | None) -> Flags:
        """Return which rows have one of some words or ids in a column."""
        column, known = self[name], self.words[name]
        is_one = np.zeros(len(known) + 1, np.bool_)
        for code in map(known.code, words):
            if code is not None:
                is_one[code] = True  # that of nothing stands last
        found: Flags = is_one[column]
        return found

    def where(self, wanted: Flags) -> "HeldRows":
        """Return some of them, in the same order."""
        ends = np.cumsum([len(places) for _, places in self._chosen])
        parts = zip(self._chosen, np.split(wanted, ends[:-1]), strict=True)
        return HeldRows([(part, places[here]) for (part, places), here in parts], self.words)

    def among(self, name: str, *words: str | UUID | None) -> "HeldRows":
        """Return those that have one of some words or ids in a column."""
        return self.where(self.has(name, *words))

    def until(self, known_at: Instant) -> Column:
        """Return when each row ends, as was known at an instant; FOREVER while it was open."""
        ends = self["valid_to"]
        return np.where((self["collapsed"] == 1) & (ends > known_at), FOREVER, ends)

    def ordered(self, order: Places) -> "HeldRows":
        """Return them in another order."""
        names = self._chosen[0][0].columns
        part = Part({name: self[name][order] for name in names}, len(self))
        return HeldRows([(part, np.arange(len(self)))], self.words)

    def cells(self, name: str) -> list[Any]:
        """Return a column as Python has it: words, ids, numbers; None where there is none."""
        column = self[name]
        words = self.words.get(name)
        if words is not None:
            meant = {code: words[code] for code in np.unique(column).tolist()}
            return [meant[code] for code in column.tolist()]
        if column.dtype == EVENT_ID:
            return [UUID(bytes=each) for each in column.tolist()]
        cells: list[Any] = column.tolist()
        none = np.iinfo(column.dtype).min
        return [None if each == none else each for each in cells] if none in cells else cells
