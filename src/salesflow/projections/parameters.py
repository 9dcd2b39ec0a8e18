"""What is wrong with the parameters of a question, each in a short sentence for callers.

A closed list is named with what is right. Python and the command line say the same of the
same mistake; they differ only in how they name a parameter. What a caller passed is repeated:
parameters are no facts about people.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from salesflow.domain.values import reason_of

__all__ = ["wrong_parameters"]

SHOWN_MAX: Final = 60
SAID: Final = {
    "literal_error": "{given} is not one of {expected}",
    "extra_forbidden": "there is no such parameter; there are {names}",
    "missing": "must be said",
    "string_pattern": "{given} is not a currency; write three capital letters such as CNY",
    "date_": "{given} is not a day; write one like 2026-03-31",
    "int_": "{given} is not a whole number",
    "uuid_": "{given} is not an id",
    "bool_": "{given} is neither true nor false",
}
"""What to say of a mistake, by how pydantic names it; its own words where nothing fits."""


def wrong_parameters(error: ValidationError, parameters: Iterable[str]) -> Mapping[str, str]:
    """Say what is wrong with each parameter, by its name; the first thing of each."""
    found: dict[str, str] = {}
    for each in error.errors(include_url=False):
        name = str(each["loc"][0]) if each["loc"] else "the question"
        found.setdefault(name, _wrong(each, parameters))
    return found


def _wrong(error: ErrorDetails, parameters: Iterable[str]) -> str:
    given = repr(error.get("input"))
    shown = given if len(given) <= SHOWN_MAX else "this"
    named = {"expected": error.get("ctx", {}).get("expected"), "names": ", ".join(parameters)}
    for kind, said in SAID.items():
        if error["type"].startswith(kind):
            return said.format(given=shown, **named)
    return f"{reason_of(error)}, not {shown}"
