"""Finds the tables in the export of a CRM, and reads them record by record.

An export is a folder, a zip archive or a single file. What a file holds is told by its columns,
and by its name where columns leave a choice; a file that is none of the tables is listed in the
report and left. Records are numbered through over all files, so that a number says which file
and line it came from. Nothing of a file stays in memory.
"""

import re
import tempfile
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from salesflow.adapters.importers.crm.json_records import JsonFile, JsonRecord, is_json
from salesflow.adapters.importers.csv import BadRow, FileFormat, TableFile, tidied
from salesflow.domain.wording import shortened
from salesflow.errors import InputError

__all__ = ["FILE", "CrmExport", "CrmRecord", "ExportTable", "TableShape", "plain_name", "used"]


Record = Mapping[str, Any]
"""The values of a record by the plain names of its columns; an empty one is not there."""
UNPACKED_MAX: Final = 20_000_000_000
FILES_MAX: Final = 10_000
TABLES: Final = frozenset({".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson"})
EMPTY: Final[tuple[object, ...]] = (None, "", [], {})
"""What a field of JSON holds that is not filled."""
NOT_PLAIN = re.compile(r"[\W_]+")


def plain_name(name: str) -> str:
    """Return a name without case, spaces and signs, as in "dealid" for "Deal - ID*"."""
    return NOT_PLAIN.sub("", name.casefold())


def _plain_header(file: TableFile | JsonFile) -> list[str]:
    """Return the plain names of columns, told apart where several bear the same, or none."""
    seen: Counter[str] = Counter()
    found = []
    for name in map(plain_name, file.header):
        seen[name] += 1
        found.append(name if name and seen[name] == 1 else f"{name}#{seen[name]}")
    return found


def used(text: str) -> frozenset[str]:
    """Return plain names that are written one behind the other."""
    return frozenset(text.split())


FILE: Final = "@file"
"""In what is used of a table: that its file's name says what its values are."""


class TableShape(NamedTuple):
    """What a table of a system is called, and which columns it has to have."""

    kind: str
    columns: tuple[str, ...]
    """Plain names of columns; of several in one, joined by |, any will do."""
    names: tuple[str, ...] = ()
    """Plain names of files, or how they begin; left out where the columns tell enough."""
    used: frozenset[str] = frozenset()
    """Plain names of the columns that are read beside; with a * behind, how some begin."""

    def fits(self, columns: Collection[str], stem: str) -> int:
        """Return how well a file fits: 0 where it does not, more where its name does too."""
        if not all(any(each in columns for each in name.split("|")) for name in self.columns):
            return 0
        named = any(stem.startswith(name) for name in self.names)
        if self.names and not named:
            return 0 if len(self.columns) < TOLD_BY_COLUMNS else 1
        return len(self.columns) + 100 * named + max(map(len, self.names), default=0)

    def reads(self, column: str) -> bool:
        """Return whether a column is read."""
        known = column in self.used or any(column in name.split("|") for name in self.columns)
        begun = (name[:-1] for name in self.used if name.endswith("*"))
        return known or any(column.startswith(name) for name in begun)


TOLD_BY_COLUMNS: Final = 3
"""A table with so many columns of its own is known by them, whatever its file is called."""


class CrmRecord(NamedTuple):
    """A record: of which kind, its number in the whole export, and its values."""

    kind: str
    place: int
    values: Record
    file: str = ""
    """The file it stands in, by its name in the export; known while it is read."""


class ExportTable(NamedTuple):
    """One file of an export that holds a table of the system."""

    path: Path
    name: str
    shape: TableShape
    file: TableFile | JsonFile

    def unread(self) -> list[str]:
        """Return the columns that are not read."""
        plain = zip(self.file.header, _plain_header(self.file), strict=True)
        return [name for name, column in plain if not self.shape.reads(column)]


