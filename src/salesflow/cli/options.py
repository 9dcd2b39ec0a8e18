"""Periods as they are typed: a first and a last day, or a month, a quarter or a year by name.

The last day belongs to the period. Quarters and years are the fiscal ones of the settings;
months are those of the calendar.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer

from salesflow.domain.calendar import Days
from salesflow.domain.time import FOREVER, ONE_DAY, instant_of, read_day
from salesflow.errors import InputError

__all__ = [
    "PERIOD_OPTIONS",
    "day_of",
    "is_period",
    "moment_said",
    "time_of",
    "two_times",
    "with_period",
]


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


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow


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
