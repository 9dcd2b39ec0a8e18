"""What every command has at hand: its options, the database, the tenant, the screen.

`@with_context` gives a command the options they all share (`--db`, `--tenant`, `--lang`,
`--json`) and hands them in as one `CommandContext`; the command itself names only its own.

A command that reads never creates a database: `context.open()` refuses one that does not exist.
"""

import codecs
import inspect
import io
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console, RenderableType
from rich.filesize import pick_unit_and_suffix
from rich.text import Text

from salesflow.domain.time import Moment, instant_of, is_end_of_day, read_day, zone
from salesflow.domain.wording import shortened
from salesflow.errors import DatabaseError, InputError, NotFoundError, SalesflowError
from salesflow.presentation.format import harmless, harmless_cells, harmless_json, moment_line
from salesflow.presentation.messages import Language, in_language, say
from salesflow.presentation.table import TableOfView
from salesflow.presentation.text import PIPE_WIDTH, laid_out

if TYPE_CHECKING:  # loaded when a database is opened, or there is something to report
    from salesflow.adapters.logs import Progress
    from salesflow.engine import SalesFlow

__all__ = [
    "AsOf",
    "CommandContext",
    "CommandParameter",
    "CompareTo",
    "KnownAt",
    "Position",
    "Screen",
    "day_text",
    "parse_moment",
    "size_of",
    "time_text",
    "with_context",
]


MANY_EVENTS = 5_000
"""Tables that are so many events behind take long enough to show how far they have come."""


# Texts of options that take a day or a time, which what parses the options calls.


def time_text(text: str) -> str:
    """Return a text that is a day, or a time, with its zone or without.

    Raises:
        InputError: when it is neither.
    """
    instant_of(text, ZoneInfo("UTC"))
    return text


def day_text(text: str) -> str:
    """Return a text that is a day.

    Raises:
        InputError: when it is none.
    """
    read_day(text)
    return text


def _two_times_text(text: str) -> str:
    """Return a text that is AS_OF[@KNOWN_AT].

    Raises:
        InputError: when a side of it is no time.
    """
    for side in filter(None, parse_moment(text)):
        time_text(side)
    return text


def parse_moment(text: str) -> tuple[str, str | None]:
    """Read AS_OF[@KNOWN_AT], as `--compare-to` takes it.

    Raises:
        InputError: when a side of it is empty.
    """
    as_of, at, known_at = text.partition("@")
    if not as_of.strip() or (at and not known_at.strip()) or "@" in known_at:
        raise InputError(
            f"{text!r} is not a moment to compare with; write 2026-03-31, or"
            " 2026-03-31@2026-03-31 for what was known on that day"
        )
    return as_of, known_at or None


DATABASE_VARIABLE = "SALESFLOW_DB"
DATABASE_DEFAULT = "sqlite:///salesflow.db"
SQLITE_FILE = "sqlite:///"
PASSING = ("sqlite://", SQLITE_FILE, f"{SQLITE_FILE}:memory:")
SCHEME = re.compile(r"(sqlite|postgres|postgresql|file)(\+\w+)?:", re.IGNORECASE)

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="URL",
        help=f"Database: sqlite:///FILE, postgresql://…, or a plain path of a SQLite file."
        f" Default: ${DATABASE_VARIABLE}, else {DATABASE_DEFAULT}.",
        rich_help_panel="Common options",
        show_default=False,
    ),
]
TenantOption = Annotated[
    str,
    typer.Option("--tenant", help="Whose log to use.", rich_help_panel="Common options"),
]
LanguageOption = Annotated[
    Language,
    typer.Option("--lang", help="Language of the labels.", rich_help_panel="Common options"),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document.", rich_help_panel="Common options"),
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="TIME",
        help="What had happened by then: 2026-03-31 (the end of that day), 2026-03-31 17:00 in"
        " the business time zone, or 2026-03-31T17:00:00+08:00. Default: now.",
        rich_help_panel="Moment",
        show_default=False,
        parser=time_text,
    ),
]
KnownAt = Annotated[
    str | None,
    typer.Option(
        "--known-at",
        metavar="TIME",
        help="What had been recorded by then. Default: all that is recorded.",
        rich_help_panel="Moment",
        show_default=False,
        parser=time_text,
    ),
]
CompareTo = Annotated[
    str | None,
    typer.Option(
        "--compare-to",
        metavar="AS_OF[@KNOWN_AT]",
        help="Another moment, to show what is different: 2026-03-31, or 2026-03-31@2026-03-31"
        " as it was known on that day. Known by default: what is known at the first moment.",
        rich_help_panel="Moment",
        show_default=False,
        parser=_two_times_text,
    ),
]


