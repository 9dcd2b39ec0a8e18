"""How a table is laid out in the width there is: amounts stay whole, texts give way.

Where there is room every column is as wide as it likes. Where there is not, texts wrap; an
amount, an interval, a date or a word is never split. Where even that is too wide, the spaces
between columns shrink. At last, or where it takes fewer lines, rows and columns change places,
and where there are too many rows for that, each is written with its columns one below the
other. Nothing is ever cut off.
"""

import re
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import zip_longest

from salesflow.errors import SalesflowError
from salesflow.presentation.format import harmless_cells
from salesflow.presentation.messages import Language, in_language, say
from salesflow.presentation.table import (
    INTERVAL,
    Column,
    TableOfView,
    aligned,
    is_number,
    titles_and_columns,
)

__all__ = ["PIPE_WIDTH", "laid_out", "text_of"]


try:
    from rich.box import SIMPLE_HEAD, Box
    from rich.cells import cell_len, chop_cells
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment, Segments
    from rich.style import Style
    from rich.text import Text
except ImportError as error:
    raise SalesflowError(
        "tables as text are laid out by rich; run: pip install 'salesflow[cli]'"
    ) from error


PIPE_WIDTH = 10_000
"""Room for every row on lines of its own."""

FIGURES = re.compile(r"[\s\d,.·–]*")
"""Figures side by side, such as a count and a sum."""
QUANTITY = re.compile(
    r"[-+<>]?[\d,.]*\d(?: [A-Z]{3}| [dh]|%(?: \([A-Z]{3}\))?)(?![A-Za-z])\S*", re.ASCII
)
SPAN = re.compile(r"\d{4}-\d\d-\d\d …", re.ASCII)
"""The first day of a span, which is broken behind the dots."""
UNBROKEN = re.compile(rf"{QUANTITY.pattern}|{INTERVAL.pattern}\S*|{SPAN.pattern}|\S+", re.ASCII)
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}(-[0-9a-f]{4}(-[0-9a-f]{4}-[0-9a-f]{12})?)?")
KEY = re.compile(r"(?=.{1,40}$)[a-z0-9]+([-_.][a-z0-9]+)+")
"""Ids and keys are copied, so they stay whole."""
WORD_MAX = 16
"""A longer word may be split: a path, a word of a text; an amount may not."""
CHINESE_MAX = 10
"""The same of what is written without spaces between words."""
WIDE, NARROW = 3, 1
"""Spaces between columns."""
EDGES = 2
MANY_ROWS = 5
"""From so many rows on the last columns of a list give way."""
LINES_MAX = 2
"""So many lines a row of a list takes at most, on average, where columns can give way."""
MORE_ROOM = "a wider window or --json has them"
HEAD = Style(color="cyan", bold=True)


def laid_out(
    tables: Sequence[TableOfView], language: Language, width: int
) -> list[RenderableType]:
    """Lay tables out in a width: the title of each, its rows, and its notes below."""
    parts: list[RenderableType] = []
    found = titles_and_columns(tables, language)
    notes = [[f"  {note}" for note in table.notes] for table in tables]
    titles, *notes = harmless_cells([[title for title, _ in found], *notes])
    is_noted = False
    for table, title, (_, columns), below in zip(tables, titles, found, notes, strict=True):
        if title:
            parts.extend([""] if is_noted else [])
            parts.append(Text(title, style="bold"))
        if any(column.cells for column in columns):
            shown = _weightiest(columns, width) if table.by_weight else columns
            parts.extend(_rows(shown, width))
            parts.extend(_left_out(columns[len(shown) :], language))
        else:
            parts.append(Text(f"  {in_language('none', language)}\n"))
        parts.extend(Text(note, style="dim") for note in below)
        is_noted = bool(below)
    return parts


def _weightiest(columns: Sequence[Column], width: int) -> Sequence[Column]:
    """Return the first columns of a list that stand side by side in a few lines a row.

    All of them where there are few rows, which may as well stand one below the other.
    """
    if len(columns[0].cells) < MANY_ROWS:
        return columns
    fitting: Sequence[Column] = columns
    for count in range(len(columns), 1, -1):
        first = columns[:count]
        room = _room(first, NARROW, width)
        widths = _widths(first, room)
        if sum(widths) > room:
            continue
        fitting = first if fitting is columns and count < len(columns) else fitting
        if _lines(first, widths) <= LINES_MAX * len(columns[0].cells):
            return first
    return fitting


