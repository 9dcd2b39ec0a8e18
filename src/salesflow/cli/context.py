"""What every command has at hand: its options, the database, the tenant, the screen.

`@with_context` gives a command the options they all share (`--db`, `--tenant`, `--lang`,
`--json`) and hands them in as one `CommandContext`; the command itself names only its own.

A command that reads never creates a database: `context.open()` refuses one that does not exist.
"""

import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer

from salesflow.cli.screen import Screen
from salesflow.domain.calendar import Days
from salesflow.domain.time import FOREVER, ONE_DAY, instant_of, read_day, zone
from salesflow.domain.wording import shortened
from salesflow.errors import DatabaseError, InputError, NotFoundError
from salesflow.presentation.messages import Language

if TYPE_CHECKING:
    from salesflow.engine import SalesFlow

__all__ = [
    "DATABASE_VARIABLE",
    "PERIOD_OPTIONS",
    "AsOf",
    "CommandContext",
    "CompareTo",
    "KnownAt",
    "day_of",
    "is_period",
    "moment_said",
    "time_of",
    "two_times",
    "with_context",
    "with_period",
]


# Periods as they are typed: a first and a last day, or a month, a quarter or a year by name.
#
# The last day belongs to the period. Quarters and years are the fiscal ones of the settings;
# months are those of the calendar.

# Options that take a day or a time: what is none is refused with the name of the option.

Check = Callable[[str | None], str | None]


def time_of(flag: str) -> Check:
    """Make what refuses a text that is no moment: a day, or a time with its zone."""
    return _checked(flag, lambda text: instant_of(text, ZoneInfo("UTC")))


def day_of(flag: str) -> Check:
    """Make what refuses a text that is no day."""
    return _checked(flag, read_day)


def two_times(flag: str) -> Check:
    """Make what refuses a text that is no AS_OF[@KNOWN_AT]."""

    def read(text: str) -> None:
        for time in moment_said(text):
            if time is not None:
                instant_of(time, ZoneInfo("UTC"))

    return _checked(flag, read)


def moment_said(text: str) -> tuple[str, str | None]:
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


def _checked(flag: str, read: Callable[[str], object]) -> Check:
    def check(text: str | None) -> str | None:
        try:
            if text is not None:
                read(text)
        except InputError as error:
            raise InputError(f"{flag}: {error}") from error
        return text

    return check


PANEL: Final = "Period"
MONTHS: Final = 12


def _option(flag: str, metavar: str, text: str) -> object:
    return Annotated[
        str | None,
        typer.Option(
            flag,
            metavar=metavar,
            help=text,
            rich_help_panel=PANEL,
            show_default=False,
            callback=day_of(flag) if metavar == "DAY" else None,
        ),
    ]


PERIOD_OPTIONS: Final = {
    "from_": _option(
        "--from",
        "DAY",
        "The first day of the period. Default: of the fiscal quarter of the moment.",
    ),
    "to": _option(
        "--to",
        "DAY",
        "The last day of the period, which belongs to it. Default: of the fiscal quarter.",
    ),
    "month": _option("--month", "YYYY-MM", "A month of the calendar, such as 2026-04."),
    "quarter": _option(
        "--quarter", "YYYY-QN", "A fiscal quarter by the settings, such as 2026-Q2."
    ),
    "year": _option("--year", "YYYY", "A fiscal year by the settings, such as 2026."),
}
"""What a question over a period takes instead of its own fields, by name."""
FOUR_DIGITS = re.compile(r"(19|[2-9][0-9])[0-9]{2}(?![0-9])").match
"""What a year begins with."""
NAMED: Final = ("month", "quarter", "year")


def is_period(fields: Mapping[str, object]) -> bool:
    """Say whether a question is about a period."""
    return {"from_", "to"} <= fields.keys()


def with_period(
    given: dict[str, Any], flow: "SalesFlow", known_at: str | None
) -> dict[str, Any]:
    """Turn the period that was typed into the days a question takes: `to` is the day after.

    Raises:
        InputError: when there is no such period, or it is said twice.
    """
    text = {name: given.pop(name) for name in (*PERIOD_OPTIONS,) if given.get(name) is not None}
    if len(text) > 1 and text.keys() - {"from_", "to"}:
        flags = ", ".join(f"--{name.rstrip('_')}" for name in text)
        raise InputError(f"{flags}: say the period in one way only")
    named = next((name for name in NAMED if name in text), None)
    if named is not None:
        days = _named(named, text[named], flow, known_at)
        return {**given, "from_": days.first, "to": _after(days.last)}
    first, last = (text.get(name) and read_day(text[name]) for name in ("from_", "to"))
    if first is not None and last is not None and last < first:
        raise InputError(f"--from {first} --to {last}: the last day lies before the first")
    if first is None and last is not None:
        raise InputError(
            f"--to {last}: name the first day too, with --from, or a whole period with --month,"
            " --quarter or --year"
        )
    return {**given, "from_": first, "to": None if last is None else _after(last)}


