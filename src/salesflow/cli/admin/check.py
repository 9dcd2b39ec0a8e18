"""`salesflow check`: whether the log and its read tables agree, and what is wrong where not."""

from typing import TYPE_CHECKING, Annotated

import typer

from salesflow.cli.context import CommandContext, with_context
from salesflow.presentation.fields import plain
from salesflow.presentation.messages import say

__all__ = ["check"]


if TYPE_CHECKING:  # loaded when a database is opened
    from salesflow.projections.core.left_out import Checked


NOTHING = "nothing is wrong"
SAMPLE = "of a long log a sample of streams is compared; --all compares every one"
OTHERS = "the other streams hold nothing that a read table shows"


@with_context
def check(
    context: CommandContext,
    *,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Compare every stream with the read tables, not a sample."),
    ] = False,
) -> None:
    """Check the log and its read tables; list what is wrong, and end with 1 where it is."""
    with context.open() as flow:
        with context.screen.progress(context.screen.word("Check")) as report:
            found = flow.check(all=everything, progress=report)
        stands = {} if found.problems else flow.standings()
    context.screen.json(plain(found))
    for problem in found.problems:
        context.screen.line(problem.sentence(context.language), "red")
    empty = [name for name, stand in stands.items() if stand.position < min(1, found.position)]
    none_filled = len(empty) == len(stands) > 0
    style = "red" if found.problems else "green"
    context.screen.line(_summary(found, context, log_only=none_filled), style)
    if found.problems:
        raise typer.Exit(1)
    if empty:
        tables = "" if none_filled else ", ".join(empty)
        context.screen.line(_not_compared(tables, context), "yellow")
    elif not everything:
        context.screen.line(f"  {context.screen.word(SAMPLE)}", "dim")
    elif all(stand.position == found.position for stand in stands.values()):
        context.screen.line(f"  {context.screen.word(OTHERS)}", "dim")


def _not_compared(tables: str, context: CommandContext) -> str:
    """Return which read tables were not looked at, and how to have them filled."""
    if tables:
        return say(
            "read tables that are not filled yet, so not compared: {tables}; `salesflow"
            " project` fills them",
            context.language,
            tables=tables,
        )
    return say(
        "the read tables are not filled yet, so nothing of them was compared; `salesflow"
        " project` fills them",
        context.language,
    )


def _summary(found: "Checked", context: CommandContext, *, log_only: bool) -> str:
    language, wrong = context.language, len(found.problems) + found.more
    nothing = say(f"{NOTHING} in the log" if log_only else NOTHING, language)
    parts = (
        say("{count:,} problems", language, count=wrong) if wrong else nothing,
        say("{count:,} events", language, count=found.position),
        say(
            "{compared:,} of {count:,} streams compared",
            language,
            compared=found.streams_compared,
            count=found.streams,
        ),
        say("{count:,} bins summed", language, count=found.bins_compared),
    )
    return " · ".join(parts)
