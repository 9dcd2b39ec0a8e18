"""`salesflow check`: whether the log and its read tables agree, and what is wrong where not."""

from typing import TYPE_CHECKING, Annotated

import typer

from salesflow.cli.context import CommandContext, with_context
from salesflow.presentation.fields import plain

__all__ = ["check"]


if TYPE_CHECKING:  # loaded when a database is opened
    from salesflow.projections.core.problems import Checked


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
        context.screen.line(problem.said(context.language), "red")
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
    """Say which read tables were not looked at, and how to have them filled."""
    if context.language == "zh":
        which = f"读表 {tables} " if tables else "读表"
        return f"{which}尚未填充，未作比对；用 salesflow project 填充"
    if tables:
        return (
            f"read tables that are not filled yet, so not compared: {tables}; `salesflow"
            " project` fills them"
        )
    return (
        "the read tables are not filled yet, so nothing of them was compared; `salesflow"
        " project` fills them"
    )


def _summary(found: "Checked", context: CommandContext, *, log_only: bool) -> str:
    wrong = len(found.problems) + found.more
    if context.language == "zh":
        parts = [
            f"问题 {wrong:,} 个" if wrong else "日志未发现问题" if log_only else "未发现问题",
            f"事件 {found.position:,} 条",
            f"比对数据流 {found.streams_compared:,} / {found.streams:,} 个",
            f"余额 {found.bins_compared:,} 组",
        ]
    else:
        parts = [
            f"{wrong:,} problems" if wrong else NOTHING + " in the log" * log_only,
            f"{found.position:,} events",
            f"{found.streams_compared:,} of {found.streams:,} streams compared",
            f"{found.bins_compared:,} bins summed",
        ]
    return " · ".join(parts)