def _named(kind: str, text: str, flow: "SalesFlow", known_at: str | None) -> Days:
    known = FOREVER
    if known_at is not None:
        known = instant_of(known_at, flow.settings().timezone)
    calendar = flow.settings(known).fiscal_calendar
    try:
        if not FOUR_DIGITS(text):
            raise ValueError
        if kind == "month":
            return _month(text)
        year, _, quarter = text.upper().partition("-Q")
        if (kind == "quarter") != bool(quarter):
            raise ValueError
        if kind == "year":
            return calendar.year(_number(year))
        return calendar.quarter(_number(year), _number(quarter))
    except (ValueError, OverflowError) as error:
        if FOUR_DIGITS(text) and text.startswith(str(date.max.year)):
            last = f"the calendar ends within it, on {date.max}; name one before it"
            raise InputError(f"--{kind} {text}: {last}") from error
        example = {"month": "2026-04", "quarter": "2026-Q2", "year": "2026"}[kind]
        raise InputError(
            f"--{kind}: {text!r} is not a {kind}; write one like {example}"
        ) from error


def _month(text: str) -> Days:
    year, _, month = text.partition("-")
    first = date(_number(year), _number(month), 1)
    at = first.year * MONTHS + first.month
    return Days(first, date(at // MONTHS, at % MONTHS + 1, 1) - ONE_DAY)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError
    return int(text)


def _after(day: date) -> date:
    if day == date.max:
        raise InputError(f"{day} is the last day there is; name one before it")
    return day + ONE_DAY


DATABASE_VARIABLE = "SALESFLOW_DB"
DATABASE_DEFAULT = "sqlite:///salesflow.db"
SQLITE = "sqlite:///"
PASSING = ("sqlite://", SQLITE, f"{SQLITE}:memory:")
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
        help="What had happened by then: 2026-03-31 (the end of that day) or"
        " 2026-03-31T17:00:00+08:00. Default: now.",
        rich_help_panel="Moment",
        show_default=False,
        callback=time_of("--as-of"),
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
        callback=time_of("--known-at"),
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
        callback=two_times("--compare-to"),
    ),
]

COMMON = (
    inspect.Parameter(
        "db", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=DatabaseOption
    ),
    inspect.Parameter(
        "tenant", inspect.Parameter.KEYWORD_ONLY, default="main", annotation=TenantOption
    ),
    inspect.Parameter(
        "lang", inspect.Parameter.KEYWORD_ONLY, default="en", annotation=LanguageOption
    ),
    inspect.Parameter(
        "as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=JsonOption
    ),
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
        from salesflow.adapters.database.url import without_password

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
                f"{error}; name a database with --db, or make one with `salesflow demo` or"
                " `salesflow import`"
            ) from error
        with flow:
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
        from salesflow.adapters.database.sqlite_file import NewFile

        made, founded = NewFile.make(self.url), 0
        try:
            with self._flow(timezone=timezone) as flow:
                founded = flow.log.head().position
                yield flow
        except BaseException:  # whatever it was, also Ctrl-C: it goes on
            if made is not None:
                made.take_away(events_max=founded)
            raise

    def _ensure_place(self) -> None:
        """Refuse a path that is none of a file, or lies in a folder that does not exist."""
        from salesflow.adapters.database.url import SQLITE, parsed_url, sqlite_path

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
        """Say whether recording would found a log in a database that is there already.

        What founds a log can never be taken away again; so what may be refused is tried first.
        """
        from salesflow.adapters.database.url import SQLITE, parsed_url, sqlite_path

        if self.holds_a_log():
            return False
        url = parsed_url(self.url)
        path = sqlite_path(url) if url.drivername in SQLITE else None
        return path is None or path.exists()

    def holds_a_log(self) -> bool:
        """Say whether something was recorded of this tenant before; make nothing."""
        try:
            with self._flow(create=False):
                return True
        except NotFoundError:
            return False

    def _flow(
        self, url: str = "", *, timezone: str | None = None, create: bool = True
    ) -> "SalesFlow":
        from salesflow.engine import SalesFlow

        if not url:
            self._ensure_place()
        return SalesFlow(url or self.url, tenant=self.tenant, timezone=timezone, create=create)


def with_context(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options all commands share; it is handed a context instead of them."""

    def command(**given: object) -> None:
        db, tenant, lang, as_json = (given.pop(option.name) for option in COMMON)
        context = CommandContext(db=db, tenant=tenant, language=lang, as_json=as_json)  # type: ignore[arg-type]
        function(context, **given)

    signature = inspect.signature(function)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in list(signature.parameters.values())[1:]
    ]
    parameters = [*own, *COMMON]
    command.__name__ = function.__name__
    command.__doc__ = function.__doc__
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _url(given: str, said_by: str) -> str:
    if not given.strip():
        raise InputError(
            f"{said_by} is empty; name a file such as sales.db, or a URL such as"
            " postgresql://user@host/name"
        )
    if "://" in given or (SCHEME.match(given) and not Path(given).exists()):
        return given  # what is no URL after all is refused with what to write instead
    return SQLITE + given.replace("%", "%25").replace("?", "%3F")