Position = Annotated[
    int | None,
    typer.Option(
        "--position",
        metavar="NUMBER",
        min=0,
        help="Where the log stood when that was answered, as the answer says (event no.):"
        " the answer is then the same to the letter.",
        rich_help_panel="Moment",
        show_default=False,
    ),
]


CommandParameter = tuple[str, object, object]
"""Name, annotation and default of what a command takes; a required one has no default."""


def _signature_of(parameters: Iterable[CommandParameter]) -> list[inspect.Parameter]:
    """Return parameters as they stand in the signature of a command, which typer reads."""
    return [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
        )
        for name, annotation, default in parameters
    ]


COMMON = _signature_of(
    [
        ("db", DatabaseOption, None),
        ("tenant", TenantOption, "main"),
        ("lang", LanguageOption, "en"),
        ("as_json", JsonOption, False),
    ]
)


class CommandContext:
    """One command's database, tenant and screen."""

    def __init__(
        self, *, db: str | None, tenant: str, language: Language, as_json: bool
    ) -> None:
        self.db_given = db is not None
        if db is not None:
            self.url = _url(db, "--db")
        else:
            url = os.environ.get(DATABASE_VARIABLE) or DATABASE_DEFAULT
            self.url = _url(url, f"${DATABASE_VARIABLE}")
        self.tenant = tenant
        self.screen = Screen(language=language, as_json=as_json)

    @property
    def language(self) -> Language:
        """The language of the labels."""
        return self.screen.language

    @property
    def shown_url(self) -> str:
        """The database's URL without a password."""
        from salesflow.adapters.database.database import without_password

        return without_password(self.url)

    @contextmanager
    def open(self) -> "Iterator[SalesFlow]":
        """Open the database to read it, or to record where something was recorded before.

        Raises:
            NotFoundError: when there is none; none is made.
        """
        try:
            flow = self._flow(create=False)
        except NotFoundError as error:
            raise NotFoundError(
                f"{error}; name a database with --db (`salesflow demo` makes"
                " salesflow-demo.db), or make one with `salesflow import`"
            ) from error
        with flow, _as_shown(flow, self.language):
            yield flow

    @contextmanager
    def record(self, timezone: str | None) -> "Iterator[SalesFlow]":
        """Open the database to record, a new one in this time zone.

        A new SQLite file in which nothing came to be recorded is taken away again; one that
        this call did not make never is, whoever's log it holds.
        """
        self.ensure_lasting()
        if timezone is not None:
            zone(timezone)
        if self.holds_a_log():
            with self.open() as flow:
                yield flow
            return
        from salesflow.adapters.database.new_file import NewFile

        made, founded = NewFile.make(self.url), 0
        try:
            with self._flow(timezone=timezone) as flow:
                founded = flow.log.head().position
                with _as_shown(flow, self.language):
                    yield flow
        except BaseException:  # whatever it was, also Ctrl-C: it goes on
            if made is not None:
                made.take_away(events_max=founded)
            raise

    def _ensure_place(self) -> None:
        """Refuse a path that is none of a file, or lies in a folder that does not exist."""
        from salesflow.adapters.database.database import SQLITE, parsed_url, sqlite_path

        url = parsed_url(self.url)
        if url.drivername not in SQLITE:
            return
        path, name = Path(url.database or "").absolute(), url.database or "~"
        if not path.parent.is_dir() and not name.startswith("~"):
            raise DatabaseError(
                f"there is no folder {shortened(path.parent)} for the database"
                f" {shortened(path.name)}; make that folder, or name another file with --db"
            )
        sqlite_path(url)

    def ensure_lasting(self) -> None:
        """Refuse to record in memory, where it would be gone with the command."""
        if self.url.partition("?")[0] in PASSING:
            raise InputError(
                f"what is recorded in {self.url} would be lost at once; name a file with --db"
            )

    @contextmanager
    def rehearse(self, timezone: str | None) -> "Iterator[SalesFlow]":
        """Open the database to try something, or a passing one where there is none."""
        if self.holds_a_log():
            with self.open() as flow:
                yield flow
        else:
            with self._flow("sqlite://", timezone=timezone) as flow:
                yield flow

    def founds_beside(self) -> bool:
        """Return whether recording would found a log in a database that is there already.

        What founds a log can never be taken away again; so what may be refused is tried first.
        """
        from salesflow.adapters.database.database import file_of

        if self.holds_a_log():
            return False
        path = file_of(self.url)
        return path is None or path.exists()

    def holds_a_log(self) -> bool:
        """Return whether something was recorded of this tenant before; make nothing."""
        try:
            with self._flow(create=False):
                return True
        except NotFoundError:
            return False

    def _flow(
        self, url: str = "", *, timezone: str | None = None, create: bool = True
    ) -> "SalesFlow":
        from salesflow.engine import SalesFlow

        try:
            return SalesFlow(
                url or self.url, tenant=self.tenant, timezone=timezone, create=create
            )
        except (DatabaseError, NotFoundError):
            if not url:
                self._ensure_place()
            raise


