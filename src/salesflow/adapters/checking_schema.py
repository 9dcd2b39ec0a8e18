"""Names the parts of the event store that are gone, switched off, or not as they were made.

A database of ours has tables with their columns, triggers that refuse changes, and views.
Whoever switches a trigger off to mend something by hand, or puts another in its place, may
forget to undo that; then nothing keeps the log append-only any more.
"""

import re
from typing import Final

import sqlalchemy as sa

from salesflow.adapters import schema
from salesflow.adapters.damage import missing_tables
from salesflow.adapters.sqlite_errors import is_damage

__all__ = ["damaged_pages", "wrong_parts"]

MADE: Final = re.compile(r"CREATE (TRIGGER|VIEW|FUNCTION) (\w+)")
ALWAYS: Final = re.compile(r"ENABLE ALWAYS TRIGGER (\w+)")
BODY: Final = re.compile(r"AS \$\$(.*)\$\$", re.DOTALL)
SQLITE: Final = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view')"
POSTGRES: Final = (
    "SELECT 'trigger', t.tgname::text, t.tgenabled::text FROM pg_trigger AS t"
    " JOIN pg_class AS c ON c.oid = t.tgrelid WHERE pg_table_is_visible(c.oid)"
    " UNION ALL SELECT 'view', relname::text, '' FROM pg_class"
    " WHERE relkind = 'v' AND pg_table_is_visible(oid)"
    " UNION ALL SELECT 'function', proname::text, prosrc FROM pg_proc"
    " WHERE pg_function_is_visible(oid) AND starts_with(proname::text, 'salesflow_')"
)
QUICK_CHECK: Final = "PRAGMA quick_check(20)"


def wrong_parts(connection: sa.Connection) -> list[str]:
    """Give what is not as in a new database: "table NAME", "trigger NAME is disabled"."""
    missing = missing_tables(connection)
    found = [f"table {name}" for name in missing]
    found += _columns(connection, besides=missing)
    return found + (_sqlite if connection.dialect.name == "sqlite" else _postgres)(connection)


def damaged_pages(connection: sa.Connection) -> list[str]:
    """Give what SQLite finds wrong in the file; PostgreSQL has tools of its own for that."""
    if connection.dialect.name != "sqlite":
        return []
    try:
        said = connection.exec_driver_sql(QUICK_CHECK).scalars().all()
    except sa.exc.DatabaseError as error:
        if not is_damage(error.orig):
            raise
        return [str(error.orig)]
    return [line for text in said for line in str(text).splitlines() if line != "ok"]


def _columns(connection: sa.Connection, besides: list[str]) -> list[str]:
    inspector = sa.inspect(connection)
    here = connection.dialect.name
    found: list[str] = []
    for table in schema.STORE.sorted_tables:
        if table.info.get("only", here) != here or table.name in besides:
            continue
        there = {column["name"] for column in inspector.get_columns(table.name)}
        found += [f"column {c.table.name}.{c.name}" for c in table.c if c.name not in there]
    return found


def _sqlite(connection: sa.Connection) -> list[str]:
    there = {f"{row[0]} {row[1]}": row[2] for row in connection.exec_driver_sql(SQLITE)}
    found: list[str] = []
    for text in schema.SQLITE_DDL:
        for kind, name in MADE.findall(text):
            part = f"{kind.lower()} {name}"
            if part not in there:
                found.append(part)
            elif there[part] != text:
                found.append(f"{part} is another one")
    return found


def _postgres(connection: sa.Connection) -> list[str]:
    there = {f"{row[0]} {row[1]}": row[2] for row in connection.exec_driver_sql(POSTGRES)}
    ddl = "\n".join(schema.POSTGRES_DDL)
    always = set(ALWAYS.findall(ddl))
    found: list[str] = []
    for text in schema.POSTGRES_DDL:
        for kind, name in MADE.findall(text):
            part, body = f"{kind.lower()} {name}", BODY.search(text)
            if part not in there:
                found.append(part)
            elif kind == "TRIGGER" and there[part] in "DR":
                found.append(f"{part} is disabled")
            elif name in always and there[part] != "A":
                found.append(f"{part} does not fire in every session (ENABLE ALWAYS)")
            elif body is not None and there[part] != body[1]:
                found.append(f"{part} is another one")
    return found
