"""An answer as tidy tables: one observation a row, one figure a cell, nothing nested.

    tables = flow.ask(FunnelTrend()).to_arrow(tidy=True)
    tables["ends"]            # a row for each end: its days and its counts
    tables["ends_amounts"]    # a row for each end and currency: amounts and weighted amounts
    tables["ends_stages"]     # a row for each end and stage

Every list is a table, also one inside another: that one is called after both, and its rows
begin with the keys of the row they were in (`ends_first`). Records inside a row are columns of
it, by the names of both. Amounts are in tables of their own, since a row may have them in
several currencies and its counts must not be repeated for each. Types come from the fields,
never from what they hold, so tables of different moments can be put together.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

from salesflow.errors import SalesflowError
from salesflow.projections.arrow import ANSWER, arrow_cell, arrow_table
from salesflow.projections.records import Role, bare, item_of, roles
from salesflow.projections.totals import Total

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["data_frames", "stacked", "tidy_tables"]

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


class Row(NamedTuple):
    """A row, and the cells that begin its columns: the keys of the row it was in."""

    keys: Mapping[str, object]
    record: BaseModel


def tidy_tables(
    view: BaseModel, *, beside: frozenset[str], metadata: Mapping[str, str]
) -> "dict[str, pa.Table]":
    """Return every list of a view as tidy tables, and what is beside the lists as `answer`.

    Raises:
        SalesflowError: when pyarrow is not installed.
    """
    tables = _Tables(metadata)
    fields = [field for field in _fields(type(view)) if field.path[0] not in beside]
    tables.add_rows(ANSWER, [f for f in fields if not f.is_list], [Row({}, view)], {}, {})
    for field in filter(lambda field: field.is_list, fields):
        tables.add_list(field.name, field, [Row({}, row) for row in field.of(view) or ()], {})
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

    def add_list(self, name: str, field: Field, rows: Sequence[Row], outer: Kinds) -> None:
        """Add the table of a list, then those of what its rows hold inside."""
        kind = item_of(field.kind)
        assert isinstance(kind, type)
        fields, known = list(_fields(kind)), roles(kind)
        own: dict[str, object] = {
            f.name: f.kind
            for f in fields
            if len(f.path) == 1
            and (known[f.path[0]] in (Role.KEY, Role.NAME) or f.kind is date)
        }
        if not any(role is Role.KEY for role in known.values()):
            own[ROW] = int
        self.add_rows(name, fields, rows, outer, own)

    def add_rows(
        self, name: str, fields: Sequence[Field], rows: Sequence[Row], outer: Kinds, own: Kinds
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
            beside = [Row({**r.keys, **k}, r.record) for r, k in zip(rows, keys, strict=True)]
            self._add_amounts(f"{name}_{AMOUNTS}", totals, beside, {**outer, **own})
        inner = {**outer, **{f"{name}_{key}": kind for key, kind in own.items()}}
        for field in filter(lambda field: field.is_list, fields):
            below = [
                Row({**row.keys, **{f"{name}_{k}": v for k, v in key.items()}}, item)
                for row, key in zip(rows, keys, strict=True)
                for item in field.of(row.record) or ()
            ]
            self.add_list(f"{name}_{field.name}", field, below, inner)

    def _add_amounts(
        self, name: str, totals: Sequence[Field], rows: Sequence[Row], keys: Kinds
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
