"""The shape of a table for people, between the view that fills it and whoever prints it."""

from typing import NamedTuple

__all__ = ["TableOfView"]


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
