"""How a report is defined, in the TOML of the outbox: what is asked, how often, for whom.

    link = "https://sales.example.com/ask/{question}?{parameters}&as_of={as_of}&known_at={known_at}"

    [[report]]
    name = "weekly"
    title = "What changed since last week"
    schedule = "every Monday 08:00"
    compared_with = "1 week"
    endpoints = ["crm"]

    [[report.questions]]
    question = "funnel"
    parameters = { by = "owner" }

A complaint names the report, the key and what is allowed. Questions and their parameters are
looked at when the file is read, so that nothing wrong waits for Monday.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple, get_args

from salesflow.adapters.reports.personal_texts import gives_personal_texts
from salesflow.adapters.reports.schedule import (
    Schedule,
    TimeBefore,
    read_schedule,
    read_time_before,
)
from salesflow.domain.alike_names import perhaps
from salesflow.domain.time import day_after, read_day
from salesflow.domain.wording import quoted
from salesflow.errors import InputError
from salesflow.presentation.messages import Language
from salesflow.projections.core.question import Question, View
from salesflow.projections.registry import QUESTIONS

__all__ = [
    "AskedQuestion",
    "ReportDefinition",
    "ReportPeriod",
    "ensure_known_keys",
    "read_reports",
]


KEYS: Final = (
    *("name", "title", "schedule", "question", "parameters", "period", "questions"),
    *("compared_with", "as_known_then", "endpoints", "language", "personal"),
)
KEYS_OF_A_QUESTION: Final = ("question", "parameters", "period")
LANGUAGES: Final = get_args(Language)
SPANS: Final = ("week", "month", "quarter", "year")
PREVIOUS: Final = "previous"
DAYS_MAX: Final = 3_660
TITLE_MAX: Final = 200
NAME: Final = re.compile(r"(?=.{1,100}$)[^\W_]+(?:[-_.][^\W_]+)*")
"""In whatever script."""


class ReportPeriod(NamedTuple):
    """Which days a question is asked about, seen from the day of the report."""

    last: bool
    """Whether they are over: last week; this week goes on."""
    span: str
    """week, month, quarter, year, or day for so many days."""
    days: int = 0
    """Of the last so many days, how many; those before the day of the report."""


class AskedQuestion(NamedTuple):
    """A question of a report, and the period that is found for each time it is made."""

    question: Question[View]
    period: ReportPeriod | None


class ReportDefinition(NamedTuple):
    """A report: what is asked, what it is compared with, when it is made and for whom."""

    name: str
    title: str
    questions: tuple[AskedQuestion, ...]
    schedule: Schedule | None
    """None where it is made by hand alone."""
    compared_with: TimeBefore | str | None
    """So long before, or `previous`, the time it was due before; None: with nothing."""
    as_known_then: bool
    """Whether it is compared with what was known then, or with what is known of then now."""
    endpoints: tuple[str, ...]
    language: Language
    personal: bool
    """Whether texts about people, and free texts, stand in it."""


def read_reports(
    raw: object, endpoints: Mapping[str, bool], *, kept_in: str
) -> dict[str, ReportDefinition]:
    """Read the tables `report` of a TOML file, by name.

    `endpoints` are those that may be named, and whether texts about people go there.

    Raises:
        InputError: naming the report, the key and what is wrong with it.
    """
    if not isinstance(raw, list) or not all(isinstance(each, Mapping) for each in raw):
        raise InputError(f"{kept_in}: write each report as a table under [[report]]")
    found: dict[str, ReportDefinition] = {}
    for number, table in enumerate(raw, 1):
        named = table.get("name")
        where = f"report {named!r}" if isinstance(named, str) else f"report number {number}"
        try:
            definition = _report(table, endpoints)
            if definition.name in found:
                raise InputError("there are two of this name; name each one differently")
        except InputError as error:
            raise InputError(f"{kept_in}, {where}: {error}") from error
        found[definition.name] = definition
    return found


def _report(table: Mapping[str, Any], endpoints: Mapping[str, bool]) -> ReportDefinition:
    ensure_known_keys(table, KEYS)
    name = _text(table, "name") or ""
    if not NAME.fullmatch(name):
        raise InputError(
            'name it by letters and digits, with hyphens between them: name = "weekly"'
        )
    title = _text(table, "title") or name
    if len(title) > TITLE_MAX or "\n" in title:
        raise InputError(f"a title is one line of {TITLE_MAX} characters at most")
    schedule, compared = _text(table, "schedule"), _text(table, "compared_with")
    if compared == PREVIOUS and schedule is None:
        raise InputError("compared_with previous needs a schedule, which says when that was")
    as_known_then = _flag(table, "as_known_then")
    if as_known_then and compared is None:
        raise InputError("as_known_then needs compared_with, such as 1 week")
    named = _endpoints(table, endpoints)
    personal, questions = _flag(table, "personal", not named), _questions(table)
    _ensure_may_go(personal, questions, [each for each in named if not endpoints[each]])
    return ReportDefinition(
        name=name,
        title=title,
        questions=questions,
        schedule=None if schedule is None else read_schedule(schedule),
        compared_with=compared if compared in (None, PREVIOUS) else read_time_before(compared),
        as_known_then=as_known_then,
        endpoints=named,
        language=_language(table),
        personal=personal,
    )


def _ensure_may_go(
    personal: bool, questions: Sequence[AskedQuestion], without: Sequence[str]
) -> None:
    """Refuse texts about people in a report that must not hold any, or where they go."""
    if personal and without:
        raise InputError(
            f"it is personal, and no texts about people go to endpoint {without[0]}; write"
            " personal = true there, or leave personal out here"
        )
    for each in questions:
        if not personal and gives_personal_texts(type(each.question)):
            raise InputError(
                f"answers to {each.question.name} hold texts about people, or free texts; write"
                " personal = true, here and at its endpoints"
            )


def _language(table: Mapping[str, Any]) -> Language:
    named = _text(table, "language") or "en"
    if named not in LANGUAGES:
        raise InputError(f"language is {quoted(named)}; write {' or '.join(LANGUAGES)}")
    return "zh" if named == "zh" else "en"


def ensure_known_keys(table: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse a table that says what nobody reads."""
    for key in table:
        if key not in known:
            raise InputError(
                f"there is no key {key!r}{perhaps(key, known)}; there are {', '.join(known)}"
            )


