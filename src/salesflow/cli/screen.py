"""What people see: aligned tables, local times, thousands separators, a moment line.

On a terminal a table is coloured and fits its width (see `presentation.text`); nothing is ever
cut off. Piped, there is no colour, no width and no space at a line's end: every row is one line
per amount. With `--json` stdout holds one JSON document and nothing else; progress bars live on
stderr in any case.
"""

import codecs
import io
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.filesize import pick_unit_and_suffix
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from salesflow.domain.time import Moment
from salesflow.presentation.fields import Json
from salesflow.presentation.format import harmless, harmless_cells, harmless_json, moment_line
from salesflow.presentation.messages import Language, in_language
from salesflow.presentation.table import TableOfView
from salesflow.presentation.text import PIPE_WIDTH, laid_out

__all__ = [
    "Json",
    "Screen",
    "end_quietly",
    "in_utf8",
    "prepare",
    "replaced",
    "size_of",
    "stop_at_once",
]


# stdout and stderr as they are: closed, full, read by nobody, or in an old encoding.
#
# Text that the encoding of stdout cannot write is replaced, a sign by its plain fellow and
# anything else by question marks as wide as it was; that this happened is said once on stderr.
# JSON is never replaced: it is UTF-8 whatever the terminal is set to, and where the terminal is
# set to something else it is escaped as well.

HANDLER: Final = "salesflow.visibly"
PLAIN: Final = {"–": "-", "—": "-", "−": "-", "·": ".", "…": "~", "→": ">", "×": "x", "⚠": "!"}
"""Signs of the labels, and what stands for them where they cannot be written."""
_replaced: list[str] = []


def prepare() -> None:
    """Make both streams fit to be written to, whatever they are."""
    _replaced.clear()
    codecs.register_error(HANDLER, _visibly)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before we began
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - to the end
        elif isinstance(stream, io.TextIOWrapper):
            errors = HANDLER if name == "stdout" else "backslashreplace"
            stream.reconfigure(errors=errors)


def in_utf8() -> bool:
    """Have stdout written as UTF-8 from now on; say whether it was set to anything else."""
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper) or _is_utf8(stream.encoding):
        return False
    stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    return True


def replaced() -> str:
    """Return what could not be written and was replaced; nothing where all could."""
    if not _replaced:
        return ""
    encoding = getattr(sys.stdout, "encoding", None) or "its encoding"
    return (
        f"{len(_replaced):,} characters cannot be shown in {encoding} and stand as ?; set"
        " PYTHONIOENCODING=utf-8, or use --json"
    )


def end_quietly() -> None:
    """Let the interpreter end without a word about a stream that cannot be written."""
    with suppress(OSError, ValueError, io.UnsupportedOperation):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def stop_at_once() -> None:
    """Let a further Ctrl-C end the process without a traceback while it is ending anyway."""
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _visibly(error: UnicodeError) -> tuple[str, int]:
    """Replace what cannot be written by signs that take the same room."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    _replaced.extend(sign for sign in lost if sign not in PLAIN)
    shown = (PLAIN.get(sign) or "?" * max(cell_len(sign), 1) for sign in lost)
    return "".join(shown), error.end


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name == "utf-8"


if TYPE_CHECKING:  # loaded when there is something to report
    from salesflow.adapters.projector.runner import Progress


BYTES = ["B", "KiB", "MiB", "GiB"]


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

    def lines(self, texts: Iterable[str], style: str = "") -> None:
        """Print several of them."""
        self.paragraphs((texts, style))

    def paragraphs(self, *paragraphs: tuple[Iterable[str], str]) -> None:
        """Print lines of plain text below one another, those of each paragraph in its style."""
        lines = harmless_cells([texts for texts, _ in paragraphs])
        styles = [style for _, style in paragraphs]
        shown = [("\n".join(texts), style) for texts, style in zip(lines, styles, strict=True)]
        self.say(*[Text(text, style=style) for text, style in shown if text])

    def heading(self, text: str) -> None:
        """Print a heading."""
        self.say("", Text(harmless(text), style="bold cyan"))

    def moment(self, moment: Moment, timezone: ZoneInfo) -> None:
        """Print where on both time axes an answer stands."""
        self.line(moment_line(moment, timezone, self.language), "green")

    def table(self, *tables: TableOfView) -> None:
        """Print tables in the language asked for, and the notes of each below it."""
        self.say(*laid_out(tables, self.language, self.console.width))

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
        """Return a label in the language asked for."""
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
    unit, name = pick_unit_and_suffix(count, BYTES, 1024)
    return f"{count:,} B" if unit == 1 else f"{count / unit:,.1f} {name}"


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
