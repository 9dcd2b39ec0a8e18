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
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from importlib import import_module
from importlib.util import find_spec
from json import dumps
from types import ModuleType
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import BaseModel

from salesflow.errors import SalesflowError
from salesflow.projections.plain import plain
from salesflow.projections.records import Role, bare, item_of, roles

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ANSWER", "arrow_cell", "arrow_table", "arrow_tables"]

ANSWER = "answer"
"""The table of what a view holds beside its lists."""
DIGITS, PLACES = 38, 12
SMALLEST = Decimal(1).scaleb(-PLACES)
SCALARS = frozenset({bool, int, datetime, date, timedelta})


def arrow_tables(
    view: BaseModel, *, beside: frozenset[str], metadata: Mapping[str, str]
) -> dict[str, "pa.Table"]:
    """Give a table for each list of a view, and one for the rest but what stands `beside`.

    Raises:
        SalesflowError: when pyarrow is not installed, or freezegun keeps pandas from loading.
    """
    known = roles(type(view))
    lists = [n for n, role in known.items() if role is Role.LIST and n not in beside]
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


def _arrow() -> ModuleType:
    _refuse_a_crash()
    try:
        return import_module("pyarrow")
    except ImportError as error:
        raise SalesflowError(
            "Arrow tables need pyarrow; run: pip install 'salesflow[analytics]'"
        ) from error


def _refuse_a_crash() -> None:
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
    arrow = _arrow()
    fields = [arrow.field(name, _type(arrow, kind)) for name, kind in columns.items()]
    schema = arrow.schema(fields, metadata=dict(metadata))
    return arrow.Table.from_pylist(rows, schema=schema)


def _type(arrow: ModuleType, kind: object) -> "pa.DataType":
    """Give the Arrow type of what a field may hold; what has none is kept as JSON text."""
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
    if item is not None and isinstance(value, tuple):
        return [arrow_cell(each, item) for each in value]
    if kind is Decimal and isinstance(value, Decimal | int):
        with localcontext(prec=DIGITS, rounding=ROUND_HALF_EVEN):
            return Decimal(value).quantize(SMALLEST)
    if kind in SCALARS or isinstance(value, str):
        return value
    return str(value) if isinstance(value, UUID) else dumps(plain(value), ensure_ascii=False)
