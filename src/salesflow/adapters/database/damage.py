"""A database that is no longer whole: which part is missing, and the way out.

A table that was dropped by a migration or by hand, a file that was cut off or written over:
each is named as what it is by whatever command meets it, and never made anew in silence, since
what stood in it is gone.
"""

import re
from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from salesflow.adapters.database import schema
from salesflow.errors import DamagedError

__all__ = [
    "WAY_OUT",
    "altered",
    "damaged",
    "ensure_tables",
    "lacking",
    "missing_tables",
    "tables_of_store",
    "tables_there",
]


WAY_OUT: Final = (
    "end what has it open and put the database back from a backup, with the tools of your"
    ' database or as docs/operating.md says ("Back up and restore")'
)
THERE: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p')"
    " AND relname >= 'salesflow_' AND relname < 'salesflow`' AND pg_table_is_visible(oid)",
}
NAME: Final = re.compile(r"\bsalesflow_\w+\b(?!\.\.\.)")


def tables_of_store(dialect: str) -> frozenset[str]:
    """Name the tables that every database of ours has."""
    made = schema.STORE.sorted_tables
    return frozenset(t.name for t in made if t.info.get("only", dialect) == dialect)


def tables_there(connection: sa.Connection) -> set[str]:
    """Name the tables of a database that may be ours.

    SQLAlchemy's inspector would keep what it compiles for every engine that ever was.
    """
    return {*connection.scalars(sa.text(THERE[connection.dialect.name]))}


def missing_tables(connection: sa.Connection) -> list[str]:
    """Name the tables of the store that a database of ours has lost."""
    return sorted(tables_of_store(connection.dialect.name) - tables_there(connection))


def ensure_tables(dialect: str, there: set[str], where: str) -> None:
    """Refuse a database of ours that has lost a table of the store.

    Raises:
        DamagedError: then.
    """
    missing = tables_of_store(dialect) - there
    if missing:
        raise lacking(where, sorted(missing))


def lacking(where: str, names: Iterable[str]) -> DamagedError:
    """Say which tables of the store a database lacks."""
    listed = ", ".join(names)
    return DamagedError(
        f"{where} lacks what every database of salesflow has: {listed}. It was dropped, by a"
        f" migration for instance; {WAY_OUT}"
    )


def altered(where: str, text: object, statement: str = "") -> DamagedError:
    """Say that a statement met a table or column that is not as it was made."""
    found = NAME.search(f"{text} {statement}")
    name = f"{found[0]} of {where}" if found else f"a table of {where}"
    return DamagedError(
        f"{name} was dropped or changed, by a migration for instance ({text}); {WAY_OUT}"
    )


def damaged(where: str, text: object) -> DamagedError:
    """Say that what is stored cannot be read any more."""
    return DamagedError(
        f"{where} is damaged: a part of it was cut off or written over, or its disk fails"
        f" ({text}); {WAY_OUT}"
    )
