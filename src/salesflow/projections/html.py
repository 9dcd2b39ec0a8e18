"""Answers as HTML for notebooks: tables, notes, and what the answer means and stands at.

Everything an answer holds is escaped. Colours and fonts are those of the notebook.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape

from salesflow.projections.shown import TableOfView, columns_of

__all__ = ["html_of"]

CELL = "padding:.15em .6em;text-align:{align};vertical-align:top;white-space:{space}"
FAINT = "opacity:.7;font-size:smaller;margin:.2em 0;max-width:60em"
TITLE = "caption-side:top;text-align:left;font-weight:bold;padding:.4em 0"
SENTENCE = 40
"""Cells longer than this many characters may be broken between words."""


def html_of(
    tables: Sequence[TableOfView], word: Callable[[str], str], lines: Iterable[str]
) -> str:
    """Return tables one below the other, each with its notes, and some lines below all."""
    parts = [part for table in tables for part in _table(table, word)]
    parts += [_faint(line) for line in lines]
    return f'<div class="salesflow">{"".join(parts)}</div>'


def _table(table: TableOfView, word: Callable[[str], str]) -> Iterator[str]:
    columns = columns_of(table, word)
    title = " ".join(filter(None, (word(table.title), table.about)))
    aligns = ["right" if column.is_numeric else "left" for column in columns]
    names = (
        f'<th style="{CELL.format(align=align, space="normal")}">{escape(column.name)}</th>'
        for column, align in zip(columns, aligns, strict=True)
    )
    rows = zip(*(column.cells for column in columns), strict=True)
    body = (
        "".join(_cell(cell, align) for cell, align in zip(row, aligns, strict=True))
        for row in rows
    )
    yield f'<table><caption style="{TITLE}">{escape(title)}</caption>'
    yield f"<thead><tr>{''.join(names)}</tr></thead>"
    yield f"<tbody>{''.join(f'<tr>{cells}</tr>' for cells in body)}</tbody></table>"
    yield from map(_faint, table.notes)


def _cell(cell: str, align: str) -> str:
    space = "normal" if len(cell) > SENTENCE else "nowrap"
    text = escape(cell).replace("\n", "<br>")
    return f'<td style="{CELL.format(align=align, space=space)}">{text}</td>'


def _faint(line: str) -> str:
    return f'<p style="{FAINT}">{escape(line)}</p>'