ID_SHOWN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")
UTC_TIME = re.compile(r"(?<!['\"\w])\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+00:00(?!['\"\w])")


@contextmanager
def _as_shown(flow: "SalesFlow", language: Language) -> "Iterator[None]":
    """Let refusals write times and things as they are typed and shown here.

    That is in the business time zone, and by title or name; what they repeat in quotes stays as
    it was typed.
    """
    try:
        yield
    except SalesflowError as error:
        message, *rest = error.args or ("",)
        if isinstance(message, str) and ID_SHOWN.search(message):
            from salesflow.cli.refused_things import with_names

            message = with_names(say(message, language), flow, language)
            error.args = (message, *rest)
        if isinstance(message, str) and UTC_TIME.search(message):
            timezone = flow.settings().timezone

            def local(found: re.Match[str]) -> str:
                at = datetime.fromisoformat(found[0]).astimezone(timezone)
                is_day = at.time() == time() or is_end_of_day(at, timezone)
                return at.date().isoformat() if is_day else at.isoformat()

            error.args = (UTC_TIME.sub(local, message), *rest)
        raise


def with_context(
    function: Callable[..., None], own: Iterable[CommandParameter] | None = None
) -> Callable[..., None]:
    """Return a command with the options that all share; a context is handed in for them.

    Its own options are those of the function's signature, unless they are given.
    """

    def command(**given: object) -> None:
        db, tenant, lang, as_json = (given.pop(option.name) for option in COMMON)
        context = CommandContext(db=db, tenant=tenant, language=lang, as_json=as_json)  # type: ignore[arg-type]
        try:
            with _warned(context.language):
                function(context, **given)
        except SalesflowError as error:
            from salesflow.cli.refusals import options_of, refusal_text

            message, *rest = error.args
            said, typed = say(message, context.language), options_of(signature.parameters)
            error.args = (refusal_text(error, said, typed), *rest)
            raise

    if own is None:
        _, *declared = inspect.signature(function).parameters.values()
        own = ((each.name, each.annotation, each.default) for each in declared)
    parameters = [*_signature_of(own), *COMMON]
    command.__name__ = function.__name__
    command.__doc__ = function.__doc__
    signature = inspect.Signature(parameters)
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


