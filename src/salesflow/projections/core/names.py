"""What the deals, customers and reps in an answer are called, beside the ids it holds.

An answer names things by ids; people know a deal by its title and its customer, a colleague by
name. Names are read once for an answer, as known at its moment, and stand beside the ids in
every table and in JSON. Names of people are personal and are part of no figure.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, get_args
from uuid import UUID

from pydantic import BaseModel

from salesflow.domain.values import Personal, Reference, SafeText, Value
from salesflow.presentation.format import NO_VALUE, ShortId, distinct_ids, short_id
from salesflow.presentation.messages import Language, in_language
from salesflow.presentation.table import TableOfView

__all__ = [
    "NO_NAMES",
    "CustomerCalled",
    "DealCalled",
    "Ids",
    "Labelled",
    "Names",
    "RepCalled",
    "ids_in",
    "named_json",
    "with_name_columns",
    "with_names",
]


BETWEEN: Final = " · "
"""What stands between the parts of what a table is about."""
DEAL: Final = "Deal"
BECAUSE: Final = "Reason"
DEALS: Final = frozenset({"deal"})
CUSTOMERS: Final = frozenset({"customer", "customer_id"})
REPS: Final = frozenset(
    {
        *("actor", "asked_by", "assessed_by", "colleague", "former", "group", "key", "lead"),
        *("owner", "person", "rep"),
    }
)
REASONS: Final = frozenset({"because", "detail"})
"""What views call fields that hold an id of each kind; a group or key may be anything else."""
NAMED: Final = REPS | CUSTOMERS | REASONS
PROCESS: Final = "process"
GROUPS: Final = frozenset({"group", "key"})
"""What they call a field that holds the key of a process, or of whatever is asked by."""
STAGES: Final = frozenset({"Stage", "From", "To"})
"""Columns in which a stage may stand behind the process it is of."""
PLAIN: Final = frozenset({"Title", "Customer", "Text", "Stage"})
"""Columns whose cells are no ids of reps."""
NAMING: Final = DEALS | NAMED | GROUPS | {PROCESS}
_is_id: Final = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


class DealCalled(Value):
    """What a deal is called, and whose it is."""

    deal: UUID
    title: SafeText | None
    customer_id: UUID | None


class CustomerCalled(Value):
    """What a customer is called."""

    customer: UUID
    name: Personal


class RepCalled(Value):
    """What a rep is called."""

    rep: Reference
    name: Personal


class Labelled(Value):
    """What a process, a stage or a reason of one is called in both languages."""

    key: Reference
    name_en: SafeText
    name_zh: SafeText

    def name(self, language: Language) -> str:
        """Return its name in a language."""
        return self.name_zh if language == "zh" else self.name_en


class Names(Value):
    """The names of what stands in one answer; what has none is left out."""

    deals: tuple[DealCalled, ...] = ()
    customers: tuple[CustomerCalled, ...] = ()
    reps: tuple[RepCalled, ...] = ()
    labels: tuple[Labelled, ...] = ()
    """Of the stages and loss reasons of the processes it is about."""
    processes: tuple[Labelled, ...] = ()
    """What the processes in it are called, by their newest version."""

    def label(self, key: str, language: Language) -> str:
        """Call a stage, a loss reason or a word of ours by its name; else as it is written."""
        for label in self.labels:
            if label.key == key:
                return label.name(language)
        return in_language(key, language)


NO_NAMES: Final = Names()


class Ids(NamedTuple):
    """The ids that stand in an answer, the reasons of losses, and the keys of processes.

    Each stands once, as a key; ids of customers as texts, as most of them are groups.
    """

    deals: dict[UUID, None]
    customers: dict[str, None]
    reps: dict[str, None]
    reasons: dict[str, None]
    processes: dict[str, None]


def ids_in(parts: Sequence[BaseModel], by: str | None = None) -> Ids:
    """Find the ids of deals and customers in parts of an answer, and what may be ids of reps.

    Where the answer was asked for by process, its groups are keys of processes.
    """
    found = Ids({}, {}, {}, {}, {})
    by_process = by == PROCESS
    for name, kind, values in _leaves(parts, ""):
        if name == PROCESS or (by_process and name in GROUPS):
            found.processes.update(dict.fromkeys(map(str, values)))
        elif issubclass(kind, UUID):
            if name in DEALS:
                found.deals.update(values)
            elif name in CUSTOMERS:
                found.customers.update(dict.fromkeys(map(str, values)))
        elif name in REASONS:
            found.reasons.update(values)
        else:
            ids = dict.fromkeys(filter(_is_id, values))
            found.customers.update(ids)
            if len(ids) < len(values):
                found.reps.update((value, None) for value in values if value not in ids)
    return found


def _leaves(
    values: Collection[object], name: str
) -> Iterator[tuple[str, type, dict[Any, None]]]:
    """Yield the ids or keys in values, of one type each and those in fields of one name.

    The values of a field are gone through together, since there may be tens of thousands.
    """
    kinds = dict.fromkeys(map(type, values))
    for kind in kinds:
        some: Collection[Any] = values
        if len(kinds) > 1:
            some = [value for value in values if type(value) is kind]
        if issubclass(kind, BaseModel):
            for field in _naming_fields(kind):
                yield from _leaves(_held(field, some), field)
        elif issubclass(kind, tuple):
            yield from _leaves([*chain.from_iterable(some)], name)
        elif issubclass(kind, UUID) or (
            issubclass(kind, str) and (name == PROCESS or name in NAMED)
        ):
            yield name, kind, some if isinstance(some, dict) else dict.fromkeys(some)


def _held(field: str, values: Collection[object]) -> Collection[object]:
    """Return what stands in a field of values; what may be an id or a key, each once."""
    held = map(attrgetter(field), values)
    if field in NAMING:
        with suppress(TypeError):  # of what cannot be hashed, and names nothing
            return dict.fromkeys(held)
        held = map(attrgetter(field), values)
    return [*held]


@cache
def _naming_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the fields of a model that hold ids or keys, or values in which some may be."""
    return tuple(
        name
        for name, field in model.model_fields.items()
        if name in NAMING or any(map(_may_name, _types_in(field.annotation)))
    )


