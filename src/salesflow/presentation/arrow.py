"""A view as Arrow tables, for pandas, Polars, DuckDB and Parquet; nothing becomes a float.

    tables = flow.ask(Funnel()).to_arrow()
    tables["stages"].to_pandas()

Every list of rows is a table of its own, named after its field; what stands beside the lists
is a table of one row, `answer`. The types come from the fields, never from what they hold, so
tables of different moments can be put together. A sum in several currencies is a list of
(currency, amount): with a column for each currency the columns would change from day to day,
and nobody could tell no amount from an amount of zero.

Leaves out nothing but digits: a number has 26 of them before the point and 12 behind it, which
holds every amount and every weighted amount; a ratio that never ends is rounded half even.

An answer as tidy tables: one observation a row, one figure a cell, nothing nested.

    tables = flow.ask(FunnelTrend()).to_arrow(tidy=True)
    tables["ends"]            # a row for each end: its days and its counts
    tables["ends_amounts"]    # a row for each end and currency: amounts and weighted amounts
    tables["ends_stages"]     # a row for each end and stage

Every list is a table, also one inside another: that one is called after both, and its rows
begin with the keys of the row they were in. Records inside a row are columns of
it, by the names of both. Amounts are in tables of their own, since a row may have them in
several currencies and its counts must not be repeated for each. Types come from the fields,
never from what they hold, so tables of different moments can be put together.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from importlib import import_module
from importlib.util import find_spec
from json import dumps
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel

from salesflow.errors import SalesflowError
from salesflow.presentation.fields import FieldRole, bare, field_roles, item_of, plain
from salesflow.presentation.format import Total

__all__ = [
    "ANSWER",
    "arrow_cell",
    "arrow_module",
    "arrow_table",
    "arrow_tables",
    "data_frames",
    "stacked",
    "tidy_tables",
]


if TYPE_CHECKING:
    import pyarrow as pa


ANSWER = "answer"
"""The table of what a view holds beside its lists."""
DIGITS, PLACES = 38, 12
SMALLEST = Decimal(1).scaleb(-PLACES)
SCALARS = frozenset({bool, int, datetime, date, timedelta})


def arrow_tables(
    view: BaseModel, *, beside: Set[str], metadata: Mapping[str, str]
) -> dict[str, "pa.Table"]:
    """Return a table for each list of a view, and one for the rest but what stands `beside`.

    Raises:
        SalesflowError: when pyarrow is not installed, or freezegun keeps pandas from loading.
    """
    known = field_roles(type(view))
    lists = [n for n, role in known.items() if role is FieldRole.LIST and n not in beside]
    rest = [name for name in known if name not in {*lists, *beside}]
    kinds = {name: bare(field.annotation) for name, field in type(view).model_fields.items()}
    found = {}
    if rest:
        row = {name: arrow_cell(getattr(view, name), kinds[name]) for name in rest}
        found[ANSWER] = arrow_table({name: kinds[name] for name in rest}, [row], metadata)
    for name in lists:
        rows = [arrow_cell(row, None) for row in getattr(view, name) or ()]
        item = item_of(kinds[name])
        assert isinstance(item, type)
        assert issubclass(item, BaseModel)
        fields = {each: bare(field.annotation) for each, field in item.model_fields.items()}
        found[name] = arrow_table(fields, rows, metadata)
    return found


def arrow_module(name: str = "pyarrow") -> ModuleType:
    """Return pyarrow, or a part of it.

    Raises:
        SalesflowError: when it is not installed, or freezegun keeps pandas from loading.
    """
    _ensure_no_crash()
    try:
        return import_module(name)
    except ImportError as error:
        raise SalesflowError(
            "Arrow tables need pyarrow; run: pip install 'salesflow[analytics]'"
        ) from error


def _ensure_no_crash() -> None:
    """Refuse to let pyarrow load pandas while freezegun has put its own classes in place.

    pandas is compiled against the true `datetime` and ends the whole process then.
    """
    if sys.modules["datetime"].datetime.__module__ == "datetime" or "pandas" in sys.modules:
        return
    if find_spec("pandas") is not None:
        raise SalesflowError(
            "pandas cannot be loaded while freezegun freezes the time, it would end this"
            " process; write `import pandas` before the time is frozen"
        )


def arrow_table(
    columns: Mapping[str, object], rows: Sequence[object], metadata: Mapping[str, str]
) -> "pa.Table":
    """Make a table of columns by name and type, and of rows that are dicts of cells.

    Raises:
        SalesflowError: when pyarrow is not installed, or freezegun keeps pandas from loading.
    """
    arrow = arrow_module()
    fields = [arrow.field(name, _type(arrow, kind)) for name, kind in columns.items()]
    schema = arrow.schema(fields, metadata=dict(metadata))
    return arrow.Table.from_pylist(rows, schema=schema)


def _type(arrow: ModuleType, kind: object) -> "pa.DataType":
    """Return the Arrow type of what a field may hold; what has none is kept as JSON text."""
    item = item_of(kind)
    if item is not None:
        return arrow.list_(_type(arrow, item))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = kind.model_fields.items()
        return arrow.struct(
            [arrow.field(name, _type(arrow, bare(field.annotation))) for name, field in fields]
        )
    scalars: dict[object, pa.DataType] = {
        bool: arrow.bool_(),
        int: arrow.int64(),
        Decimal: arrow.decimal128(DIGITS, PLACES),
        datetime: arrow.timestamp("us", tz="UTC"),
        date: arrow.date32(),
        timedelta: arrow.duration("us"),
    }
    return scalars.get(kind, arrow.string())


def arrow_cell(value: object, kind: object) -> object:
    """Put a value into what Arrow takes for a field of this kind."""
    if value is None:
        return None
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {name: arrow_cell(each, bare(fields[name].annotation)) for name, each in value}
    item = item_of(kind)
    if item is not None and isinstance(value, Sequence):
        return [arrow_cell(each, item) for each in value]
    if kind is Decimal and isinstance(value, Decimal | int):
        with localcontext(prec=DIGITS, rounding=ROUND_HALF_EVEN):
            return Decimal(value).quantize(SMALLEST)
    if kind in SCALARS or isinstance(value, str):
        return value
    return str(value) if isinstance(value, UUID) else dumps(plain(value), ensure_ascii=False)


if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


AMOUNTS = "amounts"
CURRENCY = "currency"
ROW = "row"
"""The column that tells rows apart where they have no key: their number, from 0."""

Kinds = Mapping[str, object]
"""The types of columns by their names."""


class Field(NamedTuple):
    """A field of a row, or of a record inside it: the names that lead there, and its type."""

    path: tuple[str, ...]
    kind: object

    @property
    def name(self) -> str:
        """Its column: the names that lead there, joined."""
        return "_".join(part.rstrip("_") for part in self.path)

    @property
    def is_amounts(self) -> bool:
        """Whether it holds amounts in any number of currencies."""
        return item_of(self.kind) is Total

    @property
    def is_list(self) -> bool:
        """Whether it holds rows of its own."""
        item = item_of(self.kind)
        return isinstance(item, type) and issubclass(item, BaseModel) and item is not Total

    def of(self, record: BaseModel) -> Any:  # noqa: ANN401 - whatever the field holds
        """Return what it holds; None where a record on the way is missing."""
        found: Any = record
        for part in self.path:
            found = None if found is None else getattr(found, part)
        return found


class TidyRow(NamedTuple):
    """A row, and the cells that begin its columns: the keys of the row it was in."""

    keys: Mapping[str, object]
    record: BaseModel


def tidy_tables(
    view: BaseModel, *, beside: Set[str], metadata: Mapping[str, str]
) -> "dict[str, pa.Table]":
    """Return every list of a view as tidy tables, and what is beside the lists as `answer`.

    Raises:
        SalesflowError: when pyarrow is not installed.
    """
    tables = _Tables(metadata)
    fields = [field for field in _fields(type(view)) if field.path[0] not in beside]
    tables.add_rows(ANSWER, [f for f in fields if not f.is_list], [TidyRow({}, view)], {}, {})
    for field in filter(lambda field: field.is_list, fields):
        tables.add_list(
            field.name, field, [TidyRow({}, row) for row in field.of(view) or ()], {}
        )
    return tables.found


def data_frames(tables: "Callable[[], Mapping[str, pa.Table]]") -> "dict[str, pd.DataFrame]":
    """Return tables as data frames: exact numbers as floats, days as timestamps.

    Raises:
        SalesflowError: when pandas or pyarrow is not installed.
    """
    if find_spec("pandas") is None or find_spec("pyarrow") is None:
        raise SalesflowError(
            "data frames need pandas and pyarrow; run: pip install 'salesflow[notebook]'"
        )
    floats = {name: _with_floats(table) for name, table in tables().items()}
    return {name: table.to_pandas(date_as_object=False) for name, table in floats.items()}


def stacked(
    tables: "Mapping[str, Mapping[str, pa.Table]]", column: str
) -> "dict[str, pa.Table]":
    """Return the tables of several answers below each other, by a column that names each."""
    arrow, found = import_module("pyarrow"), {}
    for name in dict.fromkeys(name for answer in tables.values() for name in answer):
        parts = []
        for label, answer in tables.items():
            labels = arrow.array([label] * answer[name].num_rows, arrow.string())
            parts.append(answer[name].add_column(0, column, labels))
        found[name] = arrow.concat_tables(parts, promote_options="permissive")
    return found


def _with_floats(table: "pa.Table") -> "pa.Table":
    arrow = import_module("pyarrow")
    exact, double = arrow.types.is_decimal, arrow.float64()
    fields = [f.with_type(double) if exact(f.type) else f for f in table.schema]
    return table.cast(arrow.schema(fields, metadata=table.schema.metadata))


class _Tables:
    """The tables found so far; every one carries the same metadata."""

    def __init__(self, metadata: Mapping[str, str]) -> None:
        self.found: dict[str, pa.Table] = {}
        self._metadata = metadata

    def add_list(self, name: str, field: Field, rows: Sequence[TidyRow], outer: Kinds) -> None:
        """Add the table of a list, then those of what its rows hold inside."""
        kind = item_of(field.kind)
        assert isinstance(kind, type)
        fields, known = list(_fields(kind)), field_roles(kind)
        own: dict[str, object] = {
            f.name: f.kind
            for f in fields
            if len(f.path) == 1
            and (known[f.path[0]] in (FieldRole.KEY, FieldRole.NAME) or f.kind is date)
        }
        if not any(role is FieldRole.KEY for role in known.values()):
            own[ROW] = int
        self.add_rows(name, fields, rows, outer, own)

    def add_rows(
        self,
        name: str,
        fields: Sequence[Field],
        rows: Sequence[TidyRow],
        outer: Kinds,
        own: Kinds,
    ) -> None:
        """Add a table of rows; `outer` are the keys they begin with, `own` those of theirs."""
        plain = [field for field in fields if not field.is_list and not field.is_amounts]
        cells = [{f.name: arrow_cell(f.of(row.record), f.kind) for f in plain} for row in rows]
        if plain:
            columns = {**outer, **{field.name: field.kind for field in plain}}
            written = [{**row.keys, **each} for row, each in zip(rows, cells, strict=True)]
            self.found[name] = arrow_table(columns, written, self._metadata)
        keys = [
            {key: number if key == ROW else each[key] for key in own}
            for number, each in enumerate(cells)
        ]
        totals = [field for field in fields if field.is_amounts]
        if totals:
            beside = [
                TidyRow({**r.keys, **k}, r.record) for r, k in zip(rows, keys, strict=True)
            ]
            self._add_amounts(f"{name}_{AMOUNTS}", totals, beside, {**outer, **own})
        inner = {**outer, **{f"{name}_{key}": kind for key, kind in own.items()}}
        for field in filter(lambda field: field.is_list, fields):
            below = [
                TidyRow({**row.keys, **{f"{name}_{k}": v for k, v in key.items()}}, item)
                for row, key in zip(rows, keys, strict=True)
                for item in field.of(row.record) or ()
            ]
            self.add_list(f"{name}_{field.name}", field, below, inner)

    def _add_amounts(
        self, name: str, totals: Sequence[Field], rows: Sequence[TidyRow], keys: Kinds
    ) -> None:
        kind = bare(Total.model_fields["amount"].annotation)
        written: list[dict[str, object]] = []
        for row in rows:
            amounts: dict[str, dict[str, object]] = {}
            for field in totals:
                for total in field.of(row.record) or ():
                    cells = amounts.setdefault(total.currency, {})
                    cells[field.name] = arrow_cell(total.amount, kind)
            written += [{**row.keys, CURRENCY: c, **amounts[c]} for c in sorted(amounts)]
        columns = {**keys, CURRENCY: str, **{field.name: kind for field in totals}}
        self.found[name] = arrow_table(columns, written, self._metadata)


def _fields(kind: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[Field]:
    """Go through the fields of a record, and through those of the records inside it."""
    for name, field in kind.model_fields.items():
        inside = bare(field.annotation)
        if isinstance(inside, type) and issubclass(inside, BaseModel):
            yield from _fields(inside, (*path, name))
        else:
            yield Field((*path, name), inside)
