"""Tables of an answer as Markdown, for messages that people read in a mail or a chat.

Whatever an answer holds is text there: names and titles of deals come from people, so nothing
in them may become a link, a picture, HTML or a line of the table's own.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from salesflow.presentation.format import harmless
from salesflow.presentation.messages import Language, in_language
from salesflow.presentation.table import Column, TableOfView, titles_and_columns

__all__ = ["markdown_of", "markdown_text"]


MEANT_AS_MARKUP: Final = re.compile(r"([\\`*_\[\]<>#|~&@])")
BEGINS_A_LINE: Final = re.compile(r"^(\s*)([-+=]|\d+(?=[.)]\s))", re.MULTILINE)
AT_AN_ADDRESS: Final = re.compile(r"(?i)\b(https?|ftp|mailto)(:)|\b(www)(\.)")


def markdown_text(text: str) -> str:
    """Return a text that Markdown shows as it stands, whoever wrote it."""
    return BEGINS_A_LINE.sub(_begins_no_list, _inline(text))


def _inline(text: str) -> str:
    shown = MEANT_AS_MARKUP.sub(r"\\\1", harmless(text))
    return AT_AN_ADDRESS.sub(_no_address, shown)


def _begins_no_list(found: re.Match[str]) -> str:
    sign = found[2]
    return f"{found[1]}\\{sign}" if not sign.isdigit() else f"{found[1]}&#8203;{sign}"


def _no_address(found: re.Match[str]) -> str:
    """Part what a reader would turn into a link by itself."""
    return f"{found[1]}&#58;" if found[1] else f"{found[3]}&#46;"


def markdown_of(tables: Sequence[TableOfView], language: Language = "en") -> str:
    """Return tables below one another: the title of each, its rows, and its notes."""
    found = titles_and_columns(tables, language)
    parts = (
        part
        for table, (title, columns) in zip(tables, found, strict=True)
        for part in _table(title, columns, table.notes, language)
    )
    return "\n\n".join(parts)


def _table(
    title: str, columns: Sequence[Column], notes: Iterable[str], language: Language
) -> Iterator[str]:
    if title:
        yield f"### {markdown_text(title)}"
    if any(column.cells for column in columns):
        yield "\n".join(_lines(columns))
    else:
        yield f"{markdown_text(in_language('none', language))}"
    yield from map(markdown_text, notes)


def _lines(columns: Sequence[Column]) -> Iterator[str]:
    yield _line(column.name or " " for column in columns)
    yield _ruled("---:" if column.align == "right" else ":---" for column in columns)
    for row in zip(*(column.cells for column in columns), strict=True):
        yield _line(row)


def _line(cells: Iterable[str]) -> str:
    return _ruled(_cell(cell) for cell in cells)


def _ruled(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: str) -> str:
    lines = [_inline(line) for line in cell.split("\n")]
    return "<br>".join(lines)