def _may_name(kind: object) -> bool:
    """Return whether ids or keys may stand in a value of a type; in any that says no more."""
    if not isinstance(kind, type):
        return isinstance(kind, TypeVar) or kind is Any
    if kind is object:
        return True
    return issubclass(kind, BaseModel) and (not kind.model_fields or bool(_naming_fields(kind)))


def _types_in(annotation: object) -> Iterator[object]:
    """Yield what an annotation is made of."""
    inside = get_args(annotation)
    if not inside:
        yield annotation
    for each in inside:
        yield from _types_in(each)


def with_names(
    tables: Iterable[TableOfView], names: Names, language: Language
) -> list[TableOfView]:
    """Put titles and customers beside the deals of tables, and names beside their reps.

    Processes are called by their names, in front of a stage and as what a table is about too;
    there deals and reps are called by theirs as well.
    """
    called = _Called(names, language)
    return [called.table(table) for table in tables]


def _shown(cell: str, shown: Mapping[UUID, str]) -> str:
    return shown[cell.id] if isinstance(cell, ShortId) else cell


def named_json(value: Any, names: Names) -> Any:  # noqa: ANN401 - JSON of any shape
    """Put names beside the ids in plain JSON values; no key that is there changes."""
    return value if names == NO_NAMES else _Called(names).named_json(value)


