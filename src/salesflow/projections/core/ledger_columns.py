"""A ledger in memory: its movements as columns, and what they come to in each cell.

What stood in a cell at an instant is the sum of the legs of all movements up to it. Movements
stand in order of their occurrence, so a checkpoint every so many of them holds those sums, and
a balance is one checkpoint and the legs of the few movements behind it, less the movements that
were recorded later than is asked for. Sums are exact: figures are added up in two halves.

The same is read from the database in `balances`, where a ledger is not in memory.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from salesflow.domain.time import Instant
from salesflow.projections.core.balances import Cells, CellSums
from salesflow.projections.core.column_figures import half_sums, halves, whole
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import (
    NOTHING,
    Column,
    HeldRows,
    Part,
    Places,
    Words,
    narrowed,
)
from salesflow.projections.table import LedgerTable, ReadPoint

__all__ = ["Checkpoints", "LedgerColumns"]

BLOCK: Final = 1_024
"""So many movements lie between two checkpoints."""
FIGURES: Final = 4
"""What is summed: deals, amount, and what is likely of its upper and of its lower half."""


class LedgerColumns(NamedTuple):
    """A ledger as columns: its movements, and in the tail those that were recorded since."""

    base: "Checkpoints"
    tail: "Checkpoints"
    words: Mapping[str, Words]
    """By the name of each column of words or ids, what its codes stand for."""

    def at(self, read_point: ReadPoint, *, ended: bool = False) -> HeldRows:
        """Return the movements posted by a moment; none ever ends, so `ended` says nothing."""
        del ended
        parts = [self.base.part, *([self.tail.part] if self.tail.part.rows else [])]
        return HeldRows([(part, part.posted_by(read_point)) for part in parts], self.words)

    def balances(
        self, known_at: Instant, instants: Sequence[Instant]
    ) -> list[dict[Cells, CellSums]]:
        """Return what stood in each cell at each of some instants, as known at one.

        Cells in which nothing stood are left out.
        """
        return [self._balance(known_at, at) for at in instants]

    def _balance(self, known_at: Instant, at: Instant) -> dict[Cells, CellSums]:
        found = self.base.sums(known_at, at)
        for cell, sums in self.tail.sums(known_at, at).items():
            before = found.get(cell)
            if before is not None:
                sums = [a + b for a, b in zip(before, sums, strict=True)]
            found[cell] = sums
        return {cell: CellSums(*sums) for cell, sums in found.items() if any(sums)}


class _Side(NamedTuple):
    """The legs of one side of all movements: of those that left a cell, or entered one."""

    cells: Column
    """The number of the cell of each."""
    sign: Column
    """What each counts: a deal that is there, or one less."""
    amount: Column
    share: Column

    def of(self, rows: slice | Places) -> "_Side":
        """Return the legs of some movements, in numbers that can be multiplied."""
        return _Side._make(column[rows].astype(np.int64) for column in self)

    def figures(self) -> list[Column]:
        """Return what each leg adds to the figures of its cell."""
        share = self.sign * self.share
        upper, lower = halves(self.amount)
        return [self.sign, self.sign * self.amount, upper * share, lower * share]


class Checkpoints:
    """Movements in order of their occurrence, and what stands in the cells on the way."""

    def __init__(self, part: Part, ledger: LedgerTable, words: Mapping[str, Words]) -> None:
        self.part: Final = part
        self._ledger = ledger
        self._words = words

    def sums(self, known_at: Instant, at: Instant) -> dict[Cells, list[int]]:
        """Return deals, amount (in millionths) and what is likely of it, by cell.

        What is likely is in millionths of millionths. Some cells hold nothing.
        """
        if not self.part.rows:
            return {}
        columns = self.part.columns
        rows = int(np.searchsorted(columns["occurred"], at, "right"))
        last = rows // BLOCK
        sums = self._checkpoints[:, :, last] + self._sums(slice(last * BLOCK, rows))
        if self._newest > known_at:
            late = np.flatnonzero(columns["recorded"][:rows] > known_at)
            sums -= self._sums(late)
        deals, amount, upper, lower = (whole(*each) for each in sums)
        figures = (each.tolist() for each in (deals, amount, whole(upper, lower)))
        found = zip(self._cells, *figures, strict=True)
        return {cell: list(sums) for cell, *sums in found if cell is not None}

    @cached_property
    def _newest(self) -> Instant:
        return int(self.part.columns["recorded"].max())

    @cached_property
    def _legs(self) -> tuple[list[Cells | None], tuple[_Side, _Side]]:
        """The cells there are, and both sides; a leg that lies in none stands in a None."""
        columns, names = self.part.columns, self._ledger.cells
        both = [
            np.maximum(NOTHING, np.append(columns[f"left_{name}"], columns[f"entered_{name}"]))
            for name in names
        ]
        groups = grouped(*both)
        cells: list[Cells | None] = []
        for codes in zip(*(column[groups.first].tolist() for column in both), strict=True):
            named = zip(names, codes, strict=True)
            cell = tuple(
                self._words[f"left_{name}"][code] if f"left_{name}" in self._words else code
                for name, code in named
            )
            cells.append(None if cell[0] is None else cell)
        left, entered = np.split(groups.of, 2)
        return cells, (self._side("left", left, -1), self._side("entered", entered, 1))

    def _side(self, side: str, cells: Column, sign: int) -> _Side:
        columns = self.part.columns
        return _Side(
            narrowed(cells),
            columns["sign"] * sign,
            columns[f"{side}_amount"],
            columns[f"{side}_probability"],
        )

    @property
    def _cells(self) -> list[Cells | None]:
        return self._legs[0]

    @cached_property
    def _checkpoints(self) -> Column:
        """What stands in each cell before each block of movements, every figure in halves."""
        size, blocks = len(self._cells), self.part.rows // BLOCK
        rows = slice(0, blocks * BLOCK)
        block = np.arange(blocks * BLOCK) // BLOCK
        sums = np.zeros((FIGURES, 2, blocks + 1, size), np.int64)
        sums[:, :, 1:] = self._sums(rows, block).reshape(FIGURES, 2, blocks, size)
        return np.cumsum(sums, axis=2, out=sums)

    def _sums(self, rows: slice | Places, block: Column | None = None) -> Column:
        """Add up the legs of some movements by cell, or by block and cell, in halves."""
        cells, sides = self._legs
        size = len(cells) if block is None else len(cells) * (self.part.rows // BLOCK)
        total = np.zeros((FIGURES, 2, size), np.int64)
        for side in sides:
            legs = side.of(rows)
            groups = legs.cells if block is None else block * len(cells) + legs.cells
            for into, figure in zip(total, legs.figures(), strict=True):
                into += half_sums(figure, groups, size)
        return total
