"""The shape of a table for people, between the view that fills it and whoever prints it."""

import re
from collections.abc import Callable
from typing import NamedTuple

from salesflow.projections.cleaning import harmless

__all__ = ["Column", "TableOfView", "columns_of", "is_number", "told_once"]

NUMBER = re.compile(
    r"[-+–<>]?\s?(\d[\d,]*(\.\d+)?)?\s?"
    r"(%( [A-Z]{3})?|[A-Z]{3}|[dhsx]|days?|KiB|MiB|GiB|B|points|个百分点)?",
    re.ASCII,
)
INTERVAL = re.compile(r" \(-?[\d.,]+ … -?[\d.,]+\)$", re.ASCII)
AMOUNT = r"[-<>]?[\d,]+(\.\d+)?%? [A-Z]{3}"
AMOUNTS = re.compile(rf"{AMOUNT}( \+ {AMOUNT})+", re.ASCII)


class TableOfView(NamedTuple):
    """A view as a table for people: a title, column names, rows of ready text.

    Title and columns are English; where the table is printed they are put into the reader's
    language, as are the cells of the columns that hold `words` of ours. All else is printed
    as it is: other cells, notes, and what the title is `about` (an id, a name).
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    about: str = ""
    words: tuple[str, ...] = ()


class Column(NamedTuple):
    """A column's header and cells in the reader's language, one amount a line."""

    name: str
    cells: list[str]

    @property
    def is_numeric(self) -> bool:
        """Whether all its cells are numbers, amounts or shares, with an interval or without."""
        return any(self.cells) and all(is_number(INTERVAL.sub("", it)) for it in self.cells)


def told_once(table: TableOfView, column: str) -> TableOfView:
    """Put what is the same in all rows into the title, and leave its column out."""
    at = table.columns.index(column)
    said = {row[at] for row in table.rows}
    if len(said) != 1:
        return table
    return table._replace(
        about=" · ".join(filter(None, (table.about, *said))),
        columns=(*table.columns[:at], *table.columns[at + 1 :]),
        rows=tuple((*row[:at], *row[at + 1 :]) for row in table.rows),
    )


def columns_of(table: TableOfView, word: Callable[[str], str]) -> list[Column]:
    """Return the columns of a table; `word` puts what is ours into the reader's language."""
    columns = []
    for number, name in enumerate(table.columns):
        said = word if name in table.words else str
        cells = [_one_amount_a_line(harmless(said(row[number]))) for row in table.rows]
        columns.append(Column(word(name), cells))
    return columns


def is_number(cell: str) -> bool:
    """Whether a cell holds nothing but a number, or amounts one a line."""
    return all(NUMBER.fullmatch(line) for line in cell.split("\n"))


def _one_amount_a_line(cell: str) -> str:
    return cell.replace(" + ", "\n") if AMOUNTS.fullmatch(cell) else cell