class _Called:
    """The names of an answer, by what stands in its tables and in its JSON."""

    def __init__(self, names: Names, language: Language = "en") -> None:
        self._names, self._language = names, language
        self._labelled = {label.key for label in names.labels}
        self._deals = {each.deal: each for each in names.deals}
        self._by_id = {str(each.deal): each for each in names.deals}
        self._customers = {str(each.customer): each.name for each in names.customers}
        self._reps = {each.rep: each.name for each in names.reps}
        self._processes = {each.key: each for each in names.processes}

    def process(self, key: str) -> str:
        """Call a process by its name; what is none as it is written."""
        label = self._processes.get(key)
        return key if label is None else label.name(self._language)

    def deal(self, id: UUID) -> DealCalled | None:
        return self._deals.get(id)

    def table(self, table: TableOfView) -> TableOfView:
        """Put the names into a table."""
        rows, columns = self._rows(table), [*table.columns]
        if DEAL in columns:
            at = columns.index(DEAL)
            cells = (row[at] for row in rows)
            deals = [cell.id for cell in cells if isinstance(cell, ShortId)]
            shown = distinct_ids(deals)
            if any(self.deal(id) for id in shown):
                rows = [self.beside_deal(columns, row) for row in rows]
                if "Title" in columns:
                    columns.insert(columns.index("Title") + 1, "Customer")
                else:
                    columns[at + 1 : at + 1] = ["Title", "Customer"]
            rows = [(*row[:at], _shown(row[at], shown), *row[at + 1 :]) for row in rows]
        about = BETWEEN.join(map(self._about, table.about.split(BETWEEN)))
        return table._replace(columns=tuple(columns), rows=tuple(rows), about=about)

    def _about(self, part: str) -> str:
        """Call a part of what a table is about by its name: a process, a deal, or a rep."""
        deal = self._by_id.get(part)
        if deal is not None:
            return part if deal.title is None else f"{deal.title} ({short_id(deal.deal)})"
        return f"{part} {self._reps[part]}" if part in self._reps else self.process(part)

    def _rows(self, table: TableOfView) -> list[tuple[str, ...]]:
        columns = table.columns
        if "Value" not in columns:
            return [tuple(map(self._cell, row, columns)) for row in table.rows]
        process = in_language("Process", self._language)
        of_process = ["Process" if column == "Value" else column for column in columns]
        return [
            tuple(map(self._cell, row, of_process if row[0] == process else columns))
            for row in table.rows
        ]

    def _cell(self, cell: str, column: str) -> str:
        key, colon, rest = cell.partition(": ")
        if column == "Process":
            return self.process(cell)
        if colon and column in STAGES and key in self._processes:
            return f"{self.process(key)}: {rest}"
        if column == BECAUSE or (column == "Value" and cell in self._labelled):
            return self._names.label(cell, self._language)
        if cell in self._customers:
            return self._customers[cell]
        known = cell in self._reps and column not in PLAIN
        return f"{cell} {self._reps[cell]}" if known else cell

    def beside_deal(self, columns: list[str], row: tuple[str, ...]) -> tuple[str, ...]:
        cells, at = [*row], columns.index(DEAL)
        cell = row[at]
        deal = self.deal(cell.id) if isinstance(cell, ShortId) else None
        customer = NO_VALUE if deal is None else self._customer(deal) or NO_VALUE
        if "Title" in columns:
            cells.insert(columns.index("Title") + 1, customer)
        else:
            title = NO_VALUE if deal is None else deal.title or NO_VALUE
            cells[at + 1 : at + 1] = [title, customer]
        return tuple(cells)

    def _customer(self, deal: DealCalled) -> str | None:
        return self._customers.get(str(deal.customer_id))

    def named_json(self, value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
        if isinstance(value, list):
            return [self.named_json(each) for each in value]
        if not isinstance(value, Mapping):
            return value
        named = {key: self.named_json(each) for key, each in value.items()}
        for key, each in value.items():
            for name, text in self._names_of(key, each):
                named.setdefault(name, text)
        return named

    def _names_of(self, key: str, value: object) -> Iterator[tuple[str, str | None]]:
        if not isinstance(value, str):
            return
        deal = self._by_id.get(value) if key in DEALS else None
        if deal is not None:
            yield "title", deal.title
            yield "customer_name", self._customer(deal)
        elif key in REPS and value in self._reps:
            yield f"{key}_name", self._reps[value]
        elif value in self._processes and (key == PROCESS or key in GROUPS):
            label = self._processes[value]
            yield f"{key}_en", label.name_en
            yield f"{key}_zh", label.name_zh
        elif key in REPS | CUSTOMERS and value in self._customers:
            yield f"{key.removesuffix('_id')}_name", self._customers[value]


if TYPE_CHECKING:
    import pyarrow as pa


# Names beside ids in Arrow tables and data frames, as they stand in every other form.
#
# A deal has its title and its customer beside it, a rep or customer the name (`owner_name`).
# The columns follow from those that are there, never from what they hold, so that tables of
# different moments can be put together; what has no name is null.

DEAL_COLUMN: Final = "deal"
CUSTOMER_COLUMNS: Final = ("customer", "customer_id")
REP_COLUMNS: Final = (
    *("actor", "asked_by", "colleague", "former", "group", "owner", "person", "rep"),
)
"""Columns that hold ids of reps; a group may be a customer as well, or neither."""

Naming = Callable[[str], str | None]


def with_name_columns(tables: "Mapping[str, pa.Table]", names: Names) -> "dict[str, pa.Table]":
    """Put columns of names behind those of ids."""
    arrow = import_module("pyarrow")
    found: dict[str, pa.Table] = {}
    for key, table in tables.items():
        for after, name, naming in _named(names, [*table.column_names]):
            cells = (None if id is None else naming(id) for id in table[after].to_pylist())
            column = arrow.array(list(cells), type=arrow.string())
            at = table.column_names.index(after) + 1
            table = table.add_column(at, arrow.field(name, arrow.string()), column)
        found[key] = table
    return found


def _named(names: Names, columns: list[str]) -> Iterator[tuple[str, str, Naming]]:
    """Say behind which column which one comes, and what it holds; the last one first."""
    customers = {str(each.customer): each.name for each in names.customers}
    reps = {each.rep: each.name for each in names.reps}
    titles = {str(each.deal): each.title for each in names.deals}
    theirs = {str(each.deal): customers.get(str(each.customer_id)) for each in names.deals}
    wanted: list[tuple[str, str, Naming]] = []
    if DEAL_COLUMN in columns:
        wanted += [
            (DEAL_COLUMN, "customer_name", theirs.get),
            (DEAL_COLUMN, "title", titles.get),
        ]
    wanted += [
        (each, "customer_name", customers.get) for each in CUSTOMER_COLUMNS if each in columns
    ]
    both = {**customers, **reps}
    wanted += [(each, f"{each}_name", both.get) for each in REP_COLUMNS if each in columns]
    taken = {*columns}
    for column, name, naming in wanted:
        if name not in taken:
            taken.add(name)
            yield column, name, naming
