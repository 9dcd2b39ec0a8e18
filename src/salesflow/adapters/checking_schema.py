"""Names the triggers and views of the event store that are gone."""

import re

import sqlalchemy as sa

from salesflow.adapters import schema

__all__ = ["missing_parts"]

MADE = re.compile(r"CREATE (TRIGGER|VIEW) (\w+)")
THERE = {
    "sqlite": "SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view')",
    "postgresql": "SELECT 'trigger', t.tgname FROM pg_trigger AS t JOIN pg_class AS c"
    " ON c.oid = t.tgrelid WHERE c.relnamespace = current_schema()::regnamespace"
    " UNION ALL SELECT 'view', viewname FROM pg_views WHERE schemaname = current_schema()",
}


def missing_parts(connection: sa.Connection) -> list[str]:
    """Give what a new database has and this one has no more, as "trigger NAME"."""
    here = connection.dialect.name
    ddl = schema.SQLITE_DDL if here == "sqlite" else schema.POSTGRES_DDL
    made = [found for text in ddl for found in MADE.findall(text)]
    there = {f"{kind} {name}" for kind, name in connection.execute(sa.text(THERE[here]))}
    return [part for kind, name in made if (part := f"{kind.lower()} {name}") not in there]
