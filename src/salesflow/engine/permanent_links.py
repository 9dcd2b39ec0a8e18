"""Permanent links: what gives an answer again, to the letter, whenever it is asked for.

A moment `(as_of, known_at, position)` fixes an answer for ever. It is written as the command
line that asks for it, and as a URL where there is a page, by a template:

    https://sales.example.com/ask/{question}?{parameters}&as_of={as_of}&known_at={known_at}

What stands in a URL is percent-encoded, so nothing that a parameter holds leads elsewhere.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from shlex import join
from typing import Any, Final
from urllib.parse import quote, urlencode

from salesflow.domain.alike_names import perhaps
from salesflow.domain.time import Moment
from salesflow.domain.wording import quoted
from salesflow.errors import InputError
from salesflow.projections.core.question import Question, View

__all__ = ["ensure_link", "permanent_link", "question_parameters_shown"]


PLACES: Final = ("question", "parameters", "as_of", "known_at", "position", "compare_to")
PLACE: Final = re.compile(r"\{([^{}]*)\}")
SCHEMES: Final = ("https://", "http://")
MAIN: Final = "main"
"""The tenant that is meant where none is named."""


def question_parameters_shown(question: Question[View]) -> dict[str, Any]:
    """Return the parameters of a question that are not left out, as plain JSON values."""
    return question.model_dump(mode="json", exclude_defaults=True)


def permanent_link(
    question: Question[View],
    moment: Moment,
    compared: Moment | None = None,
    *,
    tenant: str,
    template: str | None,
) -> dict[str, str]:
    """Return what gives an answer again, or the comparison with another one.

    That is the command line, and the URL where there is a template of links. The command names
    no database: that is whoever's who runs it.
    """
    found = {"command": _command(question, moment, compared, tenant)}
    if template is not None:
        found["url"] = _url(template, question, moment, compared)
    return found


def _command(
    question: Question[View], moment: Moment, compared: Moment | None, tenant: str
) -> str:
    words = ["salesflow", "ask", question.name, *_typed(question)]
    words += ["--as-of", _time(moment.as_of), "--known-at", _time(moment.known_at)]
    if compared is not None:
        words += ["--compare-to", _both(compared)]
    words += ["--position", str(moment.position)]
    if tenant != MAIN:
        words += ["--tenant", tenant]
    return join(words)


def _typed(question: Question[View]) -> Iterator[str]:
    """Yield the parameters of a question as the command line takes them."""
    shown = question_parameters_shown(question)
    for name, field in type(question).model_fields.items():
        value = shown.get(name)
        if value is None or value is False or value == []:
            continue
        if field.is_required():
            yield str(value)
            continue
        flag = f"--{name.rstrip('_').replace('_', '-')}"
        if value is True:
            yield flag
            continue
        for each in value if isinstance(value, list) else [value]:
            yield flag
            yield _last_day(each) if name == "to" else str(each)


def _last_day(after: str) -> str:
    """Return the last day of a period, which people name, for the first one after it."""
    return str(date.fromisoformat(after) - timedelta(days=1))


def _url(
    template: str, question: Question[View], moment: Moment, compared: Moment | None
) -> str:
    values = {
        "question": quote(question.name, safe=""),
        "parameters": urlencode(_of_the_query(question_parameters_shown(question)), doseq=True),
        "as_of": quote(_time(moment.as_of), safe=""),
        "known_at": quote(_time(moment.known_at), safe=""),
        "position": str(moment.position),
        "compare_to": "" if compared is None else quote(_both(compared), safe=""),
    }
    written = PLACE.sub(lambda found: values[found[1]], template)
    return written.replace("?&", "?").rstrip("?&")


def _of_the_query(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name.rstrip("_"): str(value).lower() if isinstance(value, bool) else value
        for name, value in parameters.items()
    }


def ensure_link(template: str) -> str:
    """Return a template of links.

    Raises:
        InputError: when it is no URL, names a place that there is not, or not the moment.
    """
    if not template.startswith(SCHEMES):
        raise InputError(f"{quoted(template)} is no link; write one that begins with https://")
    named = PLACE.findall(template)
    for name in named:
        if name not in PLACES:
            there = ", ".join(f"{{{each}}}" for each in PLACES)
            raise InputError(
                f"the link names {{{name}}}{perhaps(name, PLACES)}; it may name {there}"
            )
    for name in ("question", "as_of", "known_at"):
        if name not in named:
            raise InputError(
                f"the link {quoted(template)} does not name {{{name}}}, without which it leads"
                " to no answer of a moment"
            )
    return template


def _time(at: datetime) -> str:
    return at.isoformat()


def _both(moment: Moment) -> str:
    return f"{_time(moment.as_of)}@{_time(moment.known_at)}"
