"""Builds facts of bytes that were proven to be readable when they were written.

Such bytes need not be validated again: whoever hands them in has seen by their checksum that
they are what was written, and what was written is read back as the fact it was. msgspec turns
them into plain values of the right types (amounts, days, ids), by a description made of the
class's fields, and what is nested is built from the inside. The result is what validation
gives, field by field, at a quarter of its cost.

What a class does to its fields beyond checking them is not known here; `decoder_of` says which
classes are understood, all others are validated.

It is a module of its own, since it alone knows msgspec.
"""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    TypedDict,
    Union,
    get_args,
    get_origin,
)
from uuid import UUID

from msgspec import MsgspecError
from msgspec.json import Decoder
from pydantic import BaseModel

from salesflow.domain.event import Fact
from salesflow.domain.unchecked import (
    Fields,
    NotUnderstoodError,
    builder_of,
    builder_within,
)

__all__ = ["Decode", "NotWrittenHereError", "decoder_of"]


Decode = Callable[[bytes], Fact]

NotWrittenHereError = MsgspecError
"""What a decoder raises of bytes that no encoding of a fact gives."""

NAMED: Final = b'":'
"""Follows the name of a field, and is in a text that quotes something, perhaps."""
PLAIN: Final = frozenset({str, int, bool, Decimal, UUID, date, datetime})
"""What is the same read by msgspec and by pydantic, from what pydantic writes."""


def decoder_of(cls: type[Fact]) -> Decode | None:
    """Return what builds facts of a class from their bytes; None where it is not understood."""
    try:
        shape, build = _shape_of(cls), builder_of(cls)
    except NotUnderstoodError:
        return None
    read: Callable[[bytes], Fields] = Decoder(shape).decode
    is_flat = not any(builder_within(field.annotation) for field in cls.model_fields.values())
    names_in: Callable[[Fields], int] = len if is_flat else _names_in

    def decode(payload: bytes) -> Fact:
        given = read(payload)
        if payload.count(NAMED) != names_in(given):
            raise NotWrittenHereError("a field is named that is unknown, or one twice")
        fact: Fact = build(given)
        return fact

    return decode


def _names_in(given: Fields) -> int:
    """Return how many fields are named in a value, and in all values that it holds."""
    count = len(given)
    for each in given.values():
        if type(each) is dict:
            count += _names_in(each)
        elif type(each) is tuple:
            count += sum([_names_in(item) for item in each if type(item) is dict])
    return count


@cache
def _shape_of(cls: type[BaseModel]) -> type:
    """Describe to msgspec what JSON names of a value: all of its fields that it must have."""
    _ensure_only_checked(cls)
    fields = {
        name: plain if field.is_required() else NotRequired[plain]
        for name, field in cls.model_fields.items()
        for plain in [_plain(field.annotation)]
    }
    return TypedDict(f"{cls.__name__}Fields", fields)  # type: ignore[operator, no-any-return]


def _plain(annotation: Any) -> Any:  # noqa: ANN401 - any type there is
    """Return a type as msgspec is to read it.

    Raises:
        NotUnderstoodError: for what it would read otherwise.
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain(inner[0])
    if origin in (Union, UnionType):
        return Union[tuple(map(_plain, inner))]  # noqa: UP007 - made of a tuple
    if origin is tuple and inner[1:] == (...,):
        return tuple[_plain(inner[0]), ...]  # type: ignore[misc]
    if origin is Literal or annotation in PLAIN or annotation is NoneType:
        return annotation
    return _shape_of(_value_class(annotation))


def _value_class(annotation: Any) -> type[BaseModel]:  # noqa: ANN401 - any type there is
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    raise NotUnderstoodError


def _ensure_only_checked(cls: type[BaseModel]) -> None:
    """Refuse a class that makes something else of its fields, or keeps more than them.

    Raises:
        NotUnderstoodError: when it does.
    """
    decorators = cls.__pydantic_decorators__
    before = any(each.info.mode != "after" for each in decorators.model_validators.values())
    renamed = any(f.alias or f.default_factory for f in cls.model_fields.values())
    if decorators.field_validators or before or renamed or cls.__private_attributes__:
        raise NotUnderstoodError
