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
from salesflow.domain.wording import shortened

__all__ = ["progress_bar"]


NAMED_SHARE = 3
"""What goes on is named in a third of the line; the bar and how far it is follow."""


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
        task = bar.add_task(shortened(what, console.width // NAMED_SHARE), total=None)

        def report(done: int, goal: int) -> None:
            bar.update(task, completed=done, total=goal)

        yield report
