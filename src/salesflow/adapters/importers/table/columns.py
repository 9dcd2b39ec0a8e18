"""Which columns of a file are used, what they must hold, and the tables joined to them.

Rules are compiled against a `Layout`: whoever uses a column asks for its slot. Only columns
that are used are kept of a row, so that a wide file costs no more than what is read from it.
`RowCleaner` then turns the fields of a file's row into cells: spaces around a value are taken
off, what stands for nothing becomes empty, the rules of `[columns]` are checked, and columns
of joined tables are filled in.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import NamedTuple
from zoneinfo import ZoneInfo

from salesflow.adapters.importers.csv import BadRow, TableFile, TableRow, spaced, tidied
from salesflow.adapters.importers.errors import (
    Adjustment,
    KeyPath,
    MappingError,
    RowError,
    allowed,
)
from salesflow.adapters.importers.numbers import NumberReader
from salesflow.adapters.importers.table.mapping import (
    ColumnRule,
    FileFormat,
    Lookup,
    TableMapping,
)
from salesflow.adapters.importers.table.mapping_file import ProcessPlan
from salesflow.adapters.importers.table.patterns import matcher
from salesflow.adapters.importers.times import Rules, TimeReader
from salesflow.domain.process import ProcessVersion
from salesflow.domain.time import zone
from salesflow.domain.wording import Message, quoted, shortened
from salesflow.errors import InputError

__all__ = [
    "Cells",
    "Context",
    "FindingCounts",
    "Layout",
    "LookupTable",
    "RowCleaner",
]


# Other tables that are joined: a products list, the teams of the agents, account names.
#
# A lookup is read into memory once, by its key column. Whether a value that it does not know
# is refused or left empty is the mapping's to say; either way it is reported.

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
        self.path = _lookup_path(spec.file, folders, (*where, "file"))
        try:
            table = TableFile(self.path, form, [key])
        except InputError as error:
            raise MappingError(f"{error}", (*where, "file")) from error
        self.header = table.header
        if key not in self.header:
            raise MappingError(self.no_column(key), (*where, "key"))
        self._ignore_case = spec.ignore_case
        self._key_map = _key_map(spec, maps, where)
        self._rows = self._read(table, self.header.index(key), where)

    def find(self, value: str) -> Sequence[str] | None:
        """Return the row whose key is this value; None when there is none."""
        return self._rows.get(self._form(tidied(str(self._key_map.get(value, value)))))

    def no_column(self, name: str) -> str:
        """Return that there is no such column, and which there are."""
        return allowed(name, self.header, f"column of {shortened(self.path.name)}")

    def _read(
        self, table: TableFile, place: int, where: tuple[str, ...]
    ) -> dict[str, list[str]]:
        by_key: dict[str, list[str]] = {}
        characters = 0
        for row in table.rows():
            if isinstance(row, BadRow):
                raise MappingError(f"{self.path}, line {row.line}: {row.reason}", where)
            cells = [tidied(cell) for cell in row.cells]
            characters += sum(map(len, cells))
            key = self._form(cells[place])
            if by_key.setdefault(key, cells) != cells:
                raise MappingError(
                    f"{self.path}, line {row.line}: {quoted(cells[place])} stands there twice"
                    " with different content; a key may have one row only",
                    where,
                )
            if len(by_key) > ROWS_MAX or characters > CHARACTERS_MAX:
                raise MappingError(
                    f"{self.path} is too large to be joined: at most {ROWS_MAX:,} rows of"
                    f" {CHARACTERS_MAX:,} characters in all",
                    where,
                )
        return by_key

    def _form(self, key: str) -> str:
        return key.casefold() if self._ignore_case else key


def _lookup_path(name: str, folders: Sequence[Path], where: tuple[str, ...]) -> Path:
    """Find a file in or below one of the folders, links followed; the first one counts.

    Nothing outside of them is opened, nor is its existence reported.
    """
    relative = Path(name)
    outside = relative.is_absolute() or PureWindowsPath(name).is_absolute()
    for folder in () if outside or "\0" in name else folders:
        try:
            path, root = (folder / relative).resolve(), folder.resolve()
            if path.is_relative_to(root) and path.exists():
                return folder / relative
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


def _key_map(
    spec: Lookup, maps: Dictionary[str, Dictionary[str, object]], where: tuple[str, ...]
) -> Dictionary[str, object]:
    if isinstance(spec.map, str):
        if spec.map not in maps:
            raise MappingError(allowed(spec.map, maps, "map"), (*where, "map"))
        return maps[spec.map]
    return spec.map or {}


Cells = Sequence[str]
FINDINGS_MAX = 10_000
OTHERS = "(other values)"
FindingCounts = dict[tuple[str, str, str], list[int]]
"""(column, finding, value) -> [rows, first line]."""

LOOKS_EMPTY = frozenset(
    form
    for word in ("-", "--", "n/a", "na", "#n/a", "nan", "null", "none", "nil", "?", "unknown")
    for form in (word, word.upper(), word.capitalize(), word.title())
) | {"0", "0.0", "0.00", "0000-00-00", "1970-01-01", "1900-01-01"}


class Layout:
    """The slots of a row: own columns, joined columns, and flags set per deal."""

    def __init__(
        self, header: Sequence[str], mapping: TableMapping, lookups: dict[str, LookupTable]
    ) -> None:
        self.header = list(header)
        self.names: list[str] = []
        """The column of each slot."""
        self.own: dict[int, int] = {}
        """Slot to place in the file's row; a column the file may lack has none."""
        self.changes: dict[int, int] = {}
        """Slot of a column to the slot that says whether it has changed within its deal."""
        self.befores: dict[int, int] = {}
        """Slot of a column to the slot of what it held in the row before of its deal."""
        self.joined: dict[int, tuple[str, int]] = {}
        """Slot to lookup and place in its row."""
        self.rules = {spaced(key): rule for key, rule in mapping.columns.items()}
        """What columns must hold, by their names with single spaces."""
        self._lookups = lookups
        self._slots: dict[str, int] = {}
        twins = {name for name in header if name and self.header.count(name) > 1}
        self._twins = twins

    def slot(self, name: str, path: KeyPath) -> int:
        """Return the slot of a column, of the file or `lookup.column`.

        Raises:
            MappingError: when there is no such column, or two of that name.
        """
        if name not in self._slots:
            bare = spaced(name)
            if bare != name:
                return self._slots.setdefault(name, self.slot(bare, path))
            self._slots[name] = self._place(name, path)
        return self._slots[name]

    def slots(self, names: str | Sequence[str], path: KeyPath) -> tuple[int, ...]:
        """Return the slots of one column or several."""
        several = (names,) if isinstance(names, str) else names
        return tuple(self.slot(name, path) for name in several)

    def flag(self, name: str) -> int:
        """Return the slot of something that is set per deal and is in no file."""
        key = f"\0{name}"
        if key not in self._slots:
            self.names.append(name)
            self._slots[key] = len(self.names) - 1
        return self._slots[key]

    def has_flag(self, name: str) -> bool:
        """Return whether somebody asked for this flag."""
        return f"\0{name}" in self._slots

    def changed(self, name: str, path: KeyPath) -> int:
        """Return the slot of whether a column has changed since the row before of its deal."""
        return self.changes.setdefault(self.slot(name, path), self.flag(f"changed {name}"))

    def before(self, name: str, path: KeyPath) -> int:
        """Return the slot of what a column held in the row before of its deal."""
        return self.befores.setdefault(self.slot(name, path), self.flag(f"before {name}"))

    @property
    def unused(self) -> list[str]:
        """Columns of the file nobody asked for."""
        used = set(self.own.values())
        return [name for i, name in enumerate(self.header) if i not in used and name]

    def _place(self, name: str, path: KeyPath) -> int:
        slot = len(self.names)
        if name in self._twins:
            raise MappingError(f"the file has two columns named {name!r}", path)
        if name in self.header:
            self.own[slot] = self.header.index(name)
        else:
            self._place_elsewhere(name, slot, path)
        self.names.append(name)
        return slot

    def _place_elsewhere(self, name: str, slot: int, path: KeyPath) -> None:
        rule = self.rules.get(name)
        if rule is not None and rule.optional:
            return
        lookup, _, column = name.partition(".")
        table = self._lookups.get(lookup)
        if table is None:
            raise MappingError(f"{allowed(name, self.header, 'column')}{_hint(name)}", path)
        if column not in table.header:
            raise MappingError(table.no_column(column), path)
        self.joined[slot] = (lookup, table.header.index(column))


