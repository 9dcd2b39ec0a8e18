"""CSV that no spreadsheet runs: texts that would be formulas are escaped, numbers stay numbers.

A spreadsheet takes a cell for a formula that begins with `=`, `+`, `-` or `@`, with a tab or an
end of line, or with the full-width form of one of those. As OWASP recommends, an apostrophe is
put in front of such a text, and in front of one that begins with an apostrophe already. Since
some programs take other separators than the comma, the same is done behind every `;`, `|`, tab
and end of line within a text. So it can be undone without loss: take one apostrophe away at the
beginning of a text and behind each of those signs (`unescaped`). Cells of numbers and times are
never texts: -5 stays -5.

Texts stand in quotation marks and nothing is an empty cell without them, so both can be told
apart. The file is UTF-8 with CR LF, as RFC 4180 says.
"""

import re
from collections.abc import Callable
from typing import Final

from salesflow.adapters.exporters.rows import Cell, CellKind, ExportRows, instant_text

__all__ = ["BYTE_ORDER_MARK", "escaped", "unescaped", "write_csv"]


BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""What Excel needs to read a file as UTF-8."""

PLACE: Final = r"(^|[;|\t\r\n])"
"""Where a cell may begin."""
UNSEEN: Final = r"[\s\u200b-\u200f\u2060\ufeff]*"
DANGEROUS: Final = re.compile(rf"{PLACE}(?={UNSEEN}['=+\-@\t\r\n＝＋－＠﹦﹢﹣﹫])")
ESCAPE: Final = re.compile(rf"{PLACE}'")


def escaped(text: str) -> str:
    """Return a text as it may stand in a cell of a spreadsheet."""
    return DANGEROUS.sub(r"\1'", text)


def unescaped(text: str) -> str:
    """Return the text that was escaped."""
    return ESCAPE.sub(r"\1", text)


def write_csv(
    rows: ExportRows, write: Callable[[bytes], object], *, byte_order_mark: bool = False
) -> int:
    """Write rows below a line of their names; return how many there were."""
    if byte_order_mark:
        write(BYTE_ORDER_MARK)
    write((",".join(column.name for column in rows.columns) + "\r\n").encode())
    written = [WRITTEN[column.kind] for column in rows.columns]
    count = 0
    for batch in rows.batches:
        lines = [
            ",".join(
                "" if cell is None else of(cell) for of, cell in zip(written, row, strict=True)
            )
            for row in batch
        ]
        count += len(lines)
        write("".join(f"{line}\r\n" for line in lines).encode())
    return count


def _text(cell: Cell) -> str:
    inside = escaped(str(cell)).replace('"', '""')
    return f'"{inside}"'


def _instant(cell: Cell) -> str:
    assert isinstance(cell, int)
    return instant_text(cell)


def _amount(cell: Cell) -> str:
    assert isinstance(cell, int)
    whole, parts = divmod(abs(cell), 1_000_000)
    return f"{'-' if cell < 0 else ''}{whole}.{parts:06}"


WRITTEN: Final[dict[CellKind, Callable[[Cell], str]]] = {
    CellKind.TEXT: _text,
    CellKind.INTEGER: str,
    CellKind.INSTANT: _instant,
    CellKind.AMOUNT: _amount,
}
