"""Makes values of fields that are right already, without validating them.

What was validated when it was written, or worked out from that, need not be validated once more
when it is read or shown; for lists of thousands that is most of the time they take. Everybody
else makes values by calling their class, which checks every field.

Facts are built so of bytes that were proven to be readable when they were written: whoever
hands them in has seen by their checksum that they are what was written, and what was written is
read back as the fact it was. msgspec turns them into plain values of the right types (amounts,
days, ids), by a description made of the class's fields, and what is nested is built from the
inside. The result is what validation gives, field by field, at a quarter of its cost. What a
class does to its fields beyond checking them is not known here; `decoder_of` says which classes
are understood, all others are validated.
"""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from itertools import repeat
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    TypedDict,
    TypeVar,
    Union,
    get_args,
    get_origin,
)
from uuid import UUID

from msgspec import MsgspecError
from msgspec.json import Decoder
from pydantic import BaseModel

from salesflow.domain.event import Fact

__all__ = [
    "Decode",
    "Fields",
    "NotWrittenHereError",
    "decoder_of",
    "unchecked",
    "unchecked_all",
]

Fields = dict[str, Any]
ModelT = TypeVar("ModelT", bound=BaseModel)

_new: Final = object.__new__
_set_fields: Final = BaseModel.__dict__["__dict__"].__set__
_set_names: Final = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_set_extra: Final = BaseModel.__dict__["__pydantic_extra__"].__set__
_set_private: Final = BaseModel.__dict__["__pydantic_private__"].__set__
_run: Final = deque[None](maxlen=0).extend


def unchecked(cls: type[ModelT]) -> Callable[..., ModelT]:
    """Return what makes values of a class of their fields, named one by one: see `_made_of`."""
    make = _made_of(cls)
    return lambda **given: make(given)


def _made_of(cls: type[ModelT]) -> Callable[[Fields], ModelT]:
    """Return what makes a value of a class of its fields, which must be as they are kept.

    Fields that are left out have their defaults; one that has none is None.
    """
    fields = cls.model_fields.items()
    blank: Fields = {name: None if f.is_required() else f.default for name, f in fields}
    all_names = {*blank}  # of values that nobody changes, so many of them may have this one
    some_names: dict[tuple[str, ...], set[str]] = {}

    def make(given: Fields) -> ModelT:
        value, names = _new(cls), all_names
        if len(given) != len(blank):
            some = (*given,)
            names = some_names.get(some) or some_names.setdefault(some, {*some})
        _set_names(value, names)
        _set_fields(value, {**blank, **given})
        _set_extra(value, None)
        _set_private(value, None)
        return value

    return make


def unchecked_all(cls: type[ModelT]) -> Callable[[Sequence[Fields]], list[ModelT]]:
    """Return what makes many values of a class at once, which takes a fifth of the time.

    Of each all fields are given, in the order in which its class has them. They are kept as
    they are, so nobody may change them afterwards.
    """
    all_names = {*cls.model_fields}

    def make_all(given: Sequence[Fields]) -> list[ModelT]:
        made = [*map(_new, repeat(cls, len(given)))]
        _run(map(_set_fields, made, given))
        _run(map(_set_names, made, repeat(all_names)))
        _run(map(_set_extra, made, repeat(None)))
        _run(map(_set_private, made, repeat(None)))
        return made

    return make_all


# Facts of their bytes.

Decode = Callable[[bytes], Fact]
Build = Callable[[Any], Any]

NotWrittenHereError = MsgspecError
"""What a decoder raises of bytes that no encoding of a fact gives."""

NAMED: Final = b'":'
"""Follows the name of a field, and is in a text that quotes something, perhaps."""
PLAIN: Final = frozenset({str, int, bool, Decimal, UUID, date, datetime})
"""What is the same read by msgspec and by pydantic, from what pydantic writes."""


class NotUnderstoodError(Exception):
    """A class holds what cannot be built without validating it."""


def decoder_of(cls: type[Fact]) -> Decode | None:
    """Return what builds facts of a class from their bytes; None where it is not understood."""
    try:
        shape, build = _shape_of(cls), _builder_of(cls)
    except NotUnderstoodError:
        return None
    read: Callable[[bytes], Fields] = Decoder(shape).decode
    is_flat = not any(_nested(field.annotation) for field in cls.model_fields.values())
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


@cache
def _builder_of(cls: type[BaseModel]) -> Build:
    """Return what makes a value of its plain fields."""
    make = _made_of(cls)
    holding = [
        (name, within)
        for name, field in cls.model_fields.items()
        if (within := _nested(field.annotation))
    ]

    if not holding:
        return make

    def build(given: Fields) -> BaseModel:
        for name, within in holding:
            if name in given:
                given[name] = within(given[name])
        return make(given)

    return build


def _nested(annotation: Any) -> Build | None:  # noqa: ANN401 - any type there is
    """Return what makes values with fields of what a field holds; None where it holds none."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _nested(inner[0])
    if origin in (Union, UnionType):
        found = [build for each in inner if (build := _nested(each))]
        if not found:
            return None
        if len(found) > 1 or len(inner) > 2 or NoneType not in inner:
            raise NotUnderstoodError
        return found[0]
    if origin is tuple:
        one = _nested(inner[0])
        return None if one is None else lambda items: tuple([one(item) for item in items])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _builder_of(annotation)
    return None


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
