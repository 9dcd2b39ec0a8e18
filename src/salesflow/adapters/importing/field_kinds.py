"""What the fields of facts hold, read off their types."""

import types
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from salesflow.domain.values import Money, TextMark

__all__ = ["is_one_line", "kind_of_field", "whole_type"]


def whole_type(field: FieldInfo) -> Any:  # noqa: ANN401 - a form of typing, not a class
    """Give the type of a field with all that is said of it."""
    whole: Any = field.annotation
    for mark in field.metadata:
        whole = Annotated[whole, mark]
    return whole


def is_one_line(annotation: object) -> bool:
    """Say whether a text may have one line only."""
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        said = [mark.personal for mark in marks if isinstance(mark, TextMark)]
        return not said[0] if said else is_one_line(inner)
    return any(is_one_line(inner) for inner in get_args(annotation))


def kind_of_field(annotation: object) -> tuple[str, Any]:
    """Say what a field holds: many, money, part, time, day, number, integer, bool, id, text.

    The second value is what it holds many of, the class of a part, or the choices there are.
    """
    inner = _bare(annotation)
    origin = get_origin(inner)
    if origin in (tuple, list, set, frozenset):
        return "many", get_args(inner)[0]
    if origin is Literal:
        return "text", get_args(inner)
    if isinstance(inner, type):
        if issubclass(inner, Money):
            return "money", inner
        if issubclass(inner, BaseModel):
            return "part", inner
        for cls, kind in _KINDS:
            if issubclass(inner, cls):
                return kind, None
    return "text", None


_KINDS: tuple[tuple[type, str], ...] = (
    (datetime, "time"),
    (date, "day"),
    (bool, "bool"),
    (int, "integer"),
    (Decimal, "number"),
    (UUID, "id"),
)


def _bare(annotation: object) -> object:
    """Take Annotated and None off a type."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            rest = [arg for arg in get_args(annotation) if arg is not types.NoneType]
            if len(rest) != 1:
                return annotation
            annotation = rest[0]
        else:
            return annotation
