"""What people see: aligned tables, local times, thousands separators, a moment line.

On a terminal a table is coloured and wraps inside its cells; nothing is ever cut off. Piped,
there is no colour and no width: every row is one line per amount. With `--json` stdout holds
one JSON document and nothing else; progress bars live on stderr in any case.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from salesflow.adapters.runner import Progress
from salesflow.domain.moments import Moment
from salesflow.projections.questions import TableOfView
from salesflow.projections.words import Language, in_language
from salesflow.projections.writing import local_time

__all__ = ["Json", "Screen", "moment_line", "size_of"]

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

PIPE_WIDTH = 10_000
NUMBER = re.compile(
    r"[-+–]?\s?(\d[\d,]*(\.\d+)?)?\s?(%|[A-Z]{3}|d|h|s|days?|KiB|MiB|GiB|B)?", re.ASCII
)
AMOUNTS = re.compile(r"-?[\d,]+(\.\d+)? [A-Z]{3}( \+ -?[\d,]+(\.\d+)? [A-Z]{3})+", re.ASCII)
LAST_OF_DAY = timedelta(hours=23, minutes=59, seconds=59, microseconds=999_999)
KIB = 1024


class Screen:
    """Where one command's answer goes: tables for people, or one JSON document."""

    def __init__(self, *, language: Language = "en", as_json: bool = False) -> None:
        self.language: Language = language
        self.as_json = as_json
        self.console = _console(sys.stdout)
        self.errors = _console(sys.stderr)

    def say(self, *parts: RenderableType) -> None:
        """Print for people; silent when JSON was asked for."""
        if not self.as_json:
            for part in parts:
                self.console.print(part)

    def line(self, text: str, style: str = "") -> None:
        """Print one line of plain text, never wrapped when piped, without markup."""
        self.say(Text(text, style=style))

    def heading(self, text: str) -> None:
        """Print a heading."""
        self.say("", Text(text, style="bold cyan"))

    def moment(self, moment: Moment, timezone: ZoneInfo) -> None:
        """Print where on both time axes an answer stands."""
        self.line(moment_line(moment, timezone, self.language), "green")

    def table(self, table: TableOfView) -> None:
        """Print a table in the language asked for, and its notes below."""
        self.say(_rich(table, self.word))
        for note in table.notes:
            self.line(f"  {note}", "dim")

    def json(self, value: object) -> None:
        """Print one JSON document when JSON was asked for."""
        if self.as_json:
            sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")

    def word(self, text: str) -> str:
        """Give a label in the language asked for."""
        return in_language(text, self.language)

    @contextmanager
    def progress(self, what: str) -> Iterator[Progress]:
        """Show a bar on stderr while something goes on; nothing when stderr is piped."""
        bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.errors,
            transient=True,
            disable=not self.errors.is_terminal,
        )
        with bar:
            task = bar.add_task(what, total=None)

            def report(done: int, goal: int) -> None:
                bar.update(task, completed=done, total=goal)

            yield report


def moment_line(moment: Moment, timezone: ZoneInfo, language: Language) -> str:
    """Say where on both time axes an answer stands, and at which position of the log."""
    parts = (
        f"{in_language('as of', language)} {_cut(moment.as_of, timezone, language)}",
        f"{in_language('known at', language)} {_cut(moment.known_at, timezone, language)}",
        f"{in_language('position', language)} {moment.position:,}",
        timezone.key,
    )
    return " · ".join(parts)


def size_of(count: int) -> str:
    """Write a number of bytes for people."""
    if count < KIB:
        return f"{count:,} B"
    size = count / KIB
    for unit in ("KiB", "MiB"):
        if size < KIB:
            return f"{size:,.1f} {unit}"
        size /= KIB
    return f"{size:,.1f} GiB"


def _cut(at: datetime, timezone: ZoneInfo, language: Language) -> str:
    local = at.astimezone(timezone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if local.replace(tzinfo=None) - midnight.replace(tzinfo=None) == LAST_OF_DAY:
        day = local.date().isoformat()
        end = in_language("end of", language)
        return f"{day} {end}" if language == "zh" else f"{end} {day}"
    return local_time(at, timezone)


def _console(stream: object) -> Console:
    console = Console(file=stream, highlight=False, emoji=False)  # type: ignore[arg-type]
    if not console.is_terminal:
        console = Console(  # nothing is cut off or wrapped in a pipe or a file
            file=stream,  # type: ignore[arg-type]
            highlight=False,
            emoji=False,
            width=PIPE_WIDTH,
            color_system=None,
        )
    return console


def _rich(table: TableOfView, word: Callable[[str], str]) -> Table:
    title = " ".join(filter(None, (word(table.title), table.about)))
    shown = Table(
        box=SIMPLE_HEAD,
        title=Text(title, style="bold") if title else None,
        title_justify="left",
        header_style="bold cyan",
        pad_edge=False,
    )
    own = [word if name in table.words else str for name in table.columns]
    rows = [[say(cell) for say, cell in zip(own, row, strict=True)] for row in table.rows]
    for number, name in enumerate(table.columns):
        cells = [row[number] for row in rows]
        numeric = any(cells) and all(_is_number(cell) for cell in cells)
        shown.add_column(
            Text(word(name)), justify="right" if numeric else "left", overflow="fold"
        )
    for row in rows:
        shown.add_row(*(Text(_one_amount_a_line(cell)) for cell in row))
    return shown


def _is_number(cell: str) -> bool:
    return bool(NUMBER.fullmatch(cell)) or bool(AMOUNTS.fullmatch(cell))


def _one_amount_a_line(cell: str) -> str:
    return cell.replace(" + ", "\n") if AMOUNTS.fullmatch(cell) else cell
