"""Reads a CSV file row by row, whatever its encoding, delimiter and accidents.

What is wrong with the file as a whole (not there, empty, binary, another encoding, no such
columns) is one `InputError` that says what to do. What is wrong with one row (too few or too
many fields, a NUL, bytes of another encoding, a quote that is never closed, a huge field) is
handed out as a `BadRow` in its place, and reading goes on. A row costs memory only while it
is looked at, and no row is looked at beyond a million characters.
"""

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from salesflow.adapters.importing.mapping import FileFormat
from salesflow.adapters.importing.numbers import SPACES
from salesflow.adapters.importing.text_files import ROW_MAX, Lines, TextFile, TooLongError
from salesflow.domain.wording import shortened
from salesflow.errors import InputError

if TYPE_CHECKING:
    import _csv

__all__ = ["BadRow", "Row", "TableFile", "spaced", "tidied"]

DELIMITERS = ",;\t|"
ENCODING = "; see encoding in [file]"
CELL_MAX: Final = 131_072
COLUMNS_MAX: Final = 16_384
NAME_MAX: Final = 1_000
SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""The first line by which Excel is told the delimiter."""
INVISIBLE = "\ufeff\u200b\u2060"
SPACE = str.maketrans(
    dict.fromkeys(set(SPACES) - set(INVISIBLE), " ") | dict.fromkeys(INVISIBLE)
)


class Row(NamedTuple):
    """The fields of a row and the line it begins at."""

    line: int
    cells: list[str]
    padded: bool = False


class BadRow(NamedTuple):
    """A row that cannot be read, and why."""

    line: int
    reason: str


def tidied(text: str) -> str:
    """Take off the spaces around a value; every space of Unicode in it becomes a plain one."""
    if text.isascii():
        return text.strip()
    return unicodedata.normalize("NFC", text.translate(SPACE)).strip()


def spaced(name: str) -> str:
    """Write the name of a column with single spaces, line breaks too."""
    return " ".join(tidied(name).split())


class TableFile:
    """One CSV file: its header, and its rows as often as one likes."""

    def __init__(
        self, path: str | Path, form: FileFormat | None = None, wanted: Sequence[str] = ()
    ) -> None:
        self.path = Path(path)
        self.form = form or FileFormat()
        self.blank_lines = 0
        """Lines without anything in them, counted by the last reading."""
        self._file = TextFile(path, self.form.encoding)
        self.at_rest = self._file.at_rest
        """What is read: the file, or the copy of what came through a pipe."""
        self.encoding = self._file.encoding
        self.delimiter = ","
        self._above = self.form.skip_lines
        head = self._header_lines()
        self._below = self._above + len(head)
        self.delimiter = self.form.delimiter or self._told or self._sniffed(head, wanted)
        self._spaced = False
        self.header = self._split(head)

    def rows(self) -> Iterator[Row | BadRow]:
        """Read the rows below the header."""
        self.blank_lines = 0
        with self._file.open() as lines:
            _skip(lines, self._below)
            yield from self._read(lines)

    def _read(self, lines: Lines) -> Iterator[Row | BadRow]:
        reader = self._reader(lines)
        width = len(self.header)
        while True:
            lines.begin()
            line = lines.number + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield BadRow(line, _csv_reason(error, line, lines.number))
                continue
            except TooLongError:
                reader = self._reader(lines)
                yield BadRow(line, _too_long(line, lines.number))
                continue
            if not cells:
                self.blank_lines += 1
                continue
            yield self._fitted(line, cells, width)

    def _fitted(self, line: int, cells: list[str], width: int) -> Row | BadRow:
        padded = False
        if len(cells) != width:
            spare = cells[width:]
            if len(cells) < width and self.form.ragged == "pad":
                cells, padded = cells + [""] * (width - len(cells)), True
            elif spare and not any(cell.strip() for cell in spare):
                cells = cells[:width]
            else:
                return BadRow(line, f"has {len(cells)} fields where the header has {width}")
        text = "".join(cells)
        if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
            return BadRow(line, f"holds bytes that are not {self.encoding} text{ENCODING}")
        if not text.isprintable() and ("\0" in text or "\x1f" in text):
            return BadRow(line, "holds a NUL or another control character")
        if len(text) > CELL_MAX and any(len(cell) > CELL_MAX for cell in cells):
            return BadRow(line, f"holds a field of more than {CELL_MAX:,} characters")
        return Row(line, cells, padded)

    def _reader(self, lines: Iterable[str], *, strict: bool = True) -> "_csv.Reader":
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.form.quote,
            strict=strict,
            skipinitialspace=self._spaced,
        )

    def _header_lines(self) -> list[str]:
        """Give the header's lines as text; more than one where a name holds a line break."""
        found: list[str] = []
        self._told: str | None = None
        try:
            with self._file.open() as lines:
                _skip(lines, self._above)
                for line in lines:
                    separator = SEPARATOR.fullmatch(line) if lines.number == 1 else None
                    if separator:
                        self._told, self._above = separator[1], 1
                        continue
                    found.append(line)
                    if "".join(found).count(self.form.quote) % 2 == 0:
                        break
        except TooLongError as error:
            raise InputError(
                f"the header of {self._file.shown} has more than {ROW_MAX:,} characters"
            ) from error
        if not "".join(found).strip():
            raise InputError(f"{self._file.shown} is empty: there is no header line to read")
        return found

    def _split(self, head: list[str]) -> list[str]:
        """Give the names of the columns; spaces around them and their quotes do not count."""
        try:
            names = next(self._reader(head, strict=False))
            if any(name.lstrip().startswith(self.form.quote) for name in names):
                self._spaced = self.delimiter != " "
                names = next(self._reader(head, strict=False))
        except csv.Error as error:
            raise InputError(
                f"the header of {self._file.shown} cannot be read: {error}; its delimiter is"
                f" taken to be {self.delimiter!r}"
            ) from error
        if len(names) > COLUMNS_MAX:
            raise InputError(
                f"{self._file.shown} has {len(names):,} columns; at most"
                f" {COLUMNS_MAX:,} are read"
            )
        long = next((name for name in names if len(name) > NAME_MAX), None)
        if long is not None:
            raise InputError(
                f"{self._file.shown} has a column whose name is longer than {NAME_MAX:,}"
                f" characters: {shortened(long)!r}"
            )
        if any("\ud800" <= c <= "\udfff" for name in names for c in name):
            raise self._file.wrong_encoding(self._above + 1)
        return [spaced(name) for name in names]

    def _sniffed(self, head: list[str], wanted: Sequence[str]) -> str:
        """Take the delimiter under which the header holds the most columns that are wanted."""
        asked = {spaced(name) for name in wanted}

        def fit(delimiter: str) -> tuple[int, int]:
            try:
                names = next(csv.reader(head, delimiter=delimiter, quotechar=self.form.quote))
            except csv.Error:
                return (-1, 0)
            return len(asked.intersection(map(spaced, names))), len(names)

        return max(DELIMITERS, key=fit)


def _skip(lines: Lines, count: int) -> None:
    """Pass over lines; a file may end before."""
    for _ in range(count):
        lines.begin()
        try:
            next(lines)
        except StopIteration:
            return
        except TooLongError:
            continue
    lines.begin()


def _too_long(first: int, last: int) -> str:
    span = f" (lines {first} to {last})" if last > first else ""
    return f"has more than {ROW_MAX:,} characters{span}, perhaps a quote never closed"


def _csv_reason(error: csv.Error, first: int, last: int) -> str:
    if "field larger" in str(error):
        span = f" (lines {first} to {last})" if last > first else ""
        return f"holds a field too large to be one, perhaps a quote never closed{span}"
    if "unexpected end of data" in str(error):
        return (
            "opens a quote that is never closed; the rest of the file was taken for its field"
        )
    return f"is not written as CSV: {error}"
