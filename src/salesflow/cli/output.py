"""What people see: aligned tables, local times, thousands separators, a moment line.

On a terminal a table is coloured and fits its width (see `laying`); nothing is ever cut off.
Piped, there is no colour, no width and no space at a line's end: every row is one line per
amount. With `--json` stdout holds one JSON document and nothing else; progress bars live on
stderr in any case.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from salesflow.cli.streams import in_utf8
from salesflow.domain.moments import Moment
from salesflow.projections.cleaning import harmless, harmless_json
from salesflow.projections.laying import PIPE_WIDTH, laid_out
from salesflow.projections.plain import Json
from salesflow.projections.shown import TableOfView
from salesflow.projections.words import Language, in_language
from salesflow.projections.writing import moment_line

if TYPE_CHECKING:  # loaded when there is something to report
    from salesflow.adapters.runner import Progress

__all__ = ["Json", "Screen", "size_of"]

KIB = 1024


class Screen:
    """Where one command's answer goes: tables for people, or one JSON document."""

    def __init__(self, *, language: Language = "en", as_json: bool = False) -> None:
        self.language: Language = language
        self.as_json = as_json
        self._escaped = as_json and in_utf8()
        self.console = _console(sys.stdout)
        self.errors = _console(sys.stderr)

    @property
    def width(self) -> int:
        """How many columns there are; very many where it is no terminal."""
        return self.console.width

    def say(self, *parts: RenderableType) -> None:
        """Print for people; silent when JSON was asked for."""
        if self.as_json:
            return
        if self.console.is_terminal:
            for part in parts:
                self.console.print(part)
            return
        with self.console.capture() as captured:
            for part in parts:
                self.console.print(part)
        lines = captured.get().split("\n")
        self.console.file.write("\n".join(line.rstrip() for line in lines))

    def line(self, text: str, style: str = "") -> None:
        """Print one line of plain text, never wrapped when piped, without markup."""
        self.say(Text(harmless(text), style=style))

    def heading(self, text: str) -> None:
        """Print a heading."""
        self.say("", Text(harmless(text), style="bold cyan"))

    def moment(self, moment: Moment, timezone: ZoneInfo) -> None:
        """Print where on both time axes an answer stands."""
        self.line(moment_line(moment, timezone, self.language), "green")

    def table(self, table: TableOfView) -> None:
        """Print a table in the language asked for, and its notes below."""
        self.say(*laid_out(table, self.word, self.console.width))
        for note in table.notes:
            self.line(f"  {note}", "dim")

    def json(self, value: object) -> None:
        """Print one JSON document when JSON was asked for."""
        if self.as_json:
            self._write_json(value, indent=2)

    def json_line(self, value: object) -> None:
        """Print one of many JSON documents, on a line of its own, when JSON was asked for."""
        if self.as_json:
            self._write_json(value)

    def _write_json(self, value: object, indent: int | None = None) -> None:
        written = json.dumps(value, ensure_ascii=self._escaped, indent=indent)
        sys.stdout.write(harmless_json(written) + "\n")

    def word(self, text: str) -> str:
        """Give a label in the language asked for."""
        return in_language(text, self.language)

    @contextmanager
    def progress(self, what: str) -> "Iterator[Progress]":
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
