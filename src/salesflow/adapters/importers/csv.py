"""Opens text files of strangers: in which encoding, and never more of a line than is sane.

Says what a file is when it is no text (a workbook, an archive, a web page), finds out the
encoding (a byte order mark, UTF-16 and UTF-32 without one), copies what can be read only once
(standard input, a pipe) to a temporary file, and hands out lines in bounded pieces: a line of
two gigabytes is refused after the first megabytes of it.
"""

import codecs
import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Final, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from salesflow.adapters.importers.at_rest import FileAtRest
from salesflow.adapters.importers.numbers import SPACES
from salesflow.domain.wording import Message, quoted, shortened
from salesflow.errors import InputError

__all__ = [
    "ROW_MAX",
    "BadRow",
    "Encoding",
    "FileFormat",
    "Mark",
    "TableFile",
    "TableRow",
    "TextFile",
    "TextLines",
    "TooLongError",
    "reason_unreadable",
    "spaced",
    "tidied",
]


SAMPLE = 262_144
ROW_MAX: Final = 1_000_000
"""So many characters a row may have, over all its lines."""
LINE_END_MAX: Final = 16_000_000
"""So far on the end of a line that is too long is looked for, to go on behind it."""
BAD_LINES_SHARE = 20
"""From one line in so many on, a file is taken to be in another encoding."""
BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WIDE: Final = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
KINDS: Final = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"SQLite format 3", "a SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"{\\rtf", "an RTF document"),
)
MARKUP: Final = (
    (b"<?xml", "an XML file"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
    (b"<table", "a web page"),
    (b'{"', "a JSON file"),
    (b'[{"', "a JSON file"),
)
UNPRINTED: Final = frozenset({"Cn", "Co", "Cs"})


# How the file is written down, as far as somebody says it.

NO_TEXT = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf-7"}
)
"""Encodings of Python in which nobody writes a table."""
SKIP_MAX = 100_000


def _known_encoding(name: str) -> str:
    try:
        "".encode(name)
        if codecs.lookup(name).name in NO_TEXT:
            raise LookupError(name)
    except (LookupError, ValueError) as error:
        raise ValueError(
            f"{quoted(name)} is not an encoding; write utf-8, utf-16, gb18030, cp1252 …"
        ) from error
    return name


def _known_mark(mark: str) -> str:
    if mark in "\r\n\0\ufeff" or "\ud800" <= mark <= "\udfff":
        raise ValueError(f"{mark!r} cannot stand between or around fields")
    return mark


Mark = Annotated[str, Field(min_length=1, max_length=1), AfterValidator(_known_mark)]
Encoding = Annotated[str, AfterValidator(_known_encoding)]


class FileFormat(BaseModel):
    """`[file]`: how the file is written down."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoding: Encoding | None = None
    """Left out: UTF-8, or what the file's byte order mark says."""
    delimiter: Mark | None = None
    """Left out: the one of `,` `;` tab `|` under which the header holds the most columns."""
    quote: Mark = '"'
    skip_lines: Annotated[int, Field(ge=0, le=SKIP_MAX)] = 0
    """Lines above the header."""
    ragged: Literal["refuse", "pad"] = "refuse"
    """What to do with a row that has too few fields."""

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.delimiter == self.quote:
            raise ValueError("delimiter and quote cannot be the same character")
        return self


class TooLongError(Exception):
    """A row goes on and on."""


