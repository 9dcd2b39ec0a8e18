"""Rows on their way into a file: named columns of a few kinds, and batches of cells.

The log and the read tables are given in this form, and each format writes it: whole numbers are
what the store holds, so that nothing is rounded on the way. An instant is microseconds UTC, an
amount whole millionths, an id text.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

from salesflow.domain.time import FOREVER, LATEST, Instant, from_instant

__all__ = ["Cell", "CellKind", "ExportColumn", "ExportRows", "instant_text"]


Cell = str | int | None
Batch = list[tuple[Cell, ...]]


class CellKind(Enum):
    """What the cells of a column are."""

    TEXT = "text"
    INTEGER = "integer"
    INSTANT = "instant"
    AMOUNT = "amount"
    """Whole millionths, shown with six decimals."""


class ExportColumn(NamedTuple):
    """A column by its name, and what is in it."""

    name: str
    kind: CellKind


class ExportRows(NamedTuple):
    """A table to be written, once: its rows are read as they are asked for."""

    name: str
    columns: tuple[ExportColumn, ...]
    batches: Iterator[Batch]


OPEN_END: Final = LATEST
"""How the end of what has not ended is written: a time, so that it can be compared."""


def instant_text(at: Instant) -> str:
    """Write an instant in UTC, with six digits, as SQL views do."""
    time = OPEN_END if at >= FOREVER else from_instant(at)
    return time.isoformat(" ", "microseconds")
