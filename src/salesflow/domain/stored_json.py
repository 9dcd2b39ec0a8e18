"""What stored JSON may not be, and what is said of it: short, and never what was in it."""

import json
from functools import cache
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

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


def refuse_repeats(payload: bytes, colons: int, read: BaseModel) -> None:
    """Refuse bytes that name a field twice: more names are in them than fields were read.

    A colon follows every name, so where there are as many colons as fields none is there twice.
    Texts may have more of them: then those behind a quote are counted, which they follow at
    once in all that we write. What is left is read once more.

    Raises:
        ValueError: naming the field.
    """
    names = _names(read)
    if colons == names:
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
    names, fields = len(value.__pydantic_fields_set__), value.__dict__
    for name, always in _nested(type(value)):
        held = fields[name]
        if held is None:
            continue
        if always:
            names += always
        elif type(held) is tuple:
            names += sum([_names(each) for each in held if isinstance(each, BaseModel)])
        elif isinstance(held, BaseModel):
            names += _names(held)
    return names


@cache
def _nested(cls: type[BaseModel]) -> tuple[tuple[str, int], ...]:
    """Name the fields that hold values with fields of their own, and always how many.

    0 where that differs from value to value.
    """
    fields = cls.model_fields.items()
    return tuple((n, _always(f.annotation)) for n, f in fields if _holds_fields(f.annotation))


def _always(annotation: object) -> int:
    """Say how many fields every value of a type names, None aside; 0 where it depends."""
    one_of = get_origin(annotation) in (Union, UnionType)
    kinds = {*(get_args(annotation) if one_of else (annotation,))} - {type(None)}
    cls = kinds.pop()
    if kinds or not (isinstance(cls, type) and issubclass(cls, BaseModel)):
        return 0
    fields = cls.model_fields.values()
    flat = all(f.is_required() and not _holds_fields(f.annotation) for f in fields)
    return len(fields) if flat else 0


def _holds_fields(annotation: object) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return any(map(_holds_fields, get_args(annotation)))
