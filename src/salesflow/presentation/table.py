"""The shape of a table for people, between the view that fills it and whoever prints it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import islice
from typing import Literal, NamedTuple

from salesflow.presentation.format import harmless_cells
from salesflow.presentation.messages import Language, in_language, translated, words_in

__all__ = [
    "INTERVAL",
    "Column",
    "TableOfView",
    "aligned",
    "constant_in_title",
    "html_of",
    "is_number",
    "tables_by_currency",
    "titles_and_columns",
]


NUMBER = re.compile(
    r"[-+–<>]?\s?(\d[\d,]*(\.\d+)?)?\s?"
    r"(%( \([A-Z]{3}\))?|[A-Z]{3}|[dhsx]|days?|KiB|MiB|GiB|B|points|个百分点)?",
    re.ASCII,
)
INTERVAL = re.compile(r"\(-?[\d,.]+ … -?[\d,.]+\)", re.ASCII)
INTERVAL_AFTER = re.compile(rf" {INTERVAL.pattern}$", re.ASCII)
AMOUNT = r"[-<>]?[\d,]+(\.\d+)?( [A-Z]{3}|% \([A-Z]{3}\))"
AMOUNTS = re.compile(rf"{AMOUNT}( \+ {AMOUNT})+", re.ASCII)
OF_CURRENCY = re.compile(r"[-+<>]?[\d,]+(?:\.\d+)?(?: |% \()([A-Z]{3})\)?", re.ASCII)


class TableOfView(NamedTuple):
    """A view as a table for people: a title, column names, rows of ready text.

    Title and columns are English; where the table is printed they are put into the reader's
    language, a column as it is meant under the title, as are the cells of the columns that hold
    `words` of ours. All else is printed as it is: other cells, notes, and what the title is
    `about` (an id, a name).
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    about: str = ""
    words: tuple[str, ...] = ()
    by_weight: bool = False
    """Whether the columns stand in the order of their weight: the last ones give way where
    there is little room for many rows."""


class Column(NamedTuple):
    """A column's header and cells in the reader's language, one amount a line."""

    name: str
    cells: list[str]
    align: Literal["left", "right"]
    """Right where all cells are numbers, amounts or shares, with an interval or without."""


def constant_in_title(table: TableOfView, column: str) -> TableOfView:
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


def tables_by_currency(
    table: TableOfView, currencies: Sequence[str | None], language: Language
) -> list[TableOfView]:
    """Part a table in one for each currency, named in its title; that of each row is given.

    Where all is of one currency it stays as it is.
    """
    named = [*dict.fromkeys(currencies)]
    if len(named) < 2:
        return [table]
    unknown = translated("no amount is known", language)
    return [
        table._replace(
            about=" · ".join(filter(None, (table.about, currency or f"({unknown})"))),
            rows=tuple(
                row for row, its in zip(table.rows, currencies, strict=True) if its == currency
            ),
        )
        for currency in named
    ]


def titles_and_columns(
    tables: Iterable[TableOfView], language: Language
) -> list[tuple[str, list[Column]]]:
    """Return tables' titles and columns, what is ours in them in the reader's language."""
    tables = [*tables]
    ours = [*{text for table in tables for text in _ours(table)}]
    said = dict(zip(ours, words_in(ours, language), strict=True))
    cells = iter(harmless_cells([column for table in tables for column in _cells(table, said)]))
    return [
        (
            " ".join(filter(None, (said[table.title], table.about))),
            _columns([in_language(it, language, table.title) for it in table.columns], cells),
        )
        for table in tables
    ]


def _ours(table: TableOfView) -> Iterator[str]:
    """Yield the texts of a table that stand in the catalogue of messages."""
    yield table.title
    for number, name in enumerate(table.columns):
        if name in table.words:
            yield from (row[number] for row in table.rows)


def _cells(table: TableOfView, said: Mapping[str, str]) -> list[list[str]]:
    """Return the cells of each column, where it is known how what is ours is said."""
    return [
        [said[row[number]] if name in table.words else row[number] for row in table.rows]
        for number, name in enumerate(table.columns)
    ]


