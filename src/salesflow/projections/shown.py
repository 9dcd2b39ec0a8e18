"""The shape of a table for people, between the view that fills it and whoever prints it."""

import re
from collections.abc import Callable
from typing import NamedTuple

from salesflow.projections.cleaning import harmless

__all__ = ["Column", "TableOfView", "columns_of", "is_number"]

NUMBER = re.compile(
    r"[-+–]?\s?(\d[\d,]*(\.\d+)?)?\s?(%|[A-Z]{3}|d|h|s|days?|KiB|MiB|GiB|B)?", re.ASCII
)
AMOUNTS = re.compile(r"-?[\d,]+(\.\d+)? [A-Z]{3}( \+ -?[\d,]+(\.\d+)? [A-Z]{3})+", re.ASCII)


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
        """Whether all its cells are numbers, amounts or shares."""
        return any(self.cells) and all(map(is_number, self.cells))


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
