"""What stored JSON may not be, and what is said of it: short, and never what was in it."""

import json
from functools import cache
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from salesflow.domain.complaints import reason_of
from salesflow.domain.wording import quoted, shortened

__all__ = ["UNREADABLE", "once_each", "refuse_repeats", "why"]

COMPLAINTS_MAX: Final = 3
AFTER_NAMES: Final = (b'" ', b"\n", b"\t", b"\r")
"""Bytes that are in no fact as we write it, unless within a text that quotes something."""

UNREADABLE: Final = (
    *(ValueError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, RecursionError),
)
"""What reading a stored fact may raise, its upcasts included."""


def refuse_repeats(payload: bytes, read: BaseModel) -> None:
    """Refuse bytes that name a field twice: more names are in them than fields were read.

    A colon follows every name, so where there are as many colons as fields none is there twice.
    Texts may have more of them: then those behind a quote are counted, which they follow at
    once in all that we write. What is left is read once more.

    Raises:
        ValueError: naming the field.
    """
    names = _names(read)
    if payload.count(b":") == names:
        return
    if payload.count(b'":') != names or any(map(payload.count, AFTER_NAMES)):
        json.loads(payload, object_pairs_hook=once_each)


def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict of what JSON names, each name once.

    Raises:
        ValueError: naming the one given twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{quoted(twice)} is given twice")
    return found


def why(error: Exception) -> str:
    """Say what was wrong with a stored fact, briefly."""
    if not isinstance(error, ValidationError):
        said = str(error) if isinstance(error, ValueError) else repr(error)
        return shortened(said)
    found = error.errors(include_url=False, include_input=False)
    told = [
        shortened(f"{'.'.join(map(str, each['loc'])) or 'value'}: {reason_of(each)}")
        for each in found[:COMPLAINTS_MAX]
    ]
    more = len(found) - len(told)
    return "; ".join(told) + (f" and {more} more" if more else "")


def _names(value: BaseModel) -> int:
    """Count the names of fields in what a value was read from."""
    names = len(value.__pydantic_fields_set__)
    for name in _nested(type(value)):
        held = value.__dict__[name]
        if type(held) is tuple:
            names += sum([_names(each) for each in held if isinstance(each, BaseModel)])
        elif isinstance(held, BaseModel):
            names += _names(held)
    return names


@cache
def _nested(cls: type[BaseModel]) -> tuple[str, ...]:
    """Name the fields that hold values with fields of their own."""
    return tuple(n for n, f in cls.model_fields.items() if _holds_fields(f.annotation))


def _holds_fields(annotation: object) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return any(map(_holds_fields, get_args(annotation)))
