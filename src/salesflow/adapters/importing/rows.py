"""Reads a CSV file row by row, whatever its encoding, delimiter and accidents.

What is wrong with the file as a whole (not there, empty, binary, another encoding, no such
columns) is one `InputError` that says what to do. What is wrong with one row (too few or too
many fields, a NUL, bytes of another encoding, a quote that is never closed, a huge field) is
handed out as a `BadRow` in its place, and reading goes on. A row costs memory only while it
is looked at.
"""

import codecs
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from salesflow.adapters.importing.mapping import FileFormat
from salesflow.errors import InputError

if TYPE_CHECKING:
    import _csv

__all__ = ["BadRow", "Row", "TableFile"]

DELIMITERS = ",;\t|"
SAMPLE = 262_144
ENCODING = "; see encoding in [file]"
BAD_LINES_SHARE = 20
"""From one line in so many on, a file is taken to be in another encoding."""
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
KINDS = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"SQLite format 3", "a SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"<?xml", "an XML file"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
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


class TableFile:
    """One CSV file: its header, and its rows as often as one likes."""

    def __init__(
        self, path: str | Path, form: FileFormat | None = None, wanted: Sequence[str] = ()
    ) -> None:
        self.path = Path(path)
        self.form = form or FileFormat()
        self.blank_lines = 0
        """Lines without anything in them, counted by the last reading."""
        sample = _sample(self.path)
        self.encoding = self.form.encoding or _encoding(sample)
        self.delimiter = ","
        self._check_text(sample)
        head = self._header_lines()
        self.delimiter = self.form.delimiter or self._sniffed(head, wanted)
        self.header = self._split(head)

    def rows(self) -> Iterator[Row | BadRow]:
        """Read the rows below the header."""
        self.blank_lines = 0
        with self._open() as lines:
            yield from self._read(lines)

    def _read(self, lines: IO[str]) -> Iterator[Row | BadRow]:
        skipped = self.form.skip_lines
        for _ in range(skipped):
            lines.readline()
        reader = self._reader(lines)
        next(reader)
        width = len(self.header)
        while True:
            line = skipped + reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield BadRow(line, _csv_reason(error, line, skipped + reader.line_num))
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
        return Row(line, cells, padded)

    def _open(self) -> IO[str]:
        return self.path.open(encoding=self.encoding, errors="surrogateescape", newline="")

    def _reader(self, lines: IO[str]) -> "_csv.Reader":
        return csv.reader(
            lines, delimiter=self.delimiter, quotechar=self.form.quote, strict=True
        )

    def _header_lines(self) -> list[str]:
        """Give the header's lines as text; more than one where a name holds a line break."""
        with self._open() as lines:
            for _ in range(self.form.skip_lines):
                lines.readline()
            found = []
            for line in lines:
                found.append(line)
                if "".join(found).count(self.form.quote) % 2 == 0:
                    break
        if not "".join(found).strip():
            raise InputError(f"{self.path} is empty: there is no header line to read")
        return found

    def _split(self, head: list[str]) -> list[str]:
        try:
            names = next(csv.reader(head, delimiter=self.delimiter, quotechar=self.form.quote))
        except csv.Error as error:
            raise InputError(f"the header of {self.path} cannot be read: {error}") from error
        return [name.strip().removeprefix("\ufeff") for name in names]

    def _sniffed(self, head: list[str], wanted: Sequence[str]) -> str:
        """Take the delimiter under which the header holds the most columns that are wanted."""

        def fit(delimiter: str) -> tuple[int, int]:
            names = next(csv.reader(head, delimiter=delimiter, quotechar=self.form.quote))
            stripped = {name.strip() for name in names}
            return sum(name in stripped for name in wanted), len(names)

        return max(DELIMITERS, key=fit)

    def _check_text(self, sample: bytes) -> None:
        try:
            decoder = codecs.getincrementaldecoder(self.encoding)("surrogateescape")
            text = decoder.decode(sample, final=len(sample) < SAMPLE)
        except (UnicodeError, ValueError) as error:
            raise self._wrong_encoding(1) from error
        if "\0" in text[:1024] or (text.count("\0") > len(text) // 100):
            raise InputError(f"{self.path} is a binary file; export it as CSV text first")
        lines = text.splitlines()
        lines = lines if len(sample) < SAMPLE else lines[:-1]
        bad = [
            number
            for number, line in enumerate(lines, 1)
            if not line.isascii() and any("\ud800" <= c <= "\udfff" for c in line)
        ]
        if len(bad) * BAD_LINES_SHARE > len(lines) or bad[:1] == [1 + self.form.skip_lines]:
            raise self._wrong_encoding(bad[0])

    def _wrong_encoding(self, line: int) -> InputError:
        return InputError(
            f"{self.path} is not {self.encoding} text (line {line}); save it as UTF-8, or name"
            ' its encoding in the mapping of a table: [file] encoding = "gb18030" (Chinese),'
            ' "cp1252" (Western Excel) …'
        )


def _sample(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the CSV file in it")
    if not path.exists():
        raise InputError(f"there is no file {path}")
    with path.open("rb") as file:
        sample = file.read(SAMPLE)
    if not sample:
        raise InputError(f"{path} is empty: there is no header line to read")
    for start, what in KINDS:
        if sample.startswith(start):
            raise InputError(f"{path} is {what}, not a CSV file; export it as CSV first")
    return sample


def _encoding(sample: bytes) -> str:
    return next((name for bom, name in BOMS if sample.startswith(bom)), "utf-8")


def _csv_reason(error: csv.Error, first: int, last: int) -> str:
    if "field larger" in str(error):
        span = f" (lines {first} to {last})" if last > first else ""
        return f"holds a field too large to be one, perhaps a quote never closed{span}"
    if "unexpected end of data" in str(error):
        return (
            "opens a quote that is never closed; the rest of the file was taken for its field"
        )
    return f"is not written as CSV: {error}"
