"""`salesflow project` brings the read tables to the head of the log, `sql` asks them.

Nobody needs to run it: a question catches up first. With `--follow` it is a worker for those
who want their questions answered at once; any number of workers may run beside one another.
Ctrl-C and SIGTERM end it with exit code 0, since that is how a worker is meant to end.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event as Flag
from typing import TYPE_CHECKING, Annotated

import typer

from salesflow.cli.context import AsOf, CommandContext, KnownAt, with_context
from salesflow.domain.time import from_instant
from salesflow.errors import BusyError, HistoryError, ProjectionError
from salesflow.presentation.fields import Json, plain
from salesflow.presentation.format import local_time

if TYPE_CHECKING:
    from salesflow.engine import SalesFlow
    from salesflow.engine.worker import CaughtUp
    from salesflow.projections.core.left_out import LeftOut

__all__ = [
    "ProgressPrinter",
    "project",
    "sql",
    "stopping",
]


@with_context
def project(
    context: CommandContext,
    *,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Stay, and keep them there until Ctrl-C or SIGTERM."),
    ] = False,
) -> None:
    """Bring all read tables to the head of the log."""
    if not follow:
        from salesflow.engine.worker import CaughtUp

        with context.open() as flow:
            left_out = _catch_up(context, flow, Flag())
            found = CaughtUp(flow.log.head(), flow.standings(), {}, left_out=left_out)
            context.screen.json(_as_json(found))
            for each in left_out:
                context.screen.line(each.sentence(context.language), "yellow")
            context.screen.line(_as_line(context, flow, found))
        return
    with stopping() as stop, context.open() as flow:
        with suppress(ProjectionError, HistoryError, BusyError):  # followed up on below
            _catch_up(context, flow, stop)
        flow.follow(stop=stop, on_caught_up=ProgressPrinter(context, flow).tell)


def _catch_up(context: CommandContext, flow: "SalesFlow", stop: Flag) -> "tuple[LeftOut, ...]":
    with context.screen.progress(context.screen.word("Read tables")) as report:

        def heed(done: int, goal: int) -> None:
            report(done, goal)
            if stop.is_set():
                raise KeyboardInterrupt

        return flow.catch_up(progress=heed)


@contextmanager
def stopping() -> Iterator[Flag]:
    """Take Ctrl-C and SIGTERM as a wish to stop after the batch at hand; twice, at once."""
    stop = Flag()

    def heed(_number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {each: signal.signal(each, heed) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with suppress(KeyboardInterrupt):
            yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class ProgressPrinter:
    """Tells how the tables stand, line by line, at once also into a pipe."""

    def __init__(self, context: CommandContext, flow: "SalesFlow") -> None:
        self._desk = context
        self._flow = flow
        self._failed: dict[str, str] = {}
        self._left_out: tuple[LeftOut, ...] = ()

    def tell(self, found: "CaughtUp") -> None:
        """Tell how they stand now; why a fold failed only once."""
        screen = self._desk.screen
        screen.json_line(_as_json(found))
        for table, text in found.failed.items():
            if self._failed.get(table) != text:
                screen.line(f"{table} {screen.word('stopped')}: {text}", "red")
        self._failed = found.failed
        for each in found.left_out:
            if each not in self._left_out:
                screen.line(each.sentence(self._desk.language), "yellow")
        self._left_out = found.left_out
        if found.busy:
            screen.line(screen.word("the database is busy, trying again"), "yellow")
        else:
            screen.line(_as_line(self._desk, self._flow, found))
        sys.stdout.flush()


def _as_json(found: "CaughtUp") -> dict[str, Json]:
    return {
        "position": found.head.position,
        "recorded_at": from_instant(found.head.recorded).isoformat(),
        "tables": {name: stand.position for name, stand in found.standings.items()},
        "failed": dict(found.failed),
        "busy": found.busy,
        "left_out": [plain(each) for each in found.left_out],
    }


def _as_line(context: CommandContext, flow: "SalesFlow", found: "CaughtUp") -> str:
    """Return where the log stands, and which tables are behind it."""
    word, head = context.screen.word, found.head
    recorded = local_time(from_instant(head.recorded), flow.settings().timezone, exact=False)
    behind = [
        f"{name} {stand.position:,}"
        for name, stand in found.standings.items()
        if stand.position < head.position
    ]
    tables = f"{word('behind')} {', '.join(behind)}" if behind else word("all read tables")
    parts = (
        f"{word('event no.')} {head.position:,}",
        f"{word('recorded at')} {recorded}",
        tables,
    )
    return " · ".join(parts)


# `salesflow sql`: prints the SQL that shows a read table at a moment.
#
# What it prints is plain SQL over a view of the database, the same on SQLite and PostgreSQL, to
# be pasted into any client. The views are described in docs/query-with-sql.md.


@with_context
def sql(
    context: CommandContext,
    table: Annotated[
        str,
        typer.Argument(metavar="TABLE", help="A read table, as `salesflow status` lists them."),
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