class RowCleaner:
    """Turns a row of the file into cells, one for each slot of the layout."""

    def __init__(
        self,
        layout: Layout,
        mapping: TableMapping,
        lookups: dict[str, LookupTable],
        checks: dict[str, Callable[[str], object]],
    ) -> None:
        """`checks` holds, by column, what raises RowError for a value of the wrong type."""
        self.findings: FindingCounts = {}
        for name in mapping.columns:
            layout.slot(name, ("columns", name))
        self._joins = {
            name: layout.slots(mapping.lookups[name].on, ("lookups", name, "on"))
            for name in lookups
        }
        self._lookups = lookups
        self._refuse_missing = {
            n for n, spec in mapping.lookups.items() if spec.missing == "refuse"
        }
        self._columns = [
            _Column.of(slot, place, layout, mapping, checks)
            for slot, place in sorted(layout.own.items())
        ]
        self._joined = layout.joined
        self._layout = layout

    def clean(self, row: TableRow) -> tuple[list[str], list[Adjustment]]:
        """Return the cells of a row, and what was adjusted.

        Raises:
            RowError: when a rule of the mapping refuses it.
        """
        cells = [""] * len(self._layout.names)
        adjustments: list[Adjustment] = []
        if row.padded:
            adjustments.append(
                Adjustment("had too few fields; the rest counts as empty", None, None)
            )
        fields = row.cells
        for column in self._columns:
            text = tidied(fields[column.place])
            if text in column.empties:
                self._count_finding(
                    column.name, "stands for empty" if text else "empty", text, row.line
                )
                text = ""
            elif text in LOOKS_EMPTY and text not in column.allowed:
                self._count_finding(column.name, "looks like empty", text, row.line)
            if column.rule is not None:
                text = column.checked(text, adjustments)
            cells[column.slot] = text
        if self._joined:
            self._join(cells, row.line)
        return cells, adjustments

    def _join(self, cells: list[str], line: int) -> None:
        rows: dict[str, Sequence[str] | None] = {}
        for name, slots in self._joins.items():
            key = next((cells[slot] for slot in slots if cells[slot]), "")
            rows[name] = row = self._lookups[name].find(key) if key else None
            if key and row is None:
                column = self._layout.names[slots[0]]
                if name in self._refuse_missing:
                    file = self._lookups[name].path.name
                    raise RowError("is not in {file}", column, key, file=file)
                self._count_finding(f"{name} ({column})", "not in lookup", key, line)
        for slot, (name, place) in self._joined.items():
            row = rows[name]
            cells[slot] = "" if row is None else row[place]

    def _count_finding(self, column: str, finding: str, value: str, line: int) -> None:
        key = (column, finding, value)
        if key not in self.findings and len(self.findings) >= FINDINGS_MAX:
            key = (column, finding, OTHERS)
        counted = self.findings.setdefault(key, [0, line])
        counted[0] += 1


