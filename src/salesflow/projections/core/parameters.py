"""The parameters of a question: what each of them means, and what is wrong with a value.

What a parameter means stands as a docstring below its field; `help(Funnel)`, `--help` and
JSON schemas take it from there. What is wrong is said in a short sentence: a closed list is
named with what is right. Python and the command line say the same of the same mistake; they
differ only in how they name a parameter. What a caller passed is repeated: parameters are no
facts about people.
"""

import ast
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from textwrap import fill
from typing import Annotated, Final

from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from salesflow.domain.arguments import perhaps
from salesflow.domain.wording import reason_of

__all__ = [
    "LINE_WIDTH",
    "LISTED_MAX",
    "SAID",
    "SHOWN_MAX",
    "Limit",
    "described",
    "ensure_no_flag",
    "field_docstrings",
    "wrong_parameters",
    "wrong_value",
]


SHOWN_MAX: Final = 60
LISTED_MAX: Final = 1_000_000
Limit = Annotated[int, Field(gt=0, le=LISTED_MAX, strict=True)]
"""How many rows to list at most."""

LINE_WIDTH: Final = 88
SAID: Final = {
    "literal_error": "{given} is not one of {expected}",
    "extra_forbidden": "there is no such parameter{perhaps}; there are {names}",
    "missing": "must be said",
    "string_pattern": "{given} is not a currency; write three capital letters such as CNY",
    "date_": "{given} is not a day; write one like 2026-03-31",
    "int_": "{given} is not a whole number",
    "uuid_": "{given} is not an id",
    "bool_": "{given} is neither true nor false",
}
"""What to say of a mistake, by how pydantic names it; its own words where nothing fits."""


def ensure_no_flag(value: object) -> object:
    """Refuse True and False where a whole number belongs; a number written as text is read."""
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "not a whole number")
    return value


def field_docstrings(cls: type) -> Mapping[str, str]:
    """Return what the docstrings below a class's own fields say, by field.

    Empty where the source is not at hand (an interactive session, a frozen program).
    """
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    return _docstrings_in(file).get(cls.__qualname__, {}) if file else {}


def described(summary: str, fields: Mapping[str, FieldInfo]) -> str:
    """Return the docstring of a question: its summary, then each parameter with its meaning."""
    lines = [summary]
    if fields:
        lines += ["", "Parameters:"]
    for name, field in fields.items():
        text = f"{name}: {field.description or ''}".rstrip(" :")
        lines.append(fill(text, LINE_WIDTH, initial_indent="    ", subsequent_indent=" " * 8))
    return "\n".join(lines)


@cache
def _docstrings_in(file: str) -> Mapping[str, Mapping[str, str]]:
    """Return the docstrings of fields in a module, by class; a module is read once."""
    try:
        body = ast.parse(Path(file).read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return {}
    return {node.name: _docstrings_of(node) for node in body if isinstance(node, ast.ClassDef)}


def _docstrings_of(node: ast.ClassDef) -> Mapping[str, str]:
    return {
        field.target.id: " ".join(str(text.value.value).split())
        for field, text in pairwise(node.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


def wrong_parameters(error: ValidationError, parameters: Iterable[str]) -> Mapping[str, str]:
    """Say what is wrong with each parameter, by its name; the first thing of each."""
    found: dict[str, str] = {}
    for each in error.errors(include_url=False):
        name = str(each["loc"][0]) if each["loc"] else "the question"
        found.setdefault(name, _wrong(each, parameters))
    return found


def wrong_value(error: ValidationError) -> str:
    """Say what is wrong with a single value that was typed."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "value_error":  # which says what was given itself
        return reason_of(first)
    return _wrong(first, ())


def _wrong(error: ErrorDetails, parameters: Iterable[str]) -> str:
    given = repr(error.get("input"))
    shown = given if len(given) <= SHOWN_MAX else "this"
    known = list(parameters)
    named = {"expected": error.get("ctx", {}).get("expected"), "names": ", ".join(known)}
    named["perhaps"] = perhaps(str(error["loc"][-1]), known) if error["loc"] else ""
    for kind, said in SAID.items():
        if error["type"].startswith(kind):
            return said.format(given=shown, **named)
    said = reason_of({**error, "input": ""})  # which is shown here, and no text of its own type
    return f"{said}, not {shown}"