def _text(table: Mapping[str, Any], key: str) -> str | None:
    value = table.get(key)
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise InputError(f"{key} is {quoted(value)}; write a text in quotes")
    return value


def _flag(table: Mapping[str, Any], key: str, default: bool = False) -> bool:
    value = table.get(key, default)
    if not isinstance(value, bool):
        raise InputError(f"{key} is {quoted(value)}; write true or false")
    return value


def _endpoints(table: Mapping[str, Any], known: Collection[str]) -> tuple[str, ...]:
    named = table.get("endpoints", [])
    if isinstance(named, str):
        named = [named]
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
        raise InputError('endpoints is a list of names, such as ["crm"]')
    if not named and table.get("schedule") is not None:
        raise InputError("a report with a schedule needs endpoints, to which it is delivered")
    for each in named:
        if each not in known:
            there = ", ".join(known) or "none"
            raise InputError(
                f"there is no endpoint {quoted(each)}{perhaps(each, known)}; there are {there}"
            )
    return tuple(dict.fromkeys(named))


def _questions(table: Mapping[str, Any]) -> tuple[AskedQuestion, ...]:
    """Read the one question of a report, or its list of them."""
    several = table.get("questions")
    if several is None:
        return (_asked({key: table[key] for key in KEYS_OF_A_QUESTION if key in table}),)
    if "question" in table or "parameters" in table or "period" in table:
        raise InputError("name either one question, or several in questions")
    if not isinstance(several, list) or not several:
        raise InputError('questions is a list, such as ["funnel", "kpis"]')
    return tuple(
        _asked({"question": each} if isinstance(each, str) else each) for each in several
    )


def _asked(table: object) -> AskedQuestion:
    if not isinstance(table, Mapping):
        raise InputError("write each of questions as a name, or as [[report.questions]]")
    ensure_known_keys(table, KEYS_OF_A_QUESTION)
    name = _text(table, "question")
    if name is None:
        raise InputError('name the question that is asked, such as question = "funnel"')
    if name not in QUESTIONS:
        raise InputError(
            f"there is no question {quoted(name)}{perhaps(name, QUESTIONS)}; there are"
            f" {', '.join(QUESTIONS)}"
        )
    parameters, period = table.get("parameters", {}), _text(table, "period")
    if not isinstance(parameters, Mapping):
        raise InputError('parameters is a table, such as { by = "owner" }')
    kind = QUESTIONS[name]
    given = {_name_of(key): _plain(value) for key, value in parameters.items()}
    if period is not None and not {"from_", "to"} <= kind.model_fields.keys():
        raise InputError(f"{name} is asked about no period; leave period out")
    if period is not None and given.keys() & {"from_", "to"}:
        raise InputError("say the period in one way: by period, or by from and to")
    try:
        question = kind(**_with_last_day(given))
    except InputError as error:
        raise InputError(f"parameters of {name}: {error}") from error
    return AskedQuestion(question, None if period is None else _period(period))


def _name_of(key: str) -> str:
    """Return what a field of a question is called that people write as an option."""
    plain = key.replace("-", "_")
    return "from_" if plain == "from" else plain


def _with_last_day(given: Mapping[str, Any]) -> dict[str, Any]:
    """Take `to` as people name it: the last day, which belongs to the period."""
    last = given.get("to")
    if last is None:
        return dict(given)
    if "from_" not in given:
        raise InputError("name the first day too, as from")
    return {**given, "to": day_after(last if isinstance(last, date) else read_day(last))}


def _plain(value: object) -> object:
    """Return a value of TOML as a question reads it: text where it is written so."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        raise InputError(f"{value} is a number with a point; write it in quotes")
    return tuple(value) if isinstance(value, list) else value


def _period(text: str) -> ReportPeriod:
    words = " ".join(text.lower().split()).split(" ")
    which, *rest = words
    if which in ("last", "this") and len(rest) == 1 and rest[0] in SPANS:
        return ReportPeriod(which == "last", rest[0])
    is_days = which == "last" and len(rest) == 2 and rest[1] in ("day", "days")
    if is_days and rest[0].isdecimal() and 1 <= int(rest[0]) <= DAYS_MAX:
        return ReportPeriod(True, "day", int(rest[0]))
    raise InputError(
        f"period is {quoted(text)}; write last week, this week, last month, this month, last"
        " quarter, this quarter, last year, this year, or last 7 days"
    )