class CrmExport:
    """The files of an export."""

    def __init__(self, path: Path, shapes: Sequence[TableShape], form: FileFormat) -> None:
        """Look what there is.

        Raises:
            InputError: when there is nothing, or nothing that is a table of the system.
        """
        self.path = path
        self._exit = ExitStack()
        self._form = form
        self.tables: list[ExportTable] = []
        self.left: list[str] = []
        """Files that are none of the system's tables."""
        for file in self._files():
            self._look(file, shapes)
        self.tables.sort(key=lambda table: [s.kind for s in shapes].index(table.shape.kind))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def has(self, kind: str) -> bool:
        """Return whether the export has a table of a kind."""
        return any(table.shape.kind == kind for table in self.tables)

    def columns(self) -> dict[str, frozenset[str]]:
        """Return the plain names of the columns that tables of each kind have."""
        found: dict[str, frozenset[str]] = {}
        for table in self.tables:
            names = frozenset(_plain_header(table.file))
            found[table.shape.kind] = found.get(table.shape.kind, frozenset()) | names
        return found

    def ensure_has(self, kinds: Collection[str], hint: str) -> None:
        """Raise InputError unless there is a table of one of these kinds."""
        if not any(self.has(kind) for kind in kinds):
            there = ", ".join(self.left[:10]) or "nothing"
            raise InputError(f"{shortened(self.path)} has no {hint}; there is {there}")

    def records(self, table: ExportTable, first: int) -> Iterator[CrmRecord | BadRow]:
        """Read the records of a table; `first` is the number its lines begin at.

        Of a row that cannot be read the line is its number.
        """
        header = _plain_header(table.file)
        for row in table.file.rows():
            if isinstance(row, BadRow):
                yield row._replace(line=first + row.line)
                continue
            if isinstance(row, JsonRecord):
                told = {plain_name(name): value for name, value in row.values.items()}
                values = {name: value for name, value in told.items() if value not in EMPTY}
                yield CrmRecord(table.shape.kind, first + row.number, values, table.name)
                continue
            values = {}
            for name, cell in zip(header, row.cells, strict=True):
                text = tidied(cell)
                if text:
                    values[name] = text
            if FILE in table.shape.used:
                values[FILE] = plain_name(table.path.stem)
            yield CrmRecord(table.shape.kind, first + row.line, values, table.name)

    def _files(self) -> list[Path]:
        if not self.path.exists():
            raise InputError(f"there is no file or folder {shortened(self.path)}")
        if self.path.is_dir():
            return sorted(
                each
                for each in self.path.rglob("*")
                if each.is_file() and not each.name.startswith(".")
            )
        if zipfile.is_zipfile(self.path):
            return self._unpacked()
        return [self.path]

    def _unpacked(self) -> list[Path]:
        folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory()))
        with zipfile.ZipFile(self.path) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            if len(members) > FILES_MAX or sum(m.file_size for m in members) > UNPACKED_MAX:
                raise InputError(
                    f"{shortened(self.path)} unpacks to more than {FILES_MAX:,} files or"
                    f" {UNPACKED_MAX:,} bytes; unpack it and name the folder"
                )
            try:
                return sorted(Path(archive.extract(each, folder)) for each in members)
            except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
                raise InputError(
                    f"{shortened(self.path)} cannot be unpacked: {error}"
                ) from error

    def _look(self, file: Path, shapes: Sequence[TableShape]) -> None:
        name = str(file.relative_to(self.path)) if self.path.is_dir() else file.name
        alone = file == self.path
        if file.suffix.casefold() not in TABLES and not alone:
            self.left.append(name)
            return
        try:
            table = JsonFile(file) if is_json(file) else TableFile(file, self._form)
        except InputError:
            if alone:
                raise
            self.left.append(name)
            return
        columns, stem = set(_plain_header(table)), plain_name(file.stem)
        best = max(shapes, key=lambda shape: shape.fits(columns, stem))
        if best.fits(columns, stem):
            if FILE in best.used and isinstance(table, TableFile):  # rows end where values do
                table = TableFile(file, self._form.model_copy(update={"ragged": "pad"}))
            self.tables.append(ExportTable(file, name, best, table))
        else:
            self.left.append(name)