def _columns(names: Sequence[str], cells: Iterator[Sequence[str]]) -> list[Column]:
    """Lay the columns of a table out, whose cells are the next ones."""
    own = [[*map(_one_amount_a_line, column)] for column in islice(cells, len(names))]
    return [*map(aligned, names, _by_currency(own))]


def aligned(name: str, cells: list[str]) -> Column:
    """Return a column, aligned as its cells ask for."""
    numeric = any(cells) and all(is_number(INTERVAL_AFTER.sub("", cell)) for cell in cells)
    return Column(name, cells, "right" if numeric else "left")


def is_number(cell: str) -> bool:
    """Whether a cell holds nothing but a number, or amounts one a line."""
    return all(NUMBER.fullmatch(line) for line in cell.split("\n"))


def _one_amount_a_line(cell: str) -> str:
    return cell.replace(" + ", "\n") if AMOUNTS.fullmatch(cell) else cell


def _by_currency(columns: list[list[str]]) -> list[list[str]]:
    """Return columns in which what a row has of one currency stands on one line.

    A cell that has nothing of a currency, of which others in its row have, is blank there.
    """
    rows = [_in_line(row) for row in zip(*columns, strict=True)]
    return [[*column] for column in zip(*rows, strict=True)] if rows else columns


def _in_line(row: Sequence[str]) -> Sequence[str]:
    amounts = [_amounts_of(cell) for cell in row]
    currencies = sorted({currency for each in amounts for currency in each})
    if len(currencies) < 2:
        return row
    return [
        "\n".join(each.get(currency, "") for currency in currencies).rstrip() if each else cell
        for each, cell in zip(amounts, row, strict=True)
    ]


def _amounts_of(cell: str) -> dict[str, str]:
    """Return the amounts or shares of a cell by currency; nothing where it holds else too."""
    lines = cell.split("\n")
    found = {match[1]: line for line in lines if (match := OF_CURRENCY.fullmatch(line))}
    return found if len(found) == len(lines) else {}


# Answers as HTML for notebooks: tables, notes, and what the answer means and stands at.
#
# Everything an answer holds is escaped. Colours and fonts are those of the notebook.

CELL = "padding:.15em .6em;text-align:{align};vertical-align:top;white-space:{space}"
FAINT = "opacity:.7;font-size:smaller;margin:.2em 0;max-width:60em"
TITLE = "caption-side:top;text-align:left;font-weight:bold;padding:.4em 0"
SENTENCE = 40
"""Cells longer than this many characters may be broken between words."""


def html_of(tables: Sequence[TableOfView], lines: Iterable[str]) -> str:
    """Return tables in English below one another, each with its notes, and lines below all."""
    parts = [part for table in tables for part in _table(table)]
    parts += [_faint(line) for line in lines]
    return f'<div class="salesflow">{"".join(parts)}</div>'


def _table(table: TableOfView) -> Iterator[str]:
    [(title, columns)] = titles_and_columns([table], "en")
    names = "".join(map(_head, columns))
    rows = zip(*(column.cells for column in columns), strict=True)
    body = (
        "".join(_cell(cell, column.align) for cell, column in zip(row, columns, strict=True))
        for row in rows
    )
    yield f'<table><caption style="{TITLE}">{escape(title)}</caption>'
    yield f"<thead><tr>{names}</tr></thead>"
    yield f"<tbody>{''.join(f'<tr>{cells}</tr>' for cells in body)}</tbody></table>"
    yield from map(_faint, table.notes)


def _head(column: Column) -> str:
    style = CELL.format(align=column.align, space="normal")
    return f'<th style="{style}">{escape(column.name)}</th>'


def _cell(cell: str, align: str) -> str:
    space = "normal" if len(cell) > SENTENCE else "nowrap"
    text = escape(cell).replace("\n", "<br>")
    return f'<td style="{CELL.format(align=align, space=space)}">{text}</td>'


def _faint(line: str) -> str:
    return f'<p style="{FAINT}">{escape(line)}</p>'