@contextmanager
def _warned(language: Language) -> Iterator[None]:
    """Let people see on stderr what goes wrong with columns, though each answer is right."""
    logger, printer = logging.getLogger("salesflow.columns"), _Printer(language)
    logger.addHandler(printer)
    try:
        yield
    finally:
        logger.removeHandler(printer)


class _Printer(logging.Handler):
    def __init__(self, language: Language) -> None:
        super().__init__(logging.WARNING)
        self._language: Language = language

    def emit(self, record: logging.LogRecord) -> None:
        """Print what is told, if anybody is there to see it."""
        text = say(record.msg, self._language) % record.args
        with suppress(OSError, ValueError):
            sys.stderr.write(f"salesflow: {text}\n")


def _url(given: str, said_by: str) -> str:
    if not given.strip():
        raise InputError(
            f"{said_by} is empty; name a file such as sales.db, or a URL such as"
            " postgresql://user@host/name"
        )
    if "://" in given or (SCHEME.match(given) and not Path(given).exists()):
        return given  # what is no URL after all is refused with what to write instead
    return SQLITE_FILE + given.replace("%", "%25").replace("?", "%3F")


# What people see: aligned tables, local times, thousands separators, a moment line.
#
# On a terminal a table is coloured and fits its width (see `presentation.text`); nothing is
# ever cut off. Piped, there is no colour, no width but that of $COLUMNS where it is set, and no
# space at a line's end: every row is one line per amount. With `--json` stdout holds one JSON
# document and nothing else: UTF-8 whatever the terminal is set to, and escaped as well where
# that is something else. Progress bars live on stderr in any case.

COLUMNS = re.compile(r"[1-9][0-9]{0,3}")
"""A width that is said to whoever prints into a pipe."""
BYTES = ["B", "KiB", "MiB", "GiB"]


class Screen:
    """Where one command's answer goes: tables for people, or one JSON document."""

    def __init__(self, *, language: Language = "en", as_json: bool = False) -> None:
        self.language: Language = language
        self.as_json = as_json
        self._escaped = as_json and _in_utf8()
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

    def notes(self, texts: Iterable[str]) -> None:
        """Print on stderr what should be known besides; silent when JSON was asked for."""
        for text in () if self.as_json else texts:
            self.errors.print(Text(harmless(f"{self.word('note')}: {text}"), style="yellow"))

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
        self.say(*laid_out(tables, self.language, self.width))

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

    def progress(self, what: str) -> "AbstractContextManager[Progress]":
        """Show a bar on stderr while something goes on; nothing when stderr is piped."""
        from salesflow.cli.progress import progress_bar

        return progress_bar(self.errors, what)

    @contextmanager
    def waiting(self, what: str) -> "Iterator[Progress]":
        """Show such a bar once something turns out to take long; load it only then."""
        with ExitStack() as stack:
            bar: Progress | None = None

            def report(done: int, goal: int) -> None:
                nonlocal bar
                if bar is None and goal - done > MANY_EVENTS:
                    bar = stack.enter_context(self.progress(self.word(what)))
                if bar is not None:
                    bar(done, goal)

            yield report


def size_of(count: int) -> str:
    """Write a number of bytes for people."""
    unit, name = pick_unit_and_suffix(count, BYTES, 1024)
    return f"{count:,} B" if unit == 1 else f"{count / unit:,.1f} {name}"


def _console(stream: object) -> Console:
    console = Console(file=stream, highlight=False, emoji=False)  # type: ignore[arg-type]
    if not console.is_terminal:
        columns = os.environ.get("COLUMNS", "")
        console = Console(  # nothing is cut off or wrapped in a pipe, unless its width is said
            file=stream,  # type: ignore[arg-type]
            highlight=False,
            emoji=False,
            width=int(columns) if COLUMNS.fullmatch(columns) else PIPE_WIDTH,
            color_system=None,
        )
    return console


def _in_utf8() -> bool:
    """Have stdout written as UTF-8 from now on; say whether it was set to anything else."""
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper):
        return False
    if codecs.lookup(stream.encoding).name == "utf-8":
        return False
    stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    return True
