"""`salesflow sql`: prints the SQL that shows a read table at a moment.

What it prints is plain SQL over a view of the database, the same on SQLite and PostgreSQL, to
be pasted into any client. The views are described in docs/query-with-sql.md.
"""

from typing import Annotated

import typer

from salesflow.cli.context import AsOf, CommandContext, KnownAt, with_context

__all__ = ["sql"]


@with_context
def sql(
    context: CommandContext,
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="A read table, as `status` lists them.")
    ],
    as_of: AsOf = None,
    known_at: KnownAt = None,
) -> None:
    """Print the SQL that shows a read table at a moment, for any client of the database."""
    with context.open() as flow:
        statement = flow.sql(table.replace("-", "_"), as_of=as_of, known_at=known_at)
        context.screen.json({"sql": statement})
        for line in statement.splitlines():
            context.screen.line(line)
