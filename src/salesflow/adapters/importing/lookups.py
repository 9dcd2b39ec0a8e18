"""Other tables that are joined: a products list, the teams of the agents, account names.

A lookup is read into memory once, by its key column. Whether a value that it does not know
is refused or left empty is the mapping's to say; either way it is reported.
"""

from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from pathlib import Path

from salesflow.adapters.importing.mapping import FileFormat, Lookup
from salesflow.adapters.importing.problems import MappingError, allowed
from salesflow.adapters.importing.rows import BadRow, TableFile
from salesflow.errors import InputError

__all__ = ["LookupTable"]

ROWS_MAX = 1_000_000


class LookupTable:
    """Another table, found by the values of one of its columns."""

    def __init__(
        self,
        name: str,
        spec: Lookup,
        beside: Path,
        maps: Dictionary[str, Dictionary[str, object]],
    ) -> None:
        where = ("lookups", name)
        form = FileFormat(encoding=spec.encoding, delimiter=spec.delimiter)
        key = spec.key or spec.on[0]
        self.path = beside / spec.file
        try:
            table = TableFile(self.path, form, [key])
        except InputError as error:
            raise MappingError(f"{error}", (*where, "file")) from error
        self.header = table.header
        if key not in self.header:
            what = f"column of {self.path.name}"
            raise MappingError(allowed(key, self.header, what), (*where, "key"))
        self._ignore_case = spec.ignore_case
        self._mend = _mending(spec, maps, where)
        self._rows = self._read(table, self.header.index(key), where)

    def find(self, value: str) -> Sequence[str] | None:
        """Give the row whose key is this value; None when there is none."""
        return self._rows.get(self._form(str(self._mend.get(value, value))))

    def _read(
        self, table: TableFile, place: int, where: tuple[str, ...]
    ) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row in table.rows():
            if isinstance(row, BadRow):
                raise MappingError(f"{self.path}, line {row.line}: {row.reason}", where)
            cells = [cell.strip() for cell in row.cells]
            key = self._form(cells[place])
            if found.setdefault(key, cells) != cells:
                raise MappingError(
                    f"{self.path}, line {row.line}: {cells[place]!r} stands there twice with"
                    " different content; a key may have one row only",
                    where,
                )
            if len(found) > ROWS_MAX:
                raise MappingError(f"{self.path} has more than {ROWS_MAX:,} rows", where)
        return found

    def _form(self, key: str) -> str:
        return key.casefold() if self._ignore_case else key


def _mending(
    spec: Lookup, maps: Dictionary[str, Dictionary[str, object]], where: tuple[str, ...]
) -> Dictionary[str, object]:
    if isinstance(spec.map, str):
        if spec.map not in maps:
            raise MappingError(allowed(spec.map, maps, "map"), (*where, "map"))
        return maps[spec.map]
    return spec.map or {}
