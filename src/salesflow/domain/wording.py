"""What is said of a field that can never be right: what it must be, and what it is not.

Never what was in it, which may be about a person.
"""

from collections.abc import Collection
from typing import Final

from pydantic_core import ErrorDetails

from salesflow.errors import REPEATED_MAX, InputError

__all__ = [
    "DAY",
    "MONEY",
    "TIME",
    "quoted",
    "reason_of",
    "shortened",
    "unchangeable",
]


# How messages repeat what was given: at most 200 characters of it; and what needs words.


def shortened(given: object, most: int = REPEATED_MAX) -> str:
    """Return what was given as text, and only its beginning where it is too long to repeat."""
    text = str(given)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def quoted(given: object) -> str:
    """Quote what was given."""
    return repr(shortened(given)) if isinstance(given, str) else shortened(repr(given))


MONEY: Final = 'Money("98000", "CNY")'
DAY: Final = "must be a date, or its text such as 2026-03-31"
TIME: Final = "must be an aware datetime, or its text such as 2026-03-31T09:00:00Z"
SAID: Final = {
    "missing": "is missing",
    "extra_forbidden": "there is no such field",
    "string_type": "must be a text",
    "string_pattern_mismatch": "must look like {pattern}",
    "int_": "must be a whole number",
    "bool_": "must be true or false",
    "date_": DAY,
    "datetime_": TIME,
    "uuid_": "must be a UUID",
    "literal_error": "must be one of {expected}",
    "tuple_type": "must be a tuple or a list",
    "model_type": "must be a {class_name}",
    "model_attributes_type": "must be a {class_name}",
    "greater_than_equal": "must be at least {ge:,}",
    "greater_than": "must be more than {gt:,}",
    "less_than_equal": "must be at most {le:,}",
    "less_than": "must be less than {lt:,}",
}
"""What to say, by how pydantic names it; its own words where nothing fits."""
OF_A_TYPE: Final = ("_type", "_parsing", "_inexact", "_from_float", "_object_invalid")
CURRENCY: Final = "^[A-Z]{3}$"


def reason_of(error: ErrorDetails) -> str:
    """Return what is wrong with a field, as a sentence that goes on from its name."""
    kind, named = error["type"], error.get("ctx", {})
    if named.get("class_name") == "Money":
        return f"must be a Money, such as {MONEY}{_not_this(error)}"
    if named.get("pattern") == CURRENCY:
        return "must be three capital letters, such as CNY"
    template = SAID.get(kind) or SAID.get(f"{kind.partition('_')[0]}_")
    if template is None or ("{" in template and not named):
        return error["msg"].removeprefix("Value error, ")
    text = template.format_map(named)
    return text + _not_this(error) if kind.endswith(OF_A_TYPE) else text


def _not_this(error: ErrorDetails) -> str:
    """Name the type of what was given instead, where that is known."""
    given = error.get("input", "")
    if isinstance(given, str):
        return ""
    return ", not None" if given is None else f", not of type {type(given).__name__}"


# What is said where somebody assigns to what never changes: a value, a fact, an answer.


def unchangeable(
    thing: object, name: str, done: str, fields: Collection[str], instead: str
) -> InputError:
    """Return the error of who assigns to what never changes, with what to do instead."""
    kind = type(thing).__name__
    refused = f"{kind}.{shortened(name)} cannot be {done}, since it never changes"
    if name not in fields:
        return InputError(f"{refused}; {kind} has no such field, but {', '.join(fields)}")
    return InputError(f"{refused}; {instead}")
