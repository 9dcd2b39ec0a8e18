"""Other tables that are joined: a products list, the teams of the agents, account names.

A lookup is read into memory once, by its key column. Whether a value that it does not know
is refused or left empty is the mapping's to say; either way it is reported.
"""

from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

from salesflow.adapters.importers.errors import MappingError, allowed
from salesflow.adapters.importers.table.csv import BadRow, TableFile, spaced, tidied
from salesflow.adapters.importers.table.mapping import FileFormat, Lookup
from salesflow.domain.wording import quoted, shortened
from salesflow.errors import InputError

__all__ = ["LookupTable"]


ROWS_MAX = 1_000_000
CHARACTERS_MAX = 100_000_000
"""So much text of a lookup is held in memory."""


class LookupTable:
    """Another table, found by the values of one of its columns."""

    def __init__(
        self,
        name: str,
        spec: Lookup,
        folders: Sequence[Path],
        maps: Dictionary[str, Dictionary[str, object]],
    ) -> None:
        where = ("lookups", name)
        form = FileFormat(encoding=spec.encoding, delimiter=spec.delimiter)
        key = spaced(spec.key or spec.on[0])
        self.path = _found(spec.file, folders, (*where, "file"))
        try:
            table = TableFile(self.path, form, [key])
        except InputError as error:
            raise MappingError(f"{error}", (*where, "file")) from error
        self.header = table.header
        if key not in self.header:
            raise MappingError(self.no_column(key), (*where, "key"))
        self._ignore_case = spec.ignore_case
        self._mend = _mending(spec, maps, where)
        self._rows = self._read(table, self.header.index(key), where)

    def find(self, value: str) -> Sequence[str] | None:
        """Give the row whose key is this value; None when there is none."""
        return self._rows.get(self._form(tidied(str(self._mend.get(value, value)))))

    def no_column(self, name: str) -> str:
        """Say that there is no such column, and which there are."""
        return allowed(name, self.header, f"column of {shortened(self.path.name)}")

    def _read(
        self, table: TableFile, place: int, where: tuple[str, ...]
    ) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        held = 0
        for row in table.rows():
            if isinstance(row, BadRow):
                raise MappingError(f"{self.path}, line {row.line}: {row.reason}", where)
            cells = [tidied(cell) for cell in row.cells]
            held += sum(map(len, cells))
            key = self._form(cells[place])
            if found.setdefault(key, cells) != cells:
                raise MappingError(
                    f"{self.path}, line {row.line}: {quoted(cells[place])} stands there twice"
                    " with different content; a key may have one row only",
                    where,
                )
            if len(found) > ROWS_MAX or held > CHARACTERS_MAX:
                raise MappingError(
                    f"{self.path} is too large to be joined: at most {ROWS_MAX:,} rows of"
                    f" {CHARACTERS_MAX:,} characters in all",
                    where,
                )
        return found

    def _form(self, key: str) -> str:
        return key.casefold() if self._ignore_case else key


def _found(name: str, folders: Sequence[Path], where: tuple[str, ...]) -> Path:
    """Find a file in or below one of the folders, links followed; the first one counts.

    Nothing outside of them is opened: what lies there is not said, nor whether it does.
    """
    said = Path(name)
    outside = said.is_absolute() or PureWindowsPath(name).is_absolute()
    for folder in () if outside or "\0" in name else folders:
        try:
            path, root = (folder / said).resolve(), folder.resolve()
            if path.is_relative_to(root) and path.exists():
                return folder / said
            outside = outside or not path.is_relative_to(root)
        except (OSError, RuntimeError) as error:
            raise MappingError(f"{quoted(name)} cannot be looked up", where) from error
    if outside or "\0" in name:
        raise MappingError(
            f"{quoted(name)} lies elsewhere; a joined table lies in the folder of the mapping"
            " or of the imported file, or in a folder below",
            where,
        )
    raise MappingError(f"there is no file {quoted(name)} in the folder of the mapping", where)


def _mending(
    spec: Lookup, maps: Dictionary[str, Dictionary[str, object]], where: tuple[str, ...]
) -> Dictionary[str, object]:
    if isinstance(spec.map, str):
        if spec.map not in maps:
            raise MappingError(allowed(spec.map, maps, "map"), (*where, "map"))
        return maps[spec.map]
    return spec.map or {}