def _left_out(columns: Sequence[Column], language: Language) -> Iterator[RenderableType]:
    """Name the columns for which there is no room, and where they are."""
    if columns:
        names = ", ".join(column.name for column in columns)
        text = say("left out for want of room: {columns}", language, columns=names)
        yield Text(f"  {text}; {in_language(MORE_ROOM, language)}", style="dim")


def _lines(columns: Sequence[Column], widths: Sequence[int]) -> int:
    rows = zip(*(column.cells for column in columns), strict=True)
    return sum(
        max(len(_wrapped(cell, its)) for cell, its in zip(row, widths, strict=True))
        for row in rows
    )


def _rows(columns: Sequence[Column], width: int) -> Iterator[RenderableType]:
    for gap in (WIDE, NARROW):
        room = _room(columns, gap, width)
        widths = _widths(columns, room)
        if sum(widths) <= room and _is_short(columns, widths, width):
            yield _SideBySide(columns, widths, gap)
            break
    else:
        turned = _turned(columns)
        gap = WIDE if _has_room(turned, WIDE, width) else NARROW
        if _has_room(turned, gap, width):
            yield _SideBySide(turned, [*map(_width_liked, turned)], gap)
        else:
            yield Segments(_one_below_the_other(columns, width))
    if gap == NARROW:
        yield ""


def text_of(tables: Sequence[TableOfView], language: Language, width: int | None) -> str:
    """Lay tables out as plain text, one below the other, their notes below each."""
    out = StringIO()
    console = Console(
        file=out, width=width or PIPE_WIDTH, highlight=False, emoji=False, color_system=None
    )
    for part in laid_out(tables, language, console.width):
        console.print(part)
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n"))


def _widths(columns: Sequence[Column], room: int) -> list[int]:
    """Return what room there is to the columns that have most to say."""
    likes = [_width_liked(column) for column in columns]
    if sum(likes) <= room:
        return likes
    widths = [_column_width_min(column) for column in columns]
    says = [sum(map(cell_len, column.cells)) for column in columns]
    for _ in range(room - sum(widths)):
        wider = [n for n in range(len(widths)) if widths[n] < likes[n]]
        widths[max(wider, key=lambda n: says[n] / max(widths[n], 1))] += 1
    return widths


def _room(columns: Sequence[Column], gap: int, width: int) -> int:
    return width - gap * (len(columns) - 1) - (EDGES if gap == WIDE else 0)


def _has_room(columns: Sequence[Column], gap: int, width: int) -> bool:
    """Return whether every column can be as wide as it likes."""
    return sum(map(_width_liked, columns)) <= _room(columns, gap, width)


def _turned(columns: Sequence[Column]) -> list[Column]:
    """Make a column of each row: the figures of a few periods or currencies side by side."""
    first, *rest = columns
    headed = first.align == "left"
    told = [each for each in (rest if headed else columns) if any(map(str.strip, each.cells))]
    names = aligned(first.name if headed else "", [each.name for each in told])
    heads = first.cells if headed else [""] * len(first.cells)
    rows = zip(*(map(_without_blank_lines, each.cells) for each in told), strict=True)
    return [names, *(aligned(head, [*row]) for head, row in zip(heads, rows, strict=True))]


def _is_short(columns: Sequence[Column], widths: Sequence[int], width: int) -> bool:
    """Return whether rows side by side take no more lines than one below the other."""
    room = _room_beside_names(columns, width)
    beside = below = 0
    for row in zip(*(column.cells for column in columns), strict=True):
        beside += max(len(_wrapped(cell, its)) for cell, its in zip(row, widths, strict=True))
        told = filter(None, map(_without_blank_lines, row))
        below += 1 + sum(len(_wrapped(cell, room)) for cell in told)
    return beside <= below


def _room_beside_names(columns: Sequence[Column], width: int) -> int:
    return max(width - max(_width(column.name) for column in columns) - 1, 2)