class TextFile(FileAtRest):
    """A file that is text, as one may open it again and again."""

    def __init__(self, path: str | Path, encoding: str | None) -> None:
        """`encoding` is the one somebody named."""
        super().__init__(path, "CSV file")
        sample = self._sample()
        self.encoding = self._encoding(sample, encoding)
        self._check(sample)

    def open(self) -> "TextLines":
        """Open it at its beginning, behind a byte order mark."""
        file = self.at_rest.open(encoding=self.encoding, errors="surrogateescape", newline="")
        return TextLines(file, self.name, self.encoding)

    def _sample(self) -> bytes:
        try:
            with self.at_rest.open("rb") as file:
                sample = file.read(SAMPLE)
        except OSError as error:
            raise self.unreadable(error) from error
        if not sample:
            raise InputError(f"{self.name} is empty: there is no header line to read")
        start_text = sample[:200].removeprefix(codecs.BOM_UTF8).lstrip().lower()
        kinds = [what for start, what in KINDS if sample.startswith(start)]
        kinds += [what for start, what in MARKUP if start_text.startswith(start)]
        if kinds:
            raise InputError(
                f"{self.name} is {kinds[0]}, not a CSV file; export it as CSV first"
            )
        return sample

    def _encoding(self, sample: bytes, named: str | None) -> str:
        marked = next((name for bom, name in BOMS if sample.startswith(bom)), None)
        if named is None:
            return marked or _wide(sample) or "utf-8"
        plain = codecs.lookup(named).name
        if marked is None:
            # Without a mark these two read little-endian text on most hosts, and nowhere else.
            wide = _wide(sample) if plain in {"utf-16", "utf-32"} else None
            return wide or plain
        if not plain.startswith(marked.removesuffix("-sig")):
            raise InputError(
                f"{self.name} begins with the byte order mark of"
                f" {marked.removesuffix('-sig')}, and the mapping says {named}; leave encoding"
                " out of [file]"
            )
        return marked

    def _check(self, sample: bytes) -> None:
        try:
            decoder = codecs.getincrementaldecoder(self.encoding)("surrogateescape")
            text = decoder.decode(sample, final=len(sample) < SAMPLE)
        except (UnicodeError, ValueError) as error:
            raise self.wrong_encoding(1) from error
        if "\0" in text[:1024] or (text.count("\0") > len(text) // 100):
            raise InputError(
                f"{self.name} is a binary file; export it as CSV text first, or say"
                ' [file] encoding = "utf-16-le" where it is UTF-16 without a byte order mark'
            )
        lines = text.splitlines()
        lines = lines if len(sample) < SAMPLE or len(lines) == 1 else lines[:-1]
        bad = [number for number, line in enumerate(lines, 1) if _has_foreign_bytes(line)]
        if len(bad) * BAD_LINES_SHARE > len(lines) or bad[:1] == [1]:
            raise self.wrong_encoding(bad[0])

    def wrong_encoding(self, line: int) -> InputError:
        """Return the error of a file in another encoding, which says what to do."""
        return _wrong_encoding(self.name, self.encoding, line)


class TextLines:
    """The lines of an open file, counted, none of them endless."""

    def __init__(self, file: IO[str], name: str, encoding: str) -> None:
        self._file = file
        self._name = name
        self._encoding = encoding
        self.number = 0
        """How many lines were read."""
        self._length = 0

    def __enter__(self) -> "TextLines":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[str]:
        return self

    def begin(self) -> None:
        """Begin a row; its length counts from here."""
        self._length = 0

    def __next__(self) -> str:
        """Return the next line.

        Raises:
            TooLongError: when the row has grown too long; its line is passed over.
            InputError: when a line has no end at all, or is in another encoding.
        """
        line = self._read(ROW_MAX + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._length += len(line)
        if self._length > ROW_MAX:
            if line[-1] not in "\r\n":
                self._pass_over()
            raise TooLongError
        return line.removeprefix("\ufeff") if self.number == 1 else line

    def _pass_over(self) -> None:
        passed = 0
        while part := self._read(ROW_MAX):
            passed += len(part)
            if part[-1] in "\r\n":
                return
            if passed > LINE_END_MAX:
                raise InputError(
                    f"{self._name} is no table: line {self.number} has more than"
                    f" {LINE_END_MAX:,} characters"
                )

    def _read(self, most: int) -> str:
        try:
            return self._file.readline(most)
        except UnicodeError as error:
            raise _wrong_encoding(self._name, self._encoding, self.number + 1) from error
        except OSError as error:
            because = error.strerror or str(error)
            raise InputError(f"{self._name} cannot be read: {because}") from error


def _wrong_encoding(name: str, encoding: str, line: int) -> InputError:
    return InputError(
        f"{name} is not {encoding} text (line {line}); save it as UTF-8, or name its encoding"
        ' in the mapping of a table: [file] encoding = "gb18030" (Chinese), "cp1252" (Western'
        " Excel) …"
    )


def _has_foreign_bytes(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)


def _wide(sample: bytes) -> str | None:
    """Recognise UTF-16 and UTF-32 without a byte order mark: text only when read as such."""
    if b"\0" not in sample:
        return None
    for name in reversed(WIDE):
        try:
            decoder = codecs.getincrementaldecoder(name)("strict")
            text = decoder.decode(sample[: 1 << 16], final=False)
        except UnicodeError:
            continue
        foreign = sum(unicodedata.category(c) in UNPRINTED or c == "\0" for c in text)
        lines, fields = "\n" in text or "\r" in text, any(mark in text for mark in ",;\t|")
        if lines and fields and not foreign:
            return name
    return None


if TYPE_CHECKING:
    import _csv


# Reads a CSV file row by row, whatever its encoding, delimiter and accidents.
#
# What is wrong with the file as a whole (not there, empty, binary, another encoding, no such
# columns) is one `InputError` that says what to do. What is wrong with one row (too few or too
# many fields, a NUL, bytes of another encoding, a quote that is never closed, a huge field) is
# handed out as a `BadRow` in its place, and reading goes on. A row costs memory only while it
# is looked at, and no row is looked at beyond a million characters.

DELIMITERS = ",;\t|"
OTHER_WIDTH = "has {count} fields where the header has {width}"
LONG_FIELD = "holds a field of more than {most:,} characters"
FOREIGN_BYTES = "holds bytes that are not {encoding} text; see encoding in [file]"
CELL_MAX: Final = 131_072
COLUMNS_MAX: Final = 16_384
NAME_MAX: Final = 1_000
SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""The first line, by which Excel knows the delimiter."""
INVISIBLE = "\ufeff\u200b\u2060"
SPACE = str.maketrans(
    dict.fromkeys(set(SPACES) - set(INVISIBLE), " ") | dict.fromkeys(INVISIBLE)
)


class TableRow(NamedTuple):
    """The fields of a row and the line it begins at."""

    line: int
    cells: list[str]
    padded: bool = False


class BadRow(NamedTuple):
    """A row that cannot be read, and why."""

    line: int
    reason: str


def reason_unreadable(cells: Sequence[str], encoding: str) -> str | None:
    """Return why the cells of a row cannot be taken: foreign bytes, a NUL, a huge field."""
    text = "".join(cells)
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        return Message(FOREIGN_BYTES, encoding=encoding)
    if not text.isprintable() and ("\0" in text or "\x1f" in text):
        return Message("holds a NUL or another control character")
    if len(text) > CELL_MAX and any(len(cell) > CELL_MAX for cell in cells):
        return Message(LONG_FIELD, most=CELL_MAX)
    return None


def tidied(text: str) -> str:
    """Strip the spaces around a value; every space of Unicode in it becomes a plain one."""
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
        self.encoding = self._file.encoding
        self.delimiter = ","
        self._lines_above = self.form.skip_lines
        head = self._header_lines()
        self._lines_to_header = self._lines_above + len(head)
        self.delimiter = self.form.delimiter or self._separator or self._sniffed(head, wanted)
        self._spaced = False
        self.header = self._split(head)

    def rows(self) -> Iterator[TableRow | BadRow]:
        """Read the rows below the header."""
        self.blank_lines = 0
        with self._file.open() as lines:
            _skip(lines, self._lines_to_header)
            yield from self._read(lines)

    def found(self) -> dict[tuple[str, str, str], list[int]]:
        """Return nothing: what columns hold is counted where they are cleaned."""
        return {}

    def assumed(self) -> list[Message]:
        """Return nothing: a table holds rows and nothing beside them."""
        return []

    def _read(self, lines: TextLines) -> Iterator[TableRow | BadRow]:
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

    def _fitted(self, line: int, cells: list[str], width: int) -> TableRow | BadRow:
        padded = False
        if len(cells) != width:
            spare = cells[width:]
            if len(cells) < width and self.form.ragged == "pad":
                cells, padded = cells + [""] * (width - len(cells)), True
            elif spare and not any(cell.strip() for cell in spare):
                cells = cells[:width]
            else:
                return BadRow(line, Message(OTHER_WIDTH, count=len(cells), width=width))
        reason = reason_unreadable(cells, self.encoding)
        if reason is not None:
            return BadRow(line, reason)
        return TableRow(line, cells, padded)

    def _reader(self, lines: Iterable[str], *, strict: bool = True) -> "_csv.Reader":
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.form.quote,
            strict=strict,
            skipinitialspace=self._spaced,
        )

    def _header_lines(self) -> list[str]:
        """Return the header's lines as text; more than one where a name holds a line break."""
        header: list[str] = []
        self._separator: str | None = None
        try:
            with self._file.open() as lines:
                _skip(lines, self._lines_above)
                for line in lines:
                    separator = SEPARATOR.fullmatch(line) if lines.number == 1 else None
                    if separator:
                        self._separator, self._lines_above = separator[1], 1
                        continue
                    header.append(line)
                    if "".join(header).count(self.form.quote) % 2 == 0:
                        break
        except TooLongError as error:
            raise InputError(
                f"the header of {self._file.name} has more than {ROW_MAX:,} characters"
            ) from error
        if not "".join(header).strip():
            raise InputError(f"{self._file.name} is empty: there is no header line to read")
        return header

    def _split(self, head: list[str]) -> list[str]:
        """Return the names of the columns; spaces around them and their quotes do not count."""
        try:
            names = next(self._reader(head, strict=False))
            if any(name.lstrip().startswith(self.form.quote) for name in names):
                self._spaced = self.delimiter != " "
                names = next(self._reader(head, strict=False))
        except csv.Error as error:
            raise InputError(
                f"the header of {self._file.name} cannot be read: {error}; its delimiter is"
                f" taken to be {self.delimiter!r}"
            ) from error
        if len(names) > COLUMNS_MAX:
            raise InputError(
                f"{self._file.name} has {len(names):,} columns; at most"
                f" {COLUMNS_MAX:,} are read"
            )
        long = next((name for name in names if len(name) > NAME_MAX), None)
        if long is not None:
            raise InputError(
                f"{self._file.name} has a column whose name is longer than {NAME_MAX:,}"
                f" characters: {shortened(long)!r}"
            )
        if any("\ud800" <= c <= "\udfff" for name in names for c in name):
            raise self._file.wrong_encoding(self._lines_above + 1)
        return [spaced(name) for name in names]

    def _sniffed(self, head: list[str], wanted: Sequence[str]) -> str:
        """Return the delimiter under which the header has the most columns that are wanted."""
        asked = {spaced(name) for name in wanted}

        def fit(delimiter: str) -> tuple[int, int]:
            try:
                names = next(csv.reader(head, delimiter=delimiter, quotechar=self.form.quote))
            except csv.Error:
                return (-1, 0)
            return len(asked.intersection(map(spaced, names))), len(names)

        return max(DELIMITERS, key=fit)


def _skip(lines: TextLines, count: int) -> None:
    """Skip lines; a file may end before."""
    for _ in range(count):
        lines.begin()
        try:
            next(lines)
        except StopIteration:
            return
        except TooLongError:
            continue
    lines.begin()


def _too_long(first: int, last: int) -> Message:
    return Message(
        "has more than {most:,} characters{lines}, perhaps a quote never closed",
        most=ROW_MAX,
        lines=_lines(first, last),
    )


def _csv_reason(error: csv.Error, first: int, last: int) -> Message:
    if "field larger" in str(error):
        return Message(
            "holds a field too large to be one, perhaps a quote never closed{lines}",
            lines=_lines(first, last),
        )
    if "unexpected end of data" in str(error):
        return Message(
            "opens a quote that is never closed; the rest of the file was taken for its field"
        )
    return Message("is not written as CSV: {why}", why=str(error))


def _lines(first: int, last: int) -> str:
    """Return the lines of a row in brackets, where it has several."""
    return Message(" (lines {first} to {last})", first=first, last=last) if last > first else ""