class _Column(NamedTuple):
    slot: int
    place: int
    name: str
    empties: frozenset[str]
    rule: ColumnRule | None
    allowed: frozenset[str]
    matches: Callable[[str], bool] | None
    check: Callable[[str], object] | None

    @classmethod
    def of(
        cls,
        slot: int,
        place: int,
        layout: Layout,
        mapping: TableMapping,
        checks: dict[str, Callable[[str], object]],
    ) -> "_Column":
        name = layout.names[slot]
        rule = layout.rules.get(name)
        empties = (*mapping.empty, *(rule.empty if rule else ()))
        return cls(
            slot,
            place,
            name,
            frozenset({"", *map(tidied, empties)}),
            rule,
            frozenset(map(tidied, rule.allowed)) if rule else frozenset(),
            matcher(rule.matches) if rule and rule.matches else None,
            checks.get(name),
        )

    def checked(self, text: str, adjustments: list[Adjustment]) -> str:
        assert self.rule is not None
        try:
            self._check(text, self.rule)
        except RowError as problem:
            if self.rule.on_error == "refuse" or not text:
                raise RowError(problem.reason, self.name, text) from problem
            reason = Message("{reason}; taken as empty", reason=problem.reason)
            adjustments.append(Adjustment(reason, self.name, text))
            return ""
        return text

    def _check(self, text: str, rule: ColumnRule) -> None:
        if not text:
            if rule.filled:
                raise RowError("is empty, and the mapping wants it filled")
            return
        if self.allowed and text not in self.allowed:
            expected = shortened(", ".join(rule.allowed))
            raise RowError("is not one of {expected}", expected=expected)
        if self.matches is not None and not self.matches(text):
            pattern = shortened(rule.matches or "")
            raise RowError("does not match {pattern}", pattern=pattern)
        if self.check is not None:
            self.check(text)


def _hint(name: str) -> str:
    if len(name) == 3 and name.isupper():
        return f'. To write a constant: {{ value = "{name}" }}'
    return '. A constant is written { value = "…" }'


# What the compiling of a mapping needs: the columns, the process, how times are read.


@dataclass(frozen=True)
class Context:
    """One mapping against one file."""

    mapping: TableMapping
    layout: Layout
    process: ProcessPlan
    zone: ZoneInfo | None
    """The business time zone; None when nobody named one."""
    numbers: NumberReader
    published: Mapping[tuple[str, int], ProcessVersion]
    """Every process version a deal may stand on, this one too."""
    business: ZoneInfo | None = None
    """The zone the database keeps its days in; None in a new one."""
    running: str = ""
    """The name of the flag of the running number, for the fields of one rule."""

    @property
    def day_zone(self) -> ZoneInfo | None:
        """The zone of days: the one that is named, the database's own, or that of times."""
        times = self.mapping.times.timezone
        return self.zone or self.business or (zone(times) if times else None)

    def times(
        self, formats: Sequence[str] = (), timezone: str | None = None, *, days: bool = False
    ) -> TimeReader:
        """Return a reader of times; what is not given is as in the mapping."""
        defaults = self.mapping.times
        local = timezone or defaults.timezone
        return TimeReader(
            formats or defaults.formats,
            zone(local) if local else self.zone,
            rules=Rules(defaults.ambiguous, defaults.nonexistent, defaults.disagreeing),
            days=days,
            day_zone=self.day_zone if local else self.zone,
            cut_zone=zone(timezone) if timezone else self.day_zone,
        )
