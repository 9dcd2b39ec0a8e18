"""`salesflow check`: whether the log and its read tables agree, and what is wrong where not."""

from typing import TYPE_CHECKING, Annotated

import typer

from salesflow.cli.desk import Desk, at_desk
from salesflow.projections.plain import plain

if TYPE_CHECKING:  # loaded when a database is opened
    from salesflow.projections.problems import Checked

__all__ = ["check"]


@at_desk
def check(
    desk: Desk,
    *,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Compare every stream with the read tables, not a sample."),
    ] = False,
) -> None:
    """Check the log and its read tables; list what is wrong, and end with 1 where it is."""
    with desk.open() as flow, desk.screen.progress(desk.screen.word("Check")) as report:
        found = flow.check(all=everything, progress=report)
    desk.screen.json(plain(found))
    for problem in found.problems:
        desk.screen.line(problem.said(desk.language), "red")
    desk.screen.line(_summary(found, desk), "red" if found.problems else "green")
    if found.problems:
        raise typer.Exit(1)


def _summary(found: "Checked", desk: Desk) -> str:
    wrong = len(found.problems) + found.more
    if desk.language == "zh":
        parts = [
            f"问题 {wrong:,} 个" if wrong else "未发现问题",
            f"事件 {found.position:,} 条",
            f"比对数据流 {found.streams_compared:,} / {found.streams:,} 个",
            f"余额 {found.bins_compared:,} 组",
        ]
    else:
        parts = [
            f"{wrong:,} problems" if wrong else "nothing is wrong",
            f"{found.position:,} events",
            f"{found.streams_compared:,} of {found.streams:,} streams compared",
            f"{found.bins_compared:,} bins summed",
        ]
    return " · ".join(parts)
