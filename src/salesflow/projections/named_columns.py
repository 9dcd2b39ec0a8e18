"""Names beside ids in Arrow tables and data frames, as they stand in every other form.

A deal has its title and its customer beside it, a rep or customer the name (`owner_name`). The
columns follow from those that are there, never from what they hold, so that tables of different
moments can be put together; what has no name is null.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

from salesflow.projections.names import Names

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["with_name_columns"]

DEAL: Final = "deal"
CUSTOMERS: Final = ("customer", "customer_id")
REPS: Final = ("actor", "group", "owner", "person", "rep")
"""Columns that hold ids of reps; a group may be a customer as well, or neither."""

Naming = Callable[[str], str | None]


def with_name_columns(tables: "Mapping[str, pa.Table]", names: Names) -> "dict[str, pa.Table]":
    """Put columns of names behind those of ids."""
    arrow = import_module("pyarrow")
    found: dict[str, pa.Table] = {}
    for key, table in tables.items():
        for beside, name, naming in _named(names, [*table.column_names]):
            cells = (None if id is None else naming(id) for id in table[beside].to_pylist())
            column = arrow.array(list(cells), type=arrow.string())
            at = table.column_names.index(beside) + 1
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
    if DEAL in columns:
        wanted += [(DEAL, "customer_name", theirs.get), (DEAL, "title", titles.get)]
    wanted += [(each, "customer_name", customers.get) for each in CUSTOMERS if each in columns]
    both = {**customers, **reps}
    wanted += [(each, f"{each}_name", both.get) for each in REPS if each in columns]
    taken = {*columns}
    for beside, name, naming in wanted:
        if name not in taken:
            taken.add(name)
            yield beside, name, naming
