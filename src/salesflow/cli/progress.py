"""The bar that shows how far a long command is.

A module of its own, so that a command which has nothing to report does not load it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from salesflow.adapters.logs import Progress as Report

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(console: Console, what: str) -> Iterator[Report]:
    """Show a bar while something goes on; nothing where the console is piped."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(what, total=None)

        def report(done: int, goal: int) -> None:
            bar.update(task, completed=done, total=goal)

        yield report