class _SideBySide:
    """Rows of cells that fit their columns, below a head: what rich prints, line for line.

    A table of rich's own would measure and wrap every cell again, which takes it long.
    """

    def __init__(self, columns: Sequence[Column], widths: Sequence[int], gap: int) -> None:
        self._columns, self._widths = columns, widths
        self._padding = " " * ((gap - 1) // 2)
        self._has_edges = gap == WIDE

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> list[Segment]:
        """Return the lines, drawn by what the encoding of the console has."""
        return [*self._lines(SIMPLE_HEAD.substitute(options, safe=console.safe_box))]

    def _lines(self, box: Box) -> Iterator[Segment]:
        inside = [len(self._padding)] * (len(self._widths) - 1)
        sides = zip(self._widths, [0, *inside], [*inside, 0], strict=True)
        widths = [width + left + right for width, left, right in sides]
        if self._has_edges:
            yield Segment(f"{box.get_top(widths)}\n")
        names = [column.name for column in self._columns]
        if any(names):
            drawn = (box.head_left, box.head_vertical, box.head_right)
            for line in self._row(_bottom_aligned(self._wrapped(names)), drawn):
                yield Segment(line, HEAD)
            yield Segment(f"{box.get_row(widths, 'head', edge=self._has_edges)}\n")
        drawn = (box.mid_left, box.mid_vertical, box.mid_right)
        for row in zip(*(column.cells for column in self._columns), strict=True):
            for line in self._row(self._wrapped(row), drawn):
                yield Segment(line)
        if self._has_edges:
            yield Segment(f"{box.get_bottom(widths)}\n")

    def _wrapped(self, cells: Sequence[str]) -> list[list[str]]:
        return [*map(_wrapped, cells, self._widths)]

    def _row(self, cells: Sequence[list[str]], drawn: tuple[str, str, str]) -> Iterator[str]:
        """Yield the lines of a row from those of its cells."""
        left, divider, right = drawn if self._has_edges else ("", drawn[1], "")
        between = f"{self._padding}{divider}{self._padding}"
        for line in zip_longest(*cells, fillvalue=""):
            padded = map(_padded, line, self._widths, self._columns)
            yield f"{left}{between.join(padded)}{right}\n"


def _bottom_aligned(cells: Sequence[list[str]]) -> list[list[str]]:
    height = max(map(len, cells))
    return [[""] * (height - len(lines)) + lines for lines in cells]


def _padded(line: str, width: int, column: Column) -> str:
    if column.align == "left":
        return line + " " * (width - _line_width(line))
    line = line.rstrip()
    return " " * (width - _line_width(line)) + line


def _one_below_the_other(columns: Sequence[Column], width: int) -> Iterator[Segment]:
    room = _room_beside_names(columns, width)
    names = [_wrapped(column.name, width - room - 1) for column in columns]
    told = [
        name
        for name, column in zip(names, columns, strict=True)
        if any(map(str.strip, column.cells))
    ]
    beside = 1 + max((_line_width(line) for name in told for line in name), default=0)
    for row in zip(*(column.cells for column in columns), strict=True):
        yield Segment.line()
        for name, cell in zip(names, row, strict=True):
            if lines := _without_blank_lines(cell):
                for head, line in zip_longest(name, _wrapped(lines, room), fillvalue=""):
                    yield Segment(head + " " * (beside - _line_width(head)), HEAD)
                    yield Segment(f"{line}\n")


def _without_blank_lines(cell: str) -> str:
    """Return a cell where no other one stands beside it."""
    return "\n".join(filter(str.strip, cell.split("\n")))


def _wrapped(cell: str, width: int) -> list[str]:
    """Return the lines of a cell, broken between words where they are too long."""
    lines = (
        [line] if _line_width(line) <= width else _broken(line, width)
        for line in cell.split("\n")
    )
    return [each for broken in lines for each in broken]


def _line_width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return len(text) if text.isascii() else cell_len(text)


def _broken(line: str, width: int) -> Iterator[str]:
    begun = ""
    for word in UNBROKEN.findall(line):
        joined = f"{begun} {word}" if begun else word
        if _line_width(joined) <= width:
            begun = joined
            continue
        if begun:
            yield begun
        *full, begun = chop_cells(word, max(width, 1)) or [word]  # of nothing there is none
        yield from full
    yield begun


def _width_liked(column: Column) -> int:
    return max(map(_width, [column.name, *column.cells]))


def _column_width_min(column: Column) -> int:
    whole = all(FIGURES.fullmatch(cell) or is_number(cell) for cell in column.cells)
    return max(_width_min(column.name), *map(_width if whole else _width_min, column.cells), 0)


def _width(cell: str) -> int:
    return max(map(_line_width, cell.split("\n")))


def _width_min(cell: str) -> int:
    return max(map(_word_width_min, UNBROKEN.findall(cell)), default=0)


def _word_width_min(word: str) -> int:
    whole = any(kind.fullmatch(word) for kind in (QUANTITY, SPAN, ID, KEY))
    if whole or INTERVAL.match(word):
        return _line_width(word)
    most = WORD_MAX if _line_width(word) == len(word) else CHINESE_MAX
    return min(_line_width(word), most)
