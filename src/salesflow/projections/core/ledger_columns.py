"""A ledger in memory: its movements as columns, and what they come to in each cell.

What stood in a cell at an instant is the sum of the legs of all movements up to it. Movements
stand in order of their occurrence, so a checkpoint every so many of them holds those sums, and
a balance is one checkpoint and the legs of the few movements behind it. Of movements that were
recorded later than is asked for, or of those that were not, the fewer are summed up too. Sums
are exact: figures are added up in two halves.

The same is read from the database in `balances`, where a ledger is not in memory.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from salesflow.domain.computed_once import computed_once
from salesflow.domain.time import Instant
from salesflow.projections.core.balances import Cells, CellSums
from salesflow.projections.core.column_figures import half_sums, halves, whole
from salesflow.projections.core.column_groups import grouped, rows_in
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

__all__ = ["Checkpoints", "LedgerBalances", "LedgerColumns"]

BLOCK: Final = 1_024
"""So many movements lie between two checkpoints."""
AT_ONCE: Final = 64
"""So many checkpoints are made at a time."""
LEFT, ENTERED = SIDES = ("left", "entered")
FIGURES: Final = 4
"""What is summed: deals, amount, and what is likely of its upper and of its lower half."""


class LedgerBalances(NamedTuple):
    """What stood in the cells of a ledger at some instants: a row for each cell and instant.

    Cells in which nothing stood are left out.
    """

    cells: Sequence[Cells]
    instant: Column
    """The number of the instant."""
    cell: Column
    """The place of the cell among the cells."""
    deals: Column
    amount: Column
    """In millionths."""
    weighted: Column
    """Amount x probability, in millionths of millionths."""

    @classmethod
    def of(cls, found: Sequence[Mapping[Cells, CellSums]]) -> "LedgerBalances":
        """Return what a database says of each instant."""
        places: dict[Cells, int] = {}
        rows = [
            (instant, places.setdefault(cell, len(places)), *sums)
            for instant, stood in enumerate(found)
            for cell, sums in stood.items()
        ]
        instant, cell, deals, *worth = np.array(rows, object).reshape(-1, 5).T
        numbers = (each.astype(np.int64) for each in (instant, cell, deals))
        return cls([*places], *numbers, *worth)

    def at(self, instant: int) -> dict[Cells, CellSums]:
        """Return what stood in each cell at one of the instants, by its number."""
        here = self.instant == instant
        cell, *sums = (column[here].tolist() for column in self[2:])
        return {
            self.cells[place]: CellSums(*figures)
            for place, *figures in zip(cell, *sums, strict=True)
        }


class LedgerColumns(NamedTuple):
    """A ledger as columns: its movements, and in the tail those that were recorded since."""

    base: "Checkpoints"
    words: Mapping[str, Words]
    """By the name of each column of words or ids, what its codes stand for."""
    tail: "Checkpoints | None" = None

    def at(self, read_point: ReadPoint, *, ended: bool = False) -> HeldRows:
        """Return the movements posted by a moment; none ever ends, so `ended` says nothing."""
        del ended
        parts = [each.part for each in (self.base, self.tail) if each is not None]
        return HeldRows([(part, part.posted_by(read_point)) for part in parts], self.words)

    def balances(self, known_at: Instant, instants: Sequence[Instant]) -> LedgerBalances:
        """Return what stood in the cells at some instants, as known at one."""
        cells, sums = self.base.sums(known_at, instants)
        if self.tail is not None:
            cells, sums = _together(cells, sums, *self.tail.sums(known_at, instants))
        deals, amount, upper, lower = (whole(*figure) for figure in sums)
        figures = deals, amount, whole(upper, lower)
        there = np.logical_or.reduce([figure != 0 for figure in figures])
        return LedgerBalances(cells, *np.nonzero(there), *(each[there] for each in figures))


def _together(
    cells: Sequence[Cells], sums: Column, others: Sequence[Cells], more: Column
) -> tuple[list[Cells], Column]:
    """Add up the sums of cells and of others, some of which are the same."""
    every = [*dict.fromkeys((*cells, *others))]
    places = {cell: place for place, cell in enumerate(every)}
    total = np.zeros((*sums.shape[:-1], len(every)), np.int64)
    total[..., : len(cells)] = sums
    total[..., [places[cell] for cell in others]] += more
    return every, total


class Checkpoints:
    """Movements in order of their occurrence, and what stands in the cells on the way."""

    def __init__(self, part: Part, ledger: LedgerTable, words: Mapping[str, Words]) -> None:
        self.part: Final = part
        self._ledger = ledger
        self._words = words

    def sums(
        self, known_at: Instant, instants: Sequence[Instant]
    ) -> tuple[list[Cells], Column]:
        """Return the cells, and what they held at some instants: every figure in halves."""
        if not self.part.rows:
            return [], np.zeros((FIGURES, 2, len(instants), 0), np.int64)
        ends = np.array([self.part.happened_by(at) for at in instants])
        named = {cell: place for place, cell in enumerate(self._cells) if cell is not None}
        return [*named], self._known(known_at, ends)[..., [*named.values()]]

    def _known(self, known_at: Instant, ends: Column) -> Column:
        """Add up, up to some places, the movements that were known at an instant; in halves.

        Of what happened by then most was known, or next to nothing where a log was imported
        later: the fewer are added up, or taken off all. Of what happened since next to nothing
        was known, but what was planned ahead.
        """
        if self._newest <= known_at:
            return self._all(ends)
        early = np.minimum(ends, self.part.happened_by(known_at))
        late = self.part.after("recorded", known_at)[: ends.max()]
        before, since = np.split(late, [early.max()])
        ahead = self._some(early.max() + np.flatnonzero(~since), ends)
        if 2 * np.count_nonzero(before) > len(before):
            return ahead + self._some(np.flatnonzero(~before), early)
        return ahead + self._all(early) - self._some(np.flatnonzero(before), early)

    def _all(self, ends: Column) -> Column:
        """Add up all movements up to some places."""
        last = ends // BLOCK
        rest = self._sums(*rows_in(last * BLOCK, ends), len(ends))
        return self._checkpoints[:, :, last] + rest.reshape(FIGURES, 2, len(ends), -1)

    def _some(self, rows: Places, ends: Column) -> Column:
        """Add up some movements, up to some places behind which none of them stands."""
        order = np.argsort(ends)
        found = self._sums(rows, np.searchsorted(ends[order], rows, "right"), len(ends))
        found = found.reshape(FIGURES, 2, len(ends), -1)
        return np.cumsum(found, axis=2)[:, :, np.argsort(order)]

    @computed_once
    def _newest(self) -> Instant:
        return int(self.part.cut("recorded", slice(None)).max())

    @computed_once
    def _numbered(self) -> tuple[list[Cells | None], tuple[Column, Column]]:
        """The cells there are, and the number of the cell of each leg, side by side.

        A leg that lies in none stands in a None.
        """
        names = self._ledger.cells
        both = []
        for name in names:
            sides = [self.part.cut(f"{side}_{name}", slice(None)) for side in SIDES]
            both.append(np.maximum(NOTHING, np.concatenate(sides)))
        groups = grouped(*both)
        cells: list[Cells | None] = []
        for codes in zip(*(column[groups.first].tolist() for column in both), strict=True):
            named = zip(names, codes, strict=True)
            cell = tuple(
                self._words[f"left_{name}"][code] if f"left_{name}" in self._words else code
                for name, code in named
            )
            cells.append(None if cell[0] is None else cell)
        left, entered = np.split(narrowed(groups.of), 2)
        return cells, (left, entered)

    @property
    def _cells(self) -> list[Cells | None]:
        return self._numbered[0]

    @computed_once
    def _checkpoints(self) -> Column:
        """What stands in each cell before each block of movements, every figure in halves."""
        size, blocks = len(self._cells), self.part.rows // BLOCK
        sums = np.zeros((FIGURES, 2, blocks + 1, size), np.int64)
        for first in range(0, blocks, AT_ONCE):
            some = min(AT_ONCE, blocks - first)
            rows = slice(first * BLOCK, (first + some) * BLOCK)
            found = self._sums(rows, np.arange(some * BLOCK) // BLOCK, some)
            here = slice(first + 1, first + some + 1)
            sums[:, :, here] = found.reshape(FIGURES, 2, some, size)
        return np.cumsum(sums, axis=2, out=sums)

    def _sums(
        self, rows: slice | Places, block: Column | None = None, blocks: int = 1
    ) -> Column:
        """Add up the legs of some movements by cell, or by block and cell, in halves."""
        count = len(self._cells)
        total = np.zeros((FIGURES, 2, count * blocks), np.int64)
        for side, cells in zip(SIDES, self._numbered[1], strict=True):
            groups = cells[rows].astype(np.int64)
            if block is not None:
                groups += block * count
            for into, figure in zip(total, self._figures(side, rows), strict=True):
                into += half_sums(figure, groups, count * blocks)
        return total

    def _figures(self, side: str, rows: slice | Places) -> list[Column]:
        """Return what the legs of one side of some movements add to the figures of a cell.

        Those that left it count against it, those that entered it for it.
        """
        sign, amount, share = (
            self.part.cut(name, rows).astype(np.int64)
            for name in ("sign", f"{side}_amount", f"{side}_probability")
        )
        if side == LEFT:
            sign = -sign
        share = sign * share
        upper, lower = halves(amount)
        return [sign, sign * amount, upper * share, lower * share]
