"""Helpers for a service that keeps the log beside tables of its own.

Alembic compares a service's models with what it finds in the database, and writes a migration
that drops whatever it finds and does not know: the log. Name one of these two in the service's
`env.py`, and it sees nothing of ours:

    context.configure(connection=…, target_metadata=…, include_name=include_name)

Every table, view and index of salesflow begins with `salesflow_`, whatever schema it lies in,
and also read tables of one's own folds; a service names none of its tables so. Alembic itself
is not needed here.
"""

from collections.abc import Mapping
from typing import Final

from salesflow.adapters.database.schema import TABLE_PREFIX

__all__ = ["include_name", "include_object"]

TABLE: Final = "table_name"


def include_name(name: str | None, type_: str, parent_names: Mapping[str, str | None]) -> bool:
    """Return whether autogenerate is to look at a name it found in the database.

    For `include_name=` of Alembic's `context.configure`; the cheaper of the two, since what is
    left out is not even reflected. Combine it with a rule of your own by `and`.
    """
    if type_ == "schema":
        return True
    return not (_is_ours(name) or _is_ours(parent_names.get(TABLE)))


def include_object(
    object: object, name: str | None, type_: str, reflected: bool, compare_to: object
) -> bool:
    """Return whether autogenerate is to compare an object, found or modelled.

    For `include_object=` of Alembic's `context.configure`.
    """
    del type_, reflected, compare_to
    table = getattr(object, "table", None)
    return not (_is_ours(name) or _is_ours(getattr(table, "name", None)))


def _is_ours(name: str | None) -> bool:
    return name is not None and name.lower().startswith(TABLE_PREFIX)
